use std::io::Read;

use super::{Entry, gzip, sha256, tar};

#[test]
fn an_archive_has_its_files_in_order_with_one_time_and_no_owner() {
    let entries = || vec![Entry::new("r/bin/b", 0o755, "2"), Entry::new("r/a", 0o644, "1")];
    let archive = tar(entries(), 86_400).expect("an archive");
    let mut turned = entries();
    turned.reverse();
    assert_eq!(tar(turned, 86_400).expect("an archive"), archive);
    let mut seen = Vec::new();
    for entry in tar::Archive::new(archive.as_slice()).entries().expect("entries") {
        let mut entry = entry.expect("an entry");
        let header = entry.header();
        let owner = (header.uid().expect("a uid"), header.gid().expect("a gid"));
        assert_eq!((owner, header.mtime().expect("a time")), ((0, 0), 86_400));
        let (path, mode) = (entry.path_bytes().into_owned(), header.mode().expect("a mode"));
        let mut text = String::new();
        entry.read_to_string(&mut text).expect("text");
        seen.push((String::from_utf8(path).expect("UTF-8"), mode, text));
    }
    let expected =
        [("r/", 0o755, ""), ("r/bin/", 0o755, ""), ("r/a", 0o644, "1"), ("r/bin/b", 0o755, "2")];
    let expected = expected.map(|(path, mode, text)| (path.to_owned(), mode, text.to_owned()));
    assert_eq!(seen, expected);
}

#[test]
fn gzip_tells_no_time_and_no_system() {
    let bytes = gzip(b"text").expect("bytes");
    assert_eq!(bytes[4..8], [0; 4]);
    assert_eq!(bytes[9], 255);
}

#[test]
fn a_sum_is_as_sha256sum_prints_it() {
    assert_eq!(sha256(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

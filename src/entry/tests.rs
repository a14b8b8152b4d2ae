use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use super::*;

/// A folder of this mode that no other test has, removed with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, mode: u32) -> Folder {
        let path = std::env::temp_dir().join(format!("reprieve-{}-{name}", std::process::id()));
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        Folder(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Why a file cannot be written or made by this path; else it has one more byte.
fn append(path: &Path) -> Result<(), String> {
    let flags = OFlag::O_APPEND | OFlag::O_CREAT | OFlag::O_NONBLOCK;
    let file = Entry::find(path, LastLink::Followed).and_then(|entry| entry.open(flags));
    let written = file.and_then(|mut file| io::Write::write(&mut file, b"x"));
    written.map(drop).map_err(|error| error.to_string())
}

#[test]
fn links_in_a_place_of_ours_are_followed() {
    let folder = Folder::new("ours", 0o755);
    fs::create_dir(folder.path("sub")).unwrap();
    symlink("sub", folder.path("relative")).unwrap();
    symlink(folder.path("relative/../sub/."), folder.path("absolute")).unwrap();
    symlink("absolute/file", folder.path("link")).unwrap();
    for path in ["sub/file", "relative/file", "absolute/file", "link", "./absolute/../sub/file"] {
        assert_eq!(append(&folder.path(path)), Ok(()), "{path}");
    }
    assert_eq!(fs::read(folder.path("sub/file")).unwrap(), b"xxxxx");
}

#[test]
fn no_link_is_followed_where_others_can_write() {
    for mode in [0o1777, 0o777, 0o775] {
        let (folder, ours) = (Folder::new(&format!("{mode:o}"), mode), Folder::new("hers", 0o755));
        fs::write(ours.path("file"), "").unwrap();
        symlink(ours.path("file"), folder.path("last")).unwrap();
        symlink(&ours.0, folder.path("step")).unwrap();
        symlink(folder.path("last"), ours.path("through")).unwrap();
        symlink(ours.path("no such file"), folder.path("dangling")).unwrap();
        for path in [folder.path("last"), folder.path("step/file"), ours.path("through")] {
            let why = append(&path).unwrap_err();
            assert!(why.contains("is a link in a directory that others can write"), "{why}");
        }
        append(&folder.path("dangling")).unwrap_err();
        fs::hard_link(ours.path("file"), folder.path("name")).unwrap();
        let why = append(&folder.path("name")).unwrap_err();
        assert!(why.contains("has a second name"), "{why}");
        assert!(fs::read(ours.path("file")).unwrap().is_empty());
        assert!(!ours.path("no such file").exists());
        // What is no link is as good there as anywhere.
        fs::create_dir(folder.path("sub")).unwrap();
        assert_eq!(["file", "sub/file"].map(|name| append(&folder.path(name))), [Ok(()), Ok(())]);
    }
}

#[test]
fn what_is_open_is_found_by_its_number() {
    let (mut reader, writer) = io::pipe().unwrap();
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&writer));
    assert_eq!(append(path.as_ref()), Ok(()));
    let folder = Folder::new("number", 0o755);
    symlink(path, folder.path("link")).unwrap();
    assert_eq!(append(&folder.path("link")), Ok(()));
    drop(writer);
    let mut written = String::new();
    io::Read::read_to_string(&mut reader, &mut written).unwrap();
    assert_eq!(written, "xx");
}

#[test]
fn a_way_that_leads_nowhere_is_an_error() {
    let folder = Folder::new("nowhere", 0o755);
    symlink("a", folder.path("b")).unwrap();
    symlink("b", folder.path("a")).unwrap();
    symlink("/", folder.path("root")).unwrap();
    fs::write(folder.path("file"), "").unwrap();
    let why = |path: &Path| Entry::find(path, LastLink::Followed).err().unwrap().raw_os_error();
    assert_eq!(why(&folder.path("a")), Some(libc::ELOOP));
    assert_eq!(why(&folder.path("a/file")), Some(libc::ELOOP));
    assert_eq!(why(&folder.path("no/file")), Some(libc::ENOENT));
    assert_eq!(why(&folder.path("file/file")), Some(libc::ENOTDIR));
    for path in [&folder.path("file/"), &folder.path("root"), Path::new("/")] {
        assert_eq!(why(path), Some(libc::EISDIR), "{}", path.display());
    }
}

#[test]
fn a_last_link_that_is_left_is_the_entry() {
    let folder = Folder::new("left", 0o755);
    symlink("/", folder.path("link")).unwrap();
    let entry = Entry::find(&folder.path("link"), LastLink::Left).unwrap();
    assert!(is_kind(&entry.status().unwrap().unwrap(), libc::S_IFLNK));
    entry.remove().unwrap();
    assert!(entry.status().unwrap().is_none());
    assert_eq!(entry.can_be_made(), Ok(()));
}

#[test]
fn what_is_replaced_is_never_there_in_part() {
    let folder = Folder::new("replaced", 0o777);
    let path = folder.path("file");
    let replace = |write: &dyn Fn(&mut File) -> io::Result<()>| {
        Entry::find(&path, LastLink::Left).unwrap().replace(write)
    };
    symlink("/dev/null", &path).unwrap();
    replace(&|file| io::Write::write_all(file, b"new")).unwrap();
    assert!(fs::symlink_metadata(&path).unwrap().is_file());
    let half = |file: &mut File| {
        io::Write::write_all(file, b"ha")?;
        assert_eq!(fs::read(&path).unwrap(), b"new");
        Err(Errno::ENOSPC.into())
    };
    assert_eq!(replace(&half).unwrap_err().raw_os_error(), Some(libc::ENOSPC));
    assert_eq!(fs::read(&path).unwrap(), b"new");
    let names = fs::read_dir(folder.path("")).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.collect::<Vec<_>>(), ["file"]);
}

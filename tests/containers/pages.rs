//! The commands of README.md and docs/ that need Docker, as they stand there: tests/pid1/pages.rs has the marks.
//!
//! What they name and no registry can be asked for is made here: `reprieve:VERSION` has the binary alone, as the image of a release
//! has; `busybox:1` is Debian's busybox; `my-app` is a web server.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::examples::binary;
use crate::harness::{both, docker, output, run, unique};
use crate::images::{self, scratch_folder};

/// The blocks of a page that are marked with this name, in their order.
fn blocks(page: &str, name: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    let text = fs::read_to_string(path).expect("a page");
    let mark = format!("<!-- run with docker: {name} -->\n```sh\n");
    let blocks = text.split(mark.as_str()).skip(1).filter_map(|rest| rest.split_once("\n```"));
    blocks.map(|(script, _)| script.to_owned()).collect()
}

/// Runs a script in a folder that has the binary; what it says, and whether it ended with 0.
fn runs(script: &str, replaced: &[(&str, &str)]) -> (String, bool) {
    let folder = scratch_folder("pages");
    fs::create_dir_all(&folder).expect("a folder");
    fs::copy(&images::all().reprieve, folder.join("reprieve")).expect("the binary");
    let script = replaced.iter().fold(script.to_owned(), |script, (what, with)| {
        assert!(script.contains(what), "no {what} in\n{script}");
        script.replace(what, with)
    });
    println!("{script}");
    let mut shell = Command::new("timeout");
    shell.args(["300", "sh", "-e", "-c", &script]).current_dir(&folder);
    let output = run(shell.stdin(Stdio::null()));
    fs::remove_dir_all(folder).expect("a folder");
    let said = both(&output);
    println!("{said}");
    (said, output.status.success())
}

fn version() -> String {
    format!("reprieve:{}", env!("CARGO_PKG_VERSION"))
}

#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn the_demo_of_the_readme_holds() {
    let blocks = blocks("README.md", "demo");
    assert_eq!(blocks.len(), 1);
    let (binary, busybox, name) = (binary(), &images::all().busybox, unique("demo"));
    let names = [(&*version(), &*binary), ("busybox:1", busybox), ("hold-demo", &name)];
    let (said, passed) = runs(&blocks[0], &names);
    output(&mut docker(["rmi", "--force", &name]));
    assert!(passed && said.contains("serving\n") && said.contains("bye\n"), "{said}");
    assert!(said.contains("SIGTERM by rehearsal: forwarding it at +4s"), "{said}");
    assert!(said.contains("reprieve: rehearsal passed: "), "{said}");
}

/// First the image as it is, with the binary mounted, and then with reprieve in front.
#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn a_service_adopts_it_by_the_page() {
    let blocks = blocks("docs/adopt.md", "adopt");
    assert_eq!(blocks.len(), 2);
    let files = [(&*images::all().server, "server"), (&*images::all().reprieve, "reprieve")];
    let app = r#"["/server", "8080", "--time", "300"]"#;
    let old =
        images::build("adopt-old", &format!("FROM scratch\nCOPY server /\nCMD {app}\n"), &files);
    let new = format!(
        "FROM scratch\nCOPY server reprieve /\nENTRYPOINT [\"/reprieve\", \"--\"]\nCMD {app}\n"
    );
    let new = images::build("adopt-new", &new, &files);

    let command = "/server 8080 --time 300";
    let (said, passed) = runs(&blocks[0], &[("my-app", &old), ("node server.js", command)]);
    assert!(passed && said.contains("reprieve: rehearsal passed: "), "{said}");
    let (said, passed) = runs(&blocks[1], &[("my-app", &new)]);
    assert!(passed && said.contains("checked, nothing was started\n"), "{said}");
    assert!(said.contains("+10s: it is forwarded\n"), "{said}");
    assert!(said.contains("reprieve: rehearsal passed: "), "{said}");
}

//! `--copy-to` as an initContainer runs it: a volume, and then an app whose image has no reprieve
//! (docs/behaviour.md, 16.17 and 16.18).

use crate::harness::*;
use crate::images;
use crate::seccomp::with_profile;

/// A volume that goes with the test.
struct Volume(String);

impl Volume {
    fn new() -> Volume {
        let name = unique("volume");
        output(&mut docker(["volume", "create", "--label", "reprieve-test", &name]));
        Volume(name)
    }

    /// A container of the image that has nothing but reprieve, with the volume at /shared.
    fn copies(&self, setup: Setup) -> Ended {
        let setup = setup.option(&["--volume", &format!("{}:/shared", self.0)]);
        let setup = setup.option(&["--entrypoint", "/reprieve"]);
        setup.runs_to_its_end(&["--copy-to", "/shared"])
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        let _ = docker(["volume", "rm", "--force", &self.0]).output();
    }
}

#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn an_image_without_it_gets_it_from_another_container() {
    let fixture = &*images::all().fixture;
    let without = "FROM scratch\nCOPY fixture /\nCMD [\"/fixture\", \"listen\"]\n";
    let without = images::build("without", without, &[(fixture, "fixture")]);
    let volume = Volume::new();
    // A container that runs again finds the copy of its first run; with the same variables as the app's.
    for _ in 0..2 {
        let setup = with_profile(scratch()).option(&[
            "--read-only",
            "--cap-drop",
            "ALL",
            "--security-opt",
            "no-new-privileges",
        ]);
        let ended = volume.copies(setup.delay("1s").grace_period("1s"));
        let said = ["reprieve: copied reprieve to /shared/reprieve"];
        assert_eq!((ended.code, ended.ours()), (0, said.to_vec()), "{ended}");
    }
    let app = image(&without).option(&["--volume", &format!("{}:/shared:ro", volume.0)]);
    let app = app.option(&["--user", "65534", "--entrypoint", "/shared/reprieve"]);
    let app = app.delay("300ms").grace_period("30s").runs(&["--", "/fixture", "listen"]);
    app.hears("ready");
    app.stop(30).returns();
    let ended = app.ends();
    assert_eq!(ended.code, 0, "{ended}");
    assert!(ended.said("; held 0.3s; "), "{ended}");
}

#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn a_container_that_cannot_copy_says_why() {
    let volume = Volume::new();
    let ended = volume.copies(scratch().option(&["--user", "65534"]));
    assert_eq!(ended.code, 125, "{ended}");
    assert!(ended.said("--copy-to /shared: uid 65534 may not write there"), "{ended}");
    let setup = scratch().option(&["--entrypoint", "/reprieve", "--read-only"]);
    let ended = setup.runs_to_its_end(&["--copy-to", "/"]);
    assert_eq!(ended.code, 125, "{ended}");
    assert!(ended.said("--copy-to /: it is read-only"), "{ended}");
}

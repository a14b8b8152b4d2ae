//! The image of the containers: a small Debian with nginx, HAProxy and the inits. No registry is
//! asked.

use std::path::Path;
use std::process::Command;

use crate::Try;
use crate::command::run;
use crate::needs::PATH;

/// Change it with what is bootstrapped, or the old one is taken.
pub const NAME: &str = "reprieve-example/debian:bookworm-1";

pub fn exists() -> bool {
    run(Command::new("docker").args(["image", "inspect", NAME])).is_ok()
}

pub fn make(folder: &Path) -> Try<()> {
    if exists() {
        return Ok(());
    }
    eprintln!("making the image {NAME} ...");
    let root = folder.join("debian");
    let packages = "--include=nginx-light,haproxy,tini,dumb-init,catatonit";
    let mut debootstrap = Command::new("debootstrap");
    debootstrap.env("PATH", PATH).args(["--variant=minbase", packages, "bookworm"]).arg(&root);
    run(&mut debootstrap)?;
    let archive = folder.join("debian.tar");
    let mut tar = Command::new("tar");
    tar.arg("--directory").arg(&root).args(["--exclude=./var/cache/apt/archives/*.deb"]);
    tar.args(["--exclude=./var/lib/apt/lists/*", "--create", "--file"]).arg(&archive).arg(".");
    run(&mut tar)?;
    run(Command::new("docker").arg("import").arg(&archive).arg(NAME))?;
    std::fs::remove_dir_all(&root)?;
    std::fs::remove_file(&archive)?;
    Ok(())
}

//! What has to be there before anything is started.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Try;
use crate::command::run;
use crate::image;
use crate::rows::Row;

/// Where Debian's programs are; root's PATH may lack the half of it.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

pub fn namespaces(rows: &[Row]) -> Try<()> {
    root()?;
    let fixed = [
        ("nginx", "nginx-light"),
        ("haproxy", "haproxy"),
        ("unshare", "util-linux"),
        ("nsenter", "util-linux"),
        ("ip", "iproute2"),
    ];
    let inits = rows.iter().filter_map(|row| row.program()).map(|name| (name, name));
    packages(fixed.into_iter().chain(inits))
}

pub fn docker() -> Try<()> {
    root()?;
    packages([("docker", "docker.io")])?;
    run(Command::new("docker").args(["version", "--format", "{{.Server.Version}}"]))
        .map_err(|error| format!("a Docker engine that runs is missing (try dockerd): {error}"))?;
    if image::exists() {
        Ok(())
    } else {
        packages([("debootstrap", "debootstrap"), ("tar", "tar")])
    }
}

/// The static binary that we ship.
pub fn reprieve() -> Try<PathBuf> {
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    eprintln!("building the static reprieve ...");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args(["build", "--release", "--locked"]);
    cargo.args([
        "--bin",
        "reprieve",
        "--target",
        &target,
        "--message-format",
        "json-render-diagnostics",
    ]);
    let said = run(&mut cargo).map_err(|error| {
        format!("no static reprieve; if the target is missing: rustup target add {target}\n{error}")
    })?;
    let messages = said.lines().filter_map(|line| serde_json::from_str(line).ok());
    let mut files = messages
        .filter_map(|message: serde_json::Value| Some(message["executable"].as_str()?.into()));
    Ok(files.next().ok_or("cargo does not say where reprieve is")?)
}

fn root() -> Try<()> {
    if nix::unistd::geteuid().is_root() {
        Ok(())
    } else {
        Err("root is needed, for namespaces: sudo env PATH=\"$PATH\" HOME=\"$HOME\" \
              cargo run --release --example rolling-restart"
            .into())
    }
}

fn packages<'a>(needed: impl IntoIterator<Item = (&'a str, &'a str)>) -> Try<()> {
    let is_there = |name: &str| PATH.split(':').any(|folder| Path::new(folder).join(name).exists());
    let missing = needed.into_iter().filter(|(name, _)| !is_there(name));
    let mut missing: Vec<&str> = missing.map(|(_, package)| package).collect();
    missing.dedup();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(format!("missing: apt-get install {}", missing.join(" ")).into())
    }
}

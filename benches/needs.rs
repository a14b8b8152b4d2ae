//! What a benchmark needs: said, with the command to get it, before anything is started.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;

/// Root and the static target, beside what else is known to be missing.
pub fn check(mut missing: Vec<String>) -> Result<(), String> {
    if !nix::unistd::geteuid().is_root() {
        missing.push("root: sudo env \"PATH=$PATH\" \"HOME=$HOME\" cargo bench".into());
    }
    let target = target();
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.args(["--print", "target-libdir", "--target", &target]);
    let folder = rustc.output().map(|output| output.stdout).unwrap_or_default();
    if !Path::new(String::from_utf8_lossy(&folder).trim_end()).is_dir() {
        missing.push(format!("the target {target}: rustup target add {target}"));
    }
    match missing.is_empty() {
        true => Ok(()),
        false => Err(format!("nothing is started; what is missing:\n  {}", missing.join("\n  "))),
    }
}

fn target() -> String {
    format!("{}-unknown-linux-musl", std::env::consts::ARCH)
}

/// Builds a static release binary: as `cargo static` does, and alone, since what is built beside it
/// may add features to its crates.
pub fn build(kind: &str, name: &str) -> Result<String, String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null()).stderr(Stdio::inherit());
    cargo.args(["build", "--release", "--locked", "--target", &target(), kind, name]);
    cargo.args(["--message-format", "json-render-diagnostics"]);
    // SAFETY: one system call, which is allowed between fork and exec.
    unsafe { cargo.pre_exec(|| Ok(set_pdeathsig(Signal::SIGTERM)?)) };
    let built = cargo.output().map_err(|error| format!("{cargo:?}: {error}"))?;
    let messages = String::from_utf8_lossy(&built.stdout);
    let messages = messages.lines().filter_map(|line| serde_json::from_str(line).ok());
    let mut of_it =
        messages.filter(|message: &serde_json::Value| message["target"]["name"] == name);
    let file = of_it.find_map(|message| message["executable"].as_str().map(str::to_owned));
    file.filter(|_| built.status.success()).ok_or_else(|| format!("cannot build: {cargo:?}"))
}

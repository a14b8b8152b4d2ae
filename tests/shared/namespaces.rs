//! Whether namespaces can be made here, which is asked once in a test program: without the answer each
//! test would wait in vain for an init that never started.

use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Fails the test where no PID namespace can be made, and says what to do.
#[track_caller]
pub fn need_pid_namespaces() {
    static REFUSED: OnceLock<Option<String>> = OnceLock::new();
    if let Some(why) = REFUSED.get_or_init(refused) {
        panic!("no PID namespace can be made here ({why}): {}", remedy());
    }
}

/// What unshare says, where it fails.
fn refused() -> Option<String> {
    let mut unshare = Command::new("unshare");
    unshare.args(["--pid", "--fork", "--mount-proc"]);
    if !nix::unistd::geteuid().is_root() {
        unshare.args(["--user", "--map-root-user"]);
    }
    match unshare.args(["--", "true"]).stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Some(format!("unshare: {error}; apt-get install util-linux")),
    }
}

/// What allows them, as far as it can be seen, and how to do without.
pub fn remedy() -> String {
    let is = |file: &str, value: &str| {
        std::fs::read_to_string(file).is_ok_and(|text| text.trim() == value)
    };
    let allow = if is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") {
        "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"
    } else if is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        "sudo sysctl kernel.unprivileged_userns_clone=1"
    } else if is("/proc/sys/user/max_user_namespaces", "0") {
        "sudo sysctl user.max_user_namespaces=10000"
    } else if nix::unistd::geteuid().is_root() {
        "start this container with docker run --privileged"
    } else {
        "run the tests as root, or in a container that docker run --privileged has started"
    };
    format!("{allow}. REPRIEVE_TESTS_WITHOUT_NAMESPACES=1 cargo test leaves out what needs them")
}

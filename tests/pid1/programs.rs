//! The programs that the tests run: ours, other inits, and the helpers that play apps and servers.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Our binary, as a command.
pub fn reprieve() -> Command {
    Command::new(env!("CARGO_BIN_EXE_reprieve"))
}

/// One call of our binary that ends by itself, and all that it said.
pub struct Call {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Call {
    /// Fails the test where it has another exit code.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Call {
        assert_eq!(self.code, code, "{}", self.stderr);
        self
    }
}

/// Calls our binary in this way and waits for its end.
pub fn call(command: &mut Command) -> Call {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Call {
        code: output.status.code().unwrap_or_else(|| 128 + output.status.signal().unwrap_or(0)),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// The program that plays the app.
pub fn fixture() -> PathBuf {
    helper("fixture")
}

/// The program that plays the servers and clients, and makes them a network.
pub fn network() -> PathBuf {
    helper("network")
}

/// The program that plays a sidecar.
pub fn proxy() -> PathBuf {
    helper("proxy")
}

/// The program that plays an app with HTTP.
pub fn server() -> PathBuf {
    helper("server")
}

/// Our program where memory is refused.
pub fn refused() -> PathBuf {
    helper("refused")
}

const HELPERS: [&str; 5] = ["fixture", "network", "proxy", "refused", "server"];

/// The helpers are examples to Cargo, which builds them for `cargo test`, but not for
/// `cargo test --test pid1`. So what is missing, or older than its source, is built here.
fn helper(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let init = Path::new(env!("CARGO_BIN_EXE_reprieve"));
        let folder = init.with_file_name("examples");
        if !HELPERS.iter().all(|name| is_fresh(&folder, name)) {
            build_helpers();
        }
        folder
    });
    let helper = folder.join(name);
    assert!(helper.exists(), "{} is missing: cargo build --examples", helper.display());
    helper
}

fn is_fresh(folder: &Path, name: &str) -> bool {
    let changed_at = |path: &Path| path.metadata().and_then(|metadata| metadata.modified());
    let source = format!("{}/tests/pid1/{name}", env!("CARGO_MANIFEST_DIR"));
    let parts = std::fs::read_dir(&source).into_iter().flatten().flatten();
    let parts = parts.filter_map(|part| changed_at(&part.path()).ok()).max();
    match (changed_at(&folder.join(name)), changed_at(Path::new(&format!("{source}.rs")))) {
        (Ok(built_at), Ok(changed_at)) => built_at >= changed_at.max(parts.unwrap_or(changed_at)),
        // Another machine or user has the sources.
        (Ok(_), Err(_)) => true,
        (Err(_), _) => false,
    }
}

/// Builds them as the tests were built: for the same target, in the same profile, and from crates
/// that Cargo has fetched already. Of several processes that do this, Cargo lets one work at a time.
fn build_helpers() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null());
    cargo.args(["build", "--frozen"]).args(HELPERS.map(|name| format!("--example={name}")));
    cargo.args(where_to_build());
    let built = cargo.output();
    let error = match &built {
        Ok(built) if built.status.success() => return,
        Ok(built) => String::from_utf8_lossy(&built.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    panic!(
        "the tests need the programs {HELPERS:?}, which cannot be built here. Build them before, \
         with the options that the tests were built with: cargo build --examples\n\
         {cargo:?} failed: {error}"
    );
}

/// Cargo's options, as they follow from TARGET/[TRIPLE/]PROFILE/reprieve.
fn where_to_build() -> Vec<String> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("a parent of tmp");
    let init = Path::new(env!("CARGO_BIN_EXE_reprieve"));
    let below = init.strip_prefix(target).unwrap_or_else(|_| {
        panic!("{} is not below {}: cargo build --examples", init.display(), target.display())
    });
    let folders: Vec<String> =
        below.iter().map(|name| name.to_string_lossy().into_owned()).collect();
    let (triple, profile) = match &folders[..] {
        [triple, profile, _] => (Some(triple), profile),
        [profile, _] => (None, profile),
        _ => panic!("no profile in {}: cargo build --examples", init.display()),
    };
    // What is built in `dev` is in `debug`.
    let profile = if profile == "debug" { "dev" } else { profile };
    let mut options =
        vec![format!("--profile={profile}"), format!("--target-dir={}", target.display())];
    options.extend(triple.map(|triple| format!("--target={triple}")));
    options
}

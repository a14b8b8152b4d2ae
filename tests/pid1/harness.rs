//! What the tests here share, beside what they share with the other test programs.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

pub use crate::processes::*;
pub use crate::programs::*;
pub use crate::shared::{
    at_once::*, ended::*, folder::*, init::*, lateness::*, namespaces::*, said::*, waiting::*,
};
pub use crate::visitor::*;

/// How late something may come on a machine that is busy with other tests.
pub const MAX_LATENESS: Duration = Duration::from_secs(5);

pub const NOW: Duration = Duration::ZERO;
pub const MS: Duration = Duration::from_millis(1);
pub const SECOND: Duration = Duration::from_secs(1);

/// A hold, and hooks, that outlast any test: what ends them is no clock.
pub const ENDLESS: &str = "--delay 1h --grace-period 2h --hook-timeout 1h --log-format json";

/// No hold, and a kill that no test waits for.
pub const PATIENT: &str = "--grace-period 2h --hook-timeout 1h --log-format json";

pub const RTMIN: i32 = 34;

/// Our binary as an ordinary process.
pub fn laptop() -> Init {
    Init::new(false, env!("CARGO_BIN_EXE_reprieve").into())
}

/// Another init as PID 1, from Debian's package of that name.
pub fn peer(name: &str) -> Init {
    let found = ["/usr/bin", "/bin", "/usr/sbin"].map(|folder| PathBuf::from(folder).join(name));
    let program = found.into_iter().find(|path| path.exists());
    let program = program.unwrap_or_else(|| panic!("{name} is missing: apt-get install {name}"));
    Init::new(true, program)
}

/// No init: the app itself is PID 1.
pub fn no_init() -> Init {
    peer("env")
}

impl Init {
    /// An option whose value may have spaces.
    pub fn option(mut self, name: &str, value: impl Into<OsString>) -> Init {
        self.options.extend([name.into(), value.into()]);
        self
    }

    /// With these signals blocked or ignored, and no others: `--block SIG`, `--ignore SIG`.
    pub fn with_signals(self, words: &str) -> Init {
        let script = format!("exec {} with {words} -- \"$@\"", fixture().display());
        self.through(&script)
    }

    /// Without capabilities in a network of its own, in which some of it may be refused.
    pub fn in_network(self, words: &str) -> Init {
        let script = format!("exec {} new {words} -- \"$@\"", network().display());
        self.through(&script)
    }

    /// With this as its stderr, and so the app's; nothing of the log is heard then.
    pub fn stderr(mut self, stderr: impl Into<Stdio>) -> Init {
        self.stderr = Some(stderr.into());
        self
    }

    /// With the fixture as the app.
    pub fn fixture(self, words: &str) -> Run {
        let program = fixture().into_os_string();
        self.app(std::iter::once(program).chain(words.split_whitespace().map(OsString::from)))
    }

    /// With a shell script as the app. `$FIXTURE` is the fixture.
    pub fn shell(self, shell: &[&str], script: &str) -> Run {
        let fixture = fixture().to_string_lossy().into_owned();
        let words: Vec<&str> = shell.iter().copied().chain(["-c", script]).collect();
        self.variable("FIXTURE", &fixture).app(words)
    }
}

impl Run {
    /// Waits for the n-th line of the app or the log with this in it.
    #[track_caller]
    pub fn hears_times(&self, part: &str, n: usize) -> Line {
        self.said.hears_times(part, n)
    }

    /// Waits for a line of the app or the log that is more than a part can tell.
    #[track_caller]
    pub fn until_said(&self, what: &str, is_it: impl Fn(&str) -> bool) -> Line {
        self.said.until(what, |lines| lines.iter().find(|line| is_it(&line.text)).cloned())
    }

    /// The pid that a listening fixture said, as the init sees it; with the name that it goes by.
    #[track_caller]
    pub fn ready(&self, name: &str) -> i32 {
        let line = self.hears(&format!("{name}ready ")).text;
        line.rsplit(' ').next().and_then(|pid| pid.parse().ok()).expect("a pid")
    }

    /// Whether the init has ended.
    pub fn is_over(&self) -> bool {
        // Nobody waits for it, or for unshare, before `ends`.
        process_state(self.child.id() as i32) == 'Z'
    }

    /// The pid of the app as we see it.
    pub fn main_pid(&self) -> i32 {
        let init = self.pid();
        eventually("a child of the init", || children(init).first().copied())
    }
}

impl Ended {
    /// The lines of the app.
    pub fn app(&self) -> Vec<&str> {
        self.from(APP)
    }

    /// How many lines of the app have this in them: the log may name it with its words.
    pub fn app_times(&self, part: &str) -> usize {
        self.app().iter().filter(|line| line.contains(part)).count()
    }

    /// All of it, for the message of an assertion.
    pub fn all(&self) -> String {
        self.to_string()
    }
}

impl Folder {
    pub fn fifo(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        let made = Command::new("mkfifo").arg(&path).status().expect("mkfifo");
        assert!(made.success());
        path
    }

    /// An executable script.
    pub fn script(&self, name: &str, content: &str) -> PathBuf {
        self.file(name, content, 0o755)
    }
}

/// A time in the report, in milliseconds.
#[track_caller]
pub fn at_ms(ended: &Ended, key: &str) -> u64 {
    number(&ended.report(), key)
}

/// The lines of a text, which must come in this order; the report is none of them.
#[track_caller]
pub fn assert_order(ended: &Ended, parts: &[&str]) {
    let mut lines = ended.lines.iter().filter(|line| !line.text.contains("\"event\":\"report\""));
    for part in parts {
        let found = lines.any(|line| line.text.contains(part));
        assert!(found, "no {part:?} in its turn; {ended}");
    }
}

/// What comes before a program and its words that is to be PID 1, and the leader of the session on
/// the terminal that is its stdin.
#[track_caller]
pub fn pid1_on_terminal() -> Command {
    need_pid_namespaces();
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--mount-proc", "--kill-child=SIGKILL"]);
    if !nix::unistd::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["setsid", "--ctty"]);
    command
}

//! An init under test: how it is started, what it and the app say, and how it ended.
//!
//! Tests wait for conditions, never for time; a condition that does not come is a failure that
//! shows all that was said.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::Permissions;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use nix::libc;

/// How long a condition may take on a machine that is busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub const RTMIN: i32 = 34;

/// Where the init runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// As PID 1 of a PID namespace of its own.
    Pid1,
    /// As an ordinary process: a subreaper.
    Laptop,
}

/// An init that is to be started.
pub struct Init {
    place: Place,
    program: PathBuf,
    options: Vec<OsString>,
    variables: Vec<(String, String)>,
    prelude: Vec<OsString>,
    /// In place of a pipe that is read.
    stderr: Option<Stdio>,
}

/// As PID 1 of a PID namespace.
pub fn pid1() -> Init {
    Init::new(Place::Pid1, env!("CARGO_BIN_EXE_reprieve").into())
}

/// As an ordinary process.
pub fn laptop() -> Init {
    Init::new(Place::Laptop, env!("CARGO_BIN_EXE_reprieve").into())
}

/// Another init as PID 1, from Debian's package of that name.
pub fn peer(name: &str) -> Init {
    let found = ["/usr/bin", "/bin", "/usr/sbin"].map(|folder| PathBuf::from(folder).join(name));
    let program = found.into_iter().find(|path| path.exists());
    let program = program.unwrap_or_else(|| panic!("{name} is missing: apt-get install {name}"));
    Init::new(Place::Pid1, program)
}

/// No init: the app itself is PID 1.
pub fn no_init() -> Init {
    peer("env")
}

/// The program that plays the app.
pub fn fixture() -> PathBuf {
    example("fixture")
}

/// The program that plays the servers and clients, and makes them a network.
pub fn network() -> PathBuf {
    example("network")
}

/// The program that plays a sidecar.
fn proxy() -> PathBuf {
    example("proxy")
}

/// Cargo builds them with the tests.
fn example(name: &str) -> PathBuf {
    let init = PathBuf::from(env!("CARGO_BIN_EXE_reprieve"));
    let example = init.with_file_name("examples").join(name);
    assert!(example.exists(), "{} is missing: cargo build --examples", example.display());
    example
}

impl Init {
    fn new(place: Place, program: PathBuf) -> Init {
        Init { place, program, options: vec![], variables: vec![], prelude: vec![], stderr: None }
    }

    /// Options of the init, split at spaces.
    pub fn options(mut self, words: &str) -> Init {
        self.options.extend(words.split_whitespace().map(OsString::from));
        self
    }

    /// An option whose value may have spaces.
    pub fn option(mut self, name: &str, value: impl Into<OsString>) -> Init {
        self.options.extend([name.into(), value.into()]);
        self
    }

    pub fn variable(mut self, name: &str, value: &str) -> Init {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Something that changes what is inherited and then executes what follows, as
    /// `sh -c '... exec "$@"' sh`.
    pub fn through(mut self, script: &str) -> Init {
        self.prelude = ["sh", "-c", script, "sh"].map(OsString::from).to_vec();
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

    /// With any app.
    pub fn app<W: Into<OsString>>(self, words: impl IntoIterator<Item = W>) -> Run {
        let mut line: Vec<OsString> = Vec::new();
        if self.place == Place::Pid1 {
            // So that nothing outlives a test that somebody interrupts.
            line.extend(["--pdeathsig=KILL", "--", "unshare"].map(Into::into));
            line.extend(
                ["--pid", "--fork", "--mount-proc", "--kill-child=SIGKILL"].map(Into::into),
            );
            if !nix::unistd::geteuid().is_root() {
                line.extend(["--user", "--map-root-user"].map(Into::into));
            }
            line.push("--".into());
        }
        line.extend(self.prelude);
        line.push(self.program.into());
        line.extend(self.options);
        line.push("--".into());
        line.extend(words.into_iter().map(Into::into));
        let program = match self.place {
            Place::Pid1 => "setpriv".into(),
            Place::Laptop => line.remove(0),
        };
        let mut command = Command::new(program);
        command.args(line).envs(self.variables).env_remove("RUST_BACKTRACE");
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(self.stderr.unwrap_or_else(Stdio::piped));
        // Away from the test's process group and terminal.
        command.process_group(0);
        ignore_nothing(&mut command);
        let started_at = Instant::now();
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let said = Arc::new(Said::default());
        let stdout = child.stdout.take().expect("a pipe");
        let log = match child.stderr.take() {
            Some(stderr) => Said::listen(&said, "log", stderr),
            None => Said::listen(&said, "log", std::io::empty()),
        };
        let readers = [Said::listen(&said, "app", stdout), log];
        Run { place: self.place, child, started_at, said, readers }
    }
}

/// Lets a program ignore no signal because we do: a shell starts what runs in the background with
/// SIGINT and SIGQUIT ignored, nohup with SIGHUP, and no shell sets a trap for such a signal.
pub fn ignore_nothing(command: &mut Command) {
    // SAFETY: signal is allowed between fork and exec (signal-safety(7)).
    unsafe {
        command.pre_exec(|| {
            for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT] {
                libc::signal(signal, libc::SIG_DFL);
            }
            Ok(())
        });
    }
}

/// One line, from whom, and when it came.
#[derive(Clone, Debug)]
pub struct Line {
    pub source: &'static str,
    pub text: String,
    pub at: Instant,
}

#[derive(Default)]
struct Said {
    lines: Mutex<Vec<Line>>,
    more: Condvar,
}

impl Said {
    fn listen(
        said: &Arc<Said>,
        source: &'static str,
        from: impl Read + Send + 'static,
    ) -> std::thread::JoinHandle<()> {
        let said = said.clone();
        std::thread::spawn(move || {
            for text in BufReader::new(from).lines().map_while(Result::ok) {
                let line = Line { source, text, at: Instant::now() };
                said.lines.lock().expect("a lock").push(line);
                said.more.notify_all();
            }
        })
    }

    fn show(lines: &[Line]) -> String {
        lines.iter().map(|line| format!("  {}: {}\n", line.source, line.text)).collect()
    }
}

/// An init that runs.
pub struct Run {
    place: Place,
    child: Child,
    started_at: Instant,
    said: Arc<Said>,
    readers: [std::thread::JoinHandle<()>; 2],
}

impl Run {
    pub fn started_at(&self) -> Instant {
        self.started_at
    }

    /// Waits until the app or the log has said a line with this in it, and returns that line.
    pub fn hears(&self, part: &str) -> Line {
        self.hears_times(part, 1)
    }

    /// Waits for the n-th such line.
    pub fn hears_times(&self, part: &str, n: usize) -> Line {
        self.until(&format!("{n} times {part:?}"), |lines| {
            lines.iter().filter(|line| line.text.contains(part)).nth(n - 1).cloned()
        })
    }

    /// Waits for a line of the app or the log that is more than a part can tell.
    pub fn until_said(&self, what: &str, is_it: impl Fn(&str) -> bool) -> Line {
        self.until(what, |lines| lines.iter().find(|line| is_it(&line.text)).cloned())
    }

    fn until<T>(&self, what: &str, found: impl Fn(&[Line]) -> Option<T>) -> T {
        let give_up_at = Instant::now() + PATIENCE;
        let mut lines = self.said.lines.lock().expect("a lock");
        loop {
            if let Some(found) = found(&lines) {
                return found;
            }
            let left = give_up_at.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "waited in vain for {what}; was said:\n{}",
                Said::show(&lines)
            );
            lines = self.said.more.wait_timeout(lines, left).expect("a lock").0;
        }
    }

    pub fn lines(&self) -> Vec<Line> {
        self.said.lines.lock().expect("a lock").clone()
    }

    /// The pid of the init as we see it.
    pub fn pid(&self) -> i32 {
        eventually("the child of unshare", || self.pid_if_any())
    }

    /// The same, where it is not there before or after its time.
    pub fn pid_if_any(&self) -> Option<i32> {
        let us = self.child.id() as i32;
        if self.place == Place::Laptop { Some(us) } else { children(us).first().copied() }
    }

    /// Whether the init is PID 1, and so its pids are not ours.
    pub fn is_pid1(&self) -> bool {
        self.place == Place::Pid1
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

    /// Sends a signal to the init, as an orchestrator does, and tells when.
    pub fn signal(&self, signal: i32) -> Instant {
        let pid = self.pid();
        let at = Instant::now();
        send(pid, signal);
        at
    }

    /// A program that enters the init's PID namespace from outside, as `docker exec` does.
    pub fn enter(&self, words: &[&str]) -> Visitor {
        self.join(&["--pid", "--mount"], words, Stdio::null())
    }

    /// A server or client in the init's network, as another container of the pod is.
    pub fn beside(&self, words: &str) -> Visitor {
        self.join_network(network(), words)
    }

    /// A sidecar in the init's network, which listens by now.
    pub fn proxy(&self, words: &str) -> Visitor {
        let mut proxy = self.join_network(proxy(), words);
        assert_eq!(proxy.line(), "serving");
        proxy
    }

    fn join_network(&self, program: PathBuf, words: &str) -> Visitor {
        let program = program.to_str().expect("a path in UTF-8");
        let words: Vec<&str> = std::iter::once(program).chain(words.split(' ')).collect();
        self.join(&["--net"], &words, Stdio::piped())
    }

    fn join(&self, namespaces: &[&str], words: &[&str], stdin: Stdio) -> Visitor {
        let pid = self.pid().to_string();
        let mut command = Command::new("nsenter");
        command.args(["--target", &pid]).args(namespaces);
        if !nix::unistd::geteuid().is_root() {
            command.args(["--user", "--preserve-credentials"]);
        }
        command.args(words).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        Visitor { child, stdout }
    }

    /// The pid that a listening fixture said, as the init sees it; with the name that it goes by.
    pub fn ready(&self, name: &str) -> i32 {
        let line = self.hears(&format!("{name}ready ")).text;
        line.rsplit(' ').next().and_then(|pid| pid.parse().ok()).expect("a pid")
    }

    /// Waits for its end.
    pub fn ends(mut self) -> Ended {
        let said = self.said.clone();
        let vainly =
            || format!("its end; was said:\n{}", Said::show(&said.lines.lock().expect("a lock")));
        let status = eventually_or(vainly, || self.child.try_wait().expect("a child"));
        let at = Instant::now();
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
        // A leftover that outlives an init may hold the pipes, which else close now.
        let closes_at = at + Duration::from_secs(1);
        while !self.readers.iter().all(|reader| reader.is_finished()) && Instant::now() < closes_at
        {
            std::thread::yield_now();
        }
        Ended { code, at, lines: self.lines() }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // With --kill-child the namespace goes too; a process group of its own else.
        send(-(self.child.id() as i32), libc::SIGKILL);
        let _ = self.child.wait();
    }
}

/// How it ended, and all that was said.
pub struct Ended {
    pub code: i32,
    pub at: Instant,
    pub lines: Vec<Line>,
}

impl Ended {
    /// The lines of the app.
    pub fn app(&self) -> Vec<&str> {
        self.from("app")
    }

    /// The lines of the log.
    pub fn log(&self) -> Vec<&str> {
        self.from("log")
    }

    fn from(&self, source: &str) -> Vec<&str> {
        let lines = self.lines.iter().filter(|line| line.source == source);
        lines.map(|line| line.text.as_str()).collect()
    }

    /// Whether any line has this in it.
    pub fn said(&self, part: &str) -> bool {
        self.lines.iter().any(|line| line.text.contains(part))
    }

    /// How many lines have this in them.
    pub fn times(&self, part: &str) -> usize {
        self.lines.iter().filter(|line| line.text.contains(part)).count()
    }

    /// The report, as the JSON log has it.
    pub fn report(&self) -> serde_json::Value {
        let log = self.log();
        let reports = log.iter().filter_map(|line| serde_json::from_str(line).ok());
        let mut reports = reports.filter(|value: &serde_json::Value| value["event"] == "report");
        reports.next().unwrap_or_else(|| panic!("no report in:\n{}", self.all()))
    }

    /// All of it, for the message of an assertion.
    pub fn all(&self) -> String {
        format!("exit code {}, was said:\n{}", self.code, Said::show(&self.lines))
    }
}

/// One call of our binary that ends by itself, and all that it said.
pub struct Call {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
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

/// Our binary, as a command.
pub fn reprieve() -> Command {
    Command::new(env!("CARGO_BIN_EXE_reprieve"))
}

/// A folder of a test's own, where programs may be executed; it goes with the test.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{count}", std::process::id());
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).expect("a folder");
        Folder(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A new file with this content and mode.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>, mode: u32) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).expect("a file");
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).expect("a mode");
        path
    }

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

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A program that came in from outside.
pub struct Visitor {
    child: Child,
    stdout: BufReader<std::process::ChildStdout>,
}

impl Visitor {
    /// The next line that it says.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        let length = self.stdout.read_line(&mut line).expect("a line");
        assert!(length > 0, "the visitor has gone");
        line.trim_end().to_owned()
    }

    /// Asks it for something, and waits until it is done.
    pub fn does(&mut self, what: &str) {
        assert!(self.tries(what), "it cannot {what}");
    }

    /// Gives it a line; whether it is there.
    pub fn tell(&mut self, what: &str) -> bool {
        let stdin = self.child.stdin.as_mut().expect("one that is beside");
        writeln!(stdin, "{what}").is_ok()
    }

    /// The same as [`Visitor::does`], where it may end instead.
    pub fn tries(&mut self, what: &str) -> bool {
        let mut line = String::new();
        self.tell(what) && self.stdout.read_line(&mut line).is_ok() && line.trim_end() == what
    }

    /// All that it says until its end.
    pub fn rest(mut self) -> String {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).expect("text");
        rest
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address for one more server. The loopback network has one for each process, so that no
/// other run can take its ports.
pub fn address() -> SocketAddr {
    static PORT: AtomicU16 = AtomicU16::new(20_000);
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    let port = PORT.fetch_add(1, Ordering::Relaxed);
    (Ipv4Addr::new(127, 64 + high, middle, low), port).into()
}

/// Waits for a condition that nothing announces.
pub fn eventually<T>(what: &str, found: impl FnMut() -> Option<T>) -> T {
    eventually_or(|| what.to_owned(), found)
}

/// The same, with words that are looked for only where it was in vain.
#[track_caller]
pub fn eventually_or<T>(what: impl Fn() -> String, mut found: impl FnMut() -> Option<T>) -> T {
    let give_up_at = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < give_up_at, "waited in vain for {}", what());
        // The pace of asking, not a guess at when it will be so.
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The children of a process, as we see them; zombies too.
pub fn children(pid: i32) -> Vec<i32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let children = children.unwrap_or_default();
    children.split_whitespace().filter_map(|child| child.parse().ok()).collect()
}

/// A line of /proc/PID/status.
pub fn status(pid: i32, key: &str) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(":"))?;
    Some(value.trim().to_owned())
}

/// The open descriptors of a process, and what they lead to.
pub fn descriptors(pid: i32) -> BTreeMap<i32, String> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let lead = entries.filter_map(|entry| {
        let target = std::fs::read_link(entry.path()).ok()?;
        Some((entry.file_name().to_str()?.parse().ok()?, target.to_string_lossy().into_owned()))
    });
    lead.collect()
}

/// Sleeps up to a moment: for a signal that has to come so late and no earlier.
pub fn wait_until(at: Instant) {
    std::thread::sleep(at.saturating_duration_since(Instant::now()));
}

/// What a process does, in one letter (proc_pid_stat(5)); 0 where it is gone.
pub fn process_state(pid: i32) -> char {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()).unwrap_or('0')
}

/// Waits until a process sleeps, as it does when it has nothing more to do.
pub fn sleeps(pid: i32) {
    eventually("a process to sleep", || (process_state(pid) == 'S').then_some(()));
}

pub fn send(pid: i32, signal: i32) {
    // SAFETY: no pointer is involved.
    unsafe { libc::kill(pid, signal) };
}

/// Asserts that something came no earlier than a duration after another, and not much later.
#[track_caller]
pub fn assert_after(began_at: Instant, at: Instant, after: Duration) {
    let took = at.saturating_duration_since(began_at);
    assert!(took >= after, "too early: {took:?} instead of {after:?}");
    assert!(took < after + Duration::from_secs(5), "too late: {took:?} instead of {after:?}");
}

/// Plays each of these at the same time as the others.
pub fn at_once<T: Copy + Send>(cases: impl IntoIterator<Item = T>, play: impl Fn(T) + Sync) {
    std::thread::scope(|scope| {
        for case in cases {
            let play = &play;
            scope.spawn(move || play(case));
        }
    });
}

//! One shutdown of a server: what its clients see of it, and what the report says.

use std::fmt;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::libc;
use nix::unistd::geteuid;

use crate::shared::*;

/// Those who use a server.
pub trait Clients {
    /// Whether one who comes now is served.
    fn are_served(&self) -> bool;

    /// Asks for something that is not done before [`Clients::release`], and waits until the server
    /// is at it.
    fn ask(&mut self);

    /// Lets the server finish it.
    fn release(&mut self);

    /// Waits for the answer, or for the end of the connection; whether it is the whole answer.
    fn are_answered(&mut self) -> bool;
}

/// What becomes of a request that is in flight when the server hears the signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InFlight {
    /// The server lets nobody in any more, but finishes it.
    Completes,
    /// The server says this, and finishes it.
    CompletesAfter(&'static str),
    /// The client loses its connection before the server could finish it.
    IsCut,
}

/// What came of a shutdown.
pub struct Outcome {
    in_flight: InFlight,
    /// In milliseconds.
    drain: u64,
    pub ended: Ended,
    /// Its `/mnt`, which is there as long as this is open.
    folder: File,
}

impl Outcome {
    /// What the server wrote.
    pub fn file(&self, name: &str) -> Vec<u8> {
        let path = format!("/proc/self/fd/{}/{name}", self.folder.as_raw_fd());
        std::fs::read(path).unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let in_flight = if self.in_flight == InFlight::IsCut { "is cut" } else { "completes" };
        write!(f, "{in_flight} | {} | {} ms", self.ended.code, self.drain)
    }
}

/// An init, after this has been done in `/mnt`. That folder is its own, and all that a server leaves
/// when it is killed goes with it.
pub fn init(preparation: &str) -> Init {
    assert!(geteuid().is_root(), "needs root: sudo -E cargo test --test servers -- --ignored");
    // A test in the background of a script would inherit SIGINT and SIGQUIT as ignored.
    let own = "env --default-signal unshare --ipc";
    let prepare = format!("mount -t tmpfs tmpfs /mnt; cd /mnt; {preparation}; exec \"$@\"");
    pid1().through(&format!("exec {own} sh -ec '{prepare}' sh \"$@\""))
}

/// How a server is started: the words of its command.
pub type Start = fn(&str) -> Vec<String>;

/// The server as the command itself.
pub fn bare(command: &str) -> Vec<String> {
    command.split_whitespace().map(str::to_owned).collect()
}

/// A shell that stays, as around the CMD of many images.
pub fn in_shell(command: &str) -> Vec<String> {
    ["sh".into(), "-c".into(), format!("{command}; true")].into()
}

/// A shell that the server replaces.
pub fn by_exec(command: &str) -> Vec<String> {
    ["sh".into(), "-c".into(), format!("exec {command}")].into()
}

/// Stops a server with a request in flight, and checks what becomes of that, who is served during
/// the hold, and the exit code.
#[track_caller]
pub fn stop(
    init: Init,
    app: Vec<String>,
    clients: &mut dyn Clients,
    in_flight: InFlight,
    code: i32,
) -> Outcome {
    let run = init.options("--delay 50s --grace-period 60s --log-format json").app(app);
    let wait_for = |what: &str, is_so: &dyn Fn() -> bool| {
        let vainly = || format!("{what}; was said:\n{:#?}", run.lines());
        eventually_or(vainly, || is_so().then_some(()));
    };
    wait_for("a server that serves", &|| clients.are_served());
    clients.ask();
    let folder = File::open(format!("/proc/{}/root/mnt", run.pid())).expect("its folder");

    run.signal(libc::SIGTERM);
    let held = run.hears("\"stop_signal\"");
    assert!(clients.are_served(), "nobody is served during the hold: {:#?}", run.lines());
    // A second signal ends the hold, and no clock that a busy machine could outrun. Within a
    // second it would be the same request.
    wait_until(held.at + Duration::from_secs(1));
    run.signal(libc::SIGTERM);
    run.hears("\"forwarded\"");

    match in_flight {
        InFlight::Completes => {
            wait_for("a server that lets nobody in", &|| !clients.are_served());
        }
        InFlight::CompletesAfter(words) => {
            run.hears(words);
        }
        InFlight::IsCut => assert!(!clients.are_answered(), "answered: {:#?}", run.lines()),
    }
    clients.release();
    if in_flight != InFlight::IsCut {
        assert!(clients.are_answered(), "not answered: {:#?}", run.lines());
    }
    let ended = run.ends();
    let report = ended.report();
    assert_eq!((ended.code, &report["exit_code"]), (code, &code.into()), "{ended}");
    assert_eq!(report["killed_at_ms"], serde_json::Value::Null, "{ended}");
    let drain = number(&report, "drain_ms");
    Outcome { in_flight, drain, ended, folder }
}

/// Prints a row of the table in docs/servers.md.
pub fn print_row(server: &str, version: &str, option: &str, bare: &Outcome, in_shell: &Outcome) {
    let option = if option.is_empty() { "-".into() } else { format!("`{option}`") };
    println!("| {server} {version} | {option} | {bare} | {in_shell} |");
}

/// The version that a server says of itself, where it is there.
pub fn version(command: &str, package: &str) -> String {
    let mut words = command.split_whitespace();
    let program = words.next().expect("a program");
    let output = Command::new(program).args(words).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| {
        panic!("cannot run {program} ({error}): apt-get install {package}")
    });
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let mut numbers = said.split(|c: char| !c.is_ascii_digit() && c != '.');
    let version = numbers.find(|number| number.contains('.') && number.len() > 1);
    version.unwrap_or_else(|| panic!("no version of {program}: {said}")).to_owned()
}

//! What the watch over traffic costs, with very many connections: the CPU time of a look beside that
//! of a bare dump, which lists the same connections and forgets them, and the memory of PID 1.
//!
//!     cargo bench --bench looks [-- --check] [--json FILE]

mod needs;
mod output;
mod pid1;
mod proc;
#[expect(dead_code, reason = "the costs use more of it")]
mod room;

use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use clap::Parser;
use nix::errno::Errno;
use nix::libc;
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use nix::time::ClockId;
use reprieve::traffic::sock_diag::DumpSocket;
use reprieve::traffic::socket::{OPEN, Protocol, Wanted};
use serde_json::json;

use crate::output::quantile;
use crate::pid1::{PATIENCE, Pid1};

/// What the watch over traffic costs with very many connections.
#[derive(Parser)]
#[command(name = "cargo bench --bench looks --")]
struct Options {
    /// Fail where it is above its budget
    #[arg(long)]
    check: bool,

    /// Write all figures there too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// What cargo adds
    #[arg(long, hide = true)]
    bench: bool,
}

/// Idle connections to the watched ports.
const COUNTS: [u64; 3] = [0, 10_000, 100_000];

/// Connections that have ended, of which the kernel keeps something for a minute.
const ENDED: u64 = 90_000;

/// Connections to one port, both of whose ends one process has: it may have 20,000 descriptors.
const PORT_CONNECTIONS: u64 = 9_000;

/// The watched ports, next to each other, and another one. Clients' are beyond them.
const FIRST_PORT: u64 = 20_000;
const OTHER_PORT: u64 = 19_000;

/// Looks that are measured: those after the first, which has more to do.
const LOOKS: usize = 3;

/// What a look may cost at most: times a bare dump, and in PID 1's memory, in KiB.
const MAX_RATIO: f64 = 1.5;
const MAX_GROWTH: f64 = 4096.0;

fn main() -> ExitCode {
    output::exit_code(run(&Options::parse()))
}

fn run(options: &Options) -> Result<bool, String> {
    needs::check(Vec::new())?;
    let json = options.json.as_deref().map(output::create).transpose()?;
    room::enter()?;
    enter_network();
    let probe = [needs::build("--example", "probe")?];
    let last_port = FIRST_PORT + COUNTS[COUNTS.len() - 1] / PORT_CONNECTIONS;
    let ports: Vec<u16> = (FIRST_PORT..=last_port).map(|port| port as u16).collect();
    let named = ports.iter().map(u16::to_string).collect::<Vec<_>>().join(",");
    let ours = [
        needs::build("--bin", "reprieve")?,
        "--delay=50s..55s".into(),
        format!("--traffic-port={named}"),
        "--".into(),
        probe[0].clone(),
    ];

    let mut rows = Vec::new();
    let (mut crowd, mut open) = (Vec::new(), 0);
    for count in COUNTS {
        eprintln!("measuring with {count} connections");
        let mut newcomers = Vec::new();
        while open < count {
            let some = PORT_CONNECTIONS.min(count - open);
            let port = FIRST_PORT + crowd.len() as u64 + newcomers.len() as u64;
            let words = ["crowd", &port.to_string(), &some.to_string()];
            newcomers.push(Pid1::start(&probe, &words, false)?);
            open += some;
        }
        for mut newcomer in newcomers {
            newcomer.hears("ready")?;
            crowd.push(newcomer);
        }
        rows.push(Row::measure(format!("{count} connections"), count, &ours, &ports)?);
    }
    drop(crowd);
    eprintln!("measuring with {ENDED} connections that have ended");
    let words = ["leave", &OTHER_PORT.to_string(), &ENDED.to_string()];
    Pid1::start(&probe, &words, false)?.hears("ready")?;
    rows.push(Row::measure(format!("none, {ENDED} have ended"), 0, &ours, &ports)?);

    println!("# {}", output::about());
    println!(
        "# CPU time in milliseconds, medians; memory of its own (RssAnon) from the stop signal on"
    );
    let head = ["", "first look", "look", "bare dump", "ratio", "KiB", "bytes a connection"];
    let lines = std::iter::once(head.map(str::to_owned).to_vec()).chain(rows.iter().map(Row::line));
    print!("{}", output::aligned(&lines.collect::<Vec<_>>()));
    if let Some(file) = json {
        output::write(file, &rows.iter().map(Row::json).collect())?;
    }
    let above: Vec<_> = rows.iter().filter(|row| !row.is_within()).collect();
    if options.check {
        println!("at most x{MAX_RATIO} of a bare dump, and {MAX_GROWTH} KiB");
        above.iter().for_each(|row| println!("ABOVE: {}", row.name));
    }
    Ok(!options.check || above.is_empty())
}

struct Row {
    name: String,
    connections: u64,
    first_look: f64,
    look: f64,
    bare_dump: f64,
    growth: f64,
}

impl Row {
    fn measure(
        name: String,
        connections: u64,
        init: &[String],
        ports: &[u16],
    ) -> Result<Row, String> {
        let mut pid1 = Pid1::at_rest(init, &["app"])?;
        let memory = pid1.status("RssAnon");
        let (mut cpu, mut wakeups) = (pid1.cpu(), pid1.wakeups());
        let (mut looks, mut growth) = (Vec::new(), 0.0);
        pid1.signal(Signal::SIGTERM);
        for _ in 0..=LOOKS {
            // It sleeps once it has looked, and not before.
            wakeups = next(&mut pid1, wakeups)?;
            let used = pid1.cpu();
            looks.push((used - std::mem::replace(&mut cpu, used)) / 1e3);
            growth = f64::max(growth, pid1.status("RssAnon") - memory);
        }
        let bare_dumps: Vec<f64> = (0..5).map(|_| bare_dump(ports, connections)).collect();
        pid1.tell("exit 0");
        pid1.ends(0)?;
        let (first_look, look) = (looks[0], quantile(&looks[1..], 0.5));
        Ok(Row {
            name,
            connections,
            first_look,
            look,
            bare_dump: quantile(&bare_dumps, 0.5),
            growth,
        })
    }

    fn ratio(&self) -> f64 {
        self.look / self.bare_dump
    }

    fn bytes_each(&self) -> Option<f64> {
        (self.connections > 0).then(|| self.growth * 1024.0 / self.connections as f64)
    }

    fn line(&self) -> Vec<String> {
        let Row { name, first_look, look, bare_dump, growth, .. } = self;
        let bytes = self.bytes_each().map_or("-".into(), |bytes| format!("{bytes:.0}"));
        let times = [first_look, look, bare_dump].map(|ms| format!("{ms:.2}"));
        let rest = [format!("x{:.2}", self.ratio()), format!("{growth:.0}"), bytes];
        [name.clone()].into_iter().chain(times).chain(rest).collect()
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "name": self.name,
            "connections": self.connections,
            "first_look_ms": self.first_look,
            "look_ms": self.look,
            "bare_dump_ms": self.bare_dump,
            "growth_kib": self.growth,
        })
    }

    /// A look without connections costs too little to be compared.
    fn is_within(&self) -> bool {
        (self.connections == 0 || self.ratio() <= MAX_RATIO) && self.growth <= MAX_GROWTH
    }
}

/// Waits until an init has gone to sleep once more, and returns how often it has.
fn next(pid1: &mut Pid1, wakeups: f64) -> Result<f64, String> {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        let now = pid1.wakeups();
        if now > wakeups {
            return Ok(now);
        }
        // The pace of looking.
        sleep(Duration::from_millis(1));
    }
    Err(pid1.failure("it does not look"))
}

/// Milliseconds of CPU time to list these connections, which must all be there.
fn bare_dump(ports: &[u16], connections: u64) -> f64 {
    let mut dumps = DumpSocket::open().expect("a socket");
    let open = Wanted { protocol: Protocol::Tcp, states: OPEN, ports: Some(ports) };
    let clock = || Duration::from(ClockId::CLOCK_THREAD_CPUTIME_ID.now().expect("a clock"));
    let began = clock();
    let mut listed = 0;
    dumps.list(&open, &mut |_| listed += 1).expect("a dump");
    assert_eq!(listed, connections);
    clock().saturating_sub(began).as_secs_f64() * 1e3
}

/// Makes a network namespace, in which there is loopback alone.
fn enter_network() {
    unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace");
    let flags = SockFlag::SOCK_CLOEXEC;
    let any = socket(AddressFamily::Inet, SockType::Datagram, flags, None).expect("a socket");
    // SAFETY: plain integers, of which all may be 0.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = libc::IFF_UP as libc::c_short;
    // SAFETY: the kernel reads one such structure.
    let done = unsafe { libc::ioctl(any.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw const request) };
    Errno::result(done).expect("loopback");
}

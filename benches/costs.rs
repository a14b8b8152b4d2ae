//! What an init costs, beside the others: each as PID 1 of a new PID namespace, and in turn.
//!
//!     cargo bench --bench costs [-- --quick] [--check] [--json FILE] [--init NAME=COMMAND]...

mod arena;
mod figure;
mod measure;
mod needs;
mod pid1;
mod room;
mod run;
mod table;
mod trace;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::Parser;
use nix::libc;
use serde_json::json;

use crate::figure::{Budget, Cell, Figure, Table};
use crate::measure::{Forwards, Idle};
use crate::needs::Needs;
use crate::room::{cpus, stay_on};
use crate::run::Init;
use crate::table::quantile;

/// What an init costs: reprieve, the others from Debian's packages, and none at all.
#[derive(Parser)]
#[command(name = "cargo bench --bench costs --")]
struct Options {
    /// An init to measure in place of Debian's; its app's command line is appended; repeatable
    #[arg(long = "init", value_name = "NAME=COMMAND", value_parser = init)]
    inits: Vec<Init>,

    /// Fewer rounds: half a minute in place of two
    #[arg(long)]
    quick: bool,

    /// Fail where reprieve is above its budget
    #[arg(long)]
    check: bool,

    /// Write all figures there too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// What cargo adds
    #[arg(long, hide = true)]
    bench: bool,
}

fn init(text: &str) -> Result<Init, String> {
    let (name, command) = text.split_once('=').ok_or("it is no NAME=COMMAND")?;
    if [FLOOR, OURS].contains(&name) {
        return Err(format!("{name} is measured anyhow"));
    }
    let command: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
    match command.is_empty() {
        true => Err("the command is empty".into()),
        false => Ok(Init { name: name.into(), command }),
    }
}

/// The app alone, without any init.
const FLOOR: &str = "none";
const OURS: &str = "reprieve";

/// Debian's inits and their packages.
const PEERS: [(&str, &str); 4] = [
    ("tini-static", "tini"),
    ("tini", "tini"),
    ("dumb-init", "dumb-init"),
    ("catatonit", "catatonit"),
];

/// How much is measured.
struct Sizes {
    start_rounds: usize,
    starts: usize,
    signal_rounds: usize,
    signals: usize,
    backlog_rounds: usize,
    storm_rounds: usize,
    idle: Duration,
}

const FULL: Sizes = Sizes {
    start_rounds: 60,
    starts: 25,
    signal_rounds: 40,
    signals: 500,
    backlog_rounds: 11,
    storm_rounds: 5,
    idle: Duration::from_secs(10),
};

const QUICK: Sizes = Sizes {
    start_rounds: 15,
    starts: 12,
    signal_rounds: 9,
    signals: 500,
    backlog_rounds: 4,
    storm_rounds: 1,
    idle: Duration::from_secs(10),
};

/// More at once take the kernel quadratic time to make.
const ZOMBIES: u32 = 5_000;
const STORM_SIGNALS: usize = 50_000;
const STORM_ORPHANS: u32 = 20_000;

/// How much of a ratio may be the noise of one run, in `--check`.
const ALLOWANCE: f64 = 0.10;

fn main() -> ExitCode {
    let options = Options::parse();
    match run(options) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("costs: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(options: Options) -> Result<ExitCode, String> {
    let mut needs = Needs::default();
    needs.root();
    needs.static_target();
    if let Some(twice) = twice(&options.inits) {
        return Err(format!("two inits are called {twice}"));
    }
    let peers = peers(options.inits, &mut needs);
    needs.check()?;
    let json = options.json.map(|path| {
        let file = File::create(&path);
        file.map_err(|error| format!("{}: {error}", path.display()))
    });
    let json = json.transpose()?;
    room::enter()?;

    let probe = needs::probe()?;
    let ours = needs::reprieve()?.to_string_lossy().into_owned();
    let mut inits = vec![
        Init { name: FLOOR.into(), command: Vec::new() },
        Init { name: OURS.into(), command: vec![ours, "--".into()] },
    ];
    inits.extend(peers);
    let commands = inits.iter().map(|init| (init.name.clone(), json!(init.command)));
    let commands: serde_json::Map<_, _> = commands.collect();
    inits.iter_mut().try_for_each(move_in)?;
    let sizes = if options.quick { QUICK } else { FULL };
    let is_realtime = room::schedule(libc::SCHED_FIFO);

    let mut bench = Bench { inits, probe, errors: Vec::new() };
    let table = bench.run(&sizes);
    let about = json!({
        "date": humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        "kernel": nix::sys::utsname::uname().expect("uname").release().to_string_lossy(),
        "cpus": cpus().len(),
        "realtime": is_realtime,
    });
    println!("# {about}");
    println!(
        "# median ±spread (half the distance of the quartiles) xRATIO to the best of the others"
    );
    print!("{table}");
    bench.errors.iter().for_each(|error| println!("ERROR {error}"));
    let verdicts = if options.check { table.verdicts(OURS_AT, ALLOWANCE) } else { Vec::new() };
    verdicts.iter().for_each(|(_, words)| println!("{words}"));
    if let Some(mut file) = json {
        let figures = table.json();
        let all = json!({ "about": about, "inits": commands, "figures": figures, "errors": bench.errors });
        writeln!(file, "{all:#}").map_err(|error| format!("the JSON file: {error}"))?;
    }
    let is_fine = bench.errors.is_empty() && verdicts.iter().all(|(is_within, _)| *is_within);
    Ok(if is_fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A name that two of them have.
fn twice(inits: &[Init]) -> Option<&str> {
    let names: Vec<&str> = inits.iter().map(|init| init.name.as_str()).collect();
    names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)).map(|(_, name)| *name)
}

/// The inits that were asked for, else Debian's; with their paths.
fn peers(asked: Vec<Init>, needs: &mut Needs) -> Vec<Init> {
    let debian =
        PEERS.map(|(name, _)| Init { name: name.into(), command: vec![name.into(), "--".into()] });
    let mut peers = if asked.is_empty() { debian.into() } else { asked };
    for program in peers.iter_mut().map(|peer| &mut peer.command[0]) {
        if let Some(path) = path_of(program) {
            *program = path;
            continue;
        }
        let package = PEERS.iter().find(|(name, _)| name == program);
        let get = package.map(|(_, package)| format!(": apt-get install {package}"));
        needs.lack(format!("{program}{}", get.unwrap_or_default()));
    }
    peers
}

/// Has an init start from a copy. To map a file that was just written is faster than one that was
/// read from a disk, by more than the inits differ; so all lie in the same place, just written.
fn move_in(init: &mut Init) -> Result<(), String> {
    let Some(program) = init.command.first_mut() else { return Ok(()) };
    let folder = room::new_path();
    let copy = folder.join(Path::new(program).file_name().ok_or("an init without a name")?);
    let copied = std::fs::create_dir(folder).and_then(|()| std::fs::copy(&program, &copy));
    copied.map_err(|error| format!("{program}: {error}"))?;
    *program = copy.to_string_lossy().into_owned();
    Ok(())
}

/// Where the shell would find a program.
fn path_of(program: &str) -> Option<String> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    // A program that has a folder keeps it.
    let mut paths = std::env::split_paths(&folders).map(|folder| folder.join(program));
    paths.find(|path| path.is_file()).map(|path| path.to_string_lossy().into_owned())
}

struct Bench {
    inits: Vec<Init>,
    probe: PathBuf,
    errors: Vec<String>,
}

/// The column of reprieve, and the first of an init.
const OURS_AT: usize = 1;

impl Bench {
    fn run(&mut self, sizes: &Sizes) -> Table {
        let columns: Vec<String> = self.inits.iter().map(|init| init.name.clone()).collect();
        let peers = (OURS_AT + 1..columns.len()).collect();
        let all_cpus = cpus();
        stay_on(&all_cpus[..1]);
        let mut figures = vec![self.starts(sizes)];
        figures.extend(self.signals(sizes));
        figures.push(self.backlog(sizes));
        stay_on(&all_cpus);
        figures.extend(self.idle(sizes));
        figures.extend(self.storm(sizes));
        figures.push(self.calls());
        Table { columns, peers, figures }
    }

    /// Calls this for each init from this column on, round by round, each round beginning with
    /// another one, so that what changes on the machine hits all alike. What fails is not tried
    /// again.
    fn in_turn<T>(
        &mut self,
        what: &str,
        from: usize,
        rounds: usize,
        measure: impl Fn(&Init, &Path) -> Result<T, String>,
    ) -> Vec<Vec<T>> {
        eprintln!("measuring {what}");
        let mut results: Vec<Option<Vec<T>>> = self.inits.iter().map(|_| Some(vec![])).collect();
        let count = self.inits.len() - from;
        for turn in (0..rounds).flat_map(|round| (0..count).map(move |turn| round + turn)) {
            let at = from + turn % count;
            let Some(so_far) = &mut results[at] else { continue };
            match measure(&self.inits[at], &self.probe) {
                Ok(result) => so_far.push(result),
                Err(error) => {
                    self.errors.push(format!("{}: {what}: {error}", self.inits[at].name));
                    results[at] = None;
                }
            }
        }
        results.into_iter().map(Option::unwrap_or_default).collect()
    }

    fn starts(&mut self, sizes: &Sizes) -> Figure {
        let rounds = self.in_turn("starts", 0, sizes.start_rounds, |init, probe| {
            measure::starts(init, probe, sizes.starts).map(|delays| median(&delays) / 1e3)
        });
        let above_floor = |delays: &Vec<f64>| {
            cell(delays.iter().zip(&rounds[0]).map(|(delay, floor)| delay - floor).collect())
        };
        let cells = rounds.iter().skip(1).map(above_floor);
        let cells = std::iter::once(Cell::Nothing).chain(cells).collect();
        figure("start: exec of the init to the app's main()", "us", 1, cells)
            .within(Budget::Ratio(1.00))
    }

    fn signals(&mut self, sizes: &Sizes) -> [Figure; 2] {
        let rounds = self.in_turn("signals", 0, sizes.signal_rounds, |init, probe| {
            measure::forwards(init, probe, sizes.signals)
        });
        let cpu =
            rounds.iter().map(|rounds| cell(rounds.iter().map(|run| run.cpu / 1e3).collect()));
        let mut cpu: Vec<Cell> = cpu.collect();
        cpu[0] = Cell::Nothing;
        let latency = |rounds: &Vec<Forwards>| {
            cell(rounds.iter().map(|run| median(&run.latencies) / 1e3).collect())
        };
        let latencies = rounds.iter().map(latency).collect();
        [
            figure("CPU of a forwarded signal", "us", 2, cpu).within(Budget::Ratio(1.15)),
            figure("latency of a forwarded signal, one CPU", "us", 1, latencies)
                .within(Budget::Ratio(1.10)),
        ]
    }

    fn backlog(&mut self, sizes: &Sizes) -> Figure {
        let rounds = self.in_turn("zombies", OURS_AT, sizes.backlog_rounds, |init, probe| {
            measure::backlog(init, probe, ZOMBIES).map(|cpu| cpu / 1e3)
        });
        let name = format!("CPU of reaping one of {ZOMBIES} zombies");
        figure(&name, "us", 3, rounds.into_iter().map(cell).collect()).within(Budget::Ratio(1.05))
    }

    fn idle(&mut self, sizes: &Sizes) -> [Figure; 5] {
        eprintln!("measuring idling");
        let runs = measure::idle(&self.inits[OURS_AT..], &self.probe, sizes.idle);
        let mut idles = vec![None];
        for (run, init) in runs.into_iter().zip(&self.inits[OURS_AT..]) {
            let failed = |error| self.errors.push(format!("{}: idling: {error}", init.name));
            idles.push(run.map_err(failed).ok());
        }
        let cells = |value: fn(&Idle) -> u64| {
            let value = |idle: &Option<Idle>| idle.iter().map(|idle| value(idle) as f64).collect();
            idles.iter().map(value).map(cell).collect::<Vec<_>>()
        };
        let size = |(idle, init): (&Option<Idle>, &Init)| {
            let Some(idle) = idle else { return Cell::Nothing };
            let size = std::fs::metadata(&init.command[0]).expect("a file").len();
            match idle.needs_libc {
                true => Cell::Text(format!("{size} + libc")),
                false => cell(vec![size as f64]),
            }
        };
        let sizes_of_files = idles.iter().zip(&self.inits).map(size).collect();
        let wakeups = format!("wake-ups in {} s of idling", sizes.idle.as_secs());
        [
            figure(&wakeups, "", 0, cells(|idle| idle.wakeups)).alone(Budget::Value(0.0)),
            figure("threads", "", 0, cells(|idle| idle.threads)).alone(Budget::Value(1.0)),
            figure("memory of its own (RssAnon)", "KiB", 0, cells(|idle| idle.anonymous))
                .within(Budget::Value(96.0)),
            figure("memory with pages of files (VmRSS)", "KiB", 0, cells(|idle| idle.rss)),
            figure("file", "bytes", 0, sizes_of_files).within(Budget::Value(800_000.0)),
        ]
    }

    fn storm(&mut self, sizes: &Sizes) -> [Figure; 2] {
        let rounds = self.in_turn("storms", OURS_AT, sizes.storm_rounds, |init, probe| {
            measure::storm(init, probe, STORM_SIGNALS, STORM_ORPHANS)
        });
        let verdict = |rounds: &Vec<f64>| match rounds.is_empty() {
            true => Cell::Nothing,
            false => Cell::Text("ok".into()),
        };
        let verdicts = rounds.iter().map(verdict).collect();
        let most = |rounds: Vec<f64>| rounds.into_iter().max_by(f64::total_cmp);
        let growth = rounds.into_iter().map(|rounds| cell(most(rounds).into_iter().collect()));
        let growth = growth.collect();
        let name = format!("{STORM_SIGNALS} signals while {STORM_ORPHANS} orphans die");
        [
            figure(&name, "", 0, verdicts),
            figure("growth of RssAnon by that", "KiB", 0, growth).alone(Budget::Value(0.0)),
        ]
    }

    fn calls(&mut self) -> Figure {
        let calls = self.in_turn("system calls", OURS_AT, 1, |init, probe| {
            trace::calls_to_spawn(init, probe).map(|calls| calls as f64)
        });
        let cells = calls.into_iter().map(cell).collect();
        figure("system calls from exec to the app's exec", "", 0, cells)
    }
}

fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

fn cell(rounds: Vec<f64>) -> Cell {
    if rounds.is_empty() { Cell::Nothing } else { Cell::Rounds(rounds) }
}

fn figure(name: &str, unit: &'static str, decimals: usize, cells: Vec<Cell>) -> Figure {
    Figure { name: name.into(), unit, decimals, is_compared: true, budget: None, cells }
}

impl Figure {
    fn within(self, budget: Budget) -> Figure {
        Figure { budget: Some(budget), ..self }
    }

    /// A count that no ratio makes clearer.
    fn alone(self, budget: Budget) -> Figure {
        Figure { is_compared: false, ..self.within(budget) }
    }
}

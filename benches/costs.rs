//! What an init costs, beside the others: each as PID 1 of a new PID namespace, and in turn.
//!
//!     cargo bench --bench costs [-- --quick] [--check] [--json FILE] [--init NAME=COMMAND]...

mod figure;
mod measure;
mod needs;
mod output;
mod pid1;
mod proc;
mod room;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use clap::Parser;
use nix::libc;
use serde_json::{Map, json};

use crate::figure::{Budget, FLOOR, Figure, OURS};
use crate::measure::{Idler, STARTS, Said};

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

/// A command line to which that of an app is appended; empty where the app itself is PID 1.
#[derive(Clone)]
struct Init {
    name: String,
    command: Vec<String>,
}

fn init(text: &str) -> Result<Init, String> {
    let (name, command) = text.split_once('=').ok_or("it is no NAME=COMMAND")?;
    let command: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
    match command.is_empty() {
        true => Err("the command is empty".into()),
        false => Ok(Init { name: name.into(), command }),
    }
}

/// Debian's inits and their packages.
const PEERS: [(&str, &str); 4] = [
    ("tini-static", "tini"),
    ("tini", "tini"),
    ("dumb-init", "dumb-init"),
    ("catatonit", "catatonit"),
];

/// A tini in Rust, where it is installed. It used a whole CPU while it idled, and with a real-time
/// priority it kept its own child from running. So it is measured after the others, without one.
const APART: &str = "tino=tino --";

/// More at once take the kernel quadratic time to make.
const ZOMBIES: usize = 5_000;
const STORM_SIGNALS: usize = 50_000;
const STORM_ORPHANS: usize = 20_000;
const IDLE: Duration = Duration::from_secs(10);

/// What a start may take at most, for each of [`STARTS`]: times the best of the others.
const START_BUDGETS: [f64; 3] = [0.80, 0.80, 0.80];

/// The same for its instructions, and then for its system calls.
const STEP_BUDGETS: [f64; 6] = [28_000.0, 39_500.0, 35_500.0, 26.0, 26.0, 26.0];

/// How much of a ratio may be the noise of one run, in `--check`.
const ALLOWANCE: f64 = 0.10;

/// Where the stack begins in its first page is random: two pages more or less, in KiB.
const STACK_NOISE: f64 = 8.0;

fn main() -> ExitCode {
    output::exit_code(run(Options::parse()))
}

fn run(options: Options) -> Result<bool, String> {
    let mut inits = vec![
        Init { name: "none".into(), command: vec![] },
        Init { name: "reprieve".into(), command: vec![] },
    ];
    let with_apart = options.inits.is_empty() && !options.check;
    let debian = PEERS.map(|(name, _)| init(&format!("{name}={name} --")));
    inits.extend(match options.inits.is_empty() {
        true => debian.into_iter().collect::<Result<_, _>>()?,
        false => options.inits,
    });
    let mut names: Vec<String> = inits.iter().map(|init| init.name.clone()).collect();
    names.sort();
    if let Some([twice, ..]) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(format!("two inits are called {twice}"));
    }
    needs::check(inits[OURS + 1..].iter_mut().filter_map(|peer| resolve(peer).err()).collect())?;
    let json = options.json.as_deref().map(output::create).transpose()?;
    room::enter()?;

    let probe = needs::build("--example", "probe")?;
    inits[OURS].command = vec![needs::build("--bin", "reprieve")?, "--".into()];
    let commands = inits.iter().map(|init| (init.name.clone(), json!(init.command)));
    let commands: Map<_, _> = commands.collect();
    for (column, init) in inits.iter_mut().enumerate().skip(OURS) {
        move_in(init, &Path::new(room::FOLDER).join(column.to_string()))?;
    }
    inits.iter_mut().for_each(|init| init.command.push(probe.clone()));

    let is_realtime = room::schedule(libc::SCHED_FIFO);
    let mut bench = Bench { inits, errors: Vec::new() };
    let figures = bench.measure(options.quick);
    let Bench { inits, errors } = bench;
    let names: Vec<&str> = inits.iter().map(|init| init.name.as_str()).collect();
    let mut about = output::about();
    about["realtime"] = json!(is_realtime);
    println!("# {about}");
    print(&names, &figures, &errors);
    let mut is_fine = errors.is_empty();
    if options.check {
        for (is_within, words) in figures.iter().filter_map(|figure| figure.verdict(ALLOWANCE)) {
            println!("{words}");
            is_fine &= is_within;
        }
    }
    if let Some(file) = json {
        let figures: Vec<_> = figures.iter().map(|figure| figure.json(&names)).collect();
        let all =
            json!({ "about": about, "inits": commands, "figures": figures, "errors": errors });
        output::write(file, &all)?;
    }
    if with_apart && let Err(missing) = measure_apart(&inits[..=OURS], probe) {
        println!("# not measured: {missing}: cargo install --locked tino@0.1.24");
    }
    Ok(is_fine)
}

/// Measures ours and [`APART`] with an ordinary priority, in a table of their own; or says what is missing.
fn measure_apart(ours: &[Init], probe: String) -> Result<(), String> {
    let mut peer = init(APART)?;
    resolve(&mut peer)?;
    move_in(&mut peer, &Path::new(room::FOLDER).join("apart"))?;
    peer.command.push(probe);
    room::schedule(libc::SCHED_OTHER);
    let mut bench = Bench { inits: [ours, &[peer]].concat(), errors: Vec::new() };
    let figures = bench.measure(true);
    let names: Vec<&str> = bench.inits.iter().map(|init| init.name.as_str()).collect();
    println!("# apart, and without a real-time priority");
    print(&names, &figures, &bench.errors);
    Ok(())
}

fn print(names: &[&str], figures: &[Figure], errors: &[String]) {
    println!(
        "# median ±spread (half the distance of the quartiles) xRATIO to the best of the others"
    );
    print!("{}", figure::table(names, figures));
    errors.iter().for_each(|error| println!("ERROR {error}"));
}

/// Finds the program of an init as a shell would, or says what is missing.
fn resolve(init: &mut Init) -> Result<(), String> {
    let program = &mut init.command[0];
    let folders = std::env::var_os("PATH").unwrap_or_default();
    // A program that has a folder keeps it.
    let mut paths = std::env::split_paths(&folders).map(|folder| folder.join(&*program));
    if let Some(path) = paths.find(|path| path.is_file()) {
        *program = path.to_string_lossy().into_owned();
        return Ok(());
    }
    let package = PEERS.iter().find(|(name, _)| name == program);
    let get = package.map(|(_, package)| format!(": apt-get install {package}"));
    Err(format!("{program}{}", get.unwrap_or_default()))
}

/// Has an init start from a copy. To map a file that was just written is faster than one that was
/// read from a disk, by more than the inits differ; so all lie in the same place, just written.
fn move_in(init: &mut Init, folder: &Path) -> Result<(), String> {
    let program = &mut init.command[0];
    let copy = folder.join(Path::new(program).file_name().ok_or("an init without a name")?);
    let copied = std::fs::create_dir(folder).and_then(|()| std::fs::copy(&program, &copy));
    copied.map_err(|error| format!("{program}: {error}"))?;
    *program = copy.to_string_lossy().into_owned();
    Ok(())
}

struct Bench {
    inits: Vec<Init>,
    errors: Vec<String>,
}

impl Bench {
    fn measure(&mut self, is_quick: bool) -> Vec<Figure> {
        let rounds = |count| if is_quick { count / 4 } else { count };
        let cpus = room::cpus();
        room::stay_on(&cpus[..1]);
        let mut figures = self.starts(rounds(60));
        let [mut cpu, latency] =
            self.in_turn("signals", FLOOR, rounds(40), |init| measure::forward(init, 500));
        // There the app itself got the signals.
        cpu[FLOOR].clear();
        let [zombie] =
            self.in_turn("zombies", OURS, rounds(12), |init| measure::reap(init, ZOMBIES));

        room::stay_on(&cpus);
        let idlers: Vec<_> =
            self.inits[OURS..].iter().map(|init| Idler::start(&init.command)).collect();
        // The time that is measured.
        sleep(IDLE);
        let mut idlers = idlers.into_iter();
        let [wakeups, threads, anonymous, rss, size, libraries] =
            self.in_turn("idling", OURS, 1, |_| idlers.next().expect("one each")?.look());
        // All must get a turn.
        room::schedule(libc::SCHED_OTHER);
        let [growth] = self.in_turn("storms", OURS, rounds(5), |init| {
            measure::storm(init, STORM_SIGNALS, STORM_ORPHANS)
        });

        figures.extend([
            Figure::new("CPU of a forwarded signal", "us", 2, cpu).within(Budget::Ratio(1.48)),
            Figure::new("latency of a forwarded signal, one CPU", "us", 1, latency)
                .within(Budget::Ratio(1.10)),
            Figure::new(&format!("CPU of reaping one of {ZOMBIES} zombies"), "us", 3, zombie)
                .within(Budget::Ratio(1.60)),
            Figure::new(&format!("wake-ups in {} s of idling", IDLE.as_secs()), "", 0, wakeups)
                .within(Budget::Value(0.0)),
            Figure::new("threads", "", 0, threads).within(Budget::Value(1.0)).not_compared(),
            Figure::new("memory of its own (RssAnon)", "KiB", 0, anonymous)
                .within(Budget::Value(48.0 + STACK_NOISE)),
            Figure::new("memory with pages of files (VmRSS)", "KiB", 0, rss),
            Figure::new("file", "bytes", 0, size).within(Budget::Value(700_000.0)).not_compared(),
            Figure::new("shared libraries", "", 0, libraries).not_compared(),
            Figure::new(
                &format!(
                    "growth of RssAnon by {STORM_SIGNALS} signals while {STORM_ORPHANS} orphans die"
                ),
                "KiB",
                0,
                growth,
            )
            .within(Budget::Value(24.0))
            .not_compared(),
        ]);
        figures.extend(self.steps());
        figures
    }

    fn starts(&mut self, rounds: usize) -> Vec<Figure> {
        let ours = self.inits[OURS].command[0].clone();
        let starts = self.in_turn("starts", FLOOR, rounds, |init| measure::starts(init, &ours, 10));
        let mut figures = Vec::new();
        for ((mut start, said), most) in starts.into_iter().zip(&STARTS).zip(START_BUDGETS) {
            let floor = std::mem::take(&mut start[FLOOR]);
            for rounds in &mut start {
                rounds.iter_mut().zip(&floor).for_each(|(delay, floor)| *delay -= floor);
            }
            let name = format!("start {}: exec of the init to the app's main()", said.name);
            figures.push(Figure::new(&name, "us", 1, start).within(Budget::Ratio(most)));
        }
        figures
    }

    /// What does not depend on the machine, and so has strict ceilings.
    fn steps(&mut self) -> Vec<Figure> {
        let ours = self.inits[OURS].command[0].clone();
        let steps = self.in_turn("steps", OURS, 1, |init| measure::steps_to_spawn(init, &ours));
        let kinds = ["instructions", "system calls"].into_iter();
        let rows = kinds.flat_map(|kind| STARTS.iter().map(move |Said { name, .. }| (kind, name)));
        let mut figures = Vec::new();
        for ((columns, (kind, name)), most) in steps.into_iter().zip(rows).zip(STEP_BUDGETS) {
            let name = format!("{kind} from exec to the app's exec, {name}");
            figures.push(Figure::new(&name, "", 0, columns).within(Budget::Value(most)));
        }
        figures
    }

    /// Calls this for each init from this column on, round by round, each round beginning with
    /// another one, so that what changes on the machine hits all alike. What fails is not tried
    /// again. Hands out a figure's columns for each number.
    fn in_turn<const N: usize>(
        &mut self,
        what: &str,
        from: usize,
        rounds: usize,
        mut measure: impl FnMut(&[String]) -> Result<[f64; N], String>,
    ) -> [Vec<Vec<f64>>; N] {
        eprintln!("measuring {what}");
        let mut figures = std::array::from_fn(|_| vec![Vec::new(); self.inits.len()]);
        let mut has_failed = vec![false; self.inits.len()];
        let count = self.inits.len() - from;
        for turn in (0..rounds).flat_map(|round| (0..count).map(move |turn| round + turn)) {
            let column = from + turn % count;
            if has_failed[column] {
                continue;
            }
            let Init { name, command } = &self.inits[column];
            match measure(command) {
                Ok(numbers) => {
                    let numbers = figures.iter_mut().zip(numbers);
                    numbers.for_each(|(figure, number)| figure[column].push(number));
                }
                Err(error) => {
                    self.errors.push(format!("{name}: {what}: {error}"));
                    figures.iter_mut().for_each(|figure| figure[column].clear());
                    has_failed[column] = true;
                }
            }
        }
        figures
    }
}

//! The shared stories, also run against tini, dumb-init and catatonit from Debian.

use std::time::Duration;

use nix::libc;

use crate::harness::*;

/// An init, and how it is asked for what all of them can do.
struct Contestant {
    name: &'static str,
    to_group: &'static str,
    to_child: &'static str,
}

const CONTESTANTS: [Contestant; 5] = [
    Contestant { name: "reprieve", to_group: "-g", to_child: "-c" },
    Contestant { name: "tini", to_group: "-g", to_child: "" },
    Contestant { name: "tini-static", to_group: "-g", to_child: "" },
    Contestant { name: "dumb-init", to_group: "", to_child: "-c" },
    Contestant { name: "catatonit", to_group: "-g", to_child: "" },
];

impl Contestant {
    fn init(&self) -> Init {
        if self.name == "reprieve" { pid1() } else { peer(self.name) }
    }
}

/// What happened, in words.
type Story = fn(&Contestant) -> String;

fn passes_an_exit_code(who: &Contestant) -> String {
    let codes = [0, 1, 7, 127, 255];
    let end = |code: i32| who.init().shell(&["sh"], &format!("exit {code}")).ends().code;
    let passed: Vec<i32> = codes.into_iter().filter(|code| end(*code) == *code).collect();
    format!("{passed:?}")
}

fn passes_a_death_by_sigterm(who: &Contestant) -> String {
    who.init().shell(&["sh"], "kill -TERM $$").ends().code.to_string()
}

fn passes_a_death_by_a_real_time_signal(who: &Contestant) -> String {
    who.init().fixture("raise SIGRTMIN+3").ends().code.to_string()
}

fn says_127_for_what_does_not_exist(who: &Contestant) -> String {
    who.init().app(["/nothing/here"]).ends().code.to_string()
}

fn says_126_for_what_is_no_program(who: &Contestant) -> String {
    who.init().app(["/etc/passwd"]).ends().code.to_string()
}

fn runs_a_script_without_an_interpreter(who: &Contestant) -> String {
    let folder = Folder::new();
    let script = folder.script("script", "exit 7\n");
    who.init().app([script]).ends().code.to_string()
}

fn passes_arguments_and_environment(who: &Contestant) -> String {
    let words = ["sh", "-c", "echo \"$#|$1|$2|$VARIABLE\"", "sh", "a b", ""];
    who.init().variable("VARIABLE", "c  d").app(words).ends().app().join("\n")
}

fn forwards_a_signal(who: &Contestant) -> String {
    let run = who.init().fixture("listen --until SIGUSR1 --code 7");
    run.hears("ready");
    run.signal(libc::SIGTERM);
    run.hears("got SIGTERM");
    run.signal(libc::SIGUSR1);
    run.ends().app()[1..].join(", ")
}

/// Which ones do not arrive, of those that the fixture can catch. Those of job control are left
/// out: dumb-init stops itself on them.
fn loses(who: &Contestant) -> String {
    const LEFT_OUT: [i32; 12] = [4, 8, 9, 11, 17, 18, 19, 20, 21, 22, 32, 33];
    let run = who.init().fixture("listen --until SIGUSR1");
    run.hears("ready");
    let pid = run.pid();
    let others = |signal: &i32| !LEFT_OUT.contains(signal) && *signal != libc::SIGUSR1;
    let sent: Vec<i32> = (1..=64).filter(others).collect();
    sent.iter().for_each(|signal| send(pid, *signal));
    // The last one that the kernel hands out.
    run.hears("got SIGRTMIN+30");
    send(pid, libc::SIGUSR1);
    let ended = run.ends();
    let heard = ended.app();
    let lost = sent.into_iter().filter(|signal| {
        let name = match signal {
            34 => "SIGRTMIN".into(),
            35..=64 => format!("SIGRTMIN+{}", signal - 34),
            _ => signal_hook::low_level::signal_name(*signal).map_or("SIG16".into(), String::from),
        };
        !heard.contains(&format!("got {name}").as_str())
    });
    format!("{:?}", lost.collect::<Vec<i32>>())
}

fn forwards_a_burst_of_real_time_signals(who: &Contestant) -> String {
    let run = who.init().fixture("listen --until SIGUSR1");
    run.hears("ready");
    let pid = run.pid();
    send(pid, libc::SIGSTOP);
    eventually("the init to freeze", || (process_state(pid) == 'T').then_some(()));
    (0..200).for_each(|n| send(pid, RTMIN + n % 31));
    send(pid, libc::SIGCONT);
    run.hears_times("got SIGRTMIN", 200);
    "200".into()
}

fn reaps_orphans(who: &Contestant) -> String {
    let run = who.init().fixture("orphans 100");
    run.hears("ready");
    let init = run.pid();
    eventually("the orphans to be reaped", || (children(init).len() == 1).then_some(()));
    run.signal(libc::SIGTERM);
    run.ends().code.to_string()
}

fn heard_by(run: Run) -> String {
    run.hears_times("ready", 2);
    let main = run.main_pid();
    let left = children(main)[0];
    run.signal(libc::SIGHUP);
    eventually("the main child to hear", || {
        run.lines().iter().any(|line| line.text == "got SIGHUP").then_some(())
    });
    // Once it has ended by itself, it has said all that it heard.
    send(left, libc::SIGTERM);
    eventually("the worker to end", || (process_state(left) == 'Z').then_some(()));
    send(main, libc::SIGTERM);
    let ended = run.ends();
    match [ended.app().contains(&"got SIGHUP"), ended.said("left got SIGHUP")] {
        [true, true] => "both".into(),
        [true, false] => "the main child".into(),
        [false, _] => "the worker alone".into(),
    }
}

fn signals_a_group(who: &Contestant) -> String {
    heard_by(who.init().options(who.to_group).fixture("leave child --drain 100"))
}

fn signals_the_child_alone(who: &Contestant) -> String {
    heard_by(who.init().options(who.to_child).fixture("leave child --drain 100"))
}

fn gives_leftovers_time_to_finish(who: &Contestant) -> String {
    let run = who
        .init()
        .options(who.to_child)
        .shell(&["sh"], "trap 'exit 7' TERM; (trap 'sleep 0.3; echo finished; exit' TERM; echo ready; while :; do sleep 0.01; done) & while :; do sleep 0.01; done");
    run.hears("ready");
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    format!("{}, {}", ended.code, if ended.said("finished") { "finished" } else { "killed" })
}

fn survives_an_ignored_sigchld(who: &Contestant) -> String {
    let run = who.init().with_signals("--ignore SIGCHLD").shell(&["sh"], "sleep 0.3; exit 3");
    ends_or_hangs(run)
}

/// A hang is an init that sleeps on without a child; tini looks again each second.
fn ends_or_hangs(run: Run) -> String {
    std::thread::sleep(Duration::from_millis(2500));
    let init = run.pid_if_any();
    let hangs = init.is_some_and(|init| is_idle(init) && children(init).is_empty());
    if hangs { "hangs".into() } else { run.ends().code.to_string() }
}

/// It pends already when the init begins: whoever waits for signals right after the fork has it
/// before the child has a process group.
fn keeps_a_stop_signal_of_the_first_moment(who: &Contestant) -> String {
    let fixture = fixture().to_string_lossy().into_owned();
    let script = "exec \"$FIXTURE\" with --block SIGTERM -- \
                  sh -c 'kill -TERM $$; exec \"$@\"' sh \"$@\"";
    let round = || {
        let init = who.init().variable("FIXTURE", &fixture).options(who.to_group);
        // The app inherits the block, and lifts it.
        let run = init.through(script).app([&fixture, "with", "--", "sleep", "1000"]);
        eventually("the end, or a child that runs on", || {
            if run.is_over() {
                return Some(true);
            }
            // All of them sleep, and nobody has a signal before him.
            let init = run.pid_if_any()?;
            let child = *children(init).first()?;
            let runs_on = is_program(child, "sleep") && [init, child].into_iter().all(is_idle);
            runs_on.then_some(false)
        })
    };
    // A race, that reprieve wins each time.
    let rounds = if who.name == "reprieve" { 20 } else { 300 };
    if (0..rounds).all(|_| round()) { "kept".into() } else { "lost".into() }
}

/// Whether it sleeps and has no signal to look at.
fn is_idle(pid: i32) -> bool {
    process_state(pid) == 'S' && signals(pid, "ShdPnd") == 0
}

fn gives_the_app_the_inherited_signals(who: &Contestant) -> String {
    let words = "--ignore SIGHUP --ignore SIGTTOU --block SIGUSR1";
    let masks = |init: Init| {
        let ended = init.with_signals(words).app(["cat", "/proc/self/status"]).ends();
        let mask = |key: &str| {
            let line = ended.app().into_iter().find_map(|line| line.strip_prefix(key));
            line.unwrap_or_else(|| panic!("no {key}")).to_owned()
        };
        [mask("SigBlk:\t"), mask("SigIgn:\t")]
    };
    let (ours, bare) = (masks(who.init()), masks(no_init()));
    match [ours[0] == bare[0], ours[1] == bare[1]] {
        [true, true] => "the same".into(),
        [blocked, ignored] => format!("blocked {}, ignored {}", same(blocked), same(ignored)),
    }
}

fn same(same: bool) -> &'static str {
    if same { "the same" } else { "others" }
}

fn starts_with_closed_descriptors(who: &Contestant) -> String {
    let outcome = |fd: i32| {
        let script = format!("exec \"$@\" {fd}>&-");
        who.init().through(&script).shell(&["sh"], "exit 7").ends().code.to_string()
    };
    [0, 1, 2].map(outcome).join(" ")
}

fn holds_nothing(who: &Contestant) -> String {
    let folder = Folder::new();
    let run = who
        .init()
        .variable("FOLDER", &folder.path("").to_string_lossy())
        .through("cd \"$FOLDER\" && exec 7>held && exec \"$@\"")
        .fixture("listen");
    run.hears("ready");
    let pid = run.pid();
    eventually("the init to idle", || is_idle(pid).then_some(()));
    let stays =
        std::fs::read_link(format!("/proc/{pid}/cwd")).expect("a folder") == folder.path("");
    let keeps = descriptors(pid).values().any(|lead| lead.ends_with("/held"));
    match [stays, keeps] {
        [false, false] => "nothing".into(),
        [stays, keeps] => format!("folder {stays}, descriptor {keeps}"),
    }
}

fn sleeps_while_idle(who: &Contestant) -> String {
    let run = who.init().fixture("listen");
    run.hears("ready");
    let pid = run.pid();
    sleeps(pid);
    let wake_ups = || status(pid, "voluntary_ctxt_switches");
    let before = wake_ups();
    // That nobody wakes only time can show; tini wakes each second.
    std::thread::sleep(Duration::from_millis(2500));
    if wake_ups() == before { "sleeps".into() } else { "wakes".into() }
}

/// The child changes its uid late, since catatonit does not even start one that does it early.
fn survives_a_child_that_it_may_not_signal(who: &Contestant) -> String {
    let run =
        who.init().through("exec setpriv --bounding-set=-kill --inh-caps=-kill -- \"$@\"").shell(
            &["sh"],
            "sleep 0.5; exec setpriv --reuid=65534 --regid=65534 --clear-groups \
             \"$FIXTURE\" listen --code 7",
        );
    run.hears("ready");
    let (init, app) = (run.pid(), run.main_pid());
    send(init, libc::SIGUSR1);
    eventually("the init to have tried, or to end of it", || {
        (is_idle(init) || run.is_over()).then_some(())
    });
    send(app, libc::SIGTERM);
    run.ends().code.to_string()
}

fn continues_what_is_stopped(who: &Contestant) -> String {
    let run = who.init().options(who.to_group).fixture("leave stopped --drain 100");
    let app = run.main_pid();
    run.hears("ready");
    eventually("the worker to stop", || {
        children(app).into_iter().any(|pid| process_state(pid) == 'T').then_some(())
    });
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    if ended.said("left got SIGTERM") { "heard".into() } else { "killed unheard".into() }
}

/// A story, what reprieve makes of it, and what others do where they differ.
struct Row {
    title: &'static str,
    story: Story,
    reprieve: &'static str,
    others: &'static [(&'static str, &'static str)],
}

const STORIES: [Row; 21] = [
    Row {
        title: "passes an exit code",
        story: passes_an_exit_code,
        reprieve: "[0, 1, 7, 127, 255]",
        others: &[],
    },
    Row {
        title: "passes a death by sigterm",
        story: passes_a_death_by_sigterm,
        reprieve: "143",
        others: &[],
    },
    Row {
        title: "passes a death by a real time signal",
        story: passes_a_death_by_a_real_time_signal,
        reprieve: "165",
        others: &[],
    },
    Row {
        title: "says 127 for what does not exist",
        story: says_127_for_what_does_not_exist,
        reprieve: "127",
        others: &[("dumb-init", "2"), ("catatonit", "1")],
    },
    Row {
        title: "says 126 for what is no program",
        story: says_126_for_what_is_no_program,
        reprieve: "126",
        others: &[("dumb-init", "2"), ("catatonit", "1")],
    },
    Row {
        title: "runs a script without an interpreter",
        story: runs_a_script_without_an_interpreter,
        reprieve: "7",
        others: &[],
    },
    Row {
        title: "passes arguments and environment",
        story: passes_arguments_and_environment,
        reprieve: "2|a b||c  d",
        others: &[],
    },
    Row {
        title: "forwards a signal",
        story: forwards_a_signal,
        reprieve: "got SIGTERM, got SIGUSR1",
        others: &[],
    },
    Row {
        title: "loses",
        story: loses,
        reprieve: "[]",
        // SIGTRAP, SIGABRT, SIGBUS, SIGSYS: whoever leaves them at their default does not get
        // them as PID 1.
        others: &[
            ("tini", "[5, 6, 7, 31]"),
            ("tini-static", "[5, 6, 7, 31]"),
            ("catatonit", "[5, 6, 7, 31]"),
        ],
    },
    Row {
        title: "forwards a burst of real time signals",
        story: forwards_a_burst_of_real_time_signals,
        reprieve: "200",
        others: &[],
    },
    Row { title: "reaps orphans", story: reaps_orphans, reprieve: "0", others: &[] },
    Row { title: "signals a group", story: signals_a_group, reprieve: "both", others: &[] },
    Row {
        title: "signals the child alone",
        story: signals_the_child_alone,
        reprieve: "the main child",
        others: &[],
    },
    Row {
        title: "gives leftovers time to finish",
        story: gives_leftovers_time_to_finish,
        reprieve: "7, finished",
        others: &[
            ("tini", "7, killed"),
            ("tini-static", "7, killed"),
            ("dumb-init", "7, killed"),
            ("catatonit", "7, killed"),
        ],
    },
    Row {
        title: "continues what is stopped",
        story: continues_what_is_stopped,
        reprieve: "heard",
        others: &[
            ("tini", "killed unheard"),
            ("tini-static", "killed unheard"),
            ("dumb-init", "killed unheard"),
            ("catatonit", "killed unheard"),
        ],
    },
    Row {
        title: "survives an ignored sigchld",
        story: survives_an_ignored_sigchld,
        reprieve: "3",
        others: &[("tini", "hangs"), ("tini-static", "hangs"), ("catatonit", "hangs")],
    },
    Row {
        title: "keeps a stop signal of the first moment",
        story: keeps_a_stop_signal_of_the_first_moment,
        reprieve: "kept",
        others: &[
            ("tini", "lost"),
            ("tini-static", "lost"),
            ("dumb-init", "lost"),
            ("catatonit", "lost"),
        ],
    },
    Row {
        title: "gives the app the inherited signals",
        story: gives_the_app_the_inherited_signals,
        reprieve: "the same",
        others: &[
            ("dumb-init", "blocked others, ignored others"),
            ("catatonit", "blocked others, ignored the same"),
        ],
    },
    Row {
        title: "starts with closed descriptors",
        story: starts_with_closed_descriptors,
        reprieve: "7 7 7",
        others: &[("tini", "1 7 7"), ("tini-static", "1 7 7")],
    },
    Row {
        title: "holds nothing",
        story: holds_nothing,
        reprieve: "nothing",
        others: &[
            ("tini", "folder true, descriptor true"),
            ("tini-static", "folder true, descriptor true"),
            ("dumb-init", "folder false, descriptor true"),
            ("catatonit", "folder true, descriptor false"),
        ],
    },
    Row {
        title: "sleeps while idle",
        story: sleeps_while_idle,
        reprieve: "sleeps",
        others: &[("tini", "wakes"), ("tini-static", "wakes")],
    },
];

impl Row {
    /// What is different from what this row says.
    fn surprises(&self) -> Vec<String> {
        let check = |who: &Contestant| {
            let differs = self.others.iter().find(|(name, _)| *name == who.name);
            let expected = differs.map_or(self.reprieve, |(_, expected)| expected);
            let outcome = (self.story)(who);
            let surprise = format!("{} {}: {outcome:?} and not {expected:?}", who.name, self.title);
            (outcome != expected).then_some(surprise)
        };
        std::thread::scope(|scope| {
            let checks: Vec<_> =
                CONTESTANTS.iter().map(|who| scope.spawn(move || check(who))).collect();
            let ends = checks.into_iter().map(std::thread::ScopedJoinHandle::join);
            ends.filter_map(|end| end.unwrap_or_else(|_| Some(self.title.into()))).collect()
        })
    }
}

#[test]
#[ignore = "needs Debian's tini, dumb-init and catatonit: cargo test --test pid1 -- --ignored"]
fn the_table_is_right_for_all_of_them() {
    let surprises: Vec<String> = STORIES.iter().flat_map(Row::surprises).collect();
    assert!(surprises.is_empty(), "{surprises:#?}");
}

#[test]
#[ignore = "needs root, and Debian's tini, dumb-init and catatonit: \
            cargo test --test pid1 -- --ignored"]
fn a_child_that_they_may_not_signal_kills_some_of_them() {
    let row = Row {
        title: "survives a child that it may not signal",
        story: survives_a_child_that_it_may_not_signal,
        reprieve: "7",
        others: &[("tini", "1"), ("tini-static", "1")],
    };
    assert_eq!(row.surprises(), [""; 0]);
}

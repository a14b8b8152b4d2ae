//! What a hold costs.

use super::ports::sidecar;
use super::*;

/// Its time on a CPU (sched-stats.rst in the kernel's documentation: the first field, in nanoseconds).
fn cpu_time(pid: i32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).expect("/proc");
    Duration::from_nanos(stat.split(' ').next().expect("a field").parse().expect("a number"))
}

/// What it has of its own, in KiB; nothing once it has ended.
fn memory(pid: i32) -> u64 {
    let memory = status(pid, "RssAnon");
    memory.map_or(0, |memory| memory.trim_end_matches(" kB").parse().expect("a number"))
}

/// The most that it had until the hold was over, beyond what it had before, while this is done
/// again and again.
fn growth(run: &Run, client: &mut Visitor, deed: &str) -> u64 {
    let pid = run.pid();
    let before = memory(pid);
    hold(run);
    let mut most = before;
    let is_over = || run.lines().iter().any(|line| line.text.contains(FORWARDED));
    while !is_over() && client.tries(deed) {
        most = most.max(memory(pid));
    }
    most - before
}

/// They end in the same network, thousands a second.
#[test]
fn connections_of_somebody_else_cost_nothing_and_keep_no_hold() {
    let run = serving("--delay 3s..10s --quiet-window 1s", SERVER);
    let _sidecar = sidecar(&run);
    let mut client = run.beside("call 127.0.0.1:15001");
    client.does("requests 1000");
    let growth = growth(&run, &mut client, "requests 100");
    let report = report(run, "quiet");
    assert_eq!(report["traffic"]["missed"], json!(false), "{report}");
    assert!(number(&report, "held_ms") < 6000, "{report}");
    assert!(growth < 1024, "{growth} KiB");
}

/// Of several servers, so that none has more open than a process may.
#[test]
#[ignore = "takes 700 MB of the kernel's memory: cargo test --test pid1 -- --ignored"]
fn a_hundred_thousand_idle_connections_cost_little() {
    let ports = 8080..8088;
    let serve = |port| format!("{} serve tcp:127.0.0.1:{port} & ", network().display());
    let script = ports.clone().map(serve).collect::<String>() + "wait";
    let init = pid1().options("--log-format json --delay 20s");
    let run = init.in_network("").app(["sh", "-c", &script]);
    run.hears_times("serving", ports.len());
    let clients = ports.map(|port| run.beside(&format!("call 127.0.0.1:{port}")));
    let mut clients: Vec<Visitor> = clients.collect();
    // For more the kernel would search long for a port.
    let deed = "open 12600";
    clients.iter_mut().for_each(|client| assert!(client.tell(deed)));
    clients.iter_mut().for_each(|client| assert_eq!(client.line(), deed));
    let growth = growth(&run, &mut clients[0], "request");
    println!("{growth} KiB");
    let report = run.ends().report();
    assert!(growth < 4 * 1024, "{growth} KiB: {report}");
    assert!(number(&report, "traffic/open_at_forward") >= 100_000, "{report}");
}

#[test]
fn ten_thousand_idle_connections_cost_little() {
    let run = serving("--delay 3s..1h --quiet-window 1s", SERVER);
    let mut client = run.beside(CLIENT);
    client.does("open 10000");
    let pid = run.pid();
    let (cpu_before, memory_before) = (cpu_time(pid), memory(pid));
    let began_at = hold(&run);
    let memory = memory(pid);
    // One among them is found.
    client.does("request");
    run.hears(FORWARDED);
    let (cpu, held) = (cpu_time(pid).checked_sub(cpu_before).unwrap(), began_at.elapsed());
    println!("{cpu:?} of CPU in {held:?}; {memory_before} KiB, {memory} KiB in the hold");
    // 2 % for looking, and what does not wait for its turn: the first look, the one when the
    // shortest delay is over, and the last.
    assert!(cpu < held / 50 + 400 * MS, "{cpu:?} of CPU in {held:?}");
    let report = report(run, "quiet");
    assert_eq!(number(&report, "traffic/with_data"), 1, "{report}");
    // Rare looks make no long hold.
    assert!(number(&report, "held_ms") < 5500, "{report}");
}

/// The kernel lists them in no order.
#[test]
fn nine_thousand_unix_sockets_delay_no_forward() {
    let run =
        serving("--delay 1s..10s --quiet-window 500ms", "serve tcp:127.0.0.1:8080 crowd:9000");
    let before = cpu_time(run.pid());
    hold(&run);
    run.hears(FORWARDED);
    let cpu = cpu_time(run.pid()).checked_sub(before).unwrap();
    println!("{cpu:?} of CPU");
    assert!(cpu < 1000 * MS, "{cpu:?} of CPU");
}

#[test]
fn before_the_stop_signal_and_after_the_hold_nothing_is_open() {
    let program = network();
    let script = format!("trap '' TERM; exec {} {SERVER}", program.display());
    let init = pid1().options("--log-format json").options(UNTIL_QUIET).in_network("");
    let run = init.app(["sh", "-c", &script]);
    run.hears("serving");
    let pid = run.pid();
    assert_eq!(status(pid, "CapEff").as_deref(), Some("0000000000000000"));
    // The app may serve before its init has gone to sleep.
    sleeps(pid);
    let wake_ups = || status(pid, "voluntary_ctxt_switches");
    let before = wake_ups();
    let mut client = run.beside(CLIENT);
    keep_up(500 * MS, || client.does("request"));
    assert_eq!((wake_ups(), sockets(pid)), (before, 0));
    hold(&run);
    eventually("a socket", || (sockets(pid) > 0).then_some(()));
    run.hears(FORWARDED);
    eventually("the end of the sockets", || (sockets(pid) == 0).then_some(()));
}

//! The process that answers probes: it is ours and not the app's, and neither its death nor what
//! comes from the network does any harm (docs/behaviour.md, 11.7 to 11.10).

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::libc;
use nix::unistd::{Pid, geteuid, getpgid};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::harness::*;
use crate::prober::*;
use crate::pty::{CTRL_C, Output, Pty};

const DIED: &str = r#""event":"responder_died""#;

fn listening_at(init: Init, at: SocketAddr) -> Init {
    init.options(&format!("--log-format json --health-listen {at}"))
}

fn can_listen(at: SocketAddr) -> Result<(), ErrorKind> {
    TcpListener::bind(at).map(drop).map_err(|error| error.kind())
}

/// The process is gone, and not even a zombie.
fn is_gone(pid: i32) -> bool {
    process_state(pid) == '0'
}

// Its death.

#[test]
fn it_is_started_again_after_pauses_that_grow() {
    for init in [pid1(), laptop()] {
        let at = address();
        let run = listening_at(init, at).options("-w").fixture("listen");
        run.hears("ready");
        let (init, app) = (run.pid(), run.main_pid());
        let wake_ups = || -> u32 {
            let count = status(init, "voluntary_ctxt_switches").expect("a status");
            count.parse().expect("a number")
        };
        let before = wake_ups();
        for (n, pause) in (1..).zip([100, 200, 400, 800, 1600]) {
            let died = responder(&run);
            let killed_at = Instant::now();
            send(died, libc::SIGKILL);
            let said = run.hears_times(DIED, n).text;
            assert!(said.contains("was killed by SIGKILL; starting it again in"), "{said}");
            // Nobody else can take the port meanwhile, and who asks now only waits.
            assert_eq!(can_listen(at), Err(ErrorKind::AddrInUse));
            assert_eq!(says(at), RUNS);
            assert_after(killed_at, Instant::now(), pause * MS);
            assert!(is_gone(died) && responder(&run) != died);
        }
        // A few for each death: it is no loop.
        let wake_ups = wake_ups() - before;
        println!("five deaths: {wake_ups} wake-ups");
        assert!(wake_ups < 100, "{wake_ups}");
        assert_eq!(run.main_pid(), app);
        run.signal(libc::SIGTERM);
        let ended = run.ends();
        assert_eq!(
            (ended.code, ended.app().len(), ended.times(DIED)),
            (0, 2, 5),
            "{}",
            ended.all()
        );
        assert_eq!(ended.times("reaped the orphan"), 0, "{}", ended.all());
        let report = ended.report();
        assert_eq!(report["left_over"]["count"], 0, "{report}");
        assert_eq!(report["killed"]["count"], 0, "{report}");
    }
}

#[test]
fn who_takes_its_place_knows_of_the_stop_signal() {
    for init in [pid1(), laptop()] {
        let at = address();
        let run = listening_at(init, at).options("--delay 1h").fixture("listen --until SIGUSR1");
        run.hears("ready");
        run.signal(libc::SIGTERM);
        run.hears(r#""event":"stop_signal""#);
        send(responder(&run), libc::SIGKILL);
        run.hears(DIED);
        assert_eq!(says(at), STOPS);
        // While nobody is there to be told.
        send(responder(&run), libc::SIGKILL);
        run.hears_times(DIED, 2);
        run.signal(libc::SIGUSR1);
        assert_eq!(run.ends().code, 0);
    }
}

#[test]
fn who_takes_its_place_knows_that_the_app_has_ended() {
    let at = address();
    let run = listening_at(pid1(), at).options("--leftovers wait").fixture("leave orphan");
    run.hears("left ready");
    run.hears_times("ready", 2);
    send(run.main_pid(), libc::SIGKILL);
    run.hears(r#""event":"died""#);
    send(responder(&run), libc::SIGKILL);
    run.hears(DIED);
    assert_eq!(says(at), ["503 ended"; 2]);
    run.signal(libc::SIGTERM);
    assert_eq!(run.ends().code, 137);
}

/// It may come before the responder has begun to receive signals.
#[test]
fn a_stop_signal_right_after_its_start_is_not_missed() {
    at_once(0..8, |_| {
        let at = address();
        let run = listening_at(pid1(), at).options("--delay 1h").fixture("listen --until SIGUSR1");
        responder(&run);
        run.signal(libc::SIGTERM);
        run.hears(r#""event":"stop_signal""#);
        assert_eq!(says(at), STOPS);
        run.hears("ready");
        run.signal(libc::SIGUSR1);
        assert_eq!(run.ends().code, 0);
    });
}

#[test]
fn a_stop_signal_while_it_is_dead_is_not_missed() {
    let at = address();
    let run = listening_at(pid1(), at).options("--delay 1h").fixture("listen --until SIGUSR1");
    run.hears("ready");
    for n in 1..=3 {
        send(responder(&run), libc::SIGKILL);
        run.hears_times(DIED, n);
    }
    // It pauses for longer than this takes, mostly.
    run.signal(libc::SIGTERM);
    run.hears(r#""event":"stop_signal""#);
    assert_eq!(says(at), STOPS);
    run.signal(libc::SIGUSR1);
    assert_eq!(run.ends().code, 0);
}

/// What tells us of its end is a signal like any other, and may come upon one that a person sent.
#[test]
fn its_end_is_not_missed_beside_the_same_signal_of_a_person() {
    for init in [pid1(), laptop()] {
        let at = address();
        let run = listening_at(init, at).fixture("listen");
        run.hears("ready");
        let (init, first) = (run.pid(), responder(&run));
        send(init, libc::SIGSTOP);
        eventually("the stop", || (process_state(init) == 'T').then_some(()));
        send(init, libc::SIGSTKFLT);
        send(first, libc::SIGKILL);
        eventually("its end", || (process_state(first) == 'Z').then_some(()));
        send(init, libc::SIGCONT);
        run.hears("got SIG16");
        run.hears(DIED);
        assert_eq!(says(at), RUNS);
        run.signal(libc::SIGTERM);
        assert_eq!(run.ends().code, 0);
    }
}

/// Its questions to the app die with it, and nobody takes them for leftovers.
#[test]
fn it_may_die_while_it_asks_the_app() {
    for init in [pid1(), laptop()] {
        let (at, upstream) = (address(), address());
        let asked = TcpListener::bind(upstream).expect("a port");
        let init = listening_at(init, at);
        let run = init.options(&format!("--health-upstream http://{upstream}/")).fixture("listen");
        run.hears("ready");
        let mut waits = connect(at).expect("a connection");
        waits.write_all(request("/readyz").as_bytes()).expect("a server");
        let _asks = asked.accept().expect("a question");
        let responder = responder(&run);
        let askers = children(responder);
        send(responder, libc::SIGKILL);
        run.hears(DIED);
        assert!(answer(waits).is_err());
        for asker in askers {
            eventually("the end of the question", || is_gone(asker).then_some(()));
        }
        assert_eq!(get(at, "/livez"), "200 ok");
        run.signal(libc::SIGTERM);
        let ended = run.ends();
        assert_eq!((ended.code, &ended.report()["left_over"]["count"]), (0, &0.into()));
    }
}

// It is not the app's.

#[test]
fn no_signal_for_the_app_reaches_it() {
    for aim in ["-g", "-c"] {
        let at = address();
        let run = listening_at(pid1(), at).options(aim).fixture("listen --until SIGRTMIN+1");
        run.hears("ready");
        let responder = responder(&run);
        let group = getpgid(Some(Pid::from_raw(responder))).expect("a group");
        assert_eq!(group.as_raw(), responder, "it leads no group of its own");
        for (signal, name) in [
            (libc::SIGUSR1, "SIGUSR1"),
            (libc::SIGUSR2, "SIGUSR2"),
            (libc::SIGINT, "SIGINT"),
            (libc::SIGHUP, "SIGHUP"),
            (libc::SIGABRT, "SIGABRT"),
        ] {
            run.signal(signal);
            run.hears(&format!("got {name}"));
            // Two of them would turn it.
            assert_eq!(says(at), RUNS, "{aim}: {name}");
        }
        run.signal(RTMIN + 1);
        let ended = run.ends();
        assert_eq!((ended.code, ended.times(DIED)), (0, 0), "{}", ended.all());
    }
}

#[test]
fn no_signal_of_a_person_ends_it() {
    let at = address();
    let run = listening_at(pid1(), at).fixture("listen");
    run.hears("ready");
    let first = responder(&run);
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGPIPE] {
        // To its process group.
        send(-first, signal);
    }
    assert_eq!(says(at), RUNS);
    assert_eq!(responder(&run), first);
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_eq!((ended.code, ended.times(DIED)), (0, 0), "{}", ended.all());
}

#[test]
fn ctrl_c_does_not_reach_it() {
    let at = address();
    let mut command = reprieve();
    command.args(["--health-listen", &at.to_string(), "--"]).arg(fixture());
    command.args(["listen", "--until", "SIGTERM"]).env_remove("NO_COLOR");
    let pty = Pty::start(command, Output::Terminal);
    pty.ready("");
    assert_eq!(says(at), RUNS);
    pty.types(CTRL_C);
    pty.hears("got SIGINT");
    assert_eq!(says(at), RUNS);
    send(pty.pid(), libc::SIGTERM);
    let (code, said) = pty.ends();
    assert!(code == 0 && !said.contains("warn: "), "{code}: {said}");
}

/// It is no leftover, is not swept and not waited for.
#[test]
fn it_does_not_keep_the_app_s_end_waiting() {
    for init in [pid1, laptop] {
        for leftovers in ["stop", "wait", "kill"] {
            let at = address();
            let init = listening_at(init(), at);
            let run = init.options(&format!("--leftovers {leftovers}")).fixture("listen --code 3");
            run.hears("ready");
            assert_eq!(says(at), RUNS);
            let responder = responder(&run);
            // As if it hung.
            send(responder, libc::SIGSTOP);
            run.signal(libc::SIGTERM);
            let ended = run.ends();
            assert_eq!(ended.code, 3, "{}", ended.all());
            assert_eq!(ended.times(r#""level":"warn""#), 0, "{}", ended.all());
            let report = ended.report();
            assert_eq!(report["left_over"]["count"], 0, "{report}");
            assert_eq!(report["killed"]["count"], 0, "{report}");
            assert!(is_gone(responder));
            assert_eq!(can_listen(at), Ok(()));
        }
    }
}

// Its end.

#[test]
fn it_answers_to_the_end_and_leaves_nothing() {
    for init in [pid1(), laptop()] {
        let (at, folder) = (address(), Folder::new());
        let go = folder.fifo("go");
        let hook = format!("sh -c 'echo leaving; read line < {}'", go.display());
        let run = listening_at(init, at)
            .options("--hook-timeout 1h")
            .variable("REPRIEVE_ON_EXIT", &hook)
            .fixture("listen");
        run.hears("ready");
        assert_eq!(says(at), RUNS);
        run.signal(libc::SIGTERM);
        run.hears("leaving");
        assert_eq!(says(at), HAS_ENDED);
        send(responder(&run), libc::SIGKILL);
        run.hears(DIED);
        assert_eq!(says(at), HAS_ENDED);
        let responder = responder(&run);
        std::fs::write(&go, "\n").expect("a reader");
        let ended = run.ends();
        assert_eq!(ended.code, 0, "{}", ended.all());
        assert!(is_gone(responder), "it has outlived us");
        let refused = TcpStream::connect(at).map(drop).map_err(|error| error.kind());
        assert_eq!(refused, Err(ErrorKind::ConnectionRefused));
        assert_eq!(can_listen(at), Ok(()));
    }
}

#[test]
fn its_questions_leave_nothing_either() {
    for init in [pid1(), laptop()] {
        let (at, upstream) = (address(), address());
        let asked = TcpListener::bind(upstream).expect("a port");
        let options = format!("--health-upstream http://{upstream}/");
        let run = listening_at(init, at).options(&options).fixture("listen");
        run.hears("ready");
        let mut waits = connect(at).expect("a connection");
        waits.write_all(request("/readyz").as_bytes()).expect("a server");
        let _asks = asked.accept().expect("a question");
        let responder = responder(&run);
        let processes = [children(responder), vec![responder]].concat();
        run.signal(libc::SIGTERM);
        assert_eq!(run.ends().code, 0);
        for pid in processes {
            eventually("the end of all of ours", || is_gone(pid).then_some(()));
        }
        assert_eq!(can_listen(at), Ok(()));
    }
}

#[test]
fn it_ends_with_an_init_that_is_killed() {
    for init in [pid1(), laptop()] {
        let at = address();
        let run = listening_at(init, at).fixture("listen");
        run.hears("ready");
        assert_eq!(says(at), RUNS);
        let (responder, app) = (responder(&run), run.main_pid());
        run.signal(libc::SIGKILL);
        eventually("its end", || is_gone(responder).then_some(()));
        assert_eq!(can_listen(at), Ok(()));
        // Below a subreaper it is orphaned.
        send(app, libc::SIGKILL);
    }
}

// What comes from the network.

#[test]
fn many_connections_that_send_nothing_do_no_harm() {
    let at = address();
    let run = listening_at(pid1(), at).fixture("listen");
    run.hears("ready");
    let silent: Vec<TcpStream> = (0..300).map(|_| connect(at).expect("a connection")).collect();
    let opened_at = Instant::now();
    assert_eq!(says(at), RUNS);
    println!("answers after {:?} beside 300 that are silent", opened_at.elapsed());
    // With the listener.
    let open = sockets(responder(&run));
    assert!(open <= 256 + 1, "{open} sockets");
    // The oldest had to make room.
    assert_eq!((&silent[0]).read(&mut [0]).expect("its end"), 0);
    // None was waited for.
    let mut last = silent.last().expect("one");
    last.set_nonblocking(true).expect("a socket");
    let waits = last.read(&mut [0]).map_err(|error| error.kind());
    assert!(waits == Err(ErrorKind::WouldBlock) || opened_at.elapsed() > 5000 * MS, "{waits:?}");
    last.set_nonblocking(false).expect("a socket");
    assert_eq!(last.read(&mut [0]).expect("its end"), 0);
    assert!(opened_at.elapsed() < TIMEOUT);
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_eq!((ended.code, ended.times(r#""level":"warn""#)), (0, 0), "{}", ended.all());
}

/// One makes room for the next at once, or an honest one would wait behind all of them.
#[test]
fn many_connections_do_no_harm_where_descriptors_are_few() {
    let at = address();
    let run = listening_at(pid1().through("ulimit -n 14; exec \"$@\""), at).fixture("listen");
    run.hears("ready");
    let silent: Vec<TcpStream> = (0..100).map(|_| connect(at).expect("a connection")).collect();
    let asked_at = Instant::now();
    assert_eq!(says(at), RUNS);
    println!("answers after {:?} behind {} that are silent", asked_at.elapsed(), silent.len());
    assert!(asked_at.elapsed() < 5000 * MS, "{:?}", asked_at.elapsed());
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_eq!((ended.code, ended.times(DIED)), (0, 0), "{}", ended.all());
}

/// Sets how many descriptors a process may have, and returns how many that was before.
fn limit_descriptors(pid: i32, count: u64) -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    let name = libc::RLIMIT_NOFILE;
    // SAFETY: each limit lives for the call, and the other pointer may be null.
    unsafe {
        assert_eq!(libc::prlimit(pid, name, std::ptr::null(), &raw mut limit), 0);
        let before = std::mem::replace(&mut limit.rlim_cur, count);
        assert_eq!(libc::prlimit(pid, name, &raw const limit, std::ptr::null_mut()), 0);
        before
    }
}

#[test]
fn a_connection_that_cannot_be_accepted_makes_no_loop() {
    let at = address();
    let run = listening_at(pid1(), at).fixture("listen");
    run.hears("ready");
    let responder = responder(&run);
    assert_eq!(says(at), RUNS);
    eventually("the end of the connections", || (sockets(responder) == 1).then_some(()));
    // No connection can be closed for another one.
    let before = limit_descriptors(responder, 3);
    let mut waits = connect(at).expect("a connection");
    waits.write_all(request("/livez").as_bytes()).expect("a server");
    let wake_ups = || -> u64 {
        let count = status(responder, "voluntary_ctxt_switches").expect("a status");
        count.parse().expect("a number")
    };
    let (first, began_at) = (wake_ups(), Instant::now());
    eventually("five wake-ups", || (wake_ups() >= first + 5).then_some(()));
    assert!(began_at.elapsed() >= 300 * MS, "{:?}", began_at.elapsed());
    limit_descriptors(responder, before);
    assert_eq!(answer(waits).expect("an answer").status, "200 ok");
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_eq!((ended.code, ended.times(DIED)), (0, 0), "{}", ended.all());
}

#[test]
fn a_slow_client_is_dropped() {
    let at = address();
    let run = listening_at(pid1(), at).fixture("listen");
    run.hears("ready");
    let began_at = Instant::now();
    let mut slow = connect(at).expect("a connection");
    slow.write_all(b"GET /livez HTTP/1.1\r\n").expect("a server");
    // So is one that stays after its answer.
    let mut stays = connect(at).expect("a connection");
    stays.write_all(request("/livez").as_bytes()).expect("a server");
    stays.read_to_string(&mut String::new()).expect("an answer");
    assert_eq!(slow.read(&mut [0]).expect("its end"), 0);
    eventually("the end of the other", || stays.write_all(b"x").is_err().then_some(()));
    assert_after(began_at, Instant::now(), 5000 * MS);
    run.signal(libc::SIGTERM);
    assert_eq!(run.ends().code, 0);
}

#[test]
fn a_crowd_that_comes_and_comes_does_no_harm() {
    let at = address();
    let run = listening_at(pid1(), at).fixture("listen");
    run.hears("ready");
    let is_over = AtomicBool::new(false);
    let attack = |begin: &[u8]| {
        let mut kept = std::collections::VecDeque::new();
        while !is_over.load(Ordering::Relaxed) {
            let Ok(mut stream) = connect(at) else { continue };
            let _ = stream.write_all(begin);
            kept.push_back(stream);
            if kept.len() > 200 {
                kept.pop_front();
            }
        }
    };
    // Who is kept from sending for longer may be pushed out by many that are newer: no fault of the responder.
    let at_once = MS;
    let (mut slowest, mut late, mut failed) = (Duration::ZERO, 0, Vec::new());
    thread::scope(|scope| {
        scope.spawn(|| attack(b""));
        scope.spawn(|| attack(b"GET /readyz HTTP/1.1\r\nHost: "));
        for path in ["/readyz", "/livez"].repeat(50) {
            let began_at = Instant::now();
            let asked = connect(at).and_then(|mut stream| {
                stream.write_all(request(path).as_bytes())?;
                Ok(stream)
            });
            let is_late = began_at.elapsed() > at_once;
            let said = asked.and_then(answer);
            slowest = slowest.max(began_at.elapsed());
            match said {
                Ok(answer) if answer.status == "200 ok" => {}
                Err(_) if is_late => late += 1,
                said => failed.push(said),
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
    println!("the slowest of 100 answers in a crowd: {slowest:?}; {late} were asked for late");
    assert!(failed.is_empty() && late < 20, "{failed:?}, {late} late");
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_eq!((ended.code, ended.times(r#""level":"warn""#)), (0, 0), "{}", ended.all());
}

#[test]
fn what_is_no_request_does_no_harm() {
    let at = address();
    let run = listening_at(pid1(), at).fixture("listen");
    run.hears("ready");
    let long = format!("GET /readyz HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
    let many = format!("GET /readyz HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(1000));
    // It goes on longer than is read of it.
    let unended = format!("GET /livez HTTP/1.1\r\nX: {}", "y".repeat(4_000_000));
    let cases: [(&[u8], &str); 13] = [
        (b"\0\r\n\r\n", "400 bad request"),
        (b"HEAD /livez HTTP/1.0\r\n\r\n", "200 ok"),
        (unended.as_bytes(), "431 too large"),
        (b"\0\0\0\0\r\n\r\n", "400 bad request"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "400 bad request"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400 bad request"),
        (b"GET /readyz\r\n\r\n", "400 bad request"),
        (b"GET /readyz HTTP/1.1\r\nno colon\r\n\r\n", "400 bad request"),
        (b"\xff\xfe GET /readyz HTTP/1.1\r\n\r\n", "400 bad request"),
        (long.as_bytes(), "431 too large"),
        (many.as_bytes(), "431 too large"),
        (b"\r\nGET /livez HTTP/1.1\r\n\r\n", "200 ok"),
        (b"OPTIONS * HTTP/1.1\r\n\r\n", "404 not found"),
    ];
    for (request, status) in cases {
        let shown = String::from_utf8_lossy(&request[..request.len().min(40)]).into_owned();
        let answer = ask(at, request).unwrap_or_else(|error| panic!("{shown:?}: {error}"));
        assert_eq!(answer.status, status, "{shown:?}");
        assert_eq!(says(at), RUNS, "after {shown:?}");
    }
    // One answer a connection, whatever follows the question.
    let pipelined = request("/readyz").repeat(1000);
    let answer = ask(at, pipelined.as_bytes()).expect("an answer");
    assert_eq!((answer.status.as_str(), answer.body.as_str()), ("200 ok", "ok"));
    // In pieces.
    let mut slow = connect(at).expect("a connection");
    slow.set_nodelay(true).expect("a socket");
    for byte in request("/livez").as_bytes() {
        slow.write_all(&[*byte]).expect("a server");
    }
    assert_eq!(crate::prober::answer(slow).expect("an answer").status, "200 ok");
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_eq!((ended.code, ended.times(r#""level":"warn""#)), (0, 0), "{}", ended.all());
}

#[test]
fn no_client_keeps_it_from_answering() {
    let at = address();
    let run = listening_at(pid1(), at).fixture("listen");
    run.hears("ready");
    let starts = prop::sample::select(vec!["", "GET /readyz HTTP/1.1\r\nA: b\r\n\r\n", "HEAD "]);
    let requests = (starts, vec(any::<u8>(), 0..200), 1..100usize, any::<bool>());
    proptest!(|((start, rest, piece, leaves) in requests)| {
        let mut stream = connect(at).expect("a connection");
        let bytes = [start.as_bytes(), &rest].concat();
        for piece in bytes.chunks(piece) {
            // It fails if this has been answered and closed by now.
            let _ = stream.write_all(piece);
        }
        if !leaves {
            let _ = stream.shutdown(Shutdown::Write);
            let _ = stream.read_to_end(&mut Vec::new());
        }
        prop_assert_eq!(get(at, "/livez"), "200 ok");
    });
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_eq!((ended.code, ended.times(DIED)), (0, 0), "{}", ended.all());
}

// What it costs.

fn memory(pid: i32) -> u64 {
    let rss = status(pid, "VmRSS").expect("a status");
    rss.trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn thousands_of_probes_leave_no_trace() {
    let (at, upstream) = (address(), Upstream::begin(200));
    let options = format!("--health-upstream {}", upstream.url);
    let run = listening_at(pid1(), at).options(&options).fixture("listen");
    run.hears("ready");
    let (init, first) = (run.pid(), responder(&run));
    let probe = |count| {
        for n in 0..count {
            assert_eq!(get(at, "/livez"), "200 ok");
            if n % 10 == 0 {
                assert_eq!(get(at, "/readyz"), "200");
            }
        }
        eventually("the end of the questions", || children(first).is_empty().then_some(()));
        eventually("the end of the connections", || {
            (sockets(first) == 1).then(|| descriptors(first).len())
        })
    };
    let open = probe(500);
    let before = [init, first].map(memory);
    let still_open = probe(4000);
    let after = [init, first].map(memory);
    println!("kB of PID 1 and of the responder: {before:?}, after 4400 probes {after:?}");
    assert_eq!(open, still_open);
    assert!(after[0] <= before[0], "PID 1 has grown");
    assert!(after[1] <= before[1] + 128, "the responder has grown");
    // From the first to the last the same one.
    assert_eq!(responder(&run), first);
}

#[test]
fn while_nobody_asks_nobody_wakes() {
    let at = address();
    let run = listening_at(pid1(), at).fixture("listen");
    run.hears("ready");
    assert_eq!(says(at), RUNS);
    let pids = [run.pid(), responder(&run)];
    eventually("the end of the connections", || (sockets(pids[1]) == 1).then_some(()));
    pids.into_iter().for_each(sleeps);
    let wake_ups = || pids.map(|pid| status(pid, "voluntary_ctxt_switches"));
    let before = wake_ups();
    // The silence itself.
    thread::sleep(1500 * MS);
    assert_eq!(wake_ups(), before);
    // The app's descriptors are its own.
    assert!(descriptors(run.main_pid()).values().all(|to| !to.starts_with("socket:")));
}

/// Where all that is ours is another's, as in most clusters.
#[test]
fn an_ordinary_uid_without_capabilities_is_enough() {
    // The folder that Cargo builds in may be closed to others.
    let folder = std::env::temp_dir().join(format!("reprieve-nobody-{}", std::process::id()));
    let _guard = Removed(&folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o1777))
        .expect("a mode");
    let app = folder.join("fixture");
    std::fs::copy(fixture(), &app).expect("a copy");
    let become_nobody = if geteuid().is_root() {
        "setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all \
         --bounding-set=-all --no-new-privs"
    } else {
        "env"
    };
    let at = address();
    let script = format!(
        "cp \"$1\" {0}/reprieve; shift; exec {become_nobody} {0}/reprieve \"$@\"",
        folder.display()
    );
    let file = folder.join("ready");
    let init = listening_at(pid1(), at).options(&format!("--ready-file {}", file.display()));
    let run = init.through(&script).app([app.as_os_str(), "listen".as_ref()]);
    run.hears("ready");
    if geteuid().is_root() {
        let effective = [run.pid(), responder(&run)].map(|pid| status(pid, "CapEff"));
        assert_eq!(effective, [(); 2].map(|()| Some("0000000000000000".to_owned())));
    }
    assert_eq!(says(at), RUNS);
    eventually("the ready file", || file.exists().then_some(()));
    send(responder(&run), libc::SIGKILL);
    run.hears(DIED);
    assert_eq!(says(at), RUNS);
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_eq!((ended.code, file.exists()), (0, false), "{}", ended.all());
}

struct Removed<'a>(&'a Path);

impl Drop for Removed<'_> {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.0);
    }
}

//! The app's own word on whether it is ready (docs/behaviour.md, 11.6).

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Instant;

use super::*;

fn asking(at: SocketAddr, upstream: impl std::fmt::Display) -> Init {
    pid1().options(&format!("--delay 1h --health-listen {at} --health-upstream {upstream}"))
}

/// One that listens and says nothing; it ends at SIGUSR1.
fn listening(init: Init) -> Run {
    let run = init.fixture("listen --until SIGUSR1");
    run.hears("ready");
    run
}

/// Ends it, and there was no warning of the responder.
#[track_caller]
fn ends(run: Run) {
    run.signal(libc::SIGUSR1);
    let ended = run.ends();
    assert_eq!(
        (ended.code, ended.times("the process that answers probes")),
        (0, 0),
        "{}",
        ended.all()
    );
}

/// A client that has asked, and waits.
fn waiting(at: SocketAddr) -> TcpStream {
    let mut waits = connect(at).expect("a connection");
    waits.write_all(request("/readyz").as_bytes()).expect("a server");
    waits
}

/// Many that have asked before the first is answered.
fn waiting_at_once(count: usize, at: SocketAddr, responder: i32) -> Vec<TcpStream> {
    send(responder, libc::SIGSTOP);
    let clients = (0..count).map(|_| waiting(at)).collect();
    send(responder, libc::SIGCONT);
    clients
}

fn statuses(clients: impl IntoIterator<Item = TcpStream>) -> Vec<String> {
    let status = |client| answer(client).expect("an answer").status;
    clients.into_iter().map(status).collect()
}

#[test]
fn until_the_stop_signal_the_app_says_whether_it_is_ready() {
    let (at, upstream) = (address(), Upstream::begin(200));
    let run = listening(asking(at, &upstream.url));
    for status in [200, 503, 404, 204, 500, 301, 200] {
        upstream.set(status);
        let answer = ask(at, request("/readyz").as_bytes()).expect("an answer");
        assert_eq!((answer.status, answer.body.as_str()), (status.to_string(), ""));
        assert_eq!(get(at, "/livez"), "200 ok");
    }
    run.signal(libc::SIGTERM);
    run.hears("forwarding it at");
    assert_eq!(says(at), STOPS);
    ends(run);
}

#[test]
fn an_app_that_does_not_answer_in_a_second_is_not_ready() {
    let (at, upstream) = (address(), address());
    // Nobody accepts, and so nobody answers.
    let _hangs = TcpListener::bind(upstream).expect("a port");
    let run = listening(asking(at, format!("http://{upstream}/")));
    let asked_at = Instant::now();
    assert_eq!(get(at, "/readyz"), "503 no answer");
    assert_after(asked_at, Instant::now(), SECOND);
    println!("503 after {:?}", asked_at.elapsed());
    ends(run);
}

#[test]
fn an_app_that_is_not_there_yet_is_not_ready() {
    let (at, upstream) = (address(), address());
    let run = listening(asking(at, format!("http://{upstream}/")));
    assert_eq!(says(at), ["503 no answer", "200 ok"]);
    ends(run);
}

/// One that waits does not make the others wait.
#[test]
fn an_app_that_hangs_delays_nobody_else() {
    let (at, upstream) = (address(), address());
    let _hangs = TcpListener::bind(upstream).expect("a port");
    let run = listening(asking(at, format!("http://{upstream}/")));
    eventually("an answer between a question and its answer", || {
        let mut waits = waiting(at);
        assert_eq!(get(at, "/livez"), "200 ok");
        waits.set_nonblocking(true).expect("a socket");
        let is_first =
            waits.read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        is_first.then_some(())
    });
    let asked_at = Instant::now();
    let said = statuses((0..40).map(|_| waiting(at)).collect::<Vec<_>>());
    println!("40 that wait have answers after {:?}", asked_at.elapsed());
    assert!(said.iter().all(|said| said == "503 no answer"), "{said:?}");
    assert!(asked_at.elapsed() < 10 * SECOND, "one after the other");
    let responder = responder(&run);
    eventually("the end of the questions", || children(responder).is_empty().then_some(()));
    ends(run);
}

#[test]
fn one_question_answers_all_who_wait() {
    let (at, upstream) = (address(), address());
    let asked = TcpListener::bind(upstream).expect("a port");
    let run = listening(asking(at, format!("http://{upstream}/")));
    let responder = responder(&run);
    // The app's second may be over on a busy machine before all have come.
    eventually("one answer for all", || {
        let clients = waiting_at_once(36, at, responder);
        let (mut question, _) = asked.accept().expect("a question");
        eventually("all of them", || (sockets(responder) > 36).then_some(()));
        let is_in_time = question.write_all(b"HTTP/1.1 200 OK\r\n\r\n").is_ok();
        drop(question);
        let said = statuses(clients);
        let is_one = said.iter().all(|said| said == "200");
        if !is_in_time || !is_one {
            // The others asked again, of whom nobody knows.
            println!("again, for it took too long: {said:?}");
            return None;
        }
        asked.set_nonblocking(true).expect("a socket");
        let again = asked.accept().map(drop).map_err(|error| error.kind());
        assert_eq!(again, Err(ErrorKind::WouldBlock), "it was asked again");
        Some(())
    });
    ends(run);
}

/// As those of a cluster whose balancers all check at the same second.
#[test]
fn an_app_that_is_ready_is_ready_for_all_who_ask_at_once() {
    for limit in ["", "ulimit -n 16; "] {
        let (at, upstream) = (address(), Upstream::begin(200));
        let init = asking(at, &upstream.url).through(&format!("{limit}exec \"$@\""));
        let run = listening(init);
        for count in [18, 36, 100] {
            let asked_at = Instant::now();
            let said = statuses(waiting_at_once(count, at, responder(&run)));
            println!("{count} at once have answers after {:?}", asked_at.elapsed());
            assert!(said.iter().all(|said| said == "200"), "{limit}{count}: {said:?}");
        }
        ends(run);
    }
}

#[test]
fn those_who_are_too_many_are_told_at_once() {
    let (at, upstream) = (address(), address());
    let _hangs = TcpListener::bind(upstream).expect("a port");
    let run = listening(asking(at, format!("http://{upstream}/")));
    let responder = responder(&run);
    let clients: Vec<_> = (0..400).map(|_| waiting(at)).collect();
    let open = sockets(responder);
    assert!(open <= 256 + 256 + 1, "{open} sockets");
    let said = statuses(clients);
    let busy = said.iter().filter(|said| *said == "503 busy").count();
    println!("{busy} of 400 were too many");
    assert!(said.iter().all(|said| said == "503 busy" || said == "503 no answer"), "{said:?}");
    assert_eq!(get(at, "/livez"), "200 ok");
    ends(run);
}

/// As `nc -N` does: it has sent all that it has to say, and reads.
#[test]
fn a_client_that_closes_its_side_has_its_answer() {
    let (at, upstream) = (address(), Upstream::begin(200));
    let run = listening(asking(at, &upstream.url));
    for _ in 0..20 {
        let client = waiting(at);
        client.shutdown(Shutdown::Write).expect("a connection");
        assert_eq!(answer(client).expect("an answer").status, "200");
    }
    ends(run);
}

#[test]
fn a_stop_signal_while_the_app_is_asked_answers_the_probe() {
    let (at, upstream) = (address(), address());
    let asked = TcpListener::bind(upstream).expect("a port");
    let run = listening(asking(at, format!("http://{upstream}/")));
    let waits = waiting(at);
    let _asks = asked.accept().expect("a question");
    run.signal(libc::SIGTERM);
    run.hears("forwarding it at");
    assert_eq!(answer(waits).expect("an answer").status, "503 stopping");
    ends(run);
}

// That somebody listens.

/// What it says until it says this; what comes before is as old as an answer may be.
#[track_caller]
fn comes_to_say(at: SocketAddr, status: &str) {
    eventually_or(
        || format!("{status}, and not {}", get(at, "/readyz")),
        || (get(at, "/readyz") == status).then_some(()),
    );
}

#[test]
fn an_app_is_ready_once_somebody_listens() {
    at_once(["127.0.0.1", "localhost", "0.0.0.0", "127.0.0.9"], |host| {
        let (at, app) = (address(), address());
        let run = listening(asking(at, format!("tcp://{host}:{}", app.port())));
        assert_eq!(says(at), ["503 nobody listens", "200 ok"], "{host}");
        let own = if host == "127.0.0.9" { "127.0.0.9" } else { "127.0.0.1" };
        let listener = TcpListener::bind((own, app.port())).expect("a port");
        comes_to_say(at, "200 ok");
        drop(listener);
        comes_to_say(at, "503 nobody listens");
        let listener = TcpListener::bind((own, app.port())).expect("a port");
        comes_to_say(at, "200 ok");
        // It has looked, and not connected.
        listener.set_nonblocking(true).expect("a socket");
        let connected = listener.accept().map(drop).map_err(|error| error.kind());
        assert_eq!(connected, Err(ErrorKind::WouldBlock), "{host}");
        run.signal(libc::SIGTERM);
        run.hears("forwarding it at");
        assert_eq!(says(at), STOPS);
        ends(run);
    });
}

/// An answer counts for a second, so a crowd costs one look.
#[test]
fn many_are_told_at_once_whether_somebody_listens() {
    let (at, listener) = (address(), TcpListener::bind("127.0.0.1:0").expect("a port"));
    let port = listener.local_addr().expect("its address").port();
    let run = listening(asking(at, format!("tcp://localhost:{port}")));
    let said = statuses(waiting_at_once(100, at, responder(&run)));
    assert!(said.iter().all(|said| said == "200 ok"), "{said:?}");
    ends(run);
}

/// Then it has to connect.
#[test]
fn without_proc_an_app_is_ready_once_it_accepts() {
    let (at, app) = (address(), address());
    let init = asking(at, format!("tcp://{app}"));
    let run = listening(init.through("mount -t tmpfs none /proc && exec \"$@\""));
    assert_eq!(says(at), ["503 nobody listens", "200 ok"]);
    let listener = TcpListener::bind(app).expect("a port");
    comes_to_say(at, "200 ok");
    let (mut connection, _) = listener.accept().expect("a connection");
    assert_eq!(connection.read(&mut [0]).expect("its end"), 0);
    ends(run);
}

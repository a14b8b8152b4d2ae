//! After the app: its sidecars are asked to quit (docs/behaviour.md, 13.8 to 13.10).

use std::io::Read;
use std::time::Instant;

use super::*;

#[test]
fn each_gets_its_quit_request_in_turn_by_its_method() {
    let options = "--quit-url http://127.0.0.1:4000/a --quit-url PUT=http://127.0.0.1:4001/b \
                   --quit-url GET=http://localhost:4000/c,http://127.0.0.1:4001/d?e";
    let routes = "POST=127.0.0.1:4000/a=200 PUT=127.0.0.1:4001/b=202 GET=127.0.0.1:4000/c=204 \
                  POST=127.0.0.1:4001/d?e=299!";
    let lines = ["POST 4000/a", "PUT 4001/b", "GET 4000/c", "POST 4001/d?e"];
    let variable = "http://127.0.0.1:4000/a,PUT=http://127.0.0.1:4001/b,\
                    GET=http://localhost:4000/c,http://127.0.0.1:4001/d?e";
    for init in [pod(options), pod("").variable("REPRIEVE_QUIT_URL", variable)] {
        let run = init.fixture("listen --code 3");
        run.hears("ready");
        let proxy = run.proxy(routes);
        run.signal(libc::SIGTERM);
        assert_eq!(asked(proxy), lines);
        let ended = run.ends();
        assert_eq!(ended.code, 3, "{}", ended.all());
        for told in [
            "POST http://127.0.0.1:4000/a: 200 (",
            "PUT http://127.0.0.1:4001/b: 202 (",
            "GET http://localhost:4000/c: 204 (",
            "POST http://127.0.0.1:4001/d?e: 299 (",
        ] {
            assert_eq!(ended.times(told), 1, "{told}: {}", ended.all());
        }
        assert!(ended.log().last().is_some_and(|last| last.contains("report")), "{}", ended.all());
    }
}

/// Asks it to quit after an app that ended in this way, with this exit code.
fn told_after(options: &str, app: &str, end: impl FnOnce(&Run), code: i32) -> Ended {
    let run = pod(&format!("--quit-url http://127.0.0.1:4000/quit {options}")).fixture(app);
    run.hears("ready");
    let proxy = run.proxy("POST=127.0.0.1:4000/quit=200!");
    end(&run);
    assert_eq!(asked(proxy), ["POST 4000/quit"], "{app}");
    let ended = run.ends();
    assert_eq!(ended.code, code, "{}", ended.all());
    assert_eq!(ended.times("POST http://127.0.0.1:4000/quit: 200 ("), 1, "{}", ended.all());
    ended
}

#[test]
fn quit_requests_are_sent_however_the_app_ended() {
    let to_app = |signal| move |run: &Run| send(run.main_pid(), signal);
    let to_init = |signal| {
        move |run: &Run| {
            run.signal(signal);
        }
    };
    told_after("", "listen --until SIGUSR1 --code 0", to_app(libc::SIGUSR1), 0);
    told_after("", "listen --until SIGUSR1 --code 7", to_app(libc::SIGUSR1), 7);
    told_after("", "listen", to_app(libc::SIGKILL), 137);
    told_after("", "listen --default SIGABRT", to_app(libc::SIGABRT), 134);
    told_after("-e 7", "listen --code 7", to_init(libc::SIGTERM), 0);
    told_after("--delay 200ms", "listen --code 7", to_init(libc::SIGTERM), 7);
    let options = "--grace-period 4s --margin 3500ms";
    told_after(options, "listen --ignore SIGTERM", to_init(libc::SIGTERM), 137);
}

#[test]
fn quit_requests_are_sent_after_the_leftovers_have_ended() {
    let run = pod("--quit-url http://127.0.0.1:4000/quit").fixture("leave orphan --drain 500");
    run.ready("left ");
    run.hears_times("ready", 2);
    let mut proxy = run.proxy("POST=127.0.0.1:4000/quit=200!");
    send(run.main_pid(), libc::SIGUSR1);
    let heard = run.hears("left got SIGTERM");
    assert_eq!(proxy.line(), "POST 4000/quit");
    assert_after(heard.at, Instant::now(), 500 * MS);
    assert_eq!(run.ends().code, 0);
}

#[test]
fn a_subreaper_sends_them_too() {
    let (listener, url) = mute();
    let run = laptop().options(&format!("--quit-url {url}quit")).fixture("listen --code 3");
    run.hears("ready");
    run.signal(libc::SIGTERM);
    let (mut stream, _) = listener.accept().expect("a connection");
    // What is closed unread is reset.
    assert!(stream.read(&mut [0; 4096]).expect("a request") > 0);
    drop(stream);
    let ended = run.ends();
    assert_eq!(ended.code, 3, "{}", ended.all());
    assert_eq!(ended.times("quit: closed without an answer ("), 1, "{}", ended.all());
}

#[test]
fn each_sidecar_that_hangs_has_two_seconds() {
    let urls = "--quit-url http://127.0.0.1:4000/mute,http://127.0.0.1:4000/trickle,\
                http://127.0.0.1:4000/quit";
    let run = running(urls);
    let proxy = run.proxy(
        "POST=127.0.0.1:4000/mute=mute POST=127.0.0.1:4000/trickle=trickle \
         POST=127.0.0.1:4000/quit=200!",
    );
    let began_at = Instant::now();
    send(run.main_pid(), libc::SIGUSR1);
    assert_eq!(asked(proxy), ["POST 4000/mute", "POST 4000/trickle", "POST 4000/quit"]);
    let ended = run.ends();
    assert_after(began_at, ended.at, 4000 * MS);
    println!("two that hang: {:?}", ended.at - began_at);
    assert_eq!(ended.code, 3, "{}", ended.all());
    for path in ["mute", "trickle"] {
        let told = format!("POST http://127.0.0.1:4000/{path}: no answer in 2s (2");
        assert_eq!(ended.times(&told), 1, "{told}: {}", ended.all());
    }
}

/// Five that hang would take ten seconds.
const HANGING: &str = "--quit-url http://127.0.0.1:4000/,http://127.0.0.1:4000/,\
    http://127.0.0.1:4000/,http://127.0.0.1:4000/,http://127.0.0.1:4000/";

#[test]
fn sidecars_that_hang_do_not_move_the_kill_deadline() {
    // The app ends at once: until the kill at +3s there is time for them.
    let run = running(&format!("{HANGING} --grace-period 4s"));
    let _proxy = run.proxy("POST=127.0.0.1:4000/=mute");
    let began_at = run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_after(began_at, ended.at, 3000 * MS);
    println!("a grace period of 4s: {:?}", ended.at - began_at);
    assert!(ended.at < began_at + 7000 * MS, "{}", ended.all());
    assert_eq!(ended.code, 3, "{}", ended.all());
    assert_eq!(ended.times("was not run: the deadline came before its turn"), 3, "{}", ended.all());
}

#[test]
fn after_a_kill_quit_requests_have_half_the_margin() {
    let run = pod(&format!("{HANGING} --grace-period 4s --margin 2s"))
        .fixture("listen --ignore SIGTERM --code 3");
    run.hears("ready");
    let _proxy = run.proxy("POST=127.0.0.1:4000/=mute");
    let began_at = run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_after(began_at, ended.at, 3000 * MS);
    println!("a kill at 2s and a margin of 2s: {:?}", ended.at - began_at);
    assert!(ended.at < began_at + 7000 * MS, "{}", ended.all());
    assert_eq!(ended.code, 137, "{}", ended.all());
}

#[test]
fn a_stop_signal_during_quit_requests_begins_the_deadline() {
    let run = running(&format!("{HANGING} --grace-period 2s"));
    let mut proxy = run.proxy("POST=127.0.0.1:4000/=mute");
    send(run.main_pid(), libc::SIGUSR1);
    assert_eq!(proxy.line(), "POST 4000/");
    let began_at = run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_after(began_at, ended.at, 1000 * MS);
    assert_eq!(ended.code, 3, "{}", ended.all());
}

#[test]
fn an_answer_that_is_no_2xx_is_a_warning_with_its_usual_cause() {
    let istio = "Istio answers on loopback only";
    let answers = [
        ("4191", "404", LINKERD_IS_OFF),
        ("4191", "403", LINKERD_IS_OFF),
        ("15020", "404", istio),
        ("15020", "403", istio),
        ("4000", "404", "proxy-admin-shutdown: enabled, Istio answers on loopback only"),
        ("4000", "403", "proxy-admin-shutdown: enabled, Istio answers on loopback only"),
        ("4000", "500", ""),
        ("4000", "302", "redirects are not followed"),
        ("4000", "shut", "closed without an answer"),
        ("4000", "cut", "the answer was cut short"),
        ("4000", "garbage", "the answer is not HTTP"),
    ];
    at_once(answers, |(port, answer, why)| {
        let run = running(&format!("--quit-url http://127.0.0.1:{port}/quit --log-format json"));
        let mut proxy = run.proxy(&format!("POST=127.0.0.1:{port}/quit={answer}"));
        send(run.main_pid(), libc::SIGUSR1);
        assert_eq!(proxy.line(), format!("POST {port}/quit"));
        let ended = run.ends();
        assert_eq!(ended.code, 3, "{}", ended.all());
        let log = ended.log();
        let told = log.iter().find(|line| line.contains(r#""event":"sidecar_told""#));
        let told = told.unwrap_or_else(|| panic!("{}", ended.all()));
        let begins = format!("POST http://127.0.0.1:{port}/quit: ");
        assert!(told.contains(&begins) && told.contains(why), "{told}");
        assert!(told.contains(answer) || answer.parse::<u16>().is_err(), "{told}");
        assert!(told.contains(r#""level":"warn""#), "{told}");
    });
}

#[test]
fn a_sidecar_that_is_not_there_is_a_warning() {
    let ended = pod("--quit-url http://127.0.0.1:4000/quit").fixture("state").ends();
    assert_eq!(ended.code, 0, "{}", ended.all());
    let told = "POST http://127.0.0.1:4000/quit: connection refused (";
    assert_eq!((ended.times(told), ended.times("warn: ")), (1, 1), "{}", ended.all());
}

#[test]
fn an_answer_in_bits_or_after_others_counts() {
    at_once(["interim", "bytes"], |answer| {
        let run = running("--quit-url http://127.0.0.1:4000/quit");
        let _proxy = run.proxy(&format!("POST=127.0.0.1:4000/quit={answer}"));
        send(run.main_pid(), libc::SIGUSR1);
        let ended = run.ends();
        assert_eq!(ended.times("POST http://127.0.0.1:4000/quit: 200 ("), 1, "{}", ended.all());
        assert_eq!((ended.code, ended.times("warn: ")), (3, 0), "{}", ended.all());
    });
}

/// It could not be started: a job that failed is over only once its sidecar is.
#[test]
fn quit_requests_are_sent_where_the_app_could_not_be_started() {
    let folder = Folder::new();
    let no_program = folder.file("data", "", 0o644);
    let wait = "-v --await-url http://127.0.0.1:4000/up";
    for (options, app, code) in [
        ("", "/nowhere/app", 127),
        ("", no_program.to_str().expect("a path in UTF-8"), 126),
        ("--await-timeout 1s", "true", 125),
    ] {
        let quit = "--quit-url http://127.0.0.1:4000/mute,http://127.0.0.1:4000/quit";
        let run = pod(&format!("{wait} {quit} {options}")).app([app]);
        run.hears("connection refused");
        let up = if code == 125 { "503" } else { "200" };
        let proxy = run.proxy(&format!(
            "GET=127.0.0.1:4000/up={up} POST=127.0.0.1:4000/mute=mute \
             POST=127.0.0.1:4000/quit=200!"
        ));
        assert_eq!(asked(proxy), ["GET 4000/up", "POST 4000/mute", "POST 4000/quit"], "{app}");
        let ended = run.ends();
        assert_eq!(ended.code, code, "{}", ended.all());
        let told = ["/mute: no answer in 2s", "/quit: 200"];
        assert_eq!(told.map(|told| ended.times(told)), [1, 1], "{}", ended.all());
        // Last of all comes why.
        let last = ended.log().last().copied().unwrap_or_default();
        assert!(last.starts_with("reprieve: error: "), "{}", ended.all());
    }
}

#[test]
fn a_stop_signal_ends_quit_requests_without_an_app() {
    let run = pod(&format!("-v --await-url http://127.0.0.1:4000/up {HANGING}")).app(["/nowhere"]);
    run.hears("connection refused");
    let mut proxy = run.proxy("GET=127.0.0.1:4000/up=200 POST=127.0.0.1:4000/=mute");
    assert_eq!([proxy.line(), proxy.line()], ["GET 4000/up", "POST 4000/"]);
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_eq!((ended.code, ended.times("POST ")), (127, 1), "{}", ended.all());
}

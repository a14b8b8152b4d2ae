//! HAProxy takes a server out by its health checks, and puts it back: what do its clients see of a
//! restart?

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nix::libc;
use nix::unistd::geteuid;

use crate::client::{Connection, Failure};
use crate::shared::*;
use crate::shutdown::version;

/// Some request is always in flight.
const NGINX: &str = include_str!("../../tests/shared/nginx.conf");

const PAGE_LENGTH: usize = 7 * 1024;

/// A check may wait for a machine that is busy with other tests; who is refused fails at once.
const HAPROXY: &str = "\
global
    stats socket ipv4@ADMIN level admin
defaults
    mode http
    timeout connect 30s
    timeout client 60s
    timeout server 60s
    timeout check 30s
    RETRIES
frontend service
    bind SERVICE
    default_backend replicas
backend replicas
    balance roundrobin
    CHECK
    default-server check inter 200ms fall 2 rise 1
";

/// Whom HAProxy asks whether a replica is to have requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Checks {
    /// `GET /readyz` on the port of --health-listen.
    Readiness,
    /// `/readyz` there, asked as HAProxy asks if it is not told more: with OPTIONS, by HTTP/1.0.
    Default,
    /// The app.
    App,
}

impl Checks {
    fn line(self) -> &'static str {
        match self {
            Checks::Readiness => "option httpchk GET /readyz",
            Checks::Default => "option httpchk /readyz",
            Checks::App => "option httpchk GET /",
        }
    }

    /// Whether reprieve is asked, and HAProxy sees the stop signal.
    fn see_the_stop_signal(self) -> bool {
        self != Checks::App
    }
}

/// What HAProxy does with a request whose server takes no connection.
#[derive(Clone, Copy, Debug)]
struct Retries(&'static str);

const NONE: Retries = Retries("retries 0");
const DEFAULT: Retries = Retries("retries 3");
const ELSEWHERE: Retries = Retries("option redispatch");

/// nginx under the init, at the same place after each start.
struct Replica {
    name: &'static str,
    checks: Checks,
    serves_at: SocketAddr,
    health_at: SocketAddr,
    folder: Folder,
}

impl Replica {
    fn new(name: &'static str, checks: Checks) -> Replica {
        let (serves_at, health_at, folder) = (address(), address(), Folder::new());
        folder.file("nginx.conf", NGINX.replace("ADDRESS", &serves_at.to_string()), 0o644);
        folder.file("index.html", "x".repeat(PAGE_LENGTH), 0o644);
        Replica { name, checks, serves_at, health_at, folder }
    }

    fn line(&self) -> String {
        let port = match self.checks.see_the_stop_signal() {
            true => format!(" port {}", self.health_at.port()),
            false => String::new(),
        };
        format!("    server {} {}{port}\n", self.name, self.serves_at)
    }

    /// With a hold that a second stop signal ends, so that a busy machine cannot be too late.
    fn start(&self) -> Run {
        let mut init = pid1().options("--log-format json --rewrite TERM:QUIT");
        init = init.options("--delay 50s --grace-period 60s");
        if self.checks.see_the_stop_signal() {
            init = init.options(&format!("--health-listen {}", self.health_at));
        }
        let folder = self.folder.path("").display().to_string();
        let run = init.app(["nginx", "-e", "stderr", "-p", &folder, "-c", "nginx.conf"]);
        eventually("a replica that serves", || self.serves().then_some(()));
        run
    }

    fn serves(&self) -> bool {
        Connection::open(self.serves_at).and_then(|mut replica| replica.get()).is_ok()
    }
}

struct Proxy {
    service: SocketAddr,
    admin: SocketAddr,
    _run: Run,
    _folder: Folder,
}

impl Proxy {
    fn start(replicas: &[Replica], checks: Checks, retries: Retries) -> Proxy {
        let (service, admin, folder) = (address(), address(), Folder::new());
        let values = [
            ("ADMIN", admin.to_string()),
            ("SERVICE", service.to_string()),
            ("RETRIES", retries.0.to_owned()),
            ("CHECK", checks.line().to_owned()),
        ];
        let text =
            values.iter().fold(HAPROXY.to_owned(), |text, (name, value)| text.replace(name, value));
        let text = replicas.iter().fold(text, |text, replica| text + &replica.line());
        let file = folder.file("haproxy.cfg", text, 0o644).display().to_string();
        let run = pid1().app(["haproxy", "-db", "-f", &file]);
        let proxy = Proxy { service, admin, _run: run, _folder: folder };
        for replica in replicas {
            proxy.comes_to(replica, "UP");
        }
        proxy
    }

    /// Waits until HAProxy has found it to be so.
    fn comes_to(&self, replica: &Replica, state: &str) {
        let vainly =
            || format!("{} {state}, in HAProxy's eyes {:?}", replica.name, self.state(replica));
        eventually_or(vainly, || (self.state(replica).as_deref() == Some(state)).then_some(()));
    }

    /// `UP`, `DOWN`, or one on its way to the other.
    fn state(&self, replica: &Replica) -> Option<String> {
        let mut said = String::new();
        let mut socket = TcpStream::connect(self.admin).ok()?;
        writeln!(socket, "show stat").ok()?;
        socket.read_to_string(&mut said).ok()?;
        let column = said.lines().next()?.split(',').position(|name| name == "status")?;
        let begin = format!("replicas,{},", replica.name);
        let line = said.lines().find(|line| line.starts_with(&begin))?;
        line.split(',').nth(column).map(str::to_owned)
    }
}

/// What became of the requests.
#[derive(Debug, Default)]
struct Tally {
    served: usize,
    failed: BTreeMap<Failure, usize>,
}

/// Clients that ask without a pause: each time on a new connection, or on a kept one.
fn ask_on(service: SocketAddr, keeps: bool, is_over: &AtomicBool, tally: &Mutex<Tally>) {
    let mut kept: Option<Connection> = None;
    while !is_over.load(Ordering::Relaxed) {
        let mut connection = kept.take().map_or_else(|| Connection::open(service), Ok);
        let answer = connection.as_mut().map_err(|failure| *failure).and_then(Connection::get);
        let mut tally = tally.lock().expect("a lock");
        match answer {
            Ok(stays) => {
                tally.served += 1;
                kept = connection.ok().filter(|_| keeps && stays);
            }
            Err(failure) => *tally.failed.entry(failure).or_default() += 1,
        }
    }
}

/// Restarts one of two replicas, with clients that never pause.
fn restart(checks: Checks, retries: Retries) -> Tally {
    assert!(geteuid().is_root(), "needs root: sudo -E cargo test --test servers -- --ignored");
    let versions =
        [version("haproxy -v", "haproxy"), version("nginx -v", "nginx-light")].join(", nginx ");
    let replicas = [Replica::new("one", checks), Replica::new("two", checks)];
    let first = &replicas[0];
    let [run, _other] = [0, 1].map(|n| replicas[n].start());
    let proxy = Proxy::start(&replicas, checks, retries);
    let (is_over, tally) = (AtomicBool::new(false), Mutex::new(Tally::default()));
    let serve_on = || {
        let wanted = tally.lock().expect("a lock").served + 200;
        eventually("requests that are served", || {
            (tally.lock().expect("a lock").served >= wanted).then_some(())
        });
    };
    let played = thread::scope(|scope| {
        for keeps in [true, false].into_iter().cycle().take(8) {
            let (is_over, tally, service) = (&is_over, &tally, proxy.service);
            scope.spawn(move || ask_on(service, keeps, is_over, tally));
        }
        let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            serve_on();
            run.signal(libc::SIGTERM);
            let held = run.hears(r#""event":"stop_signal""#);
            if checks.see_the_stop_signal() {
                proxy.comes_to(first, "DOWN");
            }
            serve_on();
            let state = proxy.state(first);
            let is_down = state.as_deref() == Some("DOWN");
            assert_eq!(is_down, checks.see_the_stop_signal(), "{state:?}");
            assert!(first.serves(), "it does not serve during the hold");
            // Within a second it would be the same request.
            wait_until(held.at + Duration::from_millis(1100));
            run.signal(libc::SIGTERM);
            run.hears(r#""event":"forwarded""#);
            proxy.comes_to(first, "DOWN");
            let ended = run.ends();
            assert_eq!(ended.code, 0, "{ended}");
            serve_on();
            let again = first.start();
            proxy.comes_to(first, "UP");
            serve_on();
            again
        }));
        is_over.store(true, Ordering::Relaxed);
        played
    });
    // Not before the clients are gone.
    let _again = played.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    let tally = tally.into_inner().expect("a lock");
    println!("HAProxy {versions}, {checks:?}, {}: {tally:?}", retries.0);
    tally
}

#[test]
#[ignore = "needs root and Debian's haproxy and nginx-light: cargo test --test servers -- --ignored"]
fn haproxy_that_checks_readiness_loses_no_request() {
    for (checks, retries) in
        [(Checks::Readiness, NONE), (Checks::Readiness, DEFAULT), (Checks::Default, NONE)]
    {
        let tally = restart(checks, retries);
        assert!(tally.failed.is_empty(), "{checks:?}: {tally:?}");
    }
}

/// It learns from the first connections that are refused.
#[test]
#[ignore = "needs root and Debian's haproxy and nginx-light: cargo test --test servers -- --ignored"]
fn haproxy_that_checks_the_app_loses_requests() {
    let tally = restart(Checks::App, NONE);
    assert!(!tally.failed.is_empty(), "{tally:?}");
    // What its own retries save is printed.
    for retries in [DEFAULT, ELSEWHERE] {
        restart(Checks::App, retries);
    }
}

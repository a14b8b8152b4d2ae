//! HAProxy takes a server out by its health checks, and puts it back: what do its clients see of a
//! restart?

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use nix::libc;
use nix::unistd::geteuid;

use crate::load::{Tally, serves, under_load, until_served};
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
        eventually("a replica that serves", || serves(self.serves_at).then_some(()));
        run
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

/// Restarts one of two replicas, with clients that never pause.
fn restart(checks: Checks, retries: Retries) -> Tally {
    assert!(geteuid().is_root(), "needs root: sudo -E cargo test --test servers -- --ignored");
    let versions =
        [version("haproxy -v", "haproxy"), version("nginx -v", "nginx-light")].join(", nginx ");
    let replicas = [Replica::new("one", checks), Replica::new("two", checks)];
    let first = &replicas[0];
    let [run, _other] = [0, 1].map(|n| replicas[n].start());
    let proxy = Proxy::start(&replicas, checks, retries);
    let clients = [(Duration::ZERO, true), (Duration::ZERO, false)].repeat(4);
    let (_again, tally) = under_load(proxy.service, &clients, |tally| {
        until_served(tally, 200);
        run.signal(libc::SIGTERM);
        let held = run.hears(r#""event":"stop_signal""#);
        if checks.see_the_stop_signal() {
            proxy.comes_to(first, "DOWN");
        }
        until_served(tally, 200);
        let state = proxy.state(first);
        let is_down = state.as_deref() == Some("DOWN");
        assert_eq!(is_down, checks.see_the_stop_signal(), "{state:?}");
        assert!(serves(first.serves_at), "it does not serve during the hold");
        // Within a second it would be the same request.
        wait_until(held.at + Duration::from_millis(1100));
        run.signal(libc::SIGTERM);
        run.hears(r#""event":"forwarded""#);
        proxy.comes_to(first, "DOWN");
        let ended = run.ends();
        assert_eq!(ended.code, 0, "{ended}");
        until_served(tally, 200);
        let again = first.start();
        proxy.comes_to(first, "UP");
        until_served(tally, 200);
        again
    });
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

//! Servers with HTTP. All of them ask a service behind them, as most do.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::{self, JoinHandle};

use crate::shared::*;
use crate::shutdown::*;
use crate::upstream::{Kept, Upstream};

/// A server, and how to stop it. In its file and command `${HOST}`, `${PORT}` and `${UPSTREAM}` are
/// where it listens and whom it asks, and `${FOLDER}` is where its file was; to a program its environment
/// says so.
pub struct Server<'a> {
    pub option: &'a str,
    /// Beside this one; copied to `/mnt`.
    pub file: &'a str,
    pub command: &'a str,
    pub in_flight: InFlight,
}

impl Server<'_> {
    /// What is in flight completes, also under a shell, which ends with a code of its own.
    pub fn drains(&self, name: &str, version: &str, code_of_shell: i32) {
        let alone = self.stop(bare, self.in_flight, 0);
        let in_shell = self.stop(in_shell, self.in_flight, code_of_shell);
        print_row(name, version, self.option, &alone, &in_shell);
    }

    /// What it would do without its option.
    fn is_cut_on_sigterm(&self) {
        Server { option: "", ..*self }.stop(bare, InFlight::IsCut, 0);
    }

    fn stop(&self, start: Start, in_flight: InFlight, code: i32) -> Outcome {
        let mut visitors = Visitors::of(address());
        let (init, command) = self.prepare(visitors.server, &visitors.upstream);
        stop(init.options(self.option), start(&command), &mut visitors, in_flight, code)
    }

    /// An init that has its file, and its command, where it is to listen there.
    pub fn prepare(&self, server: SocketAddr, upstream: &Upstream) -> (Init, String) {
        let values = [
            ("HOST", server.ip().to_string()),
            ("PORT", server.port().to_string()),
            ("UPSTREAM", upstream.address.to_string()),
            ("FOLDER", path("").display().to_string()),
        ];
        let fill = |text: &str| {
            values.iter().fold(text.to_owned(), |text, (name, value)| {
                text.replace(&format!("${{{name}}}"), value)
            })
        };
        let init = init(&format!("printf %s \"$FILE\" >{}", self.file));
        let init = init.variable("FILE", &fill(&read(self.file)));
        let init = values.iter().fold(init, |init, (name, value)| init.variable(name, value));
        (init, fill(self.command))
    }
}

pub fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers").join(file)
}

pub fn read(file: &str) -> String {
    std::fs::read_to_string(path(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Clients of a web server, and the service behind it.
pub struct Visitors {
    pub server: SocketAddr,
    pub upstream: Upstream,
    slow: Option<JoinHandle<io::Result<String>>>,
    kept: Option<Kept>,
}

impl Visitors {
    pub fn of(server: SocketAddr) -> Visitors {
        Visitors { server, upstream: Upstream::begin(), slow: None, kept: None }
    }
}

impl Clients for Visitors {
    fn are_served(&self) -> bool {
        is_whole(&get(self.server, "/"))
    }

    fn ask(&mut self) {
        let server = self.server;
        self.slow = Some(thread::spawn(move || get(server, "/slow")));
        self.kept = Some(self.upstream.keep());
    }

    fn release(&mut self) {
        self.kept.take().expect("a request").answer();
    }

    fn are_answered(&mut self) -> bool {
        let slow = self.slow.take().expect("a request");
        is_whole(&slow.join().expect("a client"))
    }
}

fn get(server: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    // Of this version, so that the end of the answer is the end of the connection.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: server\r\n\r\n")?;
    let mut answer = String::new();
    match stream.read_to_string(&mut answer) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => panic!("{path}: {error}"),
        read => read.map(|_| answer),
    }
}

fn is_whole(answer: &io::Result<String>) -> bool {
    let Ok(answer) = answer else { return false };
    answer.lines().next().is_some_and(|line| line.contains(" 200 ")) && answer.ends_with("served")
}

#[test]
#[ignore = "needs root and Debian's nginx-light: cargo test --test servers -- --ignored"]
fn nginx_drains_on_sigquit() {
    let version = version("nginx -v", "nginx-light");
    let nginx = Server {
        option: "--rewrite TERM:QUIT",
        file: "nginx.conf",
        command: "nginx -e stderr -c /mnt/nginx.conf",
        in_flight: InFlight::Completes,
    };
    nginx.drains("nginx", &version, 131);
    nginx.is_cut_on_sigterm();
}

#[test]
#[ignore = "needs root and Debian's haproxy: cargo test --test servers -- --ignored"]
fn haproxy_drains_on_sigusr1() {
    let version = version("haproxy -v", "haproxy");
    let haproxy = Server {
        option: "--rewrite TERM:USR1",
        file: "haproxy.cfg",
        command: "haproxy -W -db -f /mnt/haproxy.cfg",
        in_flight: InFlight::Completes,
    };
    haproxy.drains("HAProxy", &version, 138);
    haproxy.is_cut_on_sigterm();
}

/// The shell ignores SIGWINCH, and so says `true` in the end.
#[test]
#[ignore = "needs root and Debian's apache2-bin: cargo test --test servers -- --ignored"]
fn apache_drains_on_sigwinch() {
    let version = version("apache2 -v", "apache2-bin");
    let apache = Server {
        option: "--rewrite TERM:WINCH",
        file: "apache.conf",
        command: "apache2 -D FOREGROUND -f /mnt/apache.conf",
        in_flight: InFlight::Completes,
    };
    apache.drains("Apache httpd", &version, 0);
    apache.is_cut_on_sigterm();
}

#[test]
#[ignore = "needs root and Debian's gunicorn: cargo test --test servers -- --ignored"]
fn gunicorn_drains() {
    let version = version("gunicorn --version", "gunicorn");
    let gunicorn = Server {
        option: "",
        file: "app.py",
        command: "gunicorn --chdir /mnt --bind ${HOST}:${PORT} --workers 2 app:wsgi",
        // The busy worker keeps the port open; the other one ends before it.
        in_flight: InFlight::CompletesAfter("Worker exiting"),
    };
    gunicorn.drains("gunicorn", &version, 143);
}

#[test]
#[ignore = "needs root and Debian's uvicorn: cargo test --test servers -- --ignored"]
fn uvicorn_drains() {
    let version = version("uvicorn --version", "uvicorn");
    let uvicorn = Server {
        option: "",
        file: "app.py",
        command: "uvicorn --app-dir /mnt --host ${HOST} --port ${PORT} app:asgi",
        in_flight: InFlight::Completes,
    };
    uvicorn.drains("uvicorn", &version, 143);
}

#[test]
#[ignore = "needs root and Debian's nodejs: cargo test --test servers -- --ignored"]
fn a_node_server_that_closes_drains() {
    let version = version("node --version", "nodejs");
    let node = Server {
        option: "",
        file: "server.js",
        command: "node /mnt/server.js",
        in_flight: InFlight::Completes,
    };
    node.drains("Node, `server.close()`", &version, 143);
}

/// Builds the server in Go, and returns its program.
pub fn go_server() -> PathBuf {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("go");
    let program = cache.join("server");
    let mut build = Command::new("go");
    build.arg("build").arg("-o").arg(&program).arg(path("server.go"));
    // Offline, and without a C compiler.
    build.envs([("GO111MODULE", "off"), ("GOPROXY", "off"), ("CGO_ENABLED", "0")]);
    build.env("GOCACHE", cache);
    let built = build.output().expect("go");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    program
}

#[test]
#[ignore = "needs root and Debian's golang-go: cargo test --test servers -- --ignored"]
fn a_go_server_that_shuts_down_drains() {
    let version = version("go version", "golang-go");
    let program = go_server();
    let go = Server {
        option: "",
        file: "server.go",
        command: &program.display().to_string(),
        in_flight: InFlight::Completes,
    };
    go.drains("Go, `Server.Shutdown`", &version, 143);
}

#[test]
#[ignore = "needs root and Debian's openjdk-17-jdk-headless: cargo test --test servers -- --ignored"]
fn a_java_server_with_a_shutdown_hook_drains() {
    let version = version("java --version", "openjdk-17-jdk-headless");
    let java = Server {
        option: "--expect-exit 143",
        file: "Server.java",
        command: "java /mnt/Server.java",
        in_flight: InFlight::Completes,
    };
    java.drains("Java, `HttpServer.stop` in a shutdown hook", &version, 0);
    let without = Server { option: "", ..java };
    without.stop(bare, InFlight::Completes, 143);
}

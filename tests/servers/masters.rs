//! Masters whose workers end of SIGTERM at once: a shell around them, or supervisord, is to leave the
//! workers to them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};

use nix::libc;

use crate::http::{Server, Visitors, path, read};
use crate::shared::*;
use crate::shutdown::*;
use crate::upstream::{Kept, Upstream};

/// A child that goes with the test.
struct Helper(Child);

impl Helper {
    fn start(command: &mut Command, package: &str) -> Helper {
        let child = command.spawn();
        Helper(
            child
                .unwrap_or_else(|error| panic!("{command:?} ({error}): apt-get install {package}")),
        )
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

// Celery.

/// Clients of a worker: they put tasks into Redis, and wait for the results.
struct Tasks {
    broker: SocketAddr,
    client: Visitor,
    _redis: Helper,
}

impl Tasks {
    fn begin() -> Tasks {
        let broker = address();
        let mut redis = Command::new("redis-server");
        redis.arg("--bind").arg(broker.ip().to_string());
        redis.arg("--port").arg(broker.port().to_string()).args(["--save", ""]);
        let redis = Helper::start(redis.stdin(Stdio::null()).stdout(Stdio::null()), "redis-server");
        eventually("Redis", || TcpStream::connect(broker).ok());
        let mut client = Command::new("/usr/bin/python3");
        client.arg(path("tasks.py")).env("REDIS", broker.to_string());
        client.env("PYTHONDONTWRITEBYTECODE", "1").stdin(Stdio::piped());
        Tasks { broker, client: Visitor::start(&mut client), _redis: redis }
    }

    /// What the client says to this, in one word.
    fn asks(&mut self, what: &str) -> String {
        assert!(self.client.tell(what), "the client has gone");
        self.client.line()
    }

    fn redis(&self, command: &str) -> String {
        let mut stream = TcpStream::connect(self.broker).expect("Redis");
        write!(stream, "{command}\r\nQUIT\r\n").expect("Redis");
        let mut reply = String::new();
        stream.read_to_string(&mut reply).expect("Redis");
        reply
    }
}

impl Clients for Tasks {
    /// Whether a worker is there, and not whether it has time: its tasks are the two of a test.
    fn are_served(&self) -> bool {
        // The worker's own queues for remote control.
        self.redis("EXISTS _kombu.binding.celery.pidbox").starts_with(":1")
    }

    fn ask(&mut self) {
        assert_eq!(self.asks("begin released"), "begin");
        eventually("a task that has begun", || {
            self.redis("EXISTS \"begun by released\"").starts_with(":1").then_some(())
        });
    }

    fn release(&mut self) {
        self.redis("SET released 1");
    }

    fn are_answered(&mut self) -> bool {
        self.asks("end released") == "done"
    }
}

#[test]
#[ignore = "needs root and Debian's python3-celery, python3-redis, redis-server: cargo test --test servers -- --ignored"]
fn celery_finishes_its_task() {
    let version = version("/usr/bin/python3 -m celery --version", "python3-celery python3-redis");
    let finishes = |start: Start, code| {
        let mut tasks = Tasks::begin();
        let init = init("printf %s \"$FILE\" >tasks.py").variable("FILE", &read("tasks.py"));
        let init = init.variable("REDIS", &tasks.broker.to_string()).variable("C_FORCE_ROOT", "1");
        let command =
            "/usr/bin/python3 -m celery --workdir /mnt --app tasks worker --concurrency 2";
        stop(init, start(command), &mut tasks, InFlight::CompletesAfter("Warm shutdown"), code)
    };
    let alone = finishes(bare, 0);
    print_row("Celery", &version, "", &alone, &finishes(in_shell, 143));
}

// uWSGI and gunicorn.

#[test]
#[ignore = "needs root and Debian's uwsgi-core, uwsgi-plugin-python3: cargo test --test servers -- --ignored"]
fn uwsgi_drains() {
    let version = version("uwsgi --version", "uwsgi-core uwsgi-plugin-python3");
    let uwsgi = Server {
        option: "",
        file: "uwsgi.ini",
        command: "uwsgi --ini /mnt/uwsgi.ini",
        in_flight: InFlight::CompletesAfter("graceful shutdown triggered"),
    };
    uwsgi.drains("uWSGI", &version, 143);
}

/// Its main process has ended long before the stop signal, which is for the daemon alone.
#[test]
#[ignore = "needs root and Debian's gunicorn: cargo test --test servers -- --ignored"]
fn gunicorn_that_became_a_daemon_drains() {
    version("gunicorn --version", "gunicorn");
    let mut visitors = Visitors::of(address());
    let init = init("printf %s \"$FILE\" >app.py").variable("FILE", &read("app.py"));
    let init = init.variable("UPSTREAM", &visitors.upstream.address.to_string());
    let command = format!(
        "gunicorn --daemon --chdir /mnt --error-logfile /mnt/log --bind {} --workers 2 app:wsgi",
        visitors.server
    );
    let run = init.options("--leftovers wait --log-format json").app(bare(&command));
    eventually("a server that serves", || visitors.are_served().then_some(()));
    visitors.ask();
    let log = format!("/proc/{}/root/mnt/log", run.pid());
    run.signal(libc::SIGTERM);
    // The one that is not busy.
    eventually("a worker that ends", || {
        std::fs::read_to_string(&log).is_ok_and(|log| log.contains("Worker exiting")).then_some(())
    });
    visitors.release();
    assert!(visitors.are_answered(), "not answered: {:#?}", run.lines());
    let ended = run.ends();
    assert_eq!(ended.code, 0, "{ended}");
    assert_eq!(ended.report()["killed"]["count"], 0, "{ended}");
}

// PHP.

/// Clients that speak FastCGI, and the service behind the script.
struct Pages {
    server: SocketAddr,
    upstream: Upstream,
    slow: Option<JoinHandle<String>>,
    kept: Option<Kept>,
}

impl Pages {
    fn begin() -> Pages {
        Pages { server: address(), upstream: Upstream::begin(), slow: None, kept: None }
    }
}

/// The whole answer, with its head.
fn page(server: SocketAddr, uri: &str) -> String {
    let mut client = Command::new("cgi-fcgi");
    client.args(["-bind", "-connect", &server.to_string()]).env("REQUEST_URI", uri);
    client.env("REQUEST_METHOD", "GET").env("SCRIPT_FILENAME", "/mnt/slow.php");
    let output =
        client.stdin(Stdio::null()).output().expect("cgi-fcgi: apt-get install libfcgi-bin");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

impl Clients for Pages {
    fn are_served(&self) -> bool {
        page(self.server, "/").ends_with("served")
    }

    fn ask(&mut self) {
        let server = self.server;
        self.slow = Some(thread::spawn(move || page(server, "/slow")));
        self.kept = Some(self.upstream.keep());
    }

    fn release(&mut self) {
        self.kept.take().expect("a request").answer();
    }

    fn are_answered(&mut self) -> bool {
        self.slow.take().expect("a request").join().expect("a client").ends_with("served")
    }
}

/// Stops PHP in this way, with a page in flight.
fn php(option: &str, app: Vec<String>, in_flight: InFlight, code: i32) -> Outcome {
    let mut pages = Pages::begin();
    let [host, port] = [pages.server.ip().to_string(), pages.server.port().to_string()];
    let conf = read("php-fpm.conf").replace("${HOST}", &host).replace("${PORT}", &port);
    let files = [
        ("php-fpm.conf", "PHP", conf),
        ("supervisord.conf", "SUPERVISOR", read("supervisord.conf")),
        ("slow.php", "SCRIPT", read("slow.php")),
    ];
    let write = |(file, name, _): &(&str, &str, String)| format!("printf %s \"${name}\" >{file}");
    let init = init(&files.iter().map(write).collect::<Vec<_>>().join("; "));
    let init = files.iter().fold(init, |init, (_, name, text)| init.variable(name, text));
    let init = init.variable("UPSTREAM", &pages.upstream.address.to_string()).options(option);
    stop(init, app, &mut pages, in_flight, code)
}

const PHP: &str = "php-fpm8.2 --nodaemonize --fpm-config /mnt/php-fpm.conf";

#[test]
#[ignore = "needs root and Debian's php8.2-fpm, libfcgi-bin: cargo test --test servers -- --ignored"]
fn php_fpm_drains_on_sigquit() {
    let version = version("php-fpm8.2 --version", "php8.2-fpm");
    let (option, drains) = ("--rewrite TERM:QUIT", InFlight::CompletesAfter("Finishing"));
    let alone = php(option, bare(PHP), drains, 0);
    print_row("PHP-FPM", &version, option, &alone, &php(option, in_shell(PHP), drains, 131));
    php("", bare(PHP), InFlight::IsCut, 0);
}

/// It stops its program with SIGQUIT, and waits for it.
#[test]
#[ignore = "needs root and Debian's supervisor, php8.2-fpm, libfcgi-bin: cargo test --test servers -- --ignored"]
fn supervisord_stops_php_fpm_with_its_own_signal() {
    let version = version("supervisord --version", "supervisor");
    let command = "supervisord --configuration /mnt/supervisord.conf";
    let drains = InFlight::CompletesAfter("received SIGTERM indicating exit request");
    let alone = php("", bare(command), drains, 0);
    let in_shell = php("", in_shell(command), drains, 143);
    print_row("supervisord with PHP-FPM", &version, "", &alone, &in_shell);
}

//! A container under test: how it is started, what is said in it, and how it ended.

use std::ffi::OsStr;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::images;
pub use crate::shared::{ended::*, lateness::*, said::*, waiting::*};

/// How late something may come on a busy machine, with a docker command in between.
pub const MAX_LATENESS: Duration = seconds(10);

/// A call of the docker command line that cannot hang for ever.
pub fn docker<W: AsRef<OsStr>>(words: impl IntoIterator<Item = W>) -> Command {
    let mut command = Command::new("timeout");
    command.args(["300", "docker"]).args(words).stdin(Stdio::null());
    command
}

/// What a command says on stdout, if it succeeds; else the test fails and shows all it said.
#[track_caller]
pub fn output(command: &mut Command) -> String {
    let output = run(command);
    assert!(output.status.success(), "{command:?} failed:\n{}", both(&output));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

#[track_caller]
pub fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// stdout and then stderr.
pub fn both(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    format!("{out}{err}")
}

/// A name that no other test has.
pub fn unique(what: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("reprieve-test-{what}-{}-{count}", std::process::id())
}

/// A container that is to be started.
pub struct Setup {
    image: String,
    options: Vec<String>,
}

/// From an image with nothing but the init and the fixture.
pub fn scratch() -> Setup {
    image(&images::all().scratch)
}

/// From an image that has busybox too.
pub fn busybox() -> Setup {
    image(&images::all().busybox)
}

/// From a Debian with nginx, Python, dash and bash.
pub fn debian() -> Setup {
    image(images::debian())
}

pub fn image(image: &str) -> Setup {
    Setup { image: image.into(), options: Vec::new() }
}

impl Setup {
    /// Sets REPRIEVE_DELAY.
    pub fn delay(self, delay: &str) -> Setup {
        self.variable("REPRIEVE_DELAY", delay)
    }

    /// Sets REPRIEVE_GRACE_PERIOD.
    pub fn grace_period(self, grace_period: &str) -> Setup {
        self.variable("REPRIEVE_GRACE_PERIOD", grace_period)
    }

    pub fn variable(self, name: &str, value: &str) -> Setup {
        self.option(&["--env", &format!("{name}={value}")])
    }

    /// Options of `docker run`.
    pub fn option(mut self, words: &[&str]) -> Setup {
        self.options.extend(words.iter().map(ToString::to_string));
        self
    }

    /// What `docker run` is called with, and the container's name.
    pub fn line(self, how: &[&str], app: &[&str]) -> (Vec<String>, String) {
        let name = unique("run");
        let fixed = ["run", "--name", &name, "--label", "reprieve-test"];
        let words = fixed.iter().chain(how).map(ToString::to_string);
        let words = words.chain(self.options).chain([self.image]);
        (words.chain(app.iter().map(ToString::to_string)).collect(), name)
    }

    /// Starts it with the app that its image names.
    pub fn starts(self) -> Container {
        self.runs(&[])
    }

    /// Starts it with this app.
    pub fn runs(self, app: &[&str]) -> Container {
        let (words, name) = self.line(&["--detach"], app);
        // Made first, so that what docker could create but not start goes too.
        let remains = Remains(name);
        let started_at = Instant::now();
        output(&mut docker(words));
        Container::follow(remains, started_at)
    }

    /// Runs it in the foreground to its end, as `docker run --rm` in a CI job.
    pub fn runs_to_its_end(self, app: &[&str]) -> Ended {
        let (words, _) = self.line(&["--rm"], app);
        let started_at = Instant::now();
        let output = run(&mut docker(words));
        Ended::of(output.status.code().unwrap_or(-1), started_at, &output)
    }
}

/// Removes a container, also when the test panics.
struct Remains(String);

impl Drop for Remains {
    fn drop(&mut self) {
        let _ = docker(["rm", "--force", "--volumes", &self.0]).output();
    }
}

/// A container that runs.
pub struct Container {
    remains: Remains,
    started_at: Instant,
    said: Arc<Said>,
    follower: Child,
}

impl Container {
    fn follow(remains: Remains, started_at: Instant) -> Container {
        let mut command = Command::new("docker");
        command.args(["logs", "--follow", &remains.0]).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut follower = command.spawn().expect("docker logs");
        let said = Arc::new(Said::default());
        said.listen(APP, follower.stdout.take().expect("a pipe"));
        said.listen(LOG, follower.stderr.take().expect("a pipe"));
        Container { remains, started_at, said, follower }
    }

    pub fn name(&self) -> &str {
        &self.remains.0
    }

    /// Waits until the app or the log has said a line with this in it, and returns that line.
    #[track_caller]
    pub fn hears(&self, part: &str) -> Line {
        self.said.hears_times(part, 1)
    }

    pub fn said(&self, part: &str) -> bool {
        self.said.lines().iter().any(|line| line.text.contains(part))
    }

    /// One field, as a Go template.
    #[track_caller]
    pub fn inspect(&self, template: &str) -> String {
        output(&mut docker(["inspect", "--format", template, self.name()]))
    }

    /// Where the host reaches a port of it.
    #[track_caller]
    pub fn port(&self, port: u16) -> SocketAddr {
        let template = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        let address: IpAddr = self.inspect(template).parse().expect("an address");
        let socket = SocketAddr::new(address, port);
        eventually("the port answers", || TcpStream::connect(socket).ok());
        socket
    }

    /// `docker stop` with this allowance, while the test goes on.
    pub fn stop(&self, seconds: u32) -> Stop {
        let mut command = docker(["stop", "--time", &seconds.to_string(), self.name()]);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let called_at = Instant::now();
        Stop { called_at, child: command.spawn().expect("docker stop") }
    }

    /// `docker kill -s`, and when it was called.
    #[track_caller]
    pub fn kill(&self, signal: &str) -> Instant {
        let called_at = Instant::now();
        output(&mut docker(["kill", "--signal", signal, self.name()]));
        called_at
    }

    /// `docker exec`, while the test goes on.
    pub fn enter(&self, words: &[&str]) -> Visitor {
        let mut command = docker(["exec", self.name()].iter().chain(words));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("docker exec");
        let said = Arc::new(Said::default());
        let readers = [
            said.listen("visitor", child.stdout.take().expect("a pipe")),
            said.listen("visitor", child.stderr.take().expect("a pipe")),
        ];
        Visitor { child, said, readers }
    }

    /// Waits for its end.
    #[track_caller]
    pub fn ends(self) -> Ended {
        let mut wait = Command::new("timeout");
        wait.args([&TIMEOUT.as_secs().to_string(), "docker", "wait", self.name()]);
        let waited = run(&mut wait);
        let code = String::from_utf8_lossy(&waited.stdout).trim().parse();
        let Ok(code) = code else {
            panic!("it does not end; was said:\n{}", show(&self.said.lines()));
        };
        // From its beginning: what we followed may lack the last lines.
        Ended::of(code, self.started_at, &run(&mut docker(["logs", self.name()])))
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.follower.kill();
        let _ = self.follower.wait();
    }
}

/// A `docker stop` that runs.
pub struct Stop {
    pub called_at: Instant,
    child: Child,
}

impl Stop {
    /// Waits until it returns, and returns how long that took.
    #[track_caller]
    pub fn returns(self) -> Duration {
        let output = self.child.wait_with_output().expect("docker stop");
        let took = self.called_at.elapsed();
        assert!(output.status.success(), "docker stop failed:\n{}", both(&output));
        took
    }
}

/// A program that came in by `docker exec`.
pub struct Visitor {
    child: Child,
    said: Arc<Said>,
    readers: [JoinHandle<()>; 2],
}

impl Visitor {
    /// Waits for a line with this in it.
    #[track_caller]
    pub fn hears(&self, part: &str) {
        self.said.hears_times(part, 1);
    }

    /// Waits for its end, and returns its exit code and all that it said.
    pub fn ends(mut self) -> (i32, String) {
        let status = self.child.wait().expect("docker exec");
        for reader in self.readers {
            reader.join().expect("a reader");
        }
        let lines = self.said.lines();
        let said = lines.iter().map(|line| format!("{}\n", line.text)).collect();
        (status.code().unwrap_or(-1), said)
    }
}

impl Ended {
    /// What came of a container whose two streams the docker command line keeps apart.
    fn of(code: i32, started_at: Instant, output: &Output) -> Ended {
        let at = Instant::now();
        let streams = [(APP, &output.stdout), (LOG, &output.stderr)];
        let lines = streams.into_iter().flat_map(|(source, text)| {
            let text = String::from_utf8_lossy(text).into_owned();
            let lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.into_iter().map(move |text| Line { source, text, at })
        });
        Ended { code, started_at, at, lines: lines.collect() }
    }

    /// The lines on stdout, which is the app's.
    pub fn app(&self) -> Vec<&str> {
        self.from(APP)
    }

    /// Our own lines on stderr.
    pub fn ours(&self) -> Vec<&str> {
        self.log().into_iter().filter(|line| line.starts_with("reprieve: ")).collect()
    }
}

pub const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

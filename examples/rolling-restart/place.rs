//! Where replicas and HAProxy run: each as PID 1 of a PID namespace, with a network namespace, of
//! its own, or each in a container of its own. A pod is one of them.

use std::cell::Cell;
use std::fmt;
use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Try;
use crate::command::run;
use crate::fence::LABEL;
use crate::image;
use crate::needs::PATH;
use crate::network;

/// Where each pod listens, at an address of its own.
pub const PORT: u16 = 8080;

/// How long a condition may take on a machine that is busy with other things.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Where all pods of a run are.
pub struct Place {
    folder: PathBuf,
    /// The Docker network, where there is one, and the name of the run.
    docker: Option<String>,
    /// Of the latest pod. None is given twice: a newcomer must not answer for a pod that has ended.
    address: Cell<u32>,
}

/// For the addresses of containers: RFC 2544 keeps these for benchmarks.
const BENCHMARKS: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 0);

impl Place {
    /// The kernel has all that it takes.
    pub fn namespaces(folder: &Path) -> Try<Place> {
        let gateway = BENCHMARKS.to_bits() + 1;
        network::make(Ipv4Addr::from_bits(gateway))?;
        Ok(Place { folder: folder.into(), docker: None, address: Cell::new(gateway) })
    }

    /// The image is made if it is not there.
    pub fn docker(name: &str, folder: &Path) -> Try<Place> {
        image::make(folder)?;
        let create = |network: u32| {
            let [subnet, gateway] = [network, network + 1].map(Ipv4Addr::from_bits);
            let mut create = Command::new("docker");
            create.args(["network", "create", "--label", &format!("{LABEL}={name}")]);
            create.args(["--subnet", &format!("{subnet}/22")]);
            create.args(["--gateway", &gateway.to_string(), name]);
            run(&mut create).map(|_| gateway.to_bits())
        };
        let networks = (BENCHMARKS.to_bits()..).step_by(1024).take(128);
        // Another run may have the first of them.
        let is_taken = |error: &str| error.contains("overlaps");
        let mut made = networks.map(create);
        let made =
            made.find(|made| !made.as_ref().is_err_and(|error| is_taken(&error.to_string())));
        let gateway = made.ok_or("no network is left for the containers")??;
        Ok(Place { folder: folder.into(), docker: Some(name.into()), address: Cell::new(gateway) })
    }

    /// A folder, a name and an address for a pod that is to be started.
    pub fn site(&self, what: &str) -> Try<Site<'_>> {
        self.address.set(self.address.get() + 1);
        let ip = Ipv4Addr::from_bits(self.address.get());
        let name = format!("{what}-{ip}");
        let folder = self.folder.join(&name);
        fs::create_dir(&folder)?;
        Ok(Site { place: self, ip, name, folder })
    }

    /// What a program of this place says.
    pub fn says(&self, script: &str) -> Try<String> {
        let mut command = match &self.docker {
            None => Command::new("sh"),
            Some(name) => {
                let mut command = Command::new("docker");
                command.args(["run", "--rm", "--label", &format!("{LABEL}={name}"), image::NAME]);
                command.arg("sh");
                command
            }
        };
        run(command.env("PATH", PATH).args(["-c", script]))
    }
}

/// What a pod has before it starts.
pub struct Site<'a> {
    place: &'a Place,
    pub ip: Ipv4Addr,
    name: String,
    pub folder: PathBuf,
}

impl Site<'_> {
    pub fn start(self, words: &[String]) -> Try<Pod> {
        let container = self.place.docker.as_ref().map(|run| format!("{run}-{}", self.name));
        let mut command = if let (Some(run), Some(container)) = (&self.place.docker, &container) {
            let mut command = Command::new("docker");
            command.args(["run", "--name", container, "--sig-proxy=false"]);
            command.args(["--label", &format!("{LABEL}={run}")]);
            command.args(["--network", run, "--ip", &self.ip.to_string()]);
            // The same path inside: its configuration is in there.
            let folder = self.place.folder.display();
            command.args(["--volume", &format!("{folder}:{folder}"), image::NAME]);
            command
        } else {
            let mut command = Command::new("unshare");
            command.args(["--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc", "--"]);
            command
        };
        let log_path = self.folder.join("log");
        let log = File::create(&log_path)?;
        command.args(words).env("PATH", PATH).process_group(0);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let failed = |error: &dyn fmt::Display| format!("{}: {error}", self.name);
        let (mut child, network) = if container.is_some() {
            (command.spawn().map_err(|error| failed(&error))?, None)
        } else {
            let started = network::inside(self.ip, || command.spawn());
            started.map(|(child, file)| (child, Some(file))).map_err(|error| failed(&error))?
        };
        let pid = Pid::from_raw(child.id() as i32);
        let (tell, ended) = mpsc::channel();
        std::thread::spawn(move || {
            let _ = child.wait();
            let _ = tell.send(Instant::now());
        });
        let ip = self.ip.into();
        Ok(Pod {
            container,
            name: self.name,
            ip,
            pid,
            ended,
            has_ended: false,
            log_path,
            _network: network,
        })
    }
}

/// A program that runs; it ends with this.
pub struct Pod {
    /// Its name, where it is one.
    container: Option<String>,
    pub name: String,
    pub ip: IpAddr,
    /// Of unshare, or of the docker command: it ends when the pod does.
    pid: Pid,
    ended: Receiver<Instant>,
    has_ended: bool,
    log_path: PathBuf,
    /// It outlives the program, as a pod's sandbox does: who still comes is refused, not ignored.
    _network: Option<File>,
}

impl Pod {
    /// Signals its PID 1; if that has ended, nothing happens.
    pub fn signal(&self, signal: Signal) {
        match &self.container {
            Some(name) => {
                let line = ["kill", "--signal", signal.as_str(), name];
                let _ = run(Command::new("docker").args(line));
            }
            None => {
                let _ = first_child(self.pid).map(|init| kill(init, signal));
            }
        }
    }

    /// Waits for its end, up to a moment, and tells when it was.
    pub fn ends_by(&mut self, at: Instant) -> Option<Instant> {
        let ended = self.ended.recv_timeout(at.saturating_duration_since(Instant::now())).ok();
        self.has_ended |= ended.is_some();
        ended
    }

    /// Waits for a condition; if it does not come, the error has what the pod said.
    pub fn eventually<T>(&self, what: &str, mut found: impl FnMut(&Pod) -> Option<T>) -> Try<T> {
        eventually(&format!("{what} of {}", self.name), || found(self))
            .map_err(|error| format!("{error}; it said:\n{}", self.log()).into())
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log_path).unwrap_or_default()
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        if !self.has_ended {
            self.signal(Signal::SIGKILL);
            self.ends_by(Instant::now() + PATIENCE);
        }
        if let Some(name) = &self.container {
            let _ = run(Command::new("docker").args(["rm", "--force", name]));
        }
    }
}

/// Waits for a condition that nothing announces.
pub fn eventually<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> Try<T> {
    let give_up_at = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = found() {
            return Ok(found);
        }
        if Instant::now() > give_up_at {
            return Err(format!("waited in vain for {what}").into());
        }
        // The pace of asking, not a guess at when it will be so.
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn first_child(pid: Pid) -> Option<Pid> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok().map(Pid::from_raw)
}

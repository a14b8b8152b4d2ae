//! A Docker daemon whose init we are: `docker run --init`.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::harness::{both, eventually, output, run, unique};
use crate::images::{self, as_root, scratch_folder};

/// A dockerd of our own beside that of the machine: with its own folders, without a network.
struct Daemon {
    folder: PathBuf,
    child: Child,
}

impl Daemon {
    fn start() -> Daemon {
        let images = images::all();
        // A socket's path has 107 bytes at most, so not below Cargo's folder.
        let folder = std::env::temp_dir().join(unique("dockerd"));
        fs::create_dir_all(folder.join("bin")).expect("a folder");
        let init = folder.join("bin/docker-init");
        fs::copy(&images.reprieve, &init).expect("the init");
        fs::write(folder.join("daemon.json"), "{}").expect("its configuration");
        let log = fs::File::create(folder.join("log")).expect("its log");
        let at = |name: &str| folder.join(name).display().to_string();
        // Without a bridge it would remove docker0, which is that of the machine's engine.
        let mut command = as_root("unshare");
        command.args(["--net", "--mount", "dockerd"]);
        command.args(["--config-file", &at("daemon.json"), "--data-root", &at("data")]);
        command.args(["--exec-root", &at("exec"), "--pidfile", &at("pid")]);
        command.args([
            "--host",
            &format!("unix://{}", at("socket")),
            "--init-path",
            &at("bin/docker-init"),
        ]);
        command.args(["--storage-driver", "vfs", "--bridge", "none", "--iptables=false"]);
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a copy")).stderr(log);
        let child = command.spawn().unwrap_or_else(|error| panic!("dockerd: {error}"));
        let mut daemon = Daemon { folder, child };
        eventually("dockerd answers", || {
            let log = || fs::read_to_string(daemon.folder.join("log")).unwrap_or_default();
            let ended = daemon.child.try_wait().expect("a child");
            assert!(ended.is_none(), "dockerd does not run:\n{}", log());
            let version = run(&mut daemon.docker(&["version"]));
            version.status.success().then_some(())
        });
        daemon
    }

    fn docker(&self, words: &[&str]) -> Command {
        let mut command = as_root("timeout");
        let host = format!("unix://{}", self.folder.join("socket").display());
        command.args(["300", "docker", "--host", &host]).args(words).stdin(Stdio::null());
        command
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Ok(pid) = fs::read_to_string(self.folder.join("pid")) {
            let _ = as_root("kill").arg(pid.trim()).status();
        }
        let _ = self.child.wait();
        let _ = as_root("rm").arg("-rf").arg(&self.folder).status();
    }
}

#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn docker_run_init_runs_us() {
    let daemon = Daemon::start();
    let info = output(&mut daemon.docker(&["info"]));
    let version = env!("CARGO_PKG_VERSION");
    assert!(info.contains("Init Binary: ") && info.contains("docker-init"), "{info}");
    // It prints the commit alone, and that has no dot.
    assert!(info.contains(&format!("init version: {}", version.replace('.', "-"))), "{info}");
    let versions = output(&mut daemon.docker(&["version"]));
    let ours = versions.split("docker-init:").nth(1).expect("a version of the init");
    assert!(ours.contains(version), "{versions}");
    println!("{versions}");

    let folder = scratch_folder("init");
    fs::create_dir_all(&folder).expect("a folder");
    fs::copy(&images::all().fixture, folder.join("fixture")).expect("the fixture");
    // No init of its own.
    let dockerfile = "FROM scratch\nCOPY fixture /\nENTRYPOINT [\"/fixture\"]\n";
    fs::write(folder.join("Dockerfile"), dockerfile).expect("a Dockerfile");
    output(daemon.docker(&["build", "--quiet", "--tag", "app"]).arg(&folder));
    fs::remove_dir_all(&folder).expect("a folder");

    let options = ["run", "--init", "--network", "none", "--label", "reprieve-test"];
    let state = output(daemon.docker(&options).args(["--rm", "app", "state"]));
    assert!(state.lines().any(|line| line == "parent: 1"), "{state}");

    // dockerd calls its init with nothing but `--`: who knows the grace period sets the variables.
    output(daemon.docker(&options).args([
        "--detach",
        "--name",
        "held",
        "--env",
        "REPRIEVE_DELAY=1s",
        "--env",
        "REPRIEVE_GRACE_PERIOD=10s",
        "app",
        "listen",
    ]));
    eventually("the app is ready", || {
        both(&run(&mut daemon.docker(&["logs", "held"]))).contains("ready").then_some(())
    });
    output(&mut daemon.docker(&["stop", "--time", "10", "held"]));
    let said = both(&run(&mut daemon.docker(&["logs", "held"])));
    assert!(said.contains("got SIGTERM") && said.contains("; held "), "{said}");
    let code = output(&mut daemon.docker(&["inspect", "--format", "{{.State.ExitCode}}", "held"]));
    assert_eq!(code, "0", "{said}");
    output(&mut daemon.docker(&["rm", "held"]));
}

/// What dockerd reads, and how podman calls its init.
#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn by_the_name_of_docker_init_we_answer_as_tini() {
    let folder = scratch_folder("docker-init");
    fs::create_dir_all(&folder).expect("a folder");
    let init = folder.join("docker-init");
    fs::copy(&images::all().reprieve, &init).expect("the init");
    let version = output(Command::new(&init).arg("--version"));
    assert!(version.starts_with("tini version "), "{version}");
    assert_eq!(output(Command::new(&init).args(["--", "echo", "-V"])), "-V");
    let tini = ["-s", "-g", "-v", "-e", "143", "--", "sh", "-c", "exit 143"];
    assert_eq!(output(Command::new(&init).args(tini)), "");
    fs::remove_dir_all(&folder).expect("a folder");
}

//! `cargo rest`: the tests that need root, Docker, or packages of Debian. A test that lacks something says
//! only what that is. So all that is missing is said before them, and again after them.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use nix::sys::resource::{Resource, getrlimit};

/// Programs, or files by their paths, and the packages of Debian that have them.
const PACKAGES: [(&str, &str); 42] = [
    ("tini", "tini"),
    ("dumb-init", "dumb-init"),
    ("catatonit", "catatonit"),
    ("busybox", "busybox-static"),
    ("dash", "dash"),
    ("mksh", "mksh"),
    ("zsh", "zsh"),
    ("ksh93", "ksh93u+m"),
    ("posh", "posh"),
    ("yash", "yash"),
    ("fish", "fish"),
    ("tcsh", "tcsh"),
    ("sudo", "sudo"),
    ("strace", "strace"),
    ("perl", "perl"),
    ("npm", "npm"),
    ("runsv", "runit"),
    ("nginx", "nginx-light"),
    ("haproxy", "haproxy"),
    ("apache2", "apache2-bin"),
    ("redis-server", "redis-server"),
    ("/usr/lib/postgresql", "postgresql"),
    ("gunicorn", "gunicorn"),
    ("uvicorn", "uvicorn"),
    ("node", "nodejs"),
    ("go", "golang-go"),
    ("javac", "openjdk-17-jdk-headless"),
    ("/usr/lib/python3/dist-packages/celery", "python3-celery"),
    ("/usr/lib/python3/dist-packages/redis", "python3-redis"),
    ("uwsgi", "uwsgi-core"),
    ("/usr/lib/uwsgi/plugins/python3_plugin.so", "uwsgi-plugin-python3"),
    ("supervisord", "supervisor"),
    ("php-fpm8.2", "php8.2-fpm"),
    ("cgi-fcgi", "libfcgi-bin"),
    ("/usr/lib/python3/dist-packages/grpc", "python3-grpcio"),
    ("pgbouncer", "pgbouncer"),
    ("/usr/lib/python3/dist-packages/psycopg2", "python3-psycopg2"),
    ("openssl", "openssl"),
    ("jq", "jq"),
    ("ip", "iproute2"),
    ("ld.lld", "lld"),
    ("mold", "mold"),
];

/// The same for the tests with containers.
const OF_CONTAINERS: [(&str, &str); 4] = [
    ("docker", "docker.io"),
    ("docker-compose", "docker-compose"),
    ("debootstrap", "debootstrap"),
    ("/usr/share/keyrings/debian-archive-keyring.gpg", "debian-archive-keyring"),
];

/// So many files one test has open.
const OPEN_FILES: u64 = 10_100;

fn main() -> ExitCode {
    let missing = missing();
    say(&missing);
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut tests = Command::new(cargo);
    tests.args(["test", "--no-fail-fast", "--", "--ignored"]).args(std::env::args_os().skip(1));
    let passed = tests.status().is_ok_and(|status| status.success());
    say(&missing);
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn say(missing: &[String]) {
    if !missing.is_empty() {
        eprintln!("\nMISSING here, so that tests fail:\n  {}\n", missing.join("\n  "));
    }
}

/// What is missing, each with what would bring it.
fn missing() -> Vec<String> {
    let mut missing = Vec::new();
    let packages = PACKAGES.iter().chain(&OF_CONTAINERS).filter(|(what, _)| !is_there(what));
    let packages: Vec<&str> = packages.map(|(_, package)| *package).collect();
    if !packages.is_empty() {
        missing.push(format!("apt-get install {}", packages.join(" ")));
    }
    let mut need = |is_there: bool, what: String| {
        if !is_there {
            missing.push(what);
        }
    };
    need(nix::unistd::geteuid().is_root(), "root: sudo -E cargo rest".into());
    need(succeeds("docker", &["version"]), "a Docker engine that runs: dockerd".into());
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let library =
        Command::new("rustc").args(["--print", "target-libdir", "--target", &target]).output();
    let library = library.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let is_there = library.is_ok_and(|folder| Path::new(&folder).exists());
    need(is_there, format!("rustup target add {target}"));
    let files = getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(_, most)| most);
    need(
        files >= OPEN_FILES,
        format!("{OPEN_FILES} open files, and the limit is {files}: ulimit -n"),
    );
    let multipath = std::fs::read_to_string("/proc/sys/net/mptcp/enabled");
    let is_on = multipath.is_ok_and(|value| value.trim() == "1");
    need(is_on, "multipath TCP: sysctl net.mptcp.enabled=1".into());
    missing
}

fn is_there(what: &str) -> bool {
    // Not all users have them in PATH.
    let folders = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    folders.split(':').any(|folder| Path::new(folder).join(what).exists())
}

fn succeeds(program: &str, words: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

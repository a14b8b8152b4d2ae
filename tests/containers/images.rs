//! What the tests run: the static binaries, and images made of them. No registry is asked, so each
//! image begins with nothing, or with a Debian that debootstrap made.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use nix::fcntl::{Flock, FlockArg};

use crate::harness::{both, docker, output, run, unique};

/// The images without Debian in them.
pub struct Images {
    /// The static binary that we ship.
    pub reprieve: PathBuf,
    /// The program that says which signals it gets.
    pub fixture: PathBuf,
    /// The program that plays a sidecar.
    pub proxy: PathBuf,
    /// The program that plays an app with HTTP.
    pub server: PathBuf,
    pub scratch: String,
    pub busybox: String,
}

/// Built once in a run.
pub fn all() -> &'static Images {
    static IMAGES: OnceLock<Images> = OnceLock::new();
    IMAGES.get_or_init(|| {
        needs_docker();
        let _lock = lock();
        let [reprieve, fixture, proxy, server] = binaries();
        let files = [(&*reprieve, "reprieve"), (&*fixture, "fixture")];
        let scratch = build("scratch", SCRATCH, &files);
        let busybox = PathBuf::from("/bin/busybox");
        let is_static = Command::new("ldd").arg(&busybox).output();
        let is_static = is_static.is_ok_and(|output| both(&output).contains("not a dynamic"));
        assert!(is_static, "a static busybox is missing: apt-get install busybox-static");
        let files = [(&*busybox, "busybox"), (&*reprieve, "reprieve"), (&*fixture, "fixture")];
        let busybox = build("busybox", BUSYBOX, &files);
        Images { reprieve, fixture, proxy, server, scratch, busybox }
    })
}

const SCRATCH: &str = r#"
FROM scratch
COPY reprieve fixture /
ENTRYPOINT ["/reprieve", "--"]
CMD ["/fixture", "listen"]
"#;

const BUSYBOX: &str = r#"
FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "mkdir", "-p", "/etc", "/root", "/tmp", "/usr/bin", "/usr/sbin", "/sbin"]
RUN ["/bin/busybox", "--install", "-s", "/bin"]
RUN echo root:x:0:0:root:/root:/bin/sh > /etc/passwd
COPY reprieve fixture /
ENTRYPOINT ["/reprieve", "--"]
CMD ["/fixture", "listen"]
"#;

/// A Debian with nginx, Python and two shells; built once in a run, bootstrapped once on a machine.
pub fn debian() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let images = all();
        let _lock = lock();
        bootstrap();
        let files = [(&*images.reprieve, "reprieve"), (&*images.fixture, "fixture")];
        build("debian", &DEBIAN.replace("BASE", BASE), &files)
    })
}

/// Change it with what is bootstrapped, or the old one is taken.
const BASE: &str = "reprieve-test/debian-base:bookworm-1";

const DEBIAN: &str = r#"
FROM BASE
RUN sed -i '/\[::\]/d' /etc/nginx/sites-enabled/default \
 && ln -sf /dev/stdout /var/log/nginx/access.log \
 && ln -sf /dev/stderr /var/log/nginx/error.log
COPY reprieve fixture /
ENTRYPOINT ["/reprieve", "--"]
CMD ["/fixture", "listen"]
"#;

fn bootstrap() {
    if run(&mut docker(["image", "inspect", BASE])).status.success() {
        return;
    }
    let folder = scratch_folder("debian");
    let packages = "--include=nginx-light,python3,bash,dash";
    let mut debootstrap = as_root("debootstrap");
    debootstrap.args(["--variant=minbase", packages, "bookworm"]).arg(&folder);
    let made = debootstrap.output();
    let made = made.unwrap_or_else(|error| {
        panic!("{debootstrap:?}: {error}: apt-get install debootstrap debian-archive-keyring")
    });
    assert!(made.status.success(), "{debootstrap:?} failed:\n{}", both(&made));
    let mut tar = as_root("tar");
    tar.arg("--directory").arg(&folder).args(["--exclude=./var/cache/apt/archives/*.deb"]);
    tar.args(["--exclude=./var/lib/apt/lists/*", "--create", "."]).stdout(Stdio::piped());
    let mut tar = tar.spawn().expect("tar");
    let stream = tar.stdout.take().expect("a pipe");
    output(docker(["import", "-", BASE]).stdin(stream));
    assert!(tar.wait().expect("tar").success(), "tar failed");
    output(as_root("rm").arg("-rf").arg(&folder));
}

/// An image from the text of a Dockerfile and the files that it copies.
pub fn build(name: &str, dockerfile: &str, files: &[(&Path, &str)]) -> String {
    let folder = scratch_folder(name);
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("Dockerfile"), dockerfile).expect("a Dockerfile");
    for (file, name) in files {
        fs::copy(file, folder.join(name))
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
    let tag = format!("reprieve-test/{name}");
    output(docker(["build", "--quiet", "--tag", &tag]).arg(&folder));
    fs::remove_dir_all(&folder).expect("a folder");
    tag
}

/// A path below Cargo's folder for tests that is nobody else's.
pub fn scratch_folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(unique(name))
}

/// The static release binaries of the init and of the programs that play the app and a sidecar.
fn binaries() -> [PathBuf; 4] {
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    cargo.args(["build", "--release", "--locked", "--target", &target]);
    cargo.args(["--bin", "reprieve"]);
    cargo.args(["fixture", "proxy", "server"].map(|name| format!("--example={name}")));
    cargo.args(["--message-format", "json"]);
    let built = run(&mut cargo);
    assert!(
        built.status.success(),
        "the static binary cannot be built; if the target is missing: rustup target add \
         {target}\n{}",
        String::from_utf8_lossy(&built.stderr)
    );
    let messages = String::from_utf8_lossy(&built.stdout);
    let messages: Vec<serde_json::Value> =
        messages.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    ["reprieve", "fixture", "proxy", "server"].map(|name| {
        let mut of_it = messages.iter().filter(|message| message["target"]["name"] == name);
        let file = of_it.find_map(|message| message["executable"].as_str());
        PathBuf::from(file.unwrap_or_else(|| panic!("cargo does not say where {name} is")))
    })
}

/// As root, which debootstrap and dockerd need.
pub fn as_root(program: &str) -> Command {
    if nix::unistd::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.args(["--non-interactive", program]);
    command
}

fn needs_docker() {
    let version = docker(["version"]).output();
    let version = version.unwrap_or_else(|error| panic!("timeout, of coreutils: {error}"));
    assert!(
        version.status.success(),
        "these tests need a Docker engine that runs, and the docker command:\n{}",
        both(&version)
    );
}

/// Tests may run as several processes (cargo nextest): one of them builds, the others wait.
fn lock() -> Flock<fs::File> {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("images.lock");
    let file = fs::File::create(path).expect("a lock file");
    Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| errno).expect("a lock")
}

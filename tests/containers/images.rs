//! What the tests run: the static binaries, and images made of them. No registry is asked, so each
//! image begins with nothing, or with a Debian that debootstrap made.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock};

use nix::fcntl::{Flock, FlockArg};
use nix::libc;

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
        remove_at_the_end();
        let _lock = lock("images.lock", FlockArg::LockExclusive);
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

/// What the names of images begin with: another clone has others.
fn repository() -> String {
    let mut hasher = DefaultHasher::new();
    env!("CARGO_MANIFEST_DIR").hash(&mut hasher);
    format!("reprieve-test-{:08x}", hasher.finish() as u32)
}

/// The images go when the last process of tests ends that may use them.
fn remove_at_the_end() {
    static USED: Mutex<Option<Flock<fs::File>>> = Mutex::new(None);
    extern "C" fn remove() {
        let used = USED.lock().ok().and_then(|mut used| used.take());
        if used.is_some_and(|used| used.relock(FlockArg::LockExclusiveNonblock).is_ok()) {
            let all = format!("reference={}/*", repository());
            let listed = docker(["image", "ls", "--quiet", "--filter", &all]).output();
            let images = listed.map(|listed| both(&listed)).unwrap_or_default();
            let _ = docker(["image", "rm", "--force"]).args(images.split_whitespace()).output();
        }
    }
    *USED.lock().expect("a lock") = Some(lock("images.used", FlockArg::LockShared));
    // SAFETY: it is called once, at exit, and does not unwind.
    unsafe { libc::atexit(remove) };
}

/// A Debian with nginx, Python and two shells; built once in a run.
pub fn debian() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let images = all();
        let _lock = lock("images.lock", FlockArg::LockExclusive);
        bootstrap();
        let files = [(&*images.reprieve, "reprieve"), (&*images.fixture, "fixture")];
        build("debian", &DEBIAN.replace("BASE", &base()), &files)
    })
}

fn base() -> String {
    format!("{}/debian-base", repository())
}

const DEBIAN: &str = r#"
FROM BASE
RUN sed -i '/\[::\]/d' /etc/nginx/sites-enabled/default \
 && ln -sf /dev/stdout /var/log/nginx/access.log \
 && ln -sf /dev/stderr /var/log/nginx/error.log
COPY reprieve fixture /
ENTRYPOINT ["/reprieve", "--"]
CMD ["/fixture", "listen"]
"#;

/// Makes an image of a Debian, which is kept as an archive below Cargo's folder for tests.
fn bootstrap() {
    // Change its name with what is bootstrapped, or the old one is taken.
    let archive = Path::new(env!("CARGO_TARGET_TMPDIR")).join("debian-bookworm-1.tar");
    if !archive.exists() {
        debootstrap(&archive);
    }
    output(docker(["import"]).arg(archive).arg(base()));
}

fn debootstrap(archive: &Path) {
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
    tar.args(["--exclude=./var/lib/apt/lists/*", "--create", "."]);
    // It is there when it is whole.
    let part = archive.with_extension("part");
    tar.stdout(Stdio::from(fs::File::create(&part).expect("a file")));
    assert!(tar.status().expect("tar").success(), "tar failed");
    output(as_root("rm").arg("-rf").arg(&folder));
    fs::rename(part, archive).expect("a file");
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
    let tag = format!("{}/{name}", repository());
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
fn lock(name: &str, how: FlockArg) -> Flock<fs::File> {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let file = fs::File::create(path).expect("a lock file");
    Flock::lock(file, how).map_err(|(_, errno)| errno).expect("a lock")
}

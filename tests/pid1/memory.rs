//! Shutdowns in which memory is refused: by a limit, or from some request on. PID 1 lives, the stop signal
//! is forwarded and SIGKILL comes, each in time (docs/behaviour.md, 6.12).

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use nix::libc;
use nix::sys::resource::Resource;

use crate::harness::*;

/// A hold with all that there is, and SIGKILL three seconds after the stop signal.
const EVERYTHING: &str = "--log-format json --delay 300ms..600ms --quiet-window 200ms \
    --grace-period 4s --margin 1s --health-listen 127.0.0.1:9000";

const CONNECTIONS: usize = 1000;

/// So many leftovers are fewer, or more, than may be looked at with what is reserved.
const FEW: usize = 200;
const MANY: usize = 1500;

/// The first moment of the hold, and of SIGKILL.
const HELD: [std::time::Duration; 2] = [MS.saturating_mul(300), SECOND.saturating_mul(3)];

/// One shutdown: the app says that it got its signal and ends with 7; what it leaves is deaf.
struct Shutdown {
    run: Run,
    _client: Visitor,
    folder: Folder,
}

impl Shutdown {
    fn ready(init: Init, folder: Folder, deaf: usize) -> Shutdown {
        let serve = format!("{} serve tcp:127.0.0.1:8080", network().display());
        let script = format!(
            "{serve} & \"$FIXTURE\" odd {deaf} & exec \"$FIXTURE\" listen --name app --code 7"
        );
        let report = folder.path("report");
        let init = init
            .options(EVERYTHING)
            .option("--report-file", report)
            .option("--on-stop", "echo on-stop")
            .option("--on-exit", "echo on-exit")
            .in_network("");
        let run = init.shell(&["sh"], &script);
        run.hears("app ready");
        run.hears("serving");
        run.hears("made");
        let mut client = run.beside("call 127.0.0.1:8080");
        client.does(&format!("open {CONNECTIONS}"));
        Shutdown { run, _client: client, folder }
    }

    /// Sends the stop signal, and asserts what is promised.
    #[track_caller]
    fn stops_in_time(self, what: &str) -> Ended {
        let began_at = self.run.signal(libc::SIGTERM);
        let ended = self.run.ends();
        assert_eq!(ended.code, 7, "{what}: {ended}");
        let heard = ended.lines.iter().find(|line| line.text == "app got SIGTERM");
        let heard = heard.unwrap_or_else(|| panic!("{what}: nothing was forwarded: {ended}"));
        for (at, after) in [heard.at, ended.at].into_iter().zip(HELD) {
            assert_after(began_at, at, after);
        }
        // One that is there is whole.
        let report = std::fs::read_to_string(self.folder.path("report")).unwrap_or_default();
        let whole =
            report.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok());
        assert!(whole, "{what}: {report}");
        ended
    }
}

/// A limit of a process that runs, in bytes.
fn limit(pid: i32, resource: Resource, bytes: u64) {
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
    // SAFETY: the limit lives for the call, and the old one is not asked for.
    let done = unsafe { libc::prlimit(pid, resource as _, &raw const limit, std::ptr::null_mut()) };
    assert_eq!(done, 0, "prlimit");
}

/// What /proc/PID/status says in KiB, in bytes.
fn size(pid: i32, key: &str) -> u64 {
    let size = status(pid, key).unwrap_or_default();
    1024 * size.trim_end_matches(" kB").parse::<u64>().expect("a number")
}

#[test]
fn a_limit_of_memory_holds_up_no_deadline() {
    let limits = [(Resource::RLIMIT_AS, "VmSize"), (Resource::RLIMIT_DATA, "VmData")];
    for (resource, key) in limits {
        at_once([0, 16, 64, 160, 300, 1000], |room| {
            let ended = with_room(resource, key, room, FEW);
            assert!(room > 0 || ended.said(r#""event":"no_memory""#), "{ended}");
            // A folder cannot be read without memory, and a few children are found all the same.
            assert!(ended.said(r#""event":"swept""#), "{ended}");
        });
    }
}

#[test]
fn a_limit_of_memory_and_many_leftovers_hold_up_no_deadline() {
    for room in [0, 160, 1000] {
        let ended = with_room(Resource::RLIMIT_AS, "VmSize", room, MANY);
        assert!(ended.said(r#""event":"swept""#), "{ended}");
    }
}

#[test]
fn a_limit_of_memory_and_many_listeners_hold_up_no_deadline() {
    for (resource, key) in [(Resource::RLIMIT_AS, "VmSize"), (Resource::RLIMIT_DATA, "VmData")] {
        at_once([0, 200, 1000, 2000], |room| {
            let script = format!("exec {} serve crowd:6000", network().display());
            let options = "--log-format json --delay 300ms..600ms --grace-period 4s --margin 1s";
            let run = pid1().options(options).in_network("").shell(&["sh"], &script);
            run.hears("serving");
            let init = run.pid();
            limit(init, resource, size(init, key) + room * 1024);
            run.signal(libc::SIGTERM);
            let ended = run.ends();
            let what = format!("{key} and {room} KiB");
            assert_eq!(ended.code, 143, "{what}: {ended}");
            assert!(at_ms(&ended, "forwarded_at_ms") >= 600, "{what}: {ended}");
            let is_unseen = ended.said("there is no memory for a list of all sockets");
            assert!(room > 0 || is_unseen, "{what}: {ended}");
        });
    }
}

/// A shutdown with so many KiB more than there are, and so many leftovers.
fn with_room(resource: Resource, key: &str, room: u64, deaf: usize) -> Ended {
    let shutdown = Shutdown::ready(pid1(), Folder::new(), deaf);
    let init = shutdown.run.pid();
    limit(init, resource, size(init, key) + room * 1024);
    shutdown.stops_in_time(&format!("{key} and {room} KiB"))
}

/// How many requests are still granted.
struct Left(File);

impl Left {
    fn in_folder(folder: &Folder) -> Left {
        let path = folder.file("left", i64::MAX.to_ne_bytes(), 0o666);
        Left(File::options().read(true).write(true).open(path).expect("a file"))
    }

    fn set(&self, count: i64) {
        self.0.write_all_at(&count.to_ne_bytes(), 0).expect("eight bytes");
    }

    fn get(&self) -> i64 {
        let mut bytes = [0; 8];
        self.0.read_exact_at(&mut bytes, 0).expect("eight bytes");
        i64::from_ne_bytes(bytes)
    }
}

/// A shutdown in which so many requests for memory are granted. How many it has made.
fn with_granted(count: i64) -> (i64, Ended) {
    let folder = Folder::new();
    let left = Left::in_folder(&folder);
    let path = folder.path("left");
    let init = Init::new(true, refused()).variable("LEFT", utf8(&path));
    let shutdown = Shutdown::ready(init, folder, FEW);
    left.set(count);
    let ended = shutdown.stops_in_time(&format!("{count} requests"));
    (count - left.get(), ended)
}

fn utf8(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// All that can be told apart in a few seconds: the first ones, and random ones among the others.
#[test]
fn memory_that_is_refused_from_some_request_on_holds_up_no_deadline() {
    const AT_ONCE: usize = 12;
    let (made, ended) = with_granted(i64::MAX / 2);
    assert!(!ended.said("no_memory"), "{ended}");
    let seed = fastrand::u64(..);
    println!("{made} requests in a shutdown; seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let counts: Vec<i64> = (0..16).chain((0..32).map(|_| random.i64(16..made))).collect();
    for counts in counts.chunks(AT_ONCE) {
        at_once(counts.iter().copied(), |count| {
            let (_, ended) = with_granted(count);
            assert!(count > made / 2 || ended.said("no_memory"), "seed {seed}: {ended}");
        });
    }
}

//! The ready file: an exec probe looks whether it is there (docs/behaviour.md, 11.1 to 11.3).

use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use super::*;

#[test]
fn the_ready_file_is_there_from_the_start_of_the_app_to_the_stop_signal() {
    for init in [pid1(), laptop()] {
        let folder = Folder::new();
        let file = folder.file("ready", "stale", 0o600);
        let script = format!("cat {} 2>&-; exec $FIXTURE listen --until SIGUSR1", file.display());
        let run = init.options(&ready_file(&file)).options("--delay 1h").shell(&["sh"], &script);
        run.hears("ready");
        appears(&file);
        assert_eq!(std::fs::read(&file).expect("the file"), b"");
        run.signal(libc::SIGTERM);
        run.hears(STOP_SIGNAL);
        assert!(!file.exists(), "it is there after the first line of the log");
        run.signal(libc::SIGUSR1);
        let ended = run.ends();
        assert_eq!((ended.code, file.exists()), (0, false), "{}", ended.all());
        assert!(!ended.said("stale") && ended.times(r#""level":"warn""#) == 0, "{}", ended.all());
    }
}

#[test]
fn the_ready_file_has_gone_before_the_app_gets_the_stop_signal() {
    let folder = Folder::new();
    let file = folder.path("ready");
    let run = pid1().options(&ready_file(&file)).fixture("listen --until SIGUSR1");
    run.hears("ready");
    appears(&file);
    run.signal(libc::SIGTERM);
    run.hears("got SIGTERM");
    assert!(!file.exists());
    run.signal(libc::SIGUSR1);
    assert_eq!(run.ends().code, 0);
}

/// Before what runs after the app.
#[test]
fn the_ready_file_goes_however_the_app_ends() {
    type Deed = fn(&Run);
    let endings: [(&str, &str, Deed, i32); 5] = [
        ("", "listen --until SIGUSR1 --code 3", |run| send(run.pid(), libc::SIGUSR1), 3),
        ("", "listen", |run| send(run.main_pid(), libc::SIGKILL), 137),
        ("", "leave orphan --drain 100", |run| send(run.main_pid(), libc::SIGKILL), 137),
        ("--grace-period 2s", "listen --ignore SIGTERM", |run| send(run.pid(), libc::SIGTERM), 137),
        ("--rehearse 500ms", "listen", |_| (), 0),
    ];
    for (options, app, deed, code) in endings {
        let folder = Folder::new();
        let file = folder.path("ready");
        let hook = format!("sh -c 'test -e {} || echo has gone'", file.display());
        let init = pid1().options(&ready_file(&file)).options(options);
        let run = init.variable("REPRIEVE_ON_EXIT", &hook).fixture(app);
        run.hears("ready");
        appears(&file);
        deed(&run);
        let ended = run.ends();
        assert_eq!((ended.code, file.exists()), (code, false), "{app}: {}", ended.all());
        assert_eq!(ended.times("has gone"), 1, "{app}: {}", ended.all());
    }
}

#[test]
fn the_ready_file_has_gone_while_leftovers_are_swept() {
    let folder = Folder::new();
    let file = folder.path("ready");
    let run = pid1().options(&ready_file(&file)).fixture("leave orphan --until SIGUSR1");
    run.hears("left ready");
    appears(&file);
    send(run.main_pid(), libc::SIGKILL);
    run.hears("left got SIGTERM");
    assert!(!file.exists());
    run.signal(libc::SIGUSR1);
    assert_eq!(run.ends().code, 137);
}

#[test]
fn without_an_app_there_is_no_ready_file_not_even_a_stale_one() {
    let folder = Folder::new();
    let file = folder.file("ready", "stale", 0o600);
    let ended = pid1().options(&ready_file(&file)).app(["/no/such/app"]).ends();
    assert_eq!((ended.code, file.exists()), (127, false), "{}", ended.all());
}

#[test]
fn the_ready_file_does_not_come_before_the_app_that_awaits_its_sidecar() {
    for answers in [true, false] {
        let folder = Folder::new();
        let file = folder.file("ready", "stale", 0o600);
        let address = address();
        let sidecar = TcpListener::bind(address).expect("a port");
        let init = pid1().options(&ready_file(&file));
        let run = init.options(&format!("--await-url http://{address}/")).fixture("listen");
        let (mut asked, _) = sidecar.accept().expect("a request");
        assert!(!file.exists(), "there is one while the app awaits its sidecar");
        let code = if answers {
            asked.write_all(b"HTTP/1.1 204 x\r\n\r\n").expect("a client");
            run.hears("ready");
            appears(&file);
            0
        } else {
            143
        };
        run.signal(libc::SIGTERM);
        let ended = run.ends();
        assert_eq!((ended.code, file.exists()), (code, false), "{}", ended.all());
        assert_eq!(ended.said("ready "), answers, "{}", ended.all());
    }
}

/// Afterwards we are in another folder.
#[test]
fn the_ready_file_may_be_named_in_each_way() {
    type Named = fn(Init, &str) -> Init;
    let ways: [(Named, &str); 4] = [
        (|init, path| init.options(&format!("--ready-file {path}")), "ready"),
        (|init, path| init.options(&format!("--ready-file={path}")), "./sub/../ready"),
        (|init, path| init.variable("REPRIEVE_READY_FILE", path), "ready"),
        (|init, path| init.variable("REPRIEVE_READY_FILE", path), "sub/ready"),
    ];
    for (name_it, path) in ways {
        let folder = Folder::new();
        std::fs::create_dir(folder.path("sub")).expect("a folder");
        let here = folder.path("");
        let script = format!("cd {}; umask 027; exec \"$@\"", here.display());
        let run = name_it(pid1(), path).through(&script).fixture("state --and-listen");
        run.hears("ready ");
        let file = folder.path(path);
        appears(&file);
        let mode = std::fs::metadata(&file).expect("the file").permissions().mode();
        assert_eq!(mode & 0o7777, 0o640, "{path}: {mode:o}");
        run.signal(libc::SIGTERM);
        let ended = run.ends();
        assert_eq!((ended.code, file.exists()), (0, false), "{path}: {}", ended.all());
        assert!(!ended.said("REPRIEVE_"), "{}", ended.all());
    }
}

/// After the spawn nothing is fatal.
#[test]
fn a_ready_file_that_cannot_be_removed_is_a_warning() {
    let folder = Folder::new();
    let file = folder.path("ready");
    let run = pid1().options(&ready_file(&file)).fixture("listen --code 7");
    run.hears("ready");
    appears(&file);
    std::fs::remove_file(&file).expect("the file");
    std::fs::create_dir(&file).expect("a folder");
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_eq!((ended.code, ended.times("ready_file_stays")), (7, 1), "{}", ended.all());
}

#[test]
fn a_ready_file_that_somebody_removed_is_no_warning() {
    let folder = Folder::new();
    let file = folder.path("ready");
    let run = pid1().options(&ready_file(&file)).fixture("listen");
    run.hears("ready");
    appears(&file);
    std::fs::remove_file(&file).expect("the file");
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_eq!((ended.code, ended.times(r#""level":"warn""#)), (0, 0), "{}", ended.all());
}

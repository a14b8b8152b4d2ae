//! The ready file: an exec probe looks whether it is there (docs/behaviour.md, 11.1 to 11.3).

use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown, symlink};

use super::*;

#[test]
fn the_ready_file_is_there_from_the_start_of_the_app_to_the_stop_signal() {
    for init in [pid1(), laptop()] {
        let folder = Folder::new();
        let file = folder.file("ready", "", 0o600);
        let script = format!("cat {} 2>&-; exec $FIXTURE listen --until SIGUSR1", file.display());
        let run = init
            .options(&ready_file(&file))
            .options("--delay 1h --grace-period none")
            .shell(&["sh"], &script);
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
    let file = folder.file("ready", "", 0o600);
    let ended = pid1().options(&ready_file(&file)).app(["/no/such/app"]).ends();
    assert_eq!((ended.code, file.exists()), (127, false), "{}", ended.all());
}

#[test]
fn the_ready_file_does_not_come_before_the_app_that_awaits_its_sidecar() {
    for answers in [true, false] {
        let folder = Folder::new();
        let file = folder.file("ready", "", 0o600);
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

/// It may be needed, whoever named it.
#[test]
fn what_is_no_ready_file_of_ours_is_refused_and_stays() {
    let folder = Folder::new();
    let path = |name: &str| folder.path(name).display().to_string();
    folder.file("full", "x", 0o600);
    folder.file("empty", "", 0o600);
    symlink(folder.path("empty"), folder.path("link")).expect("a link");
    symlink("nothing", folder.path("dangling")).expect("a link");
    symlink(".", folder.path("folder")).expect("a link");
    let refused = [
        ("full", "it is not empty"),
        ("link", "it is a link"),
        ("dangling", "it is a link"),
        ("folder", "it is a link"),
    ];
    for (name, why) in refused {
        let right = "remove it, or name a path where nothing is";
        is_refused(&["--ready-file", &path(name)], &[&path(name), why, right]);
        assert!(folder.path(name).symlink_metadata().is_ok(), "{name} was removed");
    }
    assert_eq!(std::fs::read(folder.path("full")).expect("the file"), b"x");
    assert!(folder.path("empty").exists());
}

#[test]
#[ignore = "needs root, to give a file away"]
fn an_empty_file_of_another_uid_is_refused_and_stays() {
    let folder = Folder::new();
    let file = folder.file("ready", "", 0o600);
    chown(&file, Some(65534), None).expect("root");
    let parts = ["it belongs to uid 65534, and we are 0"];
    is_refused(&["--ready-file", &file.display().to_string()], &parts);
    assert!(file.exists());
}

#[test]
fn the_ready_file_is_not_made_behind_a_link_that_others_may_have_made() {
    let folder = Folder::new();
    let (ours, open) = (folder.path("ours"), folder.path("open"));
    std::fs::create_dir(&ours).expect("a folder");
    symlink("ours", folder.path("link")).expect("a link");
    for mode in [0o1777, 0o770] {
        std::fs::create_dir(&open).expect("a folder");
        std::fs::set_permissions(&open, PermissionsExt::from_mode(mode)).expect("a mode");
        symlink(&ours, open.join("link")).expect("a link");
        let behind = open.join("link/ready").display().to_string();
        let why = "'link' is a link in a directory that others can write; name what it leads to";
        is_refused(&["--ready-file", &behind], &[&behind, why]);
        std::fs::remove_dir_all(&open).expect("the folder");
    }
    let run = pid1().options(&ready_file(&folder.path("link/ready"))).fixture("listen");
    run.hears("ready");
    appears(&ours.join("ready"));
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_eq!((ended.code, ours.join("ready").exists()), (0, false), "{}", ended.all());
}

/// Somebody else may need it.
#[test]
fn what_has_taken_the_ready_file_s_place_stays() {
    type Deed = fn(&Folder);
    let deeds: [(Deed, &str, usize); 3] = [
        (
            |folder| {
                let other = folder.file("other", "", 0o600);
                std::fs::rename(other, folder.path("sub/ready")).expect("another file");
            },
            "sub/ready",
            1,
        ),
        (
            |folder| {
                std::fs::rename(folder.path("sub"), folder.path("moved")).expect("the folder");
                std::fs::create_dir(folder.path("sub")).expect("a folder");
                folder.file("sub/ready", "", 0o600);
            },
            "sub/ready",
            1,
        ),
        (
            |folder| {
                std::fs::rename(folder.path("sub"), folder.path("moved")).expect("the folder");
            },
            "moved/ready",
            0,
        ),
    ];
    for (deed, stays, warnings) in deeds {
        let folder = Folder::new();
        std::fs::create_dir(folder.path("sub")).expect("a folder");
        let file = folder.path("sub/ready");
        let run = pid1().options(&ready_file(&file)).fixture("listen");
        run.hears("ready");
        appears(&file);
        deed(&folder);
        run.signal(libc::SIGTERM);
        let ended = run.ends();
        assert_eq!((ended.code, ended.times("ready_file_stays")), (0, warnings), "{}", ended.all());
        assert!(folder.path(stays).exists(), "{}", ended.all());
    }
}

//! Host names in URLs: who resolves them, and a name server that is dead (docs/behaviour.md,
//! 13.6 and 13.7).

use super::*;

/// Where these names are known, and a name server on loopback is asked for all others.
fn with_names(folder: &Folder, hosts: &str, options: &str) -> Init {
    let hosts = folder.file("hosts", hosts, 0o644);
    let resolver = folder.file("resolv.conf", "nameserver 127.0.0.1\n", 0o644);
    let script = format!(
        "mount --bind {} /etc/hosts && mount --bind {} /etc/resolv.conf && exec {} new -- \"$@\"",
        hosts.display(),
        resolver.display(),
        network().display(),
    );
    pid1().options(options).through(&script)
}

/// A name server that never answers, and has been asked.
fn dead_name_server(run: &Run) -> Visitor {
    // Then the init is in its network.
    run.until_said("a first line", |line| line.contains("ready"));
    let mut server = run.beside("serve udp:127.0.0.1:53");
    assert!(server.line().starts_with("serving"));
    server
}

/// A packet waits on port 53 (0035), for ever.
fn has_been_asked(run: &Run) {
    eventually("a question to the name server", || {
        let sockets = std::fs::read_to_string(format!("/proc/{}/net/udp", run.pid())).ok()?;
        let mut sockets = sockets.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let server = sockets.find(|fields| fields[1].ends_with(":0035"))?;
        let (_, received) = server[4].split_once(':')?;
        (received != "00000000").then_some(())
    });
}

#[test]
fn names_are_resolved_as_the_system_does() {
    let folder = Folder::new();
    // The second is an address that the resolver of each C library reads, and no name server.
    for name in ["proxy.test", "127.7"] {
        let urls = format!("--await-url http://{name}:4000/up --quit-url http://{name}:4000/down");
        let run = waiting(with_names(&folder, "127.0.0.7 proxy.test\n", &urls));
        let proxy = run.proxy("GET=127.0.0.7:4000/up=200 POST=127.0.0.7:4000/down=200!");
        started(&run);
        run.signal(libc::SIGTERM);
        assert_eq!(asked(proxy), ["GET 4000/up", "POST 4000/down"]);
        assert_eq!(run.ends().code, 3);
    }
}

#[test]
fn a_name_that_nobody_knows_is_said_to_be_unknown() {
    let folder = Folder::new();
    // Nobody serves names there. musl waits until its own timeout, glibc knows at once.
    let run = with_names(&folder, "", "-v --await-url http://proxy.test:4000/").fixture("listen");
    run.hears("http://proxy.test:4000/ is not ready: no such host");
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_eq!(ended.code, 143, "{}", ended.all());
    never_started(&ended);
}

#[test]
fn localhost_is_loopback_of_either_family_and_never_looked_up() {
    let folder = Folder::new();
    for address in ["127.0.0.1", "[::1]"] {
        let urls = "--await-url http://localhost:4000/up --quit-url http://LOCALHOST:4000/down";
        let run = waiting(with_names(&folder, "127.0.0.7 localhost\n", urls));
        let _server = dead_name_server(&run);
        let proxy = run.proxy(&format!("GET={address}:4000/up=200 POST={address}:4000/down=200!"));
        started(&run);
        run.signal(libc::SIGTERM);
        assert_eq!(asked(proxy), ["GET 4000/up", "POST 4000/down"]);
        assert_eq!(run.ends().code, 3);
    }
}

#[test]
fn a_dead_name_server_holds_up_no_stop_signal() {
    let folder = Folder::new();
    let run = with_names(&folder, "", "-v --await-url http://proxy.test:4000/").fixture("listen");
    let _server = dead_name_server(&run);
    has_been_asked(&run);
    let began_at = run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_after(began_at, ended.at, NOW);
    assert_eq!(ended.code, 143, "{}", ended.all());
}

#[test]
fn a_dead_name_server_does_not_make_the_wait_longer() {
    let folder = Folder::new();
    let options = "-v --await-url http://proxy.test:4000/ --await-timeout 8s --await-or-start \
                   --log-format json";
    let run = with_names(&folder, "", options).fixture("listen --code 3");
    let _server = dead_name_server(&run);
    has_been_asked(&run);
    assert_after(run.started_at, started(&run).at, 8000 * MS);
    // Nothing of ours is left to be the app's; what asked for the name ends with who asked.
    eventually("the end of who asked", || askers(&run).is_empty().then_some(()));
    run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_eq!((ended.code, &ended.report()["left_over"]["count"]), (3, &0.into()), "{ended}");
}

#[test]
fn a_dead_name_server_takes_two_seconds_and_no_deadline() {
    let folder = Folder::new();
    let urls = "--quit-url http://proxy.test:4000/,http://127.0.0.1:4000/";
    let run = with_names(&folder, "", urls).fixture("listen --code 3");
    run.hears("ready");
    let _server = dead_name_server(&run);
    let proxy = run.proxy("POST=127.0.0.1:4000/=200!");
    let began_at = run.signal(libc::SIGTERM);
    assert_eq!(asked(proxy), ["POST 4000/"]);
    let ended = run.ends();
    assert_after(began_at, ended.at, 2000 * MS);
    println!("a dead name server: {:?}", ended.at - began_at);
    assert_eq!(ended.code, 3, "{}", ended.all());
    assert_eq!(
        ended.times("POST http://proxy.test:4000/: no answer in 2s ("),
        1,
        "{}",
        ended.all()
    );

    let options = "--quit-url http://proxy.test:4000/ --grace-period 2s";
    let run = with_names(&folder, "", options).fixture("listen --code 3");
    run.hears("ready");
    let _server = dead_name_server(&run);
    let began_at = run.signal(libc::SIGTERM);
    let ended = run.ends();
    assert_after(began_at, ended.at, 1000 * MS);
    assert!(ended.at < began_at + 2000 * MS + 4000 * MS, "{}", ended.all());
    assert_eq!(ended.code, 3, "{}", ended.all());
}

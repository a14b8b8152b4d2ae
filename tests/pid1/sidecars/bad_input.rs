//! Bad options: they are found before anybody is asked and anything is spawned
//! (docs/behaviour.md, 1.2, 13.6 and 16.9).

use std::process::Command;

use super::*;

#[test]
fn a_bad_url_is_one_clear_line_and_nothing_is_spawned() {
    let folder = Folder::new();
    for (url, why) in [
        ("https://localhost/", "there is no TLS here"),
        ("ftp://localhost/", "write http://HOST:PORT/PATH"),
        ("localhost:8080/ready", "write http://HOST:PORT/PATH"),
        ("/ready", "write http://HOST:PORT/PATH"),
        ("http://me@localhost/", "leave the user before the @ out"),
        ("http://me:secret@localhost/", "leave the user before the @ out"),
        ("http://", "write a host"),
        ("http:///ready", "write a host"),
        ("http://:8080/", "write a host"),
        ("http://[::1/", "write a host"),
        ("http://localhost:0/", "write a port, 1 to 65535"),
        ("http://localhost:65536/", "write a port, 1 to 65535"),
        ("http://localhost:/", "write a port, 1 to 65535"),
        ("http://localhost:http/", "write a port, 1 to 65535"),
        ("http://localhost/a b", "only printable ASCII"),
        ("http://localhost/a\r\nHost: b", "only printable ASCII"),
        ("http://localhost/#a", "leave the # and what follows out"),
        ("http://localhost/,", "write http://HOST:PORT/PATH"),
    ] {
        for option in ["await-url", "quit-url"] {
            refused(&folder, option, url, why);
        }
    }
    for (request, why) in [
        ("post=http://localhost/", "a method is upper-case letters"),
        ("=http://localhost/", "a method is upper-case letters"),
        ("GET =http://localhost/", "a method is upper-case letters"),
        ("POST=", "write http://HOST:PORT/PATH"),
    ] {
        refused(&folder, "quit-url", request, why);
    }
    refused(&folder, "sidecar", "envoy", "envoy");
    refused(&folder, "await-timeout", "soon", "write 500ms, 15s");
    refused(&folder, "await-or-start", "maybe", "maybe");
}

/// On the command line, where it takes a value, and as a variable.
fn refused(folder: &Folder, option: &str, value: &str, why: &str) {
    let made = folder.path("made");
    let by_variable = format!("REPRIEVE_{}", option.to_uppercase().replace('-', "_"));
    for variable in [false, true] {
        let mut command: Command = reprieve();
        match variable {
            true => command.env(&by_variable, value),
            false if option == "await-or-start" => continue,
            false => command.arg(format!("--{option}={value}")),
        };
        let call = call(command.args(["--", "touch"]).arg(&made));
        let name = if variable { by_variable.clone() } else { format!("--{option}") };
        assert_eq!((call.code, call.stdout.as_str()), (125, ""), "{value:?}: {}", call.stderr);
        assert!(call.stderr.contains(why) && call.stderr.contains(&name), "{}", call.stderr);
        assert_eq!(call.stderr.lines().count(), 1, "{}", call.stderr);
        assert!(!made.exists(), "{value:?}");
    }
}

/// A mistake is found before anybody is asked.
#[test]
fn bad_options_are_found_before_the_wait() {
    let (listener, url) = mute();
    listener.set_nonblocking(true).expect("a socket");
    let options = ["--delay=5s", "--grace-period=2s", "--await-url", &url, "--", "true"];
    let call = call(reprieve().args(options));
    assert_eq!(call.code, 125, "{}", call.stderr);
    assert!(listener.accept().is_err(), "it was asked");
}

//! The delay that the report advises: with it nothing is lost, and with a second less something is.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

use super::*;
use crate::load::{under_load, until_served};
use crate::network::Network;
use crate::shutdown::version;

/// So long after the stop signal traffic is led elsewhere.
const LAG: Duration = Duration::from_millis(1300);

/// The report of a shutdown, and how many requests were lost.
type Outcome = (Value, usize);

/// Learns from a hold that was long enough, and tries what it advises.
fn is_right(scene: fn(delay: &str) -> Outcome) {
    let (report, lost) = scene("4s");
    println!("{lost} lost: {}", report["traffic"]);
    assert_eq!(lost, 0, "{report}");
    let last = number(&report, "traffic/last_data_ms");
    assert!(last >= 1200, "{report}");
    let advised = number(&report, "traffic/sufficient_delay_ms");
    assert_eq!(advised, (last / 1000 + 1) * 1000, "{report}");
    at_once([(advised, true), (advised - 1000, false)], |(delay, is_enough)| {
        let (report, lost) = scene(&format!("{delay}ms"));
        println!("{delay} ms: {lost} lost");
        assert_eq!(lost == 0, is_enough, "{lost} lost with {delay} ms: {report}");
        assert!(is_enough || report["traffic"]["sufficient_delay_ms"].is_null(), "{report}");
    });
}

/// Holds a server with a fixed delay, while it is left by its clients.
fn held(run: Run, leave: impl FnOnce()) -> Value {
    wait_until(hold(&run) + LAG);
    leave();
    report(run, "delay")
}

/// nginx beside another one, behind a HAProxy that takes it out.
fn behind_haproxy(delay: &str) -> Outcome {
    let nginx = |init: Init, options: &str, address: u16| {
        let text = include_str!("../../../tests/shared/nginx.conf");
        let text = text.replace("ADDRESS", &port(address).to_string());
        let init = init.variable("FILE", &text).options(options);
        init.app(["nginx", "-e", "stderr", "-p", "/mnt", "-c", "nginx.conf"])
    };
    let prepared = || init("printf %s \"$FILE\" >nginx.conf; echo page >index.html");
    Network::new().within(|| {
        let options = "--rewrite TERM:QUIT --log-format json --grace-period 60s --delay";
        let one = nginx(prepared(), &format!("{options} {delay}"), 8080);
        let two = nginx(prepared(), "", 8081);
        let config = path("traffic/haproxy.cfg").display().to_string();
        let balancer = pid1().app(["haproxy", "-db", "-f", &config]);
        for (run, server) in [(&one, 8080), (&two, 8081), (&balancer, 80)] {
            until_serves(run, server);
        }
        let (report, tally) = under_load(port(80), &[(PACE, true); 10], |tally| {
            until_served(tally, 100);
            held(one, || {
                let mut admin = TcpStream::connect(port(9999)).expect("HAProxy");
                writeln!(admin, "set server replicas/one state maint").expect("HAProxy");
                assert_eq!(admin.read_to_string(&mut String::new()).expect("HAProxy"), 1);
            })
        });
        assert!(number(&report, "traffic/old_with_data") > 0, "{report}");
        (report, tally.lost())
    })
}

#[test]
#[ignore = "needs root and Debian's haproxy and nginx-light: cargo test --test servers -- --ignored"]
fn haproxy_that_keeps_its_connections_loses_no_request_with_the_advised_delay() {
    version("haproxy -v", "haproxy");
    is_right(behind_haproxy);
}

/// A client that calls on one channel, and then goes elsewhere.
fn on_one_channel(delay: &str) -> Outcome {
    Network::new().within(|| {
        let address = port(50051).to_string();
        let init = pid1().options("--log-format json --grace-period 60s --delay").options(delay);
        let run = init.app(python("rpc.py", &format!("serve {address}")));
        let mut client = client(&python("rpc.py", &format!("call {address}")), "begun");
        let mut lost = 0;
        let report = held(run, || lost = lost_by(&mut client));
        assert_eq!(number(&report, "traffic/connections"), 0, "{report}");
        assert_eq!(number(&report, "traffic/old_with_data"), 1, "{report}");
        (report, lost)
    })
}

#[test]
#[ignore = "needs root and Debian's python3-grpcio: cargo test --test servers -- --ignored"]
fn calls_on_one_channel_are_not_lost_with_the_advised_delay() {
    version("/usr/bin/python3 -c print(__import__('grpc').__version__)", "python3-grpcio");
    is_right(on_one_channel);
}

/// A balancer that leaves says so on each of its connections, which is no traffic.
#[test]
#[ignore = "needs root and Debian's openssl: cargo test --test servers -- --ignored"]
fn the_end_of_idle_tls_connections_keeps_no_hold() {
    let folder = Folder::new();
    let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| folder.path(name));
    let mut openssl = Command::new("openssl");
    openssl.args("req -x509 -newkey rsa:2048 -nodes -subj /CN=app -keyout".split(' '));
    let made = openssl.arg(&key).arg("-out").arg(&certificate).output().expect("openssl");
    assert!(made.status.success() && fs::exists(&key).is_ok_and(|it| it), "{made:?}");
    Network::new().within(|| {
        let init = pid1().options("--log-format json").options(UNTIL_QUIET);
        let words = format!("serve 8443 {} {}", certificate.display(), key.display());
        let run = init.app(python("tls.py", &words));
        run.hears("serving");
        let mut balancer = client(&python("tls.py", "call 8443 15"), "open");
        balancer.does("close");
        hold(&run);
        let mut closed = 1;
        while !is_forwarded(&run) && balancer.tries("close") {
            closed += 1;
            // The pace at which the balancer lets go.
            sleep(Duration::from_millis(250));
        }
        assert!((3..15).contains(&closed), "{closed} closed until the forward");
        let report = report(run, "quiet");
        assert_eq!(number(&report, "traffic/old_with_data"), 0, "{report}");
    });
}

//! Holds that end when traffic has stopped.

use std::path::Path;

use crate::harness::{
    Setup, assert_after, debian, docker, image, number, output, scratch, seconds, unique,
    wait_until,
};
use crate::images;
use crate::servers::Visits;

const PORT: u16 = 8080;
const PORT_OF_NGINX: u16 = 80;

/// A network that no other test has; it goes with this.
pub struct Network(pub String);

impl Network {
    pub fn create() -> Network {
        let network = Network(unique("network"));
        output(&mut docker(["network", "create", "--label", "reprieve-test", &network.0]));
        network
    }

    /// From where the host's connections come.
    fn gateway(&self) -> String {
        let template = "{{(index .IPAM.Config 0).Gateway}}";
        output(&mut docker(["network", "inspect", "--format", template, &self.0]))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = docker(["network", "rm", &self.0]).output();
    }
}

/// With the least that a container can have: an ordinary uid, no capability, nothing to write to;
/// Docker's default seccomp profile.
fn locked_down(setup: Setup, network: &Network) -> Setup {
    watching(setup, network)
        .option(&["--user", "65534", "--read-only", "--cap-drop", "ALL"])
        .option(&["--security-opt", "no-new-privileges"])
}

/// With what Docker gives by default.
fn watching(setup: Setup, network: &Network) -> Setup {
    setup
        .grace_period("30s")
        .variable("REPRIEVE_QUIET_WINDOW", "1s")
        .variable("REPRIEVE_LOG_FORMAT", "json")
        .option(&["--network", &network.0])
}

/// From an image with nothing but the init and a web server.
fn httpd() -> Setup {
    let dockerfile = "FROM scratch\nCOPY reprieve busybox index.html /\n\
                      ENTRYPOINT [\"/reprieve\", \"--\"]\n\
                      CMD [\"/busybox\", \"httpd\", \"-f\", \"-p\", \"8080\", \"-h\", \"/\"]\n";
    let page = images::scratch_folder("page");
    std::fs::write(&page, "hello\n").expect("a page");
    let reprieve = &*images::all().reprieve;
    let files =
        [(reprieve, "reprieve"), (Path::new("/bin/busybox"), "busybox"), (&*page, "index.html")];
    let httpd = image(&images::build("httpd", dockerfile, &files));
    std::fs::remove_file(page).expect("the page");
    httpd
}

#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn the_hold_ends_a_window_after_the_last_request() {
    let network = Network::create();
    let server = locked_down(httpd(), &network).delay("1s..20s").starts();
    let visits = Visits::begin(server.port(PORT));
    let stop = server.stop(30);
    let called_at = stop.called_at;
    let held = server.hears("from outside the container");
    // The lag of a cluster: longer than the window and the least delay together.
    wait_until(held.at + seconds(3));
    let visits = visits.stop();
    let forwarded = server.hears("forwarded SIGTERM");
    let took = stop.returns();
    assert!(took < seconds(15), "docker stop took {took:?}");
    assert!(visits.iter().all(|visit| visit.failure.is_none()), "requests failed");
    let last = visits.last().expect("a visit");
    assert_after(last.began_at, forwarded.at, seconds(1));

    let ended = server.ends();
    assert!(!ended.said("\"level\":\"warn"), "{ended}");
    let report = ended.report();
    assert_eq!(report["hold_ended_by"], "quiet", "{ended}");
    let traffic = &report["traffic"];
    assert_eq!((&traffic["seen_by"], &traffic["ports"][0]), (&"events".into(), &PORT.into()));
    // The stop signal arrived between the two.
    let least = visits.iter().filter(|visit| visit.began_at > held.at).count() as u64;
    let most = visits.iter().filter(|visit| visit.over_at > called_at).count() as u64;
    println!("{least} to {most} requests in the hold: {traffic}; docker stop took {took:?}");
    assert!((least..=most).contains(&number(traffic, "connections")), "{least}..={most}: {ended}");
    assert_eq!(number(traffic, "with_data"), number(traffic, "connections"), "{ended}");
    assert!(number(traffic, "last_arrival_ms") >= 2900, "{ended}");
    let held_ms = number(&report, "held_ms");
    assert!(held_ms >= number(traffic, "last_arrival_ms") + 1000, "{ended}");
}

/// They ask for a page, as a node's readiness probes may, and go on until the server has ended.
#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn the_probes_of_an_ignored_peer_do_not_keep_the_hold() {
    let network = Network::create();
    probes_keep_no_hold(&network, &network.gateway());
}

/// 10.20: whose address need not be known.
#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn the_probes_of_the_gateway_do_not_keep_the_hold() {
    let network = Network::create();
    probes_keep_no_hold(&network, "gateway");
    // The plan says who that is.
    let check = locked_down(debian(), &network).delay("1s..20s").variable("REPRIEVE_CHECK", "true");
    let ended = check.variable("REPRIEVE_IGNORE_PEER", "gateway").runs_to_its_end(&["true"]);
    let said = format!("without what comes from {} (gateway)", network.gateway());
    assert!(ended.code == 0 && ended.said(&said), "{said}: {ended}");
}

#[track_caller]
fn probes_keep_no_hold(network: &Network, ignored: &str) {
    let server = locked_down(debian(), network)
        .delay("1s..20s")
        .variable("REPRIEVE_IGNORE_PEER", ignored)
        .runs(&["python3", "-m", "http.server", &PORT.to_string()]);
    let probes = Visits::begin(server.port(PORT));
    let stop = server.stop(30);
    let called_at = stop.called_at;
    assert_after(called_at, server.hears("forwarded SIGTERM").at, seconds(1));
    let took = stop.returns();
    assert!(took < seconds(15), "docker stop took {took:?}");
    probes.end(called_at, seconds(1));
    let ended = server.ends();
    let report = ended.report();
    println!("docker stop took {took:?}: {}", report["traffic"]);
    assert_eq!(report["hold_ended_by"], "quiet", "{ended}");
    assert_eq!(report["traffic"]["connections"], 0, "{ended}");
    assert_eq!(report["traffic"]["peers"], serde_json::json!([]), "{ended}");
}

/// 10.20: in the machine's own network the gateway is nobody who probes.
#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn with_the_network_of_the_machine_its_own_addresses_are_ignored() {
    let app = scratch().option(&["--network", "host"]).variable("REPRIEVE_VERBOSE", "1");
    let app = app.variable("REPRIEVE_IGNORE_PEER", "gateway").starts();
    app.hears("ready");
    let line = app.hears("ignoring what comes from").text;
    let own = output(std::process::Command::new("hostname").arg("--all-ip-addresses"));
    assert!(!own.is_empty() && !line.contains("127.0.0.1"), "{line}");
    for address in own.split_whitespace() {
        assert!(line.contains(address), "{address} is missing: {line}");
    }
    app.stop(10).returns();
}

/// The same probes, where nobody says that they are ones.
#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn a_peer_that_goes_on_keeps_the_hold_and_is_named() {
    let network = Network::create();
    let server = locked_down(httpd(), &network).delay("1s..5s").starts();
    let visits = Visits::begin(server.port(PORT));
    let stop = server.stop(30);
    let called_at = stop.called_at;
    assert_after(called_at, server.hears("forwarded SIGTERM").at, seconds(5));
    stop.returns();
    visits.end(called_at, seconds(5));
    let ended = server.ends();
    let report = ended.report();
    println!("{}", report["traffic"]);
    assert_eq!(report["hold_ended_by"], "delay", "{ended}");
    assert_eq!(report["traffic"]["kept_by"]["peer"], network.gateway(), "{ended}");
    assert_eq!(report["traffic"]["kept_by"]["local_port"], PORT, "{ended}");
    assert_eq!(report["traffic"]["peers"][0]["peer"], network.gateway(), "{ended}");
    assert_eq!(report["traffic"]["peers"][0]["connections"], report["traffic"]["connections"]);
}

/// Docker's name server listens in the same network namespace.
#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn a_worker_that_listens_on_nothing_is_signalled_at_once() {
    let network = Network::create();
    let worker = locked_down(scratch(), &network).delay("0s..20s").starts();
    worker.hears("ready");
    let took = worker.stop(30).returns();
    assert!(took < seconds(10), "docker stop took {took:?}");
    let ended = worker.ends();
    let report = ended.report();
    println!("docker stop took {took:?}, held for {} ms", report["held_ms"]);
    assert_eq!(report["hold_ended_by"], "quiet", "{ended}");
    assert!(report["traffic"]["seen_by"].is_null(), "{ended}");
    assert!(!ended.said("\"level\":\"warn"), "{ended}");
}

/// nginx has workers of a user of their own, into which its init may not look; and the neighbour, as a
/// proxy in a pod, is of yet another one.
#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn a_neighbour_that_is_asked_often_keeps_no_hold() {
    let network = Network::create();
    let nginx = watching(debian(), &network).delay("1s..20s");
    let nginx = nginx.runs(&["nginx", "-g", "daemon off;"]);
    nginx.port(PORT_OF_NGINX);
    let beside = format!("container:{}", nginx.name());
    let neighbour = debian().option(&["--network", &beside, "--user", "1337"]);
    let _neighbour = neighbour.runs(&["python3", "-m", "http.server", "15021"]);
    let visits = Visits::begin(nginx.port(15021));
    let stop = nginx.stop(30);
    assert_after(stop.called_at, nginx.hears("forwarded SIGTERM").at, seconds(1));
    let took = stop.returns();
    visits.stop();
    let ended = nginx.ends();
    let report = ended.report();
    println!("docker stop took {took:?}: {}", report["traffic"]);
    assert_eq!(report["hold_ended_by"], "quiet", "{ended}");
    assert_eq!(report["traffic"]["ports"], serde_json::json!([PORT_OF_NGINX]), "{ended}");
}

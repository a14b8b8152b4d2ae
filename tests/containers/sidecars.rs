//! A job under a sidecar that never ends by itself, in two containers that share a network as those
//! of a pod do.

use std::sync::OnceLock;

use crate::harness::{Container, Setup, image, scratch, seconds};
use crate::images;

const READY: &str = "GET=127.0.0.1:4191/ready=503,200";
const SHUTDOWN: &str = "POST=127.0.0.1:4191/shutdown=200!";

/// With nothing in its image but the proxy.
fn sidecar(routes: &[&str]) -> Container {
    static IMAGE: OnceLock<String> = OnceLock::new();
    let image_of_it = IMAGE.get_or_init(|| {
        let files = [(&*images::all().proxy, "proxy")];
        images::build("proxy", "FROM scratch\nCOPY proxy /\nENTRYPOINT [\"/proxy\"]\n", &files)
    });
    let sidecar = image(image_of_it).runs(routes);
    sidecar.hears("serving");
    sidecar
}

/// With the least that a container can have: an ordinary uid, no capability, nothing to write to.
fn job(sidecar: &Container) -> Setup {
    scratch()
        .variable("REPRIEVE_SIDECAR", "linkerd")
        .option(&["--network", &format!("container:{}", sidecar.name())])
        .option(&["--user", "65534", "--read-only", "--cap-drop", "ALL"])
        .option(&["--security-opt", "no-new-privileges"])
}

#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn a_sidecar_ends_because_its_job_has() {
    for (app, code) in [(&["/fixture", "state"][..], 0), (&["/fixture", "raise", "SIGKILL"], 137)] {
        let sidecar = sidecar(&[READY, SHUTDOWN]);
        let job = job(&sidecar).runs(app).ends();
        assert_eq!(job.code, code, "{job}");
        assert_eq!(job.times("POST http://127.0.0.1:4191/shutdown: 200 ("), 1, "{job}");
        let sidecar = sidecar.ends();
        assert_eq!(sidecar.code, 0, "{sidecar}");
        assert_eq!(sidecar.app().last(), Some(&"POST 4191/shutdown"), "{sidecar}");
    }
}

#[test]
#[ignore = "needs Docker: cargo test --test containers -- --ignored"]
fn a_stop_while_the_sidecar_is_awaited_ends_at_once() {
    let sidecar = sidecar(&["GET=127.0.0.1:4191/ready=mute"]);
    let job = job(&sidecar).runs(&["/fixture", "listen"]);
    sidecar.hears("GET 4191/ready");
    let took = job.stop(30).returns();
    assert!(took < seconds(10), "docker stop took {took:?}");
    let job = job.ends();
    assert_eq!((job.code, job.app().len()), (143, 0), "{job}");
    assert_eq!(job.times("SIGTERM before http://127.0.0.1:4191/ready was ready"), 1, "{job}");
}

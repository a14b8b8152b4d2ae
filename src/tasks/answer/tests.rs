use super::*;

#[test]
fn an_answer_that_is_no_success_has_its_usual_cause() {
    let linkerd = "http://127.0.0.1:4191/shutdown".parse().expect("a request");
    assert_eq!(to_quit(&linkerd, "200"), Ok("200".into()));
    assert_eq!(to_quit(&linkerd, "204"), Ok("204".into()));
    for (output, why) in [
        ("404", "config.linkerd.io/proxy-admin-shutdown: enabled"),
        ("403", "config.linkerd.io/proxy-admin-shutdown: enabled"),
        ("302", "redirects are not followed"),
        ("500", "500"),
        ("connection refused", "connection refused"),
        ("", "no answer"),
    ] {
        let failed = to_quit(&linkerd, output).expect_err(output);
        assert!(failed.contains(output) && failed.contains(why), "{failed}");
    }
}

#[test]
fn the_usual_cause_depends_on_the_sidecar() {
    for (port, why) in [
        (4191, "404: Linkerd's endpoint is off unless the pod has the annotation"),
        (15020, "404: Istio answers on loopback only, and to POST only"),
        (15000, "404: Istio answers on loopback only, and to POST only"),
        (8080, "404: is it the right path?"),
    ] {
        let request = format!("http://127.0.0.1:{port}/quit").parse().expect("a request");
        let failed = to_quit(&request, "404").expect_err("it will not quit");
        assert!(failed.starts_with(why), "{failed}");
    }
}

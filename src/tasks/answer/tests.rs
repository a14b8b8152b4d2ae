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

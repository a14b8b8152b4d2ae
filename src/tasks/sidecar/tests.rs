use clap::ValueEnum;

use super::*;

#[test]
fn each_preset_has_what_it_asks() {
    for preset in Preset::value_variants() {
        let is_one = *preset != Preset::None;
        assert_eq!(preset.ready().is_some(), is_one, "{preset:?}");
        let quit = preset.quit().map(|request| request.to_string());
        assert_eq!(quit.is_some_and(|quit| quit.starts_with("POST http://127.0.0.1:")), is_one);
    }
}

#[test]
fn an_answer_that_is_no_success_has_its_usual_cause() {
    let linkerd = "http://127.0.0.1:4191/shutdown".parse().expect("a request");
    assert_eq!(answer(&linkerd, "200"), Ok("200".into()));
    assert_eq!(answer(&linkerd, "204"), Ok("204".into()));
    for (words, why) in [
        ("404", "config.linkerd.io/proxy-admin-shutdown: enabled"),
        ("403", "config.linkerd.io/proxy-admin-shutdown: enabled"),
        ("302", "redirects are not followed"),
        ("500", "500"),
        ("connection refused", "connection refused"),
        ("", "no answer"),
    ] {
        let failed = answer(&linkerd, words).expect_err(words);
        assert!(failed.contains(words) && failed.contains(why), "{failed}");
    }
}

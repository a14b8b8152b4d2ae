use super::*;

#[test]
fn durations_as_people_write_them() {
    for (text, ms) in [
        ("500ms", 500),
        ("15s", 15_000),
        ("1m30s", 90_000),
        ("1m 30s", 90_000),
        ("2h", 7_200_000),
        ("15", 15_000),
        ("0", 0),
        (" 3s ", 3_000),
        ("365d", 31_536_000_000),
    ] {
        assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
    }
    for text in ["", "s", "-5", "15x", "366d", "99999999999999999999", "none", "1m30", "5 s 1"] {
        assert!(duration(text).is_err(), "{text}");
    }
}

/// Months and years would be years of waiting where somebody meant minutes.
#[test]
fn other_units_and_fractions_are_refused_with_what_would_be_right() {
    for text in ["1M", "1y", "1w", "15S", "5min", "30sec", "1h1M", "10ns"] {
        let why = duration(text).unwrap_err();
        assert!(why.starts_with("the units are ms, s, m (minutes) and h; write 500ms"), "{why}");
    }
    for text in ["0.5", "1.5s", ".5", "0,5", "1m0.5s"] {
        let why = duration(text).unwrap_err();
        assert_eq!(why, "write it without a fraction: 500ms, or whole seconds", "{text}");
    }
}

#[test]
fn values_as_people_write_them() {
    let delay = |text| delay(text).map(|delay| delay.to_string());
    assert_eq!(["5s..20s", "7"].map(delay), [Ok("5s..20s".into()), Ok("7s".into())]);
    assert_eq!(delay("5s..5s"), Ok("5s".into()));
    assert_eq!(delay("20s..5s"), Err("write the shorter one first: 5s..20s".into()));
    let period = |text| grace_period(text).map(|GracePeriod(period)| period);
    assert_eq!(period(" none "), Ok(None));
    assert_eq!(period("3"), Ok(Some(Duration::from_secs(3))));
    assert_eq!(["yes", "0"].map(switch), [Ok(true), Ok(false)]);
    assert!(switch("2").is_err());
    assert_eq!(["true", "no", " 3 "].map(count), [Ok(1), Ok(0), Ok(3)]);
    assert!(count("many").is_err());
    assert_eq!([" 80 ", "65535"].map(port), [Ok(80), Ok(65_535)]);
    assert!(port("0").is_err() && port("65536").is_err());
    let listen = |text| listen_address(text).map(|address| address.to_string());
    assert_eq!(listen(" [::]:8086 "), Ok("[::]:8086".into()));
    assert!(listen("0.0.0.0:0").is_err() && listen("0.0.0.0").is_err());
    let network = "10.0.0.0/8".parse().map(IgnoredPeer::Network);
    assert_eq!(ignored_peer("10.0.0.0/8"), network.map_err(|_| String::new()));
    assert_eq!(ignored_peer(" gateway "), Ok(IgnoredPeer::Gateway));
    for wrong in ["ten", "Gateway", "10.0.0.1/8 gateway"] {
        assert!(ignored_peer(wrong).unwrap_err().contains("or fd00::/8, or gateway"));
    }
    assert_eq!([" 143 ", "0"].map(exit_code), [Ok(143), Ok(0)]);
    assert!(exit_code("256").is_err());
}

#[test]
fn signals_as_people_write_them() {
    assert_eq!(["term", "15"].map(forwardable_signal), [Ok(Signal::TERM), Ok(Signal::TERM)]);
    assert!(forwardable_signal("CHLD").unwrap_err().contains("reports a change of a child"));
    assert!(forwardable_signal("KILL").unwrap_err().contains("no process can catch SIGKILL"));
    assert_eq!(signal("KILL"), Ok(Signal::KILL));
    assert!(signal("SIGTERMINATE").is_err());
    let rewrite = |text| rewrite(text).map(|Rewrite(from, to)| (from, to));
    assert_eq!(rewrite("TERM:QUIT"), Ok((Signal::TERM, Some(Signal::QUIT))));
    assert_eq!(rewrite("15: 0"), Ok((Signal::TERM, None)));
    for text in ["TERM", "KILL:TERM", "TERM:x", ":TERM"] {
        assert!(rewrite(text).is_err(), "{text}");
    }
}

#[test]
fn the_error_for_a_duration_says_what_would_be_right() {
    for (text, why) in [
        ("366d", "write at most 365 days, or a range such as 5s..20s"),
        ("99999999999999999999", "write at most 365 days, or a range such as 5s..20s"),
        ("5s..366d", "write at most 365 days; a range is written 5s..20s"),
        ("5s..", "write 500ms, 15s, 1m30s, 2h or a number of seconds; a range is written 5s..20s"),
    ] {
        assert_eq!(delay(text).unwrap_err(), why, "{text}");
    }
    assert_eq!(grace_period("366d").unwrap_err(), "write at most 365 days, or none");
}

#[test]
fn each_preset_has_what_it_asks() {
    for (_, preset) in Preset::NAMES {
        let is_one = *preset != Preset::None;
        assert_eq!(preset.ready().is_some(), is_one, "{preset:?}");
        let quit = preset.quit().map(|request| request.to_string());
        assert_eq!(quit.is_some_and(|quit| quit.starts_with("POST http://127.0.0.1:")), is_one);
    }
}

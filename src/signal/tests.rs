use super::*;

#[test]
fn every_signal_reads_what_it_writes() {
    for n in (1..=64).filter(|n| ![32, 33].contains(n)) {
        let signal = Signal::new(n).unwrap();
        assert_eq!(signal.to_string().parse(), Ok(signal));
    }
}

#[test]
fn two_signals_have_no_name() {
    let names = [32, 33].map(|n| Signal::new(n).unwrap().to_string());
    assert_eq!(names, ["signal 32", "signal 33"]);
}

#[test]
fn a_person_may_write_it_in_several_ways() {
    for text in ["SIGTERM", "TERM", "term", "Sigterm", "15", " 15 "] {
        assert_eq!(text.parse(), Ok(Signal::TERM), "{text}");
    }
    for (text, number) in [
        ("SIGRTMIN", 34),
        ("rtmin+3", 37),
        ("SIGRTMIN+30", 64),
        ("SIGRTMAX", 64),
        ("RTMAX-30", 34),
        ("IOT", 6),
        ("cld", 17),
        ("SIGPOLL", 29),
        ("SIGPWR", 30),
        ("STKFLT", 16),
        ("34", 34),
    ] {
        assert_eq!(text.parse::<Signal>().map(Signal::number), Ok(number), "{text}");
    }
}

#[test]
fn what_is_no_signal_is_refused() {
    for text in [
        "",
        "SIG",
        "0",
        "65",
        "-1",
        "+15",
        "SIG15",
        "TERMX",
        "RTMIN+31",
        "RTMIN-1",
        "RTMAX+1",
        "RTMAX-31",
        "RTMIN+",
        "SIGSIGTERM",
        "99999999999",
    ] {
        assert_eq!(text.parse::<Signal>(), Err(ParseSignalError), "{text}");
    }
    assert!(ParseSignalError.to_string().contains("write SIGTERM, TERM, 15 or SIGRTMIN+3"));
}

#[test]
fn what_cannot_be_forwarded() {
    let silent: Vec<_> =
        (1..=64).filter_map(Signal::new).filter(|signal| !signal.reaches_us()).collect();
    assert_eq!(silent, [Signal::KILL, Signal::CHLD, Signal::STOP]);
}

#[test]
fn a_set_has_the_layout_of_the_kernel() {
    let mut set = SignalSet::default();
    set.insert(Signal::HUP);
    set.insert(Signal::new(64).unwrap());
    assert_eq!(set.0, 0x8000_0000_0000_0001);
    assert!(set.contains(Signal::HUP) && !set.contains(Signal::INT));
    set.remove(Signal::HUP);
    set.remove(Signal::INT);
    assert_eq!(set.0, 0x8000_0000_0000_0000);
}

#[test]
fn what_a_process_that_does_not_catch_it_lives_through() {
    for (signal, expected) in [
        (Signal::TERM, [false, false]),
        (Signal::STOP, [true, false]),
        (Signal::CONT, [true, false]),
        (Signal::CHLD, [true, true]),
        (Signal::WINCH, [true, true]),
    ] {
        assert_eq!([signal.is_harmless(), signal.is_ignored_by_default()], expected, "{signal}");
    }
}

#[test]
fn a_set_of_signals() {
    let set = SignalSet::of(&[Signal::TERM, Signal::INT]);
    assert!(set.contains(Signal::TERM) && set.contains(Signal::INT));
    assert!(!set.contains(Signal::QUIT) && !set.contains(Signal::HUP));
    assert_eq!(SignalSet::of(&[]), SignalSet::default());
}

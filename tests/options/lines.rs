//! Random command lines and environments, of all options and of what is none.

use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt;

use clap::Arg;
use clap::builder::Str;
use proptest::prelude::*;
use proptest::sample::select;
use reprieve::cli;

/// Values of an option, by its long name or by what stands for its value in the help: right ones, and
/// then wrong ones.
const VALUES: [(&str, &[&str], &[&str]); 21] = [
    ("D|MIN..MAX", &["0", "5s", "5s..20s", " 3s "], &["5s..", "20s..5s", "1y", "\"5s\""]),
    ("D", &["10", "500ms", "1m30s"], &["none", "soon", "366d", "1M", "0.5"]),
    ("on-repeat", &["hurry", "ignore"], &["Hurry", "wait"]),
    ("leftovers", &["stop", "wait", "kill"], &["sto"]),
    ("sidecar", &["none", "linkerd", "cloud-sql-proxy"], &["envoy"]),
    ("WHAT", &["quiet", "no-new", "closed"], &["Quiet", "open"]),
    ("PORT[,PORT]", &["80", "1,65535", "8080,8080"], &["0", "80,", "65536", ",80", "80, 81"]),
    ("CIDR[,CIDR]", &["10.0.0.0/8", "::1,1.2.3.4", "gateway"], &["10.0.0.1/8", "node"]),
    ("SIG[,SIG]", &["TERM", "SIGQUIT,3", "rtmin+3"], &["KILL", "CHLD", "STOP,TERM", "66"]),
    ("SIG:SIG", &["15:3", "TERM:QUIT,2:0"], &["15", "9:15", "15:0:3"]),
    ("SIG", &["KILL", "34"], &["0", "TERM,INT"]),
    ("CODE", &["3", "0,255"], &["256", "x"]),
    ("FORMAT", &["text", "json"], &["JSON"]),
    ("DIR", &["/tmp/x", "x"], &[]),
    ("PATH", &["/tmp/x", "a,b", "a=b"], &[]),
    ("ADDR:PORT", &["0.0.0.0:8086", "[::]:80"], &["8086", "0.0.0.0:0"]),
    ("WHEN", &["5s", "listening", "http://h/x?a,b"], &["soon", "listen", "https://h"]),
    ("rehearse-url", &["http://h/", "http://h,http://i:1"], &["h:80", "http://h,"]),
    ("URL", &["http://h:80/a", "tcp://h:80"], &["https://h", "http://h/a,http://i:1"]),
    ("CMD", &["true", "a 'b c'\nd"], &["'", " "]),
    ("[METHOD=]URL", &["http://h/", "GET=http://h,http://i"], &["GET=h"]),
];

/// The same for the variables of options without a value.
const SWITCHED: (&[&str], &[&str]) =
    (&["1", "true", "Yes", "on", "0", "no", "off", "TRUE", "2", "255"], &["256", "maybe"]);

fn options() -> Vec<Arg> {
    let command = cli::command();
    command.get_arguments().filter(|option| !option.is_positional()).cloned().collect()
}

fn is_switch(option: &Arg) -> bool {
    !option.get_action().takes_values()
}

/// A value for this option, mostly a right one.
fn value(option: &Arg) -> BoxedStrategy<Vec<u8>> {
    let name = option.get_value_names().and_then(|names| names.first()).map(Str::as_str);
    let is_of_it = |of: &str| option.get_long() == Some(of) || name == Some(of);
    let values = VALUES.iter().find(|(of, ..)| is_of_it(of));
    let values = values.map(|(_, right, wrong)| (*right, *wrong));
    let (right, wrong) = if is_switch(option) { Some(SWITCHED) } else { values }.expect("values");
    let right = select(right).prop_map(|text| text.as_bytes().to_vec());
    let unusual: [&[u8]; 7] = [b"-", b"-5", b"--", b"--delay", b"\xff", b"\xff,80", b"="];
    let wrong = wrong.iter().map(|text| text.as_bytes()).chain(unusual).map(<[u8]>::to_vec);
    let wrong = select(wrong.collect::<Vec<_>>());
    prop_oneof![20 => right, 1 => wrong, 1 => Just(Vec::new())].boxed()
}

/// An option with values for it.
fn option() -> impl Strategy<Value = (Arg, Vec<Vec<u8>>)> {
    // Those of which two exclude each other, and those that show the plan, more often than the others.
    let exclusive = ["process-group", "single-child", "verbose", "quiet", "check"];
    let is_exclusive = |option: &Arg| option.get_long().is_some_and(|l| exclusive.contains(&l));
    let exclusive: Vec<Arg> = options().into_iter().filter(is_exclusive).collect();
    let option = prop_oneof![9 => select(options()), 1 => select(exclusive)];
    option.prop_flat_map(|option| {
        // Of two, the first one now and then empty.
        let one = value(&option).prop_map(|value| vec![value]);
        let two = (prop_oneof![value(&option), Just(Vec::new())], value(&option));
        let values =
            prop_oneof![3 => one, 1 => two.prop_map(|(first, second)| vec![first, second])];
        (Just(option), values)
    })
}

/// The words by which an option is given, in one of its forms.
fn words() -> impl Strategy<Value = Vec<Vec<u8>>> {
    (option(), 0..10u8).prop_map(|((option, values), form)| {
        let value = values.into_iter().next_back().unwrap_or_default();
        let long = option.get_long().expect("a long name");
        let letter = option.get_short().filter(|_| form < 6);
        let name = letter.map_or(format!("--{long}"), |letter| format!("-{letter}")).into_bytes();
        match (is_switch(&option), form % 3) {
            // Now and then with a value that is not its own.
            (true, _) if form != 9 => vec![name],
            (_, 0) => vec![name, value],
            (_, 1) => vec![[&name[..], b"=", &value].concat()],
            (_, _) if letter.is_some() => vec![[name, value].concat()],
            _ => vec![name, value],
        }
    })
}

/// Several letters in one word, with a value after the last one or without.
fn cluster() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let letters: Vec<char> = options().iter().filter_map(Arg::get_short).collect();
    let cluster = prop::collection::vec(select(letters), 1..4);
    let end = select(vec!["", "", "3", "=3", "15:3", "x", "PL", "\u{e9}"]);
    (cluster, end).prop_map(|(letters, end)| {
        let letters: String = letters.into_iter().collect();
        vec![format!("-{letters}{end}").into_bytes()]
    })
}

/// What is no option, or no more than looks like one.
fn unusual() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let words: [&[u8]; 14] = [
        b"--bogus",
        b"--dely",
        b"-grace-period",
        b"--del",
        b"--delay",
        b"-",
        b"--",
        b"",
        b"-P",
        b"-L",
        b"--=",
        b"-=",
        b"-\xff",
        b"--delay\xff",
    ];
    select(words.to_vec()).prop_map(|word| vec![word.to_vec()])
}

/// A command line, which begins with the name of the program.
pub fn arguments() -> impl Strategy<Value = Vec<OsString>> {
    let program = select(vec!["reprieve", "/sbin/docker-init", "tini", "catatonit", ""]);
    let option = prop_oneof![30 => words(), 3 => cluster(), 1 => unusual()];
    let options = prop::collection::vec(option, 0..5);
    let separator = select(vec![None, Some("--")]);
    let command: [&[&str]; 8] = [
        &["app"],
        &["app", "--delay", "x"],
        &["app", "--", "-v"],
        &["-app"],
        &[""],
        &["--"],
        &["-"],
        &[],
    ];
    let command = prop_oneof![2 => Just(command[0]), 1 => select(command.to_vec())];
    (program, options, separator, command).prop_map(|(program, options, separator, command)| {
        let text = |word: &str| word.as_bytes().to_vec();
        let words = options.into_iter().flatten().chain(separator.map(text));
        let words = std::iter::once(text(program)).chain(words);
        words.chain(command.iter().copied().map(text)).map(OsString::from_vec).collect()
    })
}

/// An environment with some of our variables, which may be there twice, and with those of other inits.
pub fn environment() -> impl Strategy<Value = Vec<CString>> {
    let own = option().prop_map(|(option, values)| {
        let long = option.get_long().expect("a long name").to_uppercase().replace('-', "_");
        let entry = |value: &Vec<u8>| [format!("REPRIEVE_{long}=").as_bytes(), value].concat();
        values.iter().map(entry).collect::<Vec<_>>()
    });
    let others = select(vec![
        "PATH=/bin",
        "TINI_VERBOSITY=4",
        "TINI_VERBOSITY=x",
        "TINI_KILL_PROCESS_GROUP=1",
        "DUMB_INIT_SETSID=0",
        "DUMB_INIT_DEBUG=1",
        "REPRIEVE_PORT=tcp://10.0.0.1:80",
        "REPRIEVE_DELAY",
        "REPRIEVE_SIDECAR=none",
        "REPRIEVE_=1",
        "REPRIEVE_GRACE=10s",
        "reprieve_delay=5s",
        "REPREIVE_DELAY=5s",
        "REPRIEVE_X_PORT=tcp://10.0.0.1:80",
        "NAME",
    ]);
    let others = others.prop_map(|entry| vec![entry.as_bytes().to_vec()]);
    let some = prop::collection::vec(prop_oneof![3 => own, 1 => others], 1..4);
    let some = some.prop_map(|entries| {
        let entries = entries.into_iter().flatten();
        entries.map(|entry| CString::new(entry).expect("no NUL")).collect()
    });
    // An environment without our variables is the usual one.
    prop_oneof![1 => Just(Vec::new()), 2 => some]
}

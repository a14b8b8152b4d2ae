use super::*;

fn parse(text: &str) -> Result<Vec<Vec<String>>, String> {
    Hooks::parse(text).map(|Hooks(hooks)| hooks.into_iter().map(|Hook(words)| words).collect())
}

#[test]
fn words_are_split_as_a_shell_would() {
    for (text, words) in [
        ("/bin/true", &["/bin/true"][..]),
        ("  curl -d 'a b,c' \"http://x/?y=$z\"  ", &["curl", "-d", "a b,c", "http://x/?y=$z"]),
        ("sh -c 'one\ntwo'", &["sh", "-c", "one\ntwo"]),
        ("echo a\\ b \"\"", &["echo", "a b", ""]),
        ("echo one \\\n  two", &["echo", "one", "two"]),
        ("echo one\\", &["echo", "one\\"]),
        ("echo one\\\\", &["echo", "one\\"]),
        ("echo '\\' \"\\$ \\` \\\" \\\\ \\a \\\nb\"", &["echo", "\\", "$ ` \" \\ \\a b"]),
        ("echo a'b'\"c\"\\d # it's\n", &["echo", "abcd"]),
        ("\\#\ta#b '' \\\n#c", &["#", "a#b", ""]),
    ] {
        assert_eq!(
            parse(text).as_deref(),
            Ok(&[words.iter().map(ToString::to_string).collect()][..]),
            "{text}"
        );
    }
}

#[test]
fn each_line_is_a_hook() {
    let two = parse("/bin/a 1\n\n/bin/b 'x\ny'\n").unwrap();
    assert_eq!(two, [vec!["/bin/a", "1"], vec!["/bin/b", "x\ny"]]);
    let two = parse("/bin/a \\\\\n/bin/b").unwrap();
    assert_eq!(two, [vec!["/bin/a", "\\"], vec!["/bin/b"]]);
    let two = parse("/bin/a # it's \\\r\n/bin/b 'x\r\ny'").unwrap();
    assert_eq!(two, [vec!["/bin/a"], vec!["/bin/b", "x\ny"]]);
}

#[test]
fn what_only_a_shell_understands() {
    for (text, found) in [
        ("curl http://x && sleep 5", Some("&&")),
        ("/bin/a | /bin/b", Some("|")),
        ("/bin/a >/log 2>&1", Some("2>&1")),
        ("curl $URL", Some("$URL")),
        ("curl http://$(hostname)/secret", Some("$(")),
        ("curl http://${HOST}/", Some("${")),
        ("sh -c 'a && b > $LOG' | x", None),
        ("timeout 5 bash -ec 'a'", None),
        ("find / -name x -exec rm {} ;", None),
        ("awk '{ print $1 }' a=b&c=d", None),
        ("curl http://x/?a=1&b=2 -d 'a | b' $", None),
    ] {
        let Hooks(hooks) = Hooks::parse(text).expect("a hook");
        assert_eq!(hooks[0].for_shell(), found, "{text}");
    }
}

/// A quote that stays open, and lines that go on, are read once: again at each line took minutes.
#[test]
fn the_time_grows_with_the_length_alone() {
    let lines = "x\n".repeat(500_000);
    assert_eq!(parse(&format!("'{lines}'")).unwrap(), [[lines.clone()]]);
    assert_eq!(parse(&format!("'{lines}")).unwrap_err(), "a quote is not closed");
    assert_eq!(parse(&"x\\\n".repeat(500_000)).unwrap(), [["x".repeat(500_000)]]);
    assert_eq!(parse(&lines).unwrap().len(), 500_000);
}

#[test]
fn what_is_no_command_is_an_error() {
    assert_eq!(parse("echo 'a").unwrap_err(), "a quote is not closed");
    assert_eq!(parse("/bin/a\n'b\n").unwrap_err(), "a quote is not closed");
    assert!(parse(" \n ").unwrap_err().contains("write a command"));
}

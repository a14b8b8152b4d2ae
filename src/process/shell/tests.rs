use super::*;

#[test]
fn an_image_is_current_until_the_process_executes_another() {
    use std::io::{BufRead, BufReader, Write};
    use std::process::{Command, Stdio};
    let mut sh = Command::new("sh");
    let sh = sh.args(["-c", "echo ready; read line; exec cat"]);
    let mut sh = sh.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut says = BufReader::new(sh.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut stdin = sh.stdin.take().unwrap();
    assert_eq!(says.next().as_deref(), Some("ready"));
    let pid = sh.id() as i32;
    let image = Image::of(pid).unwrap();
    assert!(image.is_current());
    assert!(of(pid).is_some());
    // What cat repeats, it has read: then it executes.
    writeln!(stdin, "go\nnow cat").unwrap();
    assert_eq!(says.next().as_deref(), Some("now cat"));
    assert!(!image.is_current());
    assert_eq!(of(pid), None);
    drop(stdin);
    sh.wait().unwrap();
    assert!(Image::of(pid).is_none());
}

#[test]
fn names_of_programs() {
    for (word, name) in [("/bin/sh", "sh"), ("-bash", "bash"), ("ash", "ash"), ("", "")] {
        assert_eq!(program_name(word), name);
    }
}

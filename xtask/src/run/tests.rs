use std::process::Command;

use super::{output, run};

#[test]
fn a_missing_program_is_named_with_how_it_is_installed() {
    let said = run(&mut Command::new("/nowhere/cargo-deb")).expect_err("it is not there");
    let expected = "/nowhere/cargo-deb is missing: cargo install --locked cargo-deb@3.8.0";
    assert_eq!(said.to_string(), expected);
}

#[test]
fn what_a_program_said_comes_with_its_failure() {
    let mut shell = Command::new("sh");
    let said = output(shell.args(["-c", "echo out; echo err >&2; exit 3"])).expect_err("3");
    let said = said.to_string();
    assert!(said.contains("exit status: 3\nout\nerr\n"), "{said}");
    assert_eq!(output(Command::new("echo").arg("yes")).expect("it runs"), "yes\n");
}

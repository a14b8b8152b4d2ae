use std::process::Command;

use super::{bash, zsh};
use crate::declaration::{command, options, words};

#[test]
fn each_option_is_in_both() {
    let (bash, zsh) = (bash().expect("bash"), zsh().expect("zsh"));
    let offered = bash.lines().find(|line| line.trim_start().starts_with("opts=\"-"));
    let offered: Vec<_> = offered.expect("a list").split(['"', ' ']).collect();
    for option in options(&command()) {
        let name = format!("--{}", option.get_long().expect("a long name"));
        assert!(offered.contains(&name.as_str()), "bash lacks {name}");
        let starts = [format!("'{name}["), format!("'{name}=["), format!("'*{name}")];
        let is_it = |line: &str| starts.iter().any(|start| line.starts_with(start));
        assert!(zsh.lines().any(is_it), "zsh lacks {name}");
        let words = words(option).join(" ");
        assert!(bash.contains(&words) && zsh.contains(&words), "{words}");
    }
}

/// What bash completes at the end of a command line.
fn completed(line: &[&str]) -> Vec<String> {
    let script = format!(
        "{}\ncompopt() {{ :; }}; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); \
         _reprieve_or_command reprieve \"${{@: -1}}\" \"${{@: -2:1}}\"; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        bash().expect("bash")
    );
    let mut shell = Command::new("bash");
    shell.args(["--norc", "-c", &script, "bash", "reprieve"]).args(line);
    let said = shell.output().expect("bash");
    assert!(said.stderr.is_empty(), "{}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8(said.stdout).expect("UTF-8").lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_options_before_the_command_and_commands_after_them() {
    assert_eq!(completed(&["--grace"]), ["--grace-period"]);
    assert_eq!(completed(&["-v", "--leftovers", "w"]), ["wait"]);
    assert!(completed(&["--delay", "5s", "mkdi"]).contains(&"mkdir".to_owned()));
    assert!(completed(&["--delay", "=", "5s", "--", "mkdi"]).contains(&"mkdir".to_owned()));
    // What follows the command is the app's: the names of files, which bash adds by itself.
    assert_eq!(completed(&["mkdir", "--grace"]), [""]);
    assert_eq!(completed(&["-v", "--", "mkdir", "-"]), [""]);
}

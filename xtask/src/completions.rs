//! Completions for bash and zsh.

use clap_complete::{Shell, generate};

use crate::Outcome;
use crate::declaration::{command, options};

/// What bash does once the command of the app has begun. clap_complete offers our options there too.
const BASH: &str = include_str!("completions/command.bash");

/// For `/usr/share/bash-completion/completions/reprieve`.
pub fn bash() -> Outcome<String> {
    let command = command();
    let takes_value = options(&command).filter(|option| option.get_action().takes_values());
    let spellings = takes_value.flat_map(|option| {
        let short = option.get_short().map(|short| format!("-{short}"));
        short.into_iter().chain(option.get_long().map(|long| format!("--{long}")))
    });
    let spellings: Vec<_> = spellings.collect();
    let generated = script(Shell::Bash)?;
    let own = BASH.replace("{{options with a value}}", &spellings.join("|"));
    Ok(format!(
        "{}\n{own}",
        generated.replace("complete -F _reprieve ", "complete -F _reprieve_or_command ")
    ))
}

/// For `_reprieve` in a folder of zsh's `fpath`.
pub fn zsh() -> Outcome<String> {
    script(Shell::Zsh)
}

fn script(shell: Shell) -> Outcome<String> {
    let mut script = Vec::new();
    generate(shell, &mut command(), "reprieve", &mut script);
    Ok(String::from_utf8(script)?)
}

#[cfg(test)]
mod tests;

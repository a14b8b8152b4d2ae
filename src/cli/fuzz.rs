//! A command line, as /proc/PID/cmdline has it: a NUL after each word.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use crate::cli::{parse, parse_with_clap};
use crate::escape::in_text;

pub fn command_line(bytes: &[u8]) {
    let words = bytes.strip_suffix(&[0]).unwrap_or(bytes).split(|byte| *byte == 0);
    let words: Vec<OsString> = words.map(|word| OsStr::from_bytes(word).into()).collect();
    let ours = parse(words.clone(), Vec::new());
    if let Err(error) = &ours {
        let line = in_text(&error.to_string());
        assert!(!line.is_empty() && !line.chars().any(char::is_control), "{line:?}");
    }
    let of_clap = parse_with_clap(words, Vec::new());
    assert_eq!(format!("{ours:?}"), format!("{of_clap:?}"));
}

//! The hooks of one value.

use crate::tasks::task::{Hook, Hooks};

pub fn hooks(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(hooks) = Hooks::parse(&text) else { return };
    assert!(hooks.0.iter().all(|Hook(words)| !words.is_empty()));
    let words = || hooks.0.iter().flat_map(|Hook(words)| words);
    assert!(words().map(String::len).sum::<usize>() <= text.len(), "more than was written");
    let lines: Vec<_> = hooks.0.iter().map(quoted).collect();
    assert_eq!(Hooks::parse(&lines.join("\n")).as_ref(), Ok(&hooks));
}

/// The words in single quotes. The bytes of a Windows line break are parted: that would be read as a
/// plain one.
fn quoted(Hook(words): &Hook) -> String {
    let quote = |word: &String| word.replace('\'', "'\\''").replace("\r\n", "\r''\n");
    let words: Vec<_> = words.iter().map(|word| format!("'{}'", quote(word))).collect();
    words.join(" ")
}

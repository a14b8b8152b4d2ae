//! Characters that would end a line, turn it around or control a terminal. The names of processes and
//! hooks can contain any, and an entry of the log is one line that reads as it was written.

/// Whether a character is none to be seen: a control character, a separator of lines or paragraphs, or
/// one that changes the direction of what follows (Bidi_Control of Unicode's PropList.txt).
fn is_hidden(c: char) -> bool {
    let separates_or_turns = '\u{2028}'..='\u{202e}';
    let isolates = '\u{2066}'..='\u{2069}';
    let marks = ['\u{61c}', '\u{200e}', '\u{200f}'];
    c.is_control() || separates_or_turns.contains(&c) || isolates.contains(&c) || marks.contains(&c)
}

/// A text in which a `?` stands for each of them.
pub fn in_text(text: &str) -> String {
    text.replace(is_hidden, "?")
}

/// JSON as serde_json writes it, in which they are written as `\u202e`. They are in its strings alone.
pub fn in_json(json: String) -> String {
    if json.is_ascii() && !json.contains('\u{7f}') {
        return json;
    }
    let escape = |c: char| match is_hidden(c) {
        true => format!("\\u{:04x}", u32::from(c)),
        false => c.into(),
    };
    json.chars().map(escape).collect()
}

/// How many bytes a character takes in a string of that JSON.
pub fn size_in_json(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\x08' | '\x0c' => 2,
        _ if is_hidden(c) => 6,
        _ => c.len_utf8(),
    }
}

#[cfg(test)]
mod tests;

use super::*;

#[test]
fn the_interpreter_is_the_first_word() {
    for (head, expected) in [
        (&b"#!/bin/sh\n"[..], Some(&b"/bin/sh"[..])),
        (b"#! /usr/bin/env node\n", Some(b"/usr/bin/env")),
        (b"#!/bin/sh\r\n", Some(b"/bin/sh\r")),
        (b"#!\n", None),
        (b"echo\n", None),
    ] {
        assert_eq!(interpreter(head), expected);
    }
}

#[test]
fn what_hides_the_first_line_is_a_flaw() {
    for (head, part) in [
        (&b"\xef\xbb\xbf#!/bin/sh\n"[..], Some("byte-order mark")),
        (b"\n#!/bin/sh\n", Some("not at the very beginning")),
        (b" #!/bin/sh\n", Some("not at the very beginning")),
        (b"#!/bin/sh -e\r\n", Some("as on Windows")),
        (b"#!/bin/sh\n", None),
        (b"echo\n# #!\n", None),
        (b"\x7fELF", None),
        (b"", None),
    ] {
        let found = flaw(head);
        assert_eq!(found.is_some(), part.is_some(), "{found:?}");
        assert!(found.unwrap_or_default().contains(part.unwrap_or_default()), "{found:?}");
    }
}

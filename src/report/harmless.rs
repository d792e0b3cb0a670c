//! Names and values come from the watched program and may hold anything. Here they become text that cannot move the
//! cursor, colour a terminal, break a line or reorder what a reader sees. Escaping for a format's own syntax (XML,
//! HTML, workflow commands) is that format's work.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Control characters and invisible or reordering ones as visible escapes; everything else as it is.
#[must_use]
pub fn harmless(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        push(&mut clean, c);
    }
    Cow::Owned(clean)
}

/// Appends `c`, or its escape.
pub(super) fn push(text: &mut String, c: char) {
    match c {
        '\n' => text.push_str("\\n"),
        '\r' => text.push_str("\\r"),
        '\t' => text.push_str("\\t"),
        // Writing to a String cannot fail.
        _ if is_harmful(c) && (c as u32) < 0x100 => drop(write!(text, "\\x{:02x}", c as u32)),
        _ if is_harmful(c) => drop(write!(text, "\\u{{{:x}}}", c as u32)),
        _ => text.push(c),
    }
}

/// Does the character act instead of being seen? Joiners that scripts and emoji need are left alone.
#[must_use]
pub fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e0fff}')
}

/// Cuts what is far too long to show, saying so.
#[must_use]
pub fn shortened(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        None => harmless(text),
        Some((end, _)) => Cow::Owned(format!("{}…", harmless(text.get(..end).unwrap_or(text)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_becomes_visible_and_the_rest_stays() {
        assert_eq!(harmless("a\x1b[31m\u{202e}b\n\u{85}"), "a\\x1b[31m\\u{202e}b\\n\\x85");
        assert!(matches!(harmless("Zähler 計数 👩\u{200d}💻"), Cow::Borrowed(_)));
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(shortened("äöü", 2), "äö…");
        assert_eq!(shortened("äöü", 3), "äöü");
    }
}

//! Comments in the source: `# racetrace: ignore[kind, kind] reason`, on the line of either access or alone on the line
//! above it. A comment without a kind or without a reason hides nothing and is reported.

use super::Lines;
use crate::finding::{Finding, Kind};
use std::collections::{BTreeMap, BTreeSet};

const MARKER: &str = "racetrace:";

/// The comments that were looked at while findings were asked about.
#[derive(Debug, Default)]
pub(super) struct Comments {
    /// By file and line: kinds that the comment has hidden.
    used: BTreeMap<(String, u32), BTreeSet<Kind>>,
    files: BTreeSet<String>,
}

/// One comment, as far as it could be read.
#[derive(Debug, PartialEq, Eq)]
enum Comment {
    Ignore {
        kinds: Vec<Kind>,
        reason: String,
    },
    /// What is wrong with it.
    Unusable(String),
}

impl Comments {
    /// The reason of a comment at one of the finding's sites that covers its kind.
    pub(super) fn matching(&mut self, finding: &Finding, lines: &dyn Lines) -> Option<String> {
        let mut found = None;
        for frame in finding.accesses.iter().filter_map(|access| access.stack.first()) {
            self.files.insert(frame.file.clone());
            for (number, text) in candidates(&frame.file, frame.line, lines) {
                if let Some(Comment::Ignore { kinds, reason }) = parse(&text)
                    && kinds.contains(&finding.kind)
                {
                    self.used.entry((frame.file.clone(), number)).or_default().insert(finding.kind);
                    found.get_or_insert(reason);
                }
            }
        }
        found
    }

    /// Comments that cannot be used, and ones that hid nothing, in the files that findings touch.
    pub(super) fn notices(&self, lines: &dyn Lines) -> Vec<String> {
        let mut notices = Vec::new();
        for file in &self.files {
            for (number, text) in lines.known(file) {
                let place = || format!("{}:{number}", lines.shown(file));
                match parse(&text) {
                    None => {}
                    Some(Comment::Unusable(problem)) => notices.push(format!("comment at {}: {problem}", place())),
                    Some(Comment::Ignore { kinds, .. }) => {
                        let used = self.used.get(&(file.clone(), number));
                        let idle = kinds.iter().filter(|kind| used.is_none_or(|used| !used.contains(kind)));
                        let idle: Vec<&str> = idle.map(|kind| kind.name()).collect();
                        if !idle.is_empty() {
                            notices.push(format!("comment at {} is unused for {}", place(), idle.join(", ")));
                        }
                    }
                }
            }
        }
        notices
    }
}

/// The access's line, and the one above when it holds nothing but a comment.
fn candidates(file: &str, line: u32, lines: &dyn Lines) -> Vec<(u32, String)> {
    let above = line.checked_sub(1).filter(|number| *number > 0);
    let above = above.and_then(|number| lines.line(file, number).map(|text| (number, text)));
    let above = above.filter(|(_, text)| text.trim_start().starts_with('#'));
    let here = lines.line(file, line).map(|text| (line, text));
    here.into_iter().chain(above).collect()
}

fn parse(line: &str) -> Option<Comment> {
    let comment = comment_of(line)?;
    let rest = comment.trim_start_matches('#').trim_start().strip_prefix(MARKER)?.trim_start().strip_prefix("ignore")?;
    let Some((list, reason)) = rest.trim_start().strip_prefix('[').and_then(|rest| rest.split_once(']')) else {
        return Some(Comment::Unusable("over-broad, write ignore[kind] with the kind that is meant".to_owned()));
    };
    let mut kinds = Vec::new();
    for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        match name.parse::<Kind>() {
            Ok(kind) => kinds.push(kind),
            Err(error) => return Some(Comment::Unusable(error.to_string())),
        }
    }
    if kinds.is_empty() {
        return Some(Comment::Unusable("names no kind".to_owned()));
    }
    let reason = reason.trim_start_matches([':', ' ', '-', '–', '—']).trim();
    if reason.is_empty() {
        return Some(Comment::Unusable("needs a reason after ignore[…]; it hides nothing".to_owned()));
    }
    Some(Comment::Ignore { kinds, reason: reason.to_owned() })
}

/// From the first `#` that is not inside a string literal of this line.
fn comment_of(line: &str) -> Option<&str> {
    let mut quote = None;
    let mut escaped = false;
    for (index, c) in line.char_indices() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), _) if open == c => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '#') => return line.get(index..),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_needs_kind_and_reason() {
        let read = parse("    n += 1  # racetrace: ignore[read-modify-write] approximate by design");
        let kinds = vec![Kind::ReadModifyWrite];
        assert_eq!(read, Some(Comment::Ignore { kinds, reason: "approximate by design".to_owned() }));
        for line in [
            "n += 1  # racetrace: ignore",
            "n += 1  # racetrace: ignore[read-modify-write]",
            "n += 1  # racetrace: ignore[] because",
            "n += 1  # racetrace: ignore[race] because",
        ] {
            assert!(matches!(parse(line), Some(Comment::Unusable(_))), "{line}");
        }
    }

    #[test]
    fn text_in_a_string_is_no_comment() {
        assert_eq!(parse("print('# racetrace: ignore[deadlock] x')"), None);
        assert!(parse("print('it\\'s #1')  # racetrace: ignore[deadlock] x").is_some());
        assert_eq!(parse("n += 1  # see racetrace: ignore"), None);
    }
}

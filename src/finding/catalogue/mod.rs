//! The catalogue: one page per kind of finding, read by `racetrace explain`, by SARIF rules and by the HTML report.
//! Pages are text; which findings exist is decided by the analysis.

mod check_then_act;
mod deadlock;
mod file_check_then_use;
mod interleaved_write;
mod lock_held_across_await;
mod lock_order_inversion;
mod mutation_during_iteration;
mod read_modify_write;
mod thread_lock_across_await;
mod unawaited_coroutine;
mod unordered_access;

use super::Kind;
use std::fmt::Write as _;

/// What there is to say about a kind.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    pub kind: Kind,
    /// A few words.
    pub title: &'static str,
    /// When it is an error, a warning, a note.
    pub severity: &'static str,
    /// What it is.
    pub what: &'static str,
    /// What it does to a program.
    pub why: &'static str,
    /// Racy code.
    pub example: &'static str,
    /// How to put it right, in words.
    pub fix: &'static str,
    /// The example, put right.
    pub fixed: &'static str,
    /// When it is a false alarm, and how to tell racetrace.
    pub false_alarm: &'static str,
}

#[must_use]
pub fn page(kind: Kind) -> &'static Page {
    match kind {
        Kind::ReadModifyWrite => &read_modify_write::PAGE,
        Kind::CheckThenAct => &check_then_act::PAGE,
        Kind::MutationDuringIteration => &mutation_during_iteration::PAGE,
        Kind::InterleavedWrite => &interleaved_write::PAGE,
        Kind::FileCheckThenUse => &file_check_then_use::PAGE,
        Kind::Deadlock => &deadlock::PAGE,
        Kind::LockOrderInversion => &lock_order_inversion::PAGE,
        Kind::ThreadLockAcrossAwait => &thread_lock_across_await::PAGE,
        Kind::LockHeldAcrossAwait => &lock_held_across_await::PAGE,
        Kind::UnawaitedCoroutine => &unawaited_coroutine::PAGE,
        Kind::UnorderedAccess => &unordered_access::PAGE,
    }
}

impl Page {
    /// The page as Markdown, which also reads well in a terminal.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "# {}: {}\n\nSeverity: {}.\n", self.kind, self.title, self.severity);
        let _ = writeln!(text, "## What it is\n\n{}\n\n## Why it bites\n\n{}\n", self.what, self.why);
        let _ = writeln!(text, "## Example\n\n```python\n{}\n```\n", self.example.trim_end());
        let _ = writeln!(text, "## How to fix it\n\n{}\n\n```python\n{}\n```\n", self.fix, self.fixed.trim_end());
        let _ = writeln!(text, "## When it is a false alarm\n\n{}\n", self.false_alarm);
        let _ = write!(
            text,
            "To keep it out of the report, write on the line of either access\n\n```python\n# racetrace: ignore[{kind}] the \
             reason\n```\n\nor in `racetrace.toml`\n\n```toml\n[[suppress]]\nkind = \"{kind}\"\nsubject = \"module.name\"\n\
             reason = \"the reason\"\n```\n",
            kind = self.kind
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_page() {
        for kind in Kind::ALL {
            let page = page(kind);
            assert_eq!(page.kind, kind);
            for text in [page.title, page.severity, page.what, page.why, page.example, page.fix, page.fixed, page.false_alarm] {
                assert!(!text.trim().is_empty(), "{kind} has an empty section");
            }
            assert_ne!(page.example, page.fixed, "{kind}");
        }
    }
}

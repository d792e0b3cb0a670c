//! A finding's accesses as its reader meets them: first the strand whose stretch was split, then whoever got in between.
//! Decides nothing about how they are drawn.

use crate::finding::{AccessReport, Finding, Kind};

/// Consecutive accesses of one strand in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side<'a> {
    pub part: Part,
    /// Never empty.
    pub accesses: Vec<&'a AccessReport>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The finding's first side: the window's, where the kind has windows.
    First,
    Other,
}

#[must_use]
pub fn sides(finding: &Finding) -> Vec<Side<'_>> {
    let mut sides: Vec<Side<'_>> = Vec::new();
    for access in &finding.accesses {
        let file = access.stack.first().map(|frame| &frame.file);
        let belongs = sides.last().and_then(|side| side.accesses.last()).is_some_and(|last| {
            last.strand == access.strand
                && last.stack.first().map(|frame| &frame.file) == file
                && (access.role == "conflict") == (last.role == "conflict")
        });
        let part = if sides.is_empty() { Part::First } else { Part::Other };
        match sides.last_mut().filter(|_| belongs) {
            Some(side) => side.accesses.push(access),
            None => sides.push(Side { part, accesses: vec![access] }),
        }
    }
    sides
}

impl Side<'_> {
    /// First and last line of the stretch that must not be split, where the kind has one and it spans lines.
    #[must_use]
    pub fn window(&self, finding: &Finding) -> Option<(u32, u32)> {
        closing(finding)?;
        let frames: Vec<_> = self.accesses.iter().filter_map(|access| access.stack.first()).collect();
        let one_function = frames.windows(2).all(|pair| matches!(pair, [a, b] if a.function == b.function));
        let first = frames.iter().map(|frame| frame.line).min()?;
        let last = frames.iter().map(|frame| frame.line).max()?;
        (self.part == Part::First && first < last && one_function).then_some((first, last))
    }
}

/// What is to be said of the window, for the kinds that have one.
#[must_use]
pub fn closing(finding: &Finding) -> Option<String> {
    let subject = super::words::name(&finding.subject.name);
    match finding.kind {
        Kind::ReadModifyWrite | Kind::CheckThenAct | Kind::FileCheckThenUse => {
            Some(format!("the window: nothing else may change {subject} in here"))
        }
        Kind::InterleavedWrite => Some(format!("one record: nothing else may write to {subject} in here")),
        _ => None,
    }
}

/// The words below an access's line: its role, unless the deed says as much.
#[must_use]
pub fn label(access: &AccessReport) -> String {
    let deed = super::words::deed(access);
    let plain = matches!(access.role.as_str(), "read" | "write" | "conflict") && access.what.is_some();
    if plain || deed.starts_with(&access.role) { deed } else { format!("{}: {deed}", super::words::name(&access.role)) }
}

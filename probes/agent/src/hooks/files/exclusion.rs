//! Files and directories that are made only if they were not there, and removed again: whoever has made one keeps others
//! out for as long. What the program does in between is not looked at.

use std::sync::Mutex;

use super::codes;
use crate::hooks::family;
use crate::ring;
use crate::state::{self, Fixed};
use crate::{tasks, thread};
use racetrace_probes::wire::Kind;

/// Paths that count as locks, and those of them that are held at once. Others are files like any other.
const MOST: usize = 256;
const MOST_HELD: usize = 16;

struct Exclusion {
    known: Vec<String>,
    /// With the thread that has made it.
    held: Vec<(String, u32)>,
    process: u32,
}

static EXCLUSION: Mutex<Exclusion> = Mutex::new(Exclusion { known: Vec::new(), held: Vec::new(), process: 0 });

fn with<R>(work: impl FnOnce(&mut Exclusion) -> R) -> Option<R> {
    let mut exclusion = EXCLUSION.try_lock().ok()?;
    // What the parent of a forked child holds is not the child's.
    let process = ring::generation();
    if std::mem::replace(&mut exclusion.process, process) != process {
        exclusion.held.clear();
    }
    Some(work(&mut exclusion))
}

/// The path was made by this call, and would not have been had it been there.
pub(super) fn taken(fixed: &Fixed, path: &str) {
    if thread::outermost(|| is_of_tempfile(fixed)) != Some(false) {
        return;
    }
    let tid = thread::tid();
    let told = with(|exclusion| {
        if !exclusion.known.iter().any(|known| known == path) {
            if exclusion.known.len() >= MOST {
                return None;
            }
            exclusion.known.push(path.to_owned());
        }
        let oldest = (exclusion.held.len() >= MOST_HELD).then(|| exclusion.held.remove(0));
        exclusion.held.push((path.to_owned(), tid));
        Some(oldest)
    });
    let Some(Some(oldest)) = told else { return };
    if let Some((oldest, _)) = oldest.filter(|(_, of)| *of == tid) {
        family::say(fixed, Kind::LockReleased, &oldest);
    }
    family::say(fixed, Kind::LockAcquired, path);
}

/// The path is about to be removed.
pub(super) fn given_back(path: &str) {
    let tid = thread::tid();
    let own = with(|exclusion| {
        let at = exclusion.held.iter().position(|(held, _)| held == path)?;
        Some(exclusion.held.remove(at).1 == tid)
    });
    if let (Some(Some(true)), Some(fixed)) = (own, state::fixed()) {
        family::say(fixed, Kind::LockReleased, path);
    }
}

/// Is any path held by anyone?
pub(super) fn any() -> bool {
    with(|exclusion| !exclusion.held.is_empty()) == Some(true)
}

/// A temporary file has a name of its own, which nobody else would ask for.
fn is_of_tempfile(fixed: &Fixed) -> bool {
    let layout = &fixed.layout;
    let frame = tasks::current_frame(layout);
    frame.is_null() || codes::of_frame(fixed, frame).is_none_or(|entry| entry.module == "tempfile")
}

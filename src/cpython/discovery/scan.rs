//! Strategies for files without symbols and sections: look through the module's writable data.

use crate::target::address::RemoteAddr;
use crate::target::memory::Memory;

use super::{Place, plausible};
use crate::cpython::layout::Layout;
use racetrace_probes::version::Version;

/// The largest data segment that is looked through; CPython's has 1 to 2 MiB.
const LARGEST_SEGMENT: u64 = 32 << 20;
/// More proposals than this mean that something else was found.
const MOST_PROPOSALS: usize = 16;

/// 3.13 and later mark the runtime's start.
pub(super) fn cookie<M: Memory>(place: &Place<'_, M>) -> Vec<RemoteAddr> {
    let mut found = Vec::new();
    each_word(place, |at, word| {
        if word == u64::from_ne_bytes(*b"xdebugpy") && found.len() < MOST_PROPOSALS {
            found.push(at);
        }
    });
    found
}

/// Before 3.13: a word that points to an interpreter whose first thread points back to it.
pub(super) fn interpreter_list<M: Memory>(place: &Place<'_, M>) -> Vec<RemoteAddr> {
    let versions = (Version::OLDEST..=12).map(|minor| Version { minor, free_threaded: false });
    let layouts: Vec<(Version, Layout)> = versions.filter_map(|version| Some((version, Layout::of(version)?))).collect();
    let mapped =
        |word: u64| place.mappings.iter().any(|mapping| mapping.writable && (mapping.start.0..mapping.end.0).contains(&word));
    let mut found = Vec::new();
    each_word(place, |at, word| {
        if word % 8 != 0 || found.len() >= MOST_PROPOSALS || !mapped(word) {
            return;
        }
        for (version, layout) in &layouts {
            let runtime = RemoteAddr(at.0.wrapping_sub(layout.runtime.interpreters_head));
            if !found.contains(&runtime) && plausible(place.memory, runtime, *version, layout) == Ok(true) {
                found.push(runtime);
            }
        }
    });
    found
}

fn each_word<M: Memory>(place: &Place<'_, M>, mut visit: impl FnMut(RemoteAddr, u64)) {
    for mapping in place.data() {
        let Ok(len) = usize::try_from(mapping.len().min(LARGEST_SEGMENT)) else { continue };
        let mut at = 0;
        while at < len {
            let size = (len - at).min(1 << 16);
            let start = mapping.start.plus(at as u64);
            if let Ok(bytes) = place.memory.bytes(start, size) {
                for (index, word) in bytes.chunks_exact(8).enumerate() {
                    let word = word.try_into().map_or(0, u64::from_ne_bytes);
                    visit(start.plus(index as u64 * 8), word);
                }
            }
            at += size;
        }
    }
}

//! What the user of the analysis decides. It reads no files: the caller fills it from arguments and configuration.

/// Where code comes from: only findings that touch the user's own code are shown.
pub use racetrace_probes::wire::Origin;

use std::time::Duration;

#[derive(Debug, Clone)]
pub struct Options {
    /// How many subjects are remembered at once; beyond that the oldest are forgotten, and races on them missed.
    pub subjects: usize,
    /// How long an asyncio lock may be held over a suspension while others wait; None: as the kind of evidence suggests.
    pub long_hold: Option<Duration>,
}

impl Default for Options {
    fn default() -> Options {
        Options { subjects: 200_000, long_hold: None }
    }
}

impl Options {
    /// In nanoseconds; `otherwise` where nothing else was asked for.
    pub fn long_hold_or(&self, otherwise: u64) -> u64 {
        self.long_hold.map_or(otherwise, |longest| u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX))
    }
}

//! What the user of the analysis decides. It reads no files: the caller fills it from arguments and configuration.

/// Where code comes from: only findings that touch the user's own code are shown.
pub use racetrace_probes::wire::Origin;

#[derive(Debug, Clone)]
pub struct Options {
    /// How many subjects are remembered at once; beyond that the oldest are forgotten, and races on them missed.
    pub subjects: usize,
    /// Nanoseconds that an asyncio lock may be held over a suspension while others wait.
    pub long_hold: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options { subjects: 200_000, long_hold: 50_000_000 }
    }
}

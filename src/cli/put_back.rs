//! Arguments of the guardian that undoes `--switch-interval`; racetrace starts it itself.

use std::str::FromStr;

/// Put a switch interval back when standard input ends
#[derive(Debug, Clone, clap::Args)]
pub struct PutBackArgs {
    /// The process
    pub pid: u32,
    /// What was written, in microseconds
    pub wanted: u64,
    /// Addresses and what was there before, as ADDRESS=MICROSECONDS
    pub words: Vec<Word>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word {
    pub at: u64,
    pub before: u64,
}

impl FromStr for Word {
    type Err = String;

    fn from_str(text: &str) -> Result<Word, String> {
        let parts = text.split_once('=').and_then(|(at, before)| Some((at.parse().ok()?, before.parse().ok()?)));
        parts.map(|(at, before)| Word { at, before }).ok_or_else(|| format!("'{text}' is not ADDRESS=MICROSECONDS"))
    }
}

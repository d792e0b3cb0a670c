//! What a trace does not hold, counted while it is read and told in sentences. Loss within the program (a `Gap` that was
//! recorded) is not counted here: it is an event.

/// What the reader could not give.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Missing {
    /// Records that were left out to keep to a limit.
    pub dropped: u64,
    /// Records in blocks that are there but cannot be read.
    pub damaged: u64,
    /// Bytes that are no block.
    pub skipped_bytes: u64,
    /// The file ends within a block that began at this byte.
    pub cut_at: Option<u64>,
    /// How many records that block was to hold, where its header says so.
    pub cut_records: u64,
    /// Reading failed at this byte.
    pub failed: Option<(u64, String)>,
    /// A document (findings so far, source lines) that cannot be understood.
    pub documents: u64,
    /// No end was found: the recording was killed, goes on, or the file was cut between two blocks.
    pub no_end: bool,
}

impl Missing {
    /// Is everything there that was recorded?
    #[must_use]
    pub fn nothing(&self) -> bool {
        *self == Missing::default()
    }

    /// Were events lost, so that analysing the rest may find less than was found while recording?
    #[must_use]
    pub fn events(&self) -> bool {
        self.dropped > 0 || self.damaged > 0 || self.skipped_bytes > 0
    }

    /// One sentence for each thing that is missing; empty if nothing is.
    #[must_use]
    pub fn sentences(&self) -> Vec<String> {
        let mut sentences = Vec::new();
        let mut say = |really: bool, sentence: String| {
            if really {
                sentences.push(sentence);
            }
        };
        say(self.dropped > 0, format!("{} older records were left out of the trace to keep to its limit", self.dropped));
        say(self.damaged > 0, format!("{} records of the trace are damaged and were skipped", self.damaged));
        say(self.skipped_bytes > 0, format!("{} bytes of the trace are damaged and were skipped", self.skipped_bytes));
        say(self.documents > 0, format!("{} documents in the trace cannot be understood", self.documents));
        if let Some((at, error)) = &self.failed {
            say(true, format!("the trace cannot be read from byte {at} on: {error}"));
        } else if let Some(at) = self.cut_at {
            let records =
                if self.cut_records > 0 { format!(", {} records are missing", self.cut_records) } else { String::new() };
            say(true, format!("the trace is cut off within the block at byte {at}{records}; what came before was read"));
        } else {
            say(self.no_end, "the trace has no end: its recording was killed or still goes on; what is there was read".into());
        }
        sentences
    }
}

//! Making the target switch threads more often, and undoing it: the only thing that racetrace ever writes into a process,
//! and only when asked to. One word, `gil.interval`, as `sys.setswitchinterval` would set it.

use std::fmt;
use std::time::Duration;

use crate::target::address::RemoteAddr;
use crate::target::memory::{Memory, ProcessMemory, WriteWord};
use crate::target::process::Process;

use super::target::Target;

/// Restores the interval when dropped.
#[derive(Debug)]
pub struct Amplifier {
    process: Process,
    memory: ProcessMemory,
    /// Where each interpreter's interval is, and what it was.
    intervals: Vec<(RemoteAddr, u64)>,
    wanted: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AmplifierError {
    NoGil,
    NotWritable,
}

impl fmt::Display for AmplifierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoGil => write!(f, "cannot set the switch interval: this interpreter has no GIL"),
            Self::NotWritable => write!(f, "cannot set the switch interval: the process cannot be written to"),
        }
    }
}

impl std::error::Error for AmplifierError {}

/// An interval that no program sets.
const LONGEST: u64 = 60_000_000;

impl Amplifier {
    /// Sets the interval.
    ///
    /// # Errors
    /// A build without a GIL, or a process that cannot be written to.
    pub fn start(target: &Target, interval: Duration) -> Result<Amplifier, AmplifierError> {
        let wanted = u64::try_from(interval.as_micros()).unwrap_or(LONGEST).clamp(1, LONGEST);
        let memory = target.process.memory();
        let mut this = Amplifier { process: target.process.clone(), memory, intervals: Vec::new(), wanted };
        for interpreter in target.python.interpreters().unwrap_or_default() {
            let at = interpreter.gil.plus(target.python.layout.gil.interval);
            if interpreter.gil.is_null() || this.intervals.iter().any(|(known, _)| *known == at) {
                continue;
            }
            let before = memory.u64(at).map_err(|_| AmplifierError::NotWritable)?;
            if !(1..=LONGEST).contains(&before) {
                return Err(AmplifierError::NoGil);
            }
            memory.write_word(at, wanted).map_err(|_| AmplifierError::NotWritable)?;
            this.intervals.push((at, before));
        }
        if this.intervals.is_empty() { Err(AmplifierError::NoGil) } else { Ok(this) }
    }
}

impl Drop for Amplifier {
    fn drop(&mut self) {
        if !self.process.is_alive() {
            return;
        }
        for (at, before) in &self.intervals {
            // If the program has set another interval meanwhile, that one is right.
            if self.memory.u64(*at) == Ok(self.wanted) {
                let _ = self.memory.write_word(*at, *before);
            }
        }
    }
}

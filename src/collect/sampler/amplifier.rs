//! Making the target switch threads more often, and undoing it: the only thing that racetrace ever writes into a process,
//! and only when asked to. One word, `gil.interval`, as `sys.setswitchinterval` would set it. It does not decide when.
//!
//! It is undone on every way out: by [`Amplifier`] when it is dropped, and by a guardian, a second process that waits for
//! the first one's end, also when that was killed. Only what kills both leaves the interval as it is.

use std::fmt;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::target::address::RemoteAddr;
use crate::target::memory::{Memory, ProcessMemory, WriteMemory};
use crate::target::process::Process;

use super::target::Target;

/// The name of the hidden subcommand that is the guardian.
pub const GUARDIAN: &str = "put-back-interval";

/// Restores the interval when dropped.
#[derive(Debug)]
pub struct Amplifier {
    changes: Changes,
    /// Waits for its standard input to end.
    guardian: Child,
}

/// The words to be written and to be put back, in one process.
#[derive(Debug)]
pub struct Changes {
    pub process: Process,
    /// Where each interpreter's interval is, and what it was.
    pub intervals: Vec<(RemoteAddr, u64)>,
    pub wanted: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AmplifierError {
    NoGil,
    NotWritable,
    NoGuardian,
}

impl fmt::Display for AmplifierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoGil => write!(f, "cannot set the switch interval: this interpreter has no GIL"),
            Self::NotWritable => write!(f, "cannot set the switch interval: the process cannot be written to"),
            Self::NoGuardian => write!(f, "cannot set the switch interval: the process that would undo it does not start"),
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
    /// A build without a GIL, a process that cannot be written to, or no guardian to be had.
    pub fn start(target: &Target, interval: Duration) -> Result<Amplifier, AmplifierError> {
        let wanted = u64::try_from(interval.as_micros()).unwrap_or(LONGEST).clamp(1, LONGEST);
        let memory = target.process.memory();
        let mut intervals: Vec<(RemoteAddr, u64)> = Vec::new();
        for interpreter in target.python.interpreters().unwrap_or_default() {
            let at = interpreter.gil.plus(target.python.layout.gil.interval);
            if interpreter.gil.is_null() || intervals.iter().any(|(known, _)| *known == at) {
                continue;
            }
            let before = memory.u64(at).map_err(|_| AmplifierError::NotWritable)?;
            if !(1..=LONGEST).contains(&before) {
                return Err(AmplifierError::NoGil);
            }
            intervals.push((at, before));
        }
        if intervals.is_empty() {
            return Err(AmplifierError::NoGil);
        }
        let changes = Changes { process: target.process.clone(), intervals, wanted };
        let this = Amplifier { guardian: changes.guardian().ok_or(AmplifierError::NoGuardian)?, changes };
        // From here on whatever happens is undone.
        for (at, _) in &this.changes.intervals {
            memory.write_word(*at, wanted).map_err(|_| AmplifierError::NotWritable)?;
        }
        Ok(this)
    }
}

impl Drop for Amplifier {
    fn drop(&mut self) {
        self.changes.put_back();
        drop(self.guardian.stdin.take());
        let _ = self.guardian.wait();
    }
}

impl Changes {
    /// Writes what was there before, where it is still ours: an interval that the program has set meanwhile is right.
    pub fn put_back(&self) {
        if !self.process.is_alive() {
            return;
        }
        let memory: ProcessMemory = self.process.memory();
        for (at, before) in &self.intervals {
            if memory.u64(*at) == Ok(self.wanted) {
                let _ = memory.write_word(*at, *before);
            }
        }
    }

    /// Starts the guardian and waits until it knows the process.
    fn guardian(&self) -> Option<Child> {
        let words = self.intervals.iter().map(|(at, before)| format!("{}={before}", at.0));
        let mut command = Command::new("/proc/self/exe");
        command.arg(GUARDIAN).arg(self.process.pid.to_string()).arg(self.wanted.to_string()).args(words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        // Ctrl-C at the terminal, and a kill of our group, are not for it.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn().ok()?;
        let mut ready = [0];
        match child.stdout.take()?.read_exact(&mut ready) {
            Ok(()) => Some(child),
            Err(_) => {
                let _ = child.wait();
                None
            }
        }
    }
}

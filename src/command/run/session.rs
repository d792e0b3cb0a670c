//! The two threads of a probe session: the collector, which takes what the agents write, and the judge. It starts no
//! command and asks no process.

use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::judge::{self, Judge, Judged, Remark};
use super::supervise::Signals;
use crate::collect::session::clock::SessionClock;
use crate::collect::session::collector::{Collector, Ending, Outcome};
use crate::collect::session::directory::SessionDirectory;
use crate::command::failure::Failure;
use crate::event::ProcessId;

/// Batches between collector and judge: bounds memory, and makes the target wait rather than the report suffer.
const BATCHES: usize = 16;

/// Empty batches that are kept to be filled again.
const SPARE: usize = 2;

pub struct Session {
    collector: JoinHandle<Outcome>,
    judge: JoinHandle<Judged>,
    ending: mpsc::Sender<Ending>,
    remarks: mpsc::SyncSender<judge::Message>,
}

impl Session {
    /// # Errors
    /// A thread cannot be started.
    pub fn start(directory: &SessionDirectory, judge: Judge) -> Result<Session, Failure> {
        let (sink, batches) = mpsc::sync_channel(BATCHES);
        let (back, used) = mpsc::sync_channel(SPARE);
        let (ending, endings) = mpsc::channel();
        let remarks = sink.clone();
        let collector = Collector::new(directory.rings(), SessionClock::start(), sink, endings).refilling(used);
        let start = |error: std::io::Error| Failure::new(format!("cannot start a thread: {error}"));
        let judge = std::thread::Builder::new().name("judge".into()).spawn(move || judge.run(&batches, &back)).map_err(start)?;
        let collector = std::thread::Builder::new().name("collector".into()).spawn(move || collector.run()).map_err(start)?;
        Ok(Session { collector, judge, ending, remarks })
    }

    /// Waits so long for what the processes still have to say, adds what could not be watched, and has it judged.
    ///
    /// # Errors
    /// Bugs of ours.
    pub fn end(
        self,
        patience: Duration,
        signals: &Signals,
        remarks: impl FnOnce(&Outcome) -> Vec<Remark>,
    ) -> Result<(Outcome, Judged), Failure> {
        let _ = self.ending.send(Ending { patience });
        while !self.collector.is_finished() {
            signals.pause();
            if signals.asked_to_end() {
                let _ = self.ending.send(Ending { patience: Duration::ZERO });
            }
        }
        let outcome = self.collector.join().map_err(|_| Failure::new("the collector has failed; this is a bug in racetrace"))?;
        let remarks = remarks(&outcome);
        let _ = self.remarks.send(judge::batch_of(&remarks, ProcessId(outcome.processes)));
        drop(self.remarks);
        let judged = self.judge.join().map_err(|_| Failure::new("the analysis has failed; this is a bug in racetrace"))?;
        Ok((outcome, judged))
    }
}

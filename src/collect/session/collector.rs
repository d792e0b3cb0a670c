//! The thread that finds the rings of a session and drains them all, in rounds. It hands on batches of records; what
//! becomes of them, and when the command has ended, is not its business.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::clock::SessionClock;
use super::source::{Outlook, Source};
use crate::event::{ProcessId, Record};
use crate::target::ring::Ring;

/// Records of one ring in one round: bounds memory, and lets no process starve the others.
const ROUND: usize = 16_384;
/// The same where there is only one, whose records need not be put in order with others': what waits for the receiver
/// takes less memory, and is still in the processor's cache.
const ROUND_ALONE: usize = 4_096;
/// How often the directory is looked at for new rings.
const LOOK: Duration = Duration::from_millis(5);
/// Pauses between rounds: a ring fills in several milliseconds at the very least.
const PAUSE: Duration = Duration::from_micros(500);
const IDLE_PAUSE: Duration = Duration::from_millis(2);

/// Told to the collector once the command has ended: how long it may wait for processes that live on.
#[derive(Debug, Clone, Copy)]
pub struct Ending {
    pub patience: Duration,
}

/// What the collector saw, apart from records.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Processes that were watched.
    pub processes: u32,
    /// Pids of watched processes that were still running when the session ended.
    pub left_running: Vec<u32>,
    /// Rings that could not be used: pid as far as the file's name tells, and why.
    pub refused: Vec<(Option<u32>, String)>,
}

#[derive(Debug)]
pub struct Collector {
    rings: PathBuf,
    clock: SessionClock,
    sources: Vec<Source>,
    /// Files that could neither be used nor removed.
    skipped: BTreeSet<OsString>,
    looked: Option<Instant>,
    sink: SyncSender<Vec<Record>>,
    /// Batches that the receiver is done with.
    used: Option<Receiver<Vec<Record>>>,
    ending: Receiver<Ending>,
    outcome: Outcome,
}

impl Collector {
    pub fn new(rings: PathBuf, clock: SessionClock, sink: SyncSender<Vec<Record>>, ending: Receiver<Ending>) -> Self {
        let (sources, skipped, outcome) = (Vec::new(), BTreeSet::new(), Outcome::default());
        Collector { rings, clock, sources, skipped, looked: None, sink, used: None, ending, outcome }
    }

    /// Batches that come back empty are filled again: their memory is in place, and need not be had from the kernel.
    #[must_use]
    pub fn refilling(self, used: Receiver<Vec<Record>>) -> Self {
        Collector { used: Some(used), ..self }
    }

    /// Works until the command has ended and all its processes have, or the patience with them is at an end.
    pub fn run(mut self) -> Outcome {
        let mut deadline = None;
        loop {
            if deadline.is_none() {
                deadline = match self.ending.try_recv() {
                    Ok(ending) => Some(Instant::now() + ending.patience),
                    Err(TryRecvError::Disconnected) => Some(Instant::now()),
                    Err(TryRecvError::Empty) => None,
                };
                // Whatever began while the command ran is there by now.
                if deadline.is_some() {
                    self.looked = None;
                }
            }
            self.look_for_rings();
            let Ok((taken, active)) = self.round() else {
                self.sources.iter().for_each(Source::stop);
                break;
            };
            match deadline {
                Some(_) if !active && taken == 0 => {
                    self.close();
                    break;
                }
                Some(deadline) if Instant::now() >= deadline => {
                    self.leave();
                    break;
                }
                _ => {}
            }
            match taken {
                0 => sleep(IDLE_PAUSE),
                1..1024 => sleep(PAUSE),
                _ => {}
            }
        }
        self.outcome
    }

    fn look_for_rings(&mut self) {
        if self.looked.is_some_and(|looked| looked.elapsed() < LOOK) {
            return;
        }
        self.looked = Some(Instant::now());
        let Ok(entries) = fs::read_dir(&self.rings) else { return };
        let mut names: Vec<OsString> = entries.filter_map(|entry| Some(entry.ok()?.file_name())).collect();
        names.retain(|name| name.to_string_lossy().ends_with(".ring") && !self.skipped.contains(name));
        names.sort();
        for name in names {
            self.add(name);
        }
    }

    /// Maps a ring and removes its file: the memory lives as long as somebody maps it, and no longer.
    fn add(&mut self, name: OsString) {
        let path = self.rings.join(&name);
        match Ring::open(&path) {
            Ok(ring) => {
                let pid = ring.pid();
                self.sources.iter_mut().filter(|source| source.pid() == pid).for_each(Source::replace);
                self.sources.push(Source::new(ring, ProcessId(self.outcome.processes)));
                self.outcome.processes += 1;
            }
            Err(error) => {
                let pid = name.to_string_lossy().split('-').next().and_then(|pid| pid.parse().ok());
                self.outcome.refused.push((pid, error.to_string()));
            }
        }
        if fs::remove_file(&path).is_err() {
            self.skipped.insert(name);
        }
    }

    /// Drains every ring once: how many records, and whether some process may still write.
    fn round(&mut self) -> Result<(usize, bool), Disconnected> {
        self.clock.adjust();
        let mut lists = Vec::new();
        let mut active = false;
        let clock = self.clock;
        let limit = if self.sources.len() == 1 { ROUND_ALONE } else { ROUND };
        let used = self.used.as_ref();
        self.sources.retain_mut(|source| {
            source.beat();
            let mut records = used.and_then(|used| used.try_recv().ok()).unwrap_or_default();
            records.reserve(source.waiting().min(limit));
            let outlook = source.drain(&clock, limit, &mut records);
            if !records.is_empty() {
                lists.push(records);
            }
            active |= outlook == Outlook::Alive;
            outlook != Outlook::Over
        });
        let taken = lists.iter().map(Vec::len).sum();
        if taken > 0 {
            self.send(merge(lists))?;
        }
        Ok((taken, active))
    }

    /// Hands a batch on. While the receiver is behind, producers still see that they are not forgotten.
    fn send(&self, mut batch: Vec<Record>) -> Result<(), Disconnected> {
        loop {
            match self.sink.try_send(batch) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Disconnected(_)) => return Err(Disconnected),
                Err(TrySendError::Full(again)) => batch = again,
            }
            self.sources.iter().for_each(Source::beat);
            sleep(PAUSE);
        }
    }

    /// All have said goodbye: what little life they have left is not waited for.
    fn close(&mut self) {
        let mut records = Vec::new();
        self.sources.iter_mut().for_each(|source| source.end(&self.clock, &mut records));
        let _ = self.send(records);
    }

    /// Stops watching what still runs, and takes what it has written until then.
    fn leave(&mut self) {
        self.sources.iter().for_each(Source::stop);
        for _ in 0..64 {
            match self.round() {
                Ok((taken, _)) if taken > 0 => {}
                _ => break,
            }
        }
        self.outcome.left_running = self.sources.iter().map(Source::pid).collect();
    }
}

/// Nobody takes the records any more.
#[derive(Debug)]
struct Disconnected;

/// One list in the order of time. The order within each process stays as it was written, whatever its stamps say.
fn merge(mut lists: Vec<Vec<Record>>) -> Vec<Record> {
    if lists.len() == 1 {
        return lists.pop().unwrap_or_default();
    }
    let mut keyed: Vec<(u64, Record)> = Vec::with_capacity(lists.iter().map(Vec::len).sum());
    for list in lists {
        let mut latest = 0;
        keyed.extend(list.into_iter().map(|record| {
            latest = latest.max(record.time);
            (latest, record)
        }));
    }
    keyed.sort_by_key(|(time, _)| *time);
    keyed.into_iter().map(|(_, record)| record).collect()
}

#[cfg(test)]
mod tests;

//! One ring while it is drained: how far it has been read, and how the process behind it ends. It does not decide when to
//! look, and it never waits.

use std::time::{Duration, Instant};

use racetrace_probes::wire::{Kind, SLOTS, Slot};

use super::clock::SessionClock;
use super::decode::{decode, has_blob};
use crate::event::{Event, ProcessId, Record, Tid};
use crate::target::lifetime::Lifetime;
use crate::target::ring::{Ring, Taken};

/// A living producer finishes a record that it has begun; one that does not for so long, while the ring is full, never
/// will (its thread was ended in the middle).
const STUCK: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub struct Source {
    ring: Ring,
    process: ProcessId,
    lifetime: Lifetime,
    tail: u64,
    blob_tail: u64,
    dropped: u64,
    said_goodbye: bool,
    stuck: Option<Instant>,
}

/// Whether more can come from a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outlook {
    Alive,
    /// Said goodbye and has nothing left; the process itself may take a while longer.
    Quiet,
    Over,
}

impl Source {
    pub fn new(ring: Ring, process: ProcessId) -> Self {
        ring.attach(std::process::id());
        let lifetime = Lifetime::watch(ring.pid());
        Source { ring, process, lifetime, tail: 0, blob_tail: 0, dropped: 0, said_goodbye: false, stuck: None }
    }

    pub fn pid(&self) -> u32 {
        self.ring.pid()
    }

    pub fn process(&self) -> ProcessId {
        self.process
    }

    /// Its process runs another program now, and will not write here any more.
    pub fn replace(&mut self) {
        self.lifetime = Lifetime::Over;
    }

    pub fn beat(&self) {
        self.ring.beat();
    }

    pub fn stop(&self) {
        self.ring.stop();
    }

    /// How many records have been written and not been moved yet.
    pub fn waiting(&self) -> usize {
        usize::try_from(self.ring.head().saturating_sub(self.tail)).unwrap_or(usize::MAX)
    }

    /// Moves up to `limit` records to `out`, and says what can still come.
    pub fn drain(&mut self, clock: &SessionClock, limit: usize, out: &mut Vec<Record>) -> Outlook {
        // Asked before the head is read: what a process wrote before it ended is then certainly seen.
        let over = self.lifetime.is_over();
        let quiet = self.ring.has_ended();
        let mut lost = self.newly_dropped().saturating_add(self.skip_overrun());
        let (first, head) = (self.tail, self.ring.head());
        let mut unfinished = 0;
        while self.tail < head && out.len() < limit {
            match self.ring.slot(self.tail) {
                Taken::Ready(slot) => {
                    // Records that were begun before this one and never finished are a hole.
                    lost = lost.saturating_add(std::mem::take(&mut unfinished));
                    self.stuck = None;
                    self.take(&slot, clock, &mut lost, out);
                }
                Taken::Overrun => lost = lost.saturating_add(1),
                Taken::Pending if over => unfinished += 1,
                Taken::Pending if self.is_stuck(head) => lost = lost.saturating_add(1),
                Taken::Pending => break,
            }
            self.tail += 1;
        }
        if self.tail != first {
            self.ring.release(self.tail, self.blob_tail);
        }
        self.note_loss(lost, clock, out);
        match (self.tail >= head, over, quiet) {
            (true, true, _) => {
                self.end(clock, out);
                Outlook::Over
            }
            (true, false, true) => Outlook::Quiet,
            _ => Outlook::Alive,
        }
    }

    fn take(&mut self, slot: &Slot, clock: &SessionClock, lost: &mut u64, out: &mut Vec<Record>) {
        let Some(kind) = Kind::from_byte(slot.kind) else {
            *lost = lost.saturating_add(1);
            return;
        };
        let event = decode(slot, kind, &|position, length| self.ring.blob(position, length));
        if has_blob(kind) {
            self.release_blob(slot.a, slot.b);
        }
        let Some(event) = event else {
            *lost = lost.saturating_add(1);
            return;
        };
        // A loss is stated where it was noticed, before what comes after it.
        self.note_loss(std::mem::take(lost), clock, out);
        self.said_goodbye |= matches!(event, Event::ProcessEnd { .. });
        let time = clock.since_start(slot.time);
        out.push(Record { time, process: self.process, thread: Tid(slot.tid), event });
    }

    /// Bytes are used in the order of their records: everything before this end is free.
    fn release_blob(&mut self, position: u64, length: u64) {
        if let Some(end) = position.checked_add(length).filter(|end| *end <= self.ring.blob_head()) {
            self.blob_tail = self.blob_tail.max(end);
        }
    }

    fn newly_dropped(&mut self) -> u64 {
        let dropped = self.ring.dropped();
        dropped.saturating_sub(std::mem::replace(&mut self.dropped, dropped))
    }

    /// A head that is further than one ring away: the records in between are gone.
    fn skip_overrun(&mut self) -> u64 {
        let oldest = self.ring.head().saturating_sub(SLOTS);
        if oldest <= self.tail {
            return 0;
        }
        let skipped = oldest - self.tail;
        self.tail = oldest;
        skipped
    }

    fn is_stuck(&mut self, head: u64) -> bool {
        let full = head.saturating_sub(self.tail) >= SLOTS - 64;
        full && self.stuck.get_or_insert_with(Instant::now).elapsed() > STUCK
    }

    fn note_loss(&self, lost: u64, clock: &SessionClock, out: &mut Vec<Record>) {
        if lost > 0 {
            out.push(self.record(clock.now(), Event::Gap { lost }));
        }
    }

    /// States the end of the process, unless it has done so itself.
    pub fn end(&mut self, clock: &SessionClock, out: &mut Vec<Record>) {
        if !self.said_goodbye {
            self.said_goodbye = true;
            out.push(self.record(clock.now(), Event::ProcessEnd { orderly: self.ring.has_ended() }));
        }
    }

    fn record(&self, time: u64, event: Event) -> Record {
        Record { time, process: self.process, thread: Tid(self.ring.pid()), event }
    }
}

#[cfg(test)]
mod tests;

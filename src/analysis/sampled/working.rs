//! Windows that two freely running threads come to, not necessarily at one moment: nothing on their stacks can take a lock
//! or wait, so all that could order them is that one had ended before the other was started. It had not if the one was
//! seen at its work when the other was there, or when the other was bound to be started.

use std::collections::HashMap;

use super::ahead::{as_window, sureness};
use super::describe::{access, is_in_users_code, name, place, strand};
use super::windows::{Inside, Story, accesses, describe, subject};
use super::{Findings, Seen};
use crate::event::{KeyId, ObjectId, StackId, TextId, Tid};
use crate::finding::{AccessReport, Finding, StrandReport};

#[derive(Debug, Default)]
pub struct Working {
    /// When each thread was first seen.
    began: HashMap<Tid, u64>,
    /// Who was seen on the way to a window on each subject.
    workers: HashMap<(ObjectId, KeyId), Vec<Worker>>,
    seen: Sightings,
}

#[derive(Debug, Clone)]
struct Worker {
    thread: Tid,
    began: u64,
    /// When it was last seen there.
    last: u64,
    window: (StackId, StackId),
    switches: bool,
    name: String,
    access: AccessReport,
}

type Sightings = HashMap<(StackId, StackId), u32>;

/// A pair of places must be seen this often.
const SIGHTINGS: u32 = 2;
const MOST: usize = 1 << 16;
const MOST_WORKERS: usize = 8;

impl Working {
    pub fn begins(&mut self, thread: Tid, time: u64) {
        if self.began.len() >= MOST {
            self.began.clear();
            self.workers.clear();
        }
        self.began.insert(thread, time);
    }

    pub fn look(&mut self, seen: &Seen<'_>, findings: &mut Findings) {
        for state in seen.sample.strands.iter().filter(|state| state.task.is_none()) {
            for coming in state.working.iter().filter(|coming| is_in_users_code(seen, coming.stack)) {
                if let Some(one) = as_window(seen, state, coming) {
                    self.work(seen, &one, findings);
                    if let Some(rival) = coming.rival {
                        self.race(seen, &one, rival, findings);
                    }
                }
            }
        }
    }

    /// Another thread is bound to be started, and to do the same.
    fn race(&mut self, seen: &Seen<'_>, one: &Inside<'_>, rival: TextId, findings: &mut Findings) {
        if often(&mut self.seen, (one.open.write, one.open.write)) {
            findings.add(before_another(seen, one, rival));
        }
    }

    fn work(&mut self, seen: &Seen<'_>, one: &Inside<'_>, findings: &mut Findings) {
        let thread = one.state.thread;
        let Some(began) = self.began.get(&thread).copied() else { return };
        if self.workers.len() >= MOST || self.seen.len() >= MOST {
            self.workers.clear();
            self.seen.clear();
        }
        let window = (one.open.read, one.open.write);
        let workers = self.workers.entry((one.open.object, one.open.key)).or_default();
        // Each was there while the other was at its work.
        let met = |other: &&Worker| other.thread != thread && other.last >= began && seen.time >= other.began;
        if let Some(other) = workers.iter().find(met)
            && often(&mut self.seen, (window.1, other.window.1))
        {
            findings.add(finding(seen, one, other));
        }
        match workers.iter_mut().find(|worker| worker.thread == thread && worker.began == began && worker.window == window) {
            Some(worker) => worker.last = seen.time,
            None => {
                workers.insert(0, worker(seen, one, began, window));
                workers.truncate(MOST_WORKERS);
            }
        }
    }
}

/// Counts a pair of places. Has it been seen often enough?
fn often(sightings: &mut Sightings, places: (StackId, StackId)) -> bool {
    let seen = sightings.entry(places).or_default();
    *seen += 1;
    *seen >= SIGHTINGS
}

fn worker(seen: &Seen<'_>, one: &Inside<'_>, began: u64, window: (StackId, StackId)) -> Worker {
    Worker {
        thread: one.state.thread,
        began,
        last: seen.time,
        window,
        switches: one.nature.switches,
        name: strand(seen, one.state).name,
        access: access(seen, "conflict", "reads and stores it too", one.state, one.open.write),
    }
}

fn finding(seen: &Seen<'_>, one: &Inside<'_>, other: &Worker) -> Finding {
    let subject = subject(seen, &one.open);
    let observed = format!(
        "{} and thread {} were both at it while the other was there, {} at {}; nothing on their stacks takes a lock or waits",
        name(seen, one.state),
        other.name,
        name(seen, one.state),
        place(seen, one.open.stack),
    );
    let (sure, why) = sureness(one.nature.switches || other.switches);
    let (read, write) = accesses(seen, one);
    let accesses = vec![read, write, other.access.clone()];
    describe(seen, one, Story { subject, observed, why: why.to_owned(), accesses, conflict: other.window.1, sure })
}

fn before_another(seen: &Seen<'_>, one: &Inside<'_>, rival: TextId) -> Finding {
    let subject = subject(seen, &one.open);
    let rival = seen.world.text(seen.process, rival).to_owned();
    let observed = format!(
        "{} was at {} while thread {rival} was about to be started, to run the same; nothing on the way takes a lock or waits",
        name(seen, one.state),
        place(seen, one.open.stack),
    );
    let (sure, why) = sureness(one.nature.switches);
    let (read, write) = accesses(seen, one);
    let mut conflict = access(seen, "conflict", "will read and store it too", one.state, one.open.write);
    conflict.strand = StrandReport { name: rival, tid: 0, ..conflict.strand };
    let accesses = vec![read, write, conflict];
    describe(seen, one, Story { subject, observed, why: why.to_owned(), accesses, conflict: one.open.write, sure })
}

//! What goes wrong around awaits: a coroutine that is never run, a thread's lock in the hands of a suspended task, and an asyncio lock that its holder keeps over a
//! long await while others wait for it.

use std::collections::HashMap;

use super::describe::{access, is_in_users_code, is_users, lock_name, name, place, sampled};
use super::{Findings, Seen, Who};
use crate::analysis::describe::Draft;
use crate::event::sample::{Dropped, Hold, StrandState, Waits};
use crate::event::{ObjectId, StackId, TextId};
use crate::finding::{Evidence, Kind, Severity, Subject};

#[derive(Debug, Default)]
pub struct Awaits {
    /// Since when a task has been holding an asyncio lock at one await while others wait.
    since: HashMap<Holding, (u64, u32)>,
}

/// Who holds which lock where. By its name as well: a new task may lie where one that has ended lay.
type Holding = (Who, TextId, ObjectId, StackId);

/// Shorter holds are what locks are for.
const LONG_HOLD: u64 = 100_000_000;
/// A task that comes back to the same place looks as if it had stayed: it must be seen there this often in a row.
const SIGHTINGS: u32 = 8;

impl Awaits {
    pub fn look(&mut self, seen: &Seen<'_>, findings: &mut Findings) {
        for state in &seen.sample.strands {
            for dropped in state.dropped.iter().filter(|dropped| is_in_users_code(seen, dropped.made)) {
                never_run(seen, state, dropped, findings);
            }
        }
        let mut since = HashMap::new();
        for state in seen.sample.strands.iter().filter(|state| state.task.is_some()) {
            for hold in &state.holds {
                if !is_users(seen, hold.stack) {
                    continue;
                }
                if !hold.by_task {
                    across_await(seen, state, hold, findings);
                    continue;
                }
                let waiting = waiting_for(seen, state, hold.lock);
                if waiting == 0 {
                    continue;
                }
                let key = (Who::of(state), state.name, hold.lock, state.stack);
                let known = self.since.get(&key).copied().filter(|_| state.still);
                let (began, sightings) = known.unwrap_or((seen.time, 0));
                since.insert(key, (began, sightings + u32::from(state.rests)));
                if sightings >= SIGHTINGS && seen.time.saturating_sub(began) >= seen.world.options.long_hold_or(LONG_HOLD) {
                    held_long(seen, state, hold, waiting, seen.time - began, findings);
                }
            }
        }
        self.since = since;
    }
}

fn waiting_for(seen: &Seen<'_>, holder: &StrandState, wanted: ObjectId) -> usize {
    let waits = |state: &&StrandState| {
        Who::of(state) != Who::of(holder) && matches!(state.waits, Waits::Lock { lock, by_task: true, .. } if lock == wanted)
    };
    seen.sample.strands.iter().filter(waits).count()
}

fn never_run(seen: &Seen<'_>, state: &StrandState, dropped: &Dropped, findings: &mut Findings) {
    let called = seen.world.text(seen.process, dropped.name).to_owned();
    let kept_in = dropped.kept_in.map(|variable| seen.world.text(seen.process, variable));
    let (message, why, what) = match kept_in {
        None => (
            format!("the coroutine {called} is made here and dropped without ever having run"),
            "calling an async function only makes a coroutine; nothing keeps or awaits it here",
            "makes the coroutine, which nothing ever runs".to_owned(),
        ),
        Some(variable) => (
            format!(
                "the coroutine {called} has not run, and never will: only `{variable}` keeps it, which nothing reads from here on"
            ),
            "calling an async function only makes a coroutine; it runs when it is awaited",
            format!("has it in `{variable}`, and does not await it"),
        ),
    };
    findings.add(sampled(
        seen,
        Draft {
            kind: Kind::UnawaitedCoroutine,
            severity: Severity::Warning,
            evidence: Evidence::Possible,
            message,
            why: Some(why.to_owned()),
            observed: Some(format!("{} runs this code", name(seen, state))),
            help: "await it, or hand it to asyncio.create_task".to_owned(),
            accesses: vec![access(seen, "create", &what, state, dropped.made)],
            subject: Subject { kind: "coroutine".to_owned(), name: called },
        },
    ));
}

fn across_await(seen: &Seen<'_>, state: &StrandState, hold: &Hold, findings: &mut Findings) {
    let lock = lock_name(seen, hold.lock);
    findings.add(sampled(
        seen,
        Draft {
            kind: Kind::ThreadLockAcrossAwait,
            severity: Severity::Error,
            evidence: Evidence::Observed,
            message: format!("{} is suspended while it holds the threading lock {lock}", name(seen, state)),
            why: Some(
                "whoever wants the lock on this event loop blocks the whole loop, and with it the task that would release it"
                    .to_owned(),
            ),
            observed: Some(format!("taken at {}, suspended below it", place(seen, hold.stack))),
            help: format!("make {lock} an asyncio.Lock (`async with`), or release it before the await"),
            accesses: vec![
                access(seen, "hold", &format!("takes {lock}"), state, hold.stack),
                access(seen, "await", "is suspended", state, state.stack),
            ],
            subject: Subject { kind: "locks".to_owned(), name: lock },
        },
    ));
}

fn held_long(seen: &Seen<'_>, state: &StrandState, hold: &Hold, waiting: usize, time: u64, findings: &mut Findings) {
    let lock = lock_name(seen, hold.lock);
    let milliseconds = time / 1_000_000;
    findings.add(sampled(
        seen,
        Draft {
            kind: Kind::LockHeldAcrossAwait,
            severity: Severity::Warning,
            evidence: Evidence::Observed,
            message: format!("{} keeps {lock} over an await while {waiting} other tasks wait for it", name(seen, state)),
            why: Some("the tasks run one after another, as if there were no concurrency".to_owned()),
            observed: Some(format!("held for at least {milliseconds} ms at {}", place(seen, state.stack))),
            help: format!("do the slow await before taking {lock}, and hold it only for the change itself"),
            accesses: vec![
                access(seen, "hold", &format!("takes {lock}"), state, hold.stack),
                access(seen, "await", "awaits meanwhile", state, state.stack),
            ],
            subject: Subject { kind: "locks".to_owned(), name: lock },
        },
    ));
}

//! How to fix a race, fitting the code that has it: the lock that the other side holds, the one that was let go in
//! between, or the idiom that needs none. It describes no race.

use super::explain::Race;
use crate::analysis::naming;
use crate::event::{Action, KeyId, Shape};
use crate::finding::{Kind, Subject};

pub fn for_window(race: &Race<'_>, subject: &Subject) -> String {
    let from_to = if race.kind == Kind::CheckThenAct { "from the check to the act" } else { "from the read to the write" };
    if let Some(lock) = dropped_in_between(race) {
        return format!("hold `{lock}` {from_to} without releasing it in between");
    }
    if let Some(locks) = one_each(race) {
        return format!("use one lock for all: each side holds a `{locks}` of its own, which keeps nobody else out");
    }
    if let Some(lock) = held_by_the_other(race) {
        return format!("take `{lock}` here too, {from_to}: the other side holds it when it changes {}", subject.name);
    }
    if let Some(lock) = held_here_only(race) {
        return format!("take `{lock}` around the conflicting change too: only this side holds it");
    }
    if let Some(idiom) = idiom(race) {
        return idiom;
    }
    let (mine, other) = (race.window.write.strand, race.access.strand);
    let tasks = mine != other && race.world.same_loop(mine, other);
    if tasks {
        format!("hold one asyncio.Lock {from_to}, in every task that changes {}; or do not await in between", subject.name)
    } else {
        format!("hold one threading.Lock {from_to}, everywhere {} is changed", subject.name)
    }
}

pub fn for_pair(subject: &Subject) -> String {
    format!(
        "nothing to do if any order of these accesses is fine; otherwise order them by an Event, a queue or join(), \
         or guard {} with a lock",
        subject.name
    )
}

/// A lock that is held at both ends, but by two acquisitions, and by the other side.
fn dropped_in_between(race: &Race<'_>) -> Option<String> {
    let before = &*race.window.read.locks;
    let after = &*race.window.write.locks;
    let dropped =
        before.iter().find(|held| after.iter().any(|other| other.lock == held.lock && other.acquisition != held.acquisition));
    dropped.map(|held| naming::lock(race.world, held.lock))
}

fn held_by_the_other(race: &Race<'_>) -> Option<String> {
    let other = &*race.access.locks;
    let held = other.iter().rev().find(|held| held.excludes)?;
    Some(naming::lock(race.world, held.lock))
}

/// Both sides hold a lock, of one name, but not the same: each object has its own, or each call makes one.
fn one_each(race: &Race<'_>) -> Option<String> {
    let other = &*race.access.locks;
    let theirs = other.iter().rev().find(|held| held.excludes)?.lock;
    let mine = race.window.locks.last().filter(|lock| **lock != theirs)?;
    let name = naming::lock(race.world, theirs);
    (name == naming::lock(race.world, *mine)).then_some(name)
}

fn held_here_only(race: &Race<'_>) -> Option<String> {
    race.window.locks.last().map(|lock| naming::lock(race.world, *lock))
}

fn idiom(race: &Race<'_>) -> Option<String> {
    if race.kind == Kind::ReadModifyWrite && race.empties() {
        return Some("put a new one in its place in one step and read the old one (`all, it = it, []`), take its elements out one by one, or hold one lock from the read to the clear()".to_owned());
    }
    if race.kind != Kind::CheckThenAct {
        return None;
    }
    let shape = race.world.shape(race.process, race.object)?;
    let whole = race.window.key == KeyId::WHOLE;
    let act = race.window.write.action;
    Some(match (shape, act) {
        (Shape::Queue, _) => "call get_nowait() and handle queue.Empty, instead of asking empty() first".to_owned(),
        (Shape::Deque | Shape::List, Action::Update | Action::Delete) if whole => {
            "take the element in one step and handle IndexError, or hold one lock over check and act".to_owned()
        }
        (Shape::Dict, Action::Delete) => "use pop(key, None), which checks and removes in one step".to_owned(),
        // Somebody adds the key: it was missing when it was looked for.
        (Shape::Dict, _) if [act, race.access.action].contains(&Action::Insert) => {
            "use setdefault(), or hold one lock from the look-up to the store so that the value is made once".to_owned()
        }
        (Shape::Set, _) => "hold one lock over the check and the change of the set".to_owned(),
        _ => return None,
    })
}

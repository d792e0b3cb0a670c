//! Puts what a sample shows into the words of a finding. It decides nothing.

use super::Seen;
use crate::analysis::Origin;
use crate::analysis::describe::{Draft, finding};
use crate::event::sample::{Hold, StrandState};
use crate::event::{ObjectId, StackId, Value};
use crate::finding::{AccessReport, Basis, Evidence, Finding, LockReport, Moment, Place, StrandReport};

pub fn sampled(seen: &Seen<'_>, draft: Draft) -> Finding {
    let mut finding = Finding { basis: Basis::Sampled, ..finding(seen.world, seen.process, draft) };
    if finding.evidence == Evidence::Observed {
        finding.timeline = moments(&finding.accesses, seen.time);
    }
    finding
}

const HOLDS: &str = "holds ";
const WAITS_FOR: &str = "waits for ";

/// Where a strand took a lock that it holds.
pub fn holding(seen: &Seen<'_>, state: &StrandState, hold: &Hold) -> AccessReport {
    access(seen, "hold", &format!("{HOLDS}{}", lock_name(seen, hold.lock)), state, hold.stack)
}

/// Where a strand waits for a lock.
pub fn waiting_for(seen: &Seen<'_>, state: &StrandState, lock: ObjectId) -> AccessReport {
    access(seen, "acquire", &format!("{WAITS_FOR}{}", lock_name(seen, lock)), state, state.stack)
}

/// What one look shows, in its order: what had been done by then, what came in between, what is next. Their own times are
/// not known; they bear the look's.
fn moments(accesses: &[AccessReport], time: u64) -> Vec<Moment> {
    let mut moments: Vec<(u8, Moment)> = Vec::new();
    for (index, access) in accesses.iter().enumerate() {
        let lock = |verb: &str| access.what.as_ref().and_then(|what| what.strip_prefix(verb));
        let (order, what) = match access.role.as_str() {
            "hold" => (0, lock(HOLDS).map_or_else(|| access.role.clone(), |lock| format!("acquire {lock}"))),
            "conflict" => (1, access.role.clone()),
            "write" | "act" => (2, format!("{} is next", access.role)),
            "acquire" => (2, lock(WAITS_FOR).map_or_else(|| access.role.clone(), |lock| format!("wait {lock}"))),
            "await" => (2, access.what.clone().unwrap_or_else(|| access.role.clone())),
            _ => (0, access.role.clone()),
        };
        let access_shown = Some(index).filter(|_| !matches!(access.role.as_str(), "write" | "act" | "await"));
        moments.push((order, Moment { time, access: access_shown, strand: access.strand.name.clone(), what }));
    }
    moments.sort_by_key(|(order, _)| *order);
    moments.into_iter().map(|(_, moment)| moment).collect()
}

pub fn strand(seen: &Seen<'_>, state: &StrandState) -> StrandReport {
    let name = seen.world.text(seen.process, state.name).to_owned();
    let (kind, task) = match state.task {
        Some(_) => ("task", Some(name.clone())),
        None => ("thread", None),
    };
    StrandReport { kind: kind.to_owned(), name, tid: state.thread.0, task, pid: None, process: None, started: Vec::new() }
}

/// "thread Thread-1", "task Task-4".
pub fn name(seen: &Seen<'_>, state: &StrandState) -> String {
    let report = strand(seen, state);
    format!("{} {}", report.kind, report.name)
}

pub fn lock_name(seen: &Seen<'_>, lock: ObjectId) -> String {
    let object = seen.world.object(seen.process, lock);
    match object.and_then(|object| object.label) {
        Some(label) => seen.world.text(seen.process, label).to_owned(),
        None => object.map_or("a lock", |object| seen.world.text(seen.process, object.type_name)).to_owned(),
    }
}

pub fn lock(seen: &Seen<'_>, hold: &Hold) -> LockReport {
    let place = |stack: StackId| {
        let frame = seen.world.frames(seen.process, stack).into_iter().next()?;
        Some(Place { file: frame.file, line: frame.line })
    };
    LockReport { name: lock_name(seen, hold.lock), created: None, acquired: place(hold.stack) }
}

pub fn access(seen: &Seen<'_>, role: &str, what: &str, state: &StrandState, stack: StackId) -> AccessReport {
    access_by(seen, role, what, (strand(seen, state), &state.holds), stack)
}

/// The same for a strand that was seen earlier, with what it held then.
pub fn access_by(
    seen: &Seen<'_>,
    role: &str,
    what: &str,
    (strand, holds): (StrandReport, &[Hold]),
    stack: StackId,
) -> AccessReport {
    AccessReport {
        role: role.to_owned(),
        what: Some(what.to_owned()).filter(|what| !what.is_empty()),
        strand,
        stack: seen.world.frames(seen.process, stack),
        locks: holds.iter().map(|hold| lock(seen, hold)).collect(),
    }
}

/// A value as the source would write it.
pub fn value(seen: &Seen<'_>, value: Value) -> String {
    match value {
        Value::Unknown => "another value".to_owned(),
        Value::None => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Text(text) => format!("'{}'", seen.world.text(seen.process, text)),
        Value::Object(_, name) => format!("a {}", seen.world.text(seen.process, name)),
    }
}

/// "app.py:12" of the innermost frame.
pub fn place(seen: &Seen<'_>, stack: StackId) -> String {
    match seen.world.frames(seen.process, stack).first() {
        Some(frame) => format!("{}:{}", crate::analysis::naming::base(&frame.file), frame.line),
        None => "an unknown place".to_owned(),
    }
}

/// Is some frame of the stack the program's own?
pub fn is_users(seen: &Seen<'_>, stack: StackId) -> bool {
    crate::analysis::describe::touches_user_code(seen.world, seen.process, stack)
}

/// Is the innermost frame the program's own? What libraries do with their own state is theirs to know.
pub fn is_in_users_code(seen: &Seen<'_>, stack: StackId) -> bool {
    seen.world.site(seen.process, stack).is_some_and(|site| site.origin == Origin::User)
}

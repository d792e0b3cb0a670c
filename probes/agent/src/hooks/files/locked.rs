//! Locks on files (`flock`, `lockf`): one for each file, whatever it is opened as. They end with their descriptor, too. What
//! is shared with other readers (`LOCK_SH`) is no lock here.

use std::sync::Mutex;

use racetrace_probes::wire::Kind;

use super::{descriptor_of, note, of_descriptor};
use crate::ffi::Obj;
use crate::hooks::Call;
use crate::names;
use crate::state::{self, Fixed};
use crate::{ring, stacks, tasks, thread};

const FILE: u8 = 5;
const NEVER: u8 = 2;
/// Locks that are held at once; the end of others is seen when they are given back, or somebody else takes them.
const MOST_HELD: usize = 64;

/// What is locked, by the lock's number and its file.
#[derive(Clone, Copy)]
struct Locked {
    lock: u64,
    inode: u64,
}

struct Held {
    by: Vec<(i32, Locked)>,
    process: u32,
}

static HELD: Mutex<Held> = Mutex::new(Held { by: Vec::new(), process: 0 });

fn with<R>(work: impl FnOnce(&mut Vec<(i32, Locked)>) -> R) -> Option<R> {
    let mut held = HELD.try_lock().ok()?;
    // A forked child that closes its copy of a descriptor gives nothing back.
    let process = ring::generation();
    if std::mem::replace(&mut held.process, process) != process {
        held.by.clear();
    }
    Some(work(&mut held.by))
}

/// `fcntl.flock(fd, operation)`, `fcntl.lockf(fd, operation, …)`.
pub(super) fn operate(call: &Call) -> Obj {
    let operation = state::fixed().and_then(|fixed| names::int(&fixed.layout, call.argument(1, c"cmd"))).unwrap_or(0) as i32;
    if operation & libc::LOCK_EX == 0 {
        // Somebody else may have it before the call returns.
        note(|fixed| let_go(fixed, descriptor(fixed, call)?));
        return call.go_on();
    }
    let result = call.go_on();
    if !result.is_null() {
        note(|fixed| {
            let fd = descriptor(fixed, call)?;
            let locked = lock_of(fixed, fd)?;
            with(|held| {
                held.retain(|(other, _)| *other != fd);
                if held.len() < MOST_HELD {
                    held.push((fd, locked));
                }
            });
            say(fixed, Kind::LockAcquired, locked, if operation & libc::LOCK_NB != 0 { NEVER } else { 0 });
            Some(())
        });
    }
    result
}

fn descriptor(fixed: &Fixed, call: &Call) -> Option<i32> {
    let file = call.argument(0, c"fd");
    names::int(&fixed.layout, file).map(|fd| fd as i32).or_else(|| descriptor_of(&fixed.layout, file))
}

/// The lock of the file that a descriptor is on, introduced if need be.
fn lock_of(fixed: &Fixed, fd: i32) -> Option<Locked> {
    let inode = of_descriptor(fd)?.inode;
    let path = std::fs::read_link(format!("/proc/self/fd/{fd}")).ok()?;
    let path = path.to_string_lossy();
    let (lock, new) = state::with(|state, _| state.objects.file_lock(&mut state.names, inode, &path))?;
    let locked = Locked { lock, inode };
    if new {
        say(fixed, Kind::LockNew, locked, FILE);
    }
    Some(locked)
}

fn say(fixed: &Fixed, kind: Kind, locked: Locked, small: u8) {
    let frame = tasks::current_frame(&fixed.layout);
    tasks::strand(fixed, thread::current(), frame);
    let mut slot = ring::slot(kind, thread::tid());
    (slot.a, slot.b, slot.small) = (locked.lock, locked.inode, small);
    slot.stack = stacks::stack(fixed, frame, None);
    tasks::say(thread::current(), slot);
}

/// A file object is about to be closed, and its descriptor with it.
pub(super) fn closes(file: Obj) {
    ends(|fixed| descriptor_of(&fixed.layout, file));
}

/// `os.close(fd)`.
pub(super) fn close_descriptor(call: &Call) -> Obj {
    ends(|fixed| names::int(&fixed.layout, call.argument(0, c"fd")).map(|fd| fd as i32));
    call.go_on()
}

/// Whatever is locked through that descriptor is so no more.
fn ends(descriptor: impl FnOnce(&Fixed) -> Option<i32>) {
    if with(|held| held.is_empty()) == Some(false) {
        note(|fixed| let_go(fixed, descriptor(fixed)?));
    }
}

fn let_go(fixed: &Fixed, fd: i32) -> Option<()> {
    let locked = with(|held| {
        let at = held.iter().position(|(other, _)| *other == fd)?;
        Some(held.remove(at).1)
    })??;
    // Unless the number has become another file's.
    (of_descriptor(fd)?.inode == locked.inode).then(|| say(fixed, Kind::LockReleased, locked, 0))?;
    Some(())
}

//! Locks and semaphores that processes share (`_multiprocessing.SemLock`). Those that only one can have are locks; to get one
//! of several, or to be told how many there are, is to hear from others.

use std::ffi::CStr;
use std::sync::Mutex;

use racetrace_probes::wire::Kind;

use super::family::{heard, say};
use super::{Call, attribute, exchange_all, of, shared};
use crate::ffi::{self, Obj};
use crate::layout::Layout;
use crate::objects::type_info;
use crate::state::{self, Fixed};
use crate::{names, object, ring, thread};

pub fn start(layout: &Layout, module: Obj) {
    let class = of(module, c"SemLock");
    exchange_all(layout, class, &[c"acquire", c"__enter__"], acquires);
    exchange_all(layout, class, &[c"release", c"__exit__"], releases);
    exchange_all(layout, class, &[c"_is_zero", c"_get_value"], asks);
}

/// A semaphore, by a name that is its own in all processes, and whether only one can have it.
struct Semaphore {
    name: String,
    /// It has no name in the system: forked processes have it from the process that made it.
    inherited: bool,
    excludes: bool,
    /// How often this process's thread has it, where it can have it more than once.
    depth: Option<i64>,
}

impl Semaphore {
    /// Does this call take it, or give it back, that is: not once more, or once less?
    fn is_outermost(&self) -> bool {
        self.depth.is_none_or(|depth| depth == 1)
    }
}

fn semaphore(fixed: &Fixed, semaphore: Obj) -> Option<Semaphore> {
    let layout = &fixed.layout;
    let number = |name: &CStr| attribute(semaphore, name, |value| names::int(layout, value));
    let name = attribute(semaphore, c"name", |name| names::utf8(name).map(str::to_owned));
    let inherited = name.is_none();
    let name = match name {
        Some(name) => name,
        None => mapped_as(fixed, semaphore, number(c"handle")?)?,
    };
    let recursive = number(c"kind") == Some(0);
    let depth = recursive.then(|| count(layout, semaphore)).flatten();
    Some(Semaphore { name, inherited, excludes: number(c"maxvalue") == Some(1), depth })
}

/// Names of semaphores without one that are remembered, by the objects' lifetimes in one process.
const MOST_NAMES: usize = 1024;
static MAPPED: Mutex<Vec<(u32, u64, String)>> = Mutex::new(Vec::new());

/// The file in memory that it lies in.
fn mapped_as(fixed: &Fixed, semaphore: Obj, handle: i64) -> Option<String> {
    let layout = &fixed.layout;
    type_info(layout, layout.type_of(semaphore));
    let process = ring::generation();
    let id = state::with(|state, _| state.objects.lock(layout, &mut state.names, semaphore)).filter(|id| *id != 0)?;
    let mut mapped = MAPPED.try_lock().ok()?;
    if let Some((_, _, name)) = mapped.iter().find(|(of, known, _)| (*of, *known) == (process, id)) {
        return Some(name.clone());
    }
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let name = maps.lines().find_map(|line| file_at(line, handle as u64))?;
    if mapped.len() >= MOST_NAMES {
        mapped.clear();
    }
    mapped.push((process, id, name.clone()));
    Some(name)
}

/// Device and inode of a line of `maps`, if the address lies in there.
fn file_at(line: &str, address: u64) -> Option<String> {
    let mut fields = line.split_ascii_whitespace();
    let (from, to) = fields.next()?.split_once('-')?;
    let range = u64::from_str_radix(from, 16).ok()?..u64::from_str_radix(to, 16).ok()?;
    let (device, inode) = (fields.nth(2)?, fields.next()?);
    (range.contains(&address) && inode != "0").then(|| format!("semaphore {device} {inode}"))
}

/// `_count()`.
fn count(layout: &Layout, semaphore: Obj) -> Option<i64> {
    let method = of(semaphore, c"_count");
    if method.is_null() {
        return None;
    }
    // SAFETY: calls a method without arguments; references are given back.
    unsafe {
        let answer = ffi::PyObject_CallObject(method, std::ptr::null_mut());
        ffi::Py_DecRef(method);
        if answer.is_null() {
            ffi::PyErr_Clear();
            return None;
        }
        let count = names::int(layout, answer);
        ffi::Py_DecRef(answer);
        count
    }
}

fn acquires(call: &Call) -> Obj {
    let result = call.go_on();
    if result == object!(_Py_TrueStruct)
        && let Some(fixed) = state::fixed()
    {
        match thread::outermost(|| semaphore(fixed, call.receiver)).flatten() {
            Some(lock) if lock.excludes => taken(fixed, &lock),
            _ => heard(),
        }
    }
    result
}

fn taken(fixed: &Fixed, lock: &Semaphore) {
    if lock.is_outermost() {
        say(fixed, Kind::LockAcquired, &lock.name);
    }
    // What else forked processes share under such a lock is not seen.
    if !shared::locked(fixed, &lock.name) && lock.inherited {
        heard();
    }
}

fn releases(call: &Call) -> Obj {
    if let Some(fixed) = state::fixed()
        && let Some(lock) = thread::outermost(|| semaphore(fixed, call.receiver)).flatten()
        && lock.excludes
        && lock.is_outermost()
    {
        say(fixed, Kind::LockReleased, &lock.name);
    }
    call.go_on()
}

fn asks(call: &Call) -> Obj {
    let result = call.go_on();
    if !result.is_null() {
        heard();
    }
    result
}

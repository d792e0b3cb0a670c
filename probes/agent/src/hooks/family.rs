//! Other processes: locks and semaphores that processes share, and whatever comes in from outside (a pipe, a socket, the end
//! of a child), after which this process may know what others have done. What came in is not looked at.

use std::ffi::CStr;

use racetrace_probes::wire::Kind;

use crate::ffi::{self, Obj};
use crate::hooks::{Call, exchange_all, of, streams};
use crate::layout::Layout;
use crate::state::{self, Fixed};
use crate::table::mix2;
use crate::{codes, names, object, ring, stacks, tasks, thread};

pub fn start(layout: &Layout) {
    // SAFETY: imports builtin modules.
    let (io, os) = unsafe { (ffi::PyImport_ImportModule(c"_io".as_ptr()), ffi::PyImport_ImportModule(c"posix".as_ptr())) };
    exchange_all(layout, os, &[c"waitpid", c"wait", c"wait3", c"wait4", c"waitid"], waits);
    exchange_all(layout, os, &[c"read"], reads_descriptor);
    exchange_all(layout, of(io, c"FileIO"), &[c"readinto", c"read", c"readall"], reads_file);
}

pub fn start_sockets(layout: &Layout, module: Obj) {
    let class = of(module, c"socket");
    let names: &[&CStr] = &[c"recv", c"recv_into", c"recvfrom", c"recvfrom_into", c"recvmsg", c"_accept"];
    exchange_all(layout, class, names, receives);
    streams::start_sockets(layout, module, class);
}

/// `_multiprocessing.SemLock`.
pub fn start_semaphores(layout: &Layout, module: Obj) {
    let class = of(module, c"SemLock");
    exchange_all(layout, class, &[c"acquire", c"__enter__"], acquires);
    exchange_all(layout, class, &[c"release", c"__exit__"], releases);
}

/// Says that something came in.
fn heard() {
    hears(|| {});
}

/// The same, and from whom.
fn hears(from: impl FnOnce()) {
    let Some(fixed) = state::fixed() else { return };
    thread::outermost(|| {
        tasks::strand(fixed, thread::current(), tasks::current_frame(&fixed.layout));
        tasks::say(thread::current(), ring::slot(Kind::Hear, thread::tid()));
        from();
    });
}

fn receives(call: &Call) -> Obj {
    let result = call.go_on();
    if !result.is_null()
        && let Some(fixed) = state::fixed()
    {
        comes_in(streams::descriptor(&fixed.layout, call.receiver));
    }
    result
}

/// A child has ended: a pid that is not 0, alone or first in a tuple.
fn waits(call: &Call) -> Obj {
    let result = call.go_on();
    if !result.is_null()
        && let Some(fixed) = state::fixed()
        && thread::outermost(|| is_child(&fixed.layout, result) && !only_tidies(fixed)) == Some(true)
    {
        heard();
    }
    result
}

/// Before a process is started, `multiprocessing` clears away those that have ended: another time they still run then.
fn only_tidies(fixed: &Fixed) -> bool {
    let layout = &fixed.layout;
    let mut frame = tasks::current_frame(layout);
    [
        ("multiprocessing.popen_fork", "Popen.poll"),
        ("multiprocessing.process", "_cleanup"),
        ("multiprocessing.process", "BaseProcess.start"),
    ]
    .into_iter()
    .all(|(module, qualname)| {
        let entry = if frame.is_null() { None } else { codes::learn(fixed, layout.code(frame), layout.globals(frame)) };
        let fits = entry.is_some_and(|entry| entry.module == module && entry.qualname == qualname);
        if fits {
            frame = layout.previous(frame);
        }
        fits
    })
}

fn is_child(layout: &Layout, result: Obj) -> bool {
    if result == object!(_Py_NoneStruct) {
        return false;
    }
    if layout.type_of(result) != object!(PyTuple_Type) {
        return true; // what `waitid` gives
    }
    // SAFETY: a tuple; its item is borrowed.
    let pid = unsafe { if ffi::PyTuple_Size(result) > 0 { ffi::PyTuple_GetItem(result, 0) } else { return false } };
    layout.type_of(pid) == object!(PyLong_Type) && names::small_int(layout, pid) != Some(0)
}

fn reads_descriptor(call: &Call) -> Obj {
    let result = call.go_on();
    if !result.is_null()
        && let Some(fixed) = state::fixed()
        && let Some(fd) = names::int(&fixed.layout, call.argument(0, c"fd"))
    {
        comes_in(fd as i32);
    }
    result
}

/// `FileIO.readinto`, on pipes.
fn reads_file(call: &Call) -> Obj {
    let result = call.go_on();
    if !result.is_null()
        && let Some(fixed) = state::fixed()
    {
        // SAFETY: a `FileIO` has its descriptor after the header.
        let fd: i32 = unsafe { ffi::field(call.receiver, fixed.layout.header) };
        comes_in(fd);
    }
    result
}

/// Something has come in by a descriptor; what comes out of a file was not sent.
fn comes_in(fd: i32) {
    if let Some(status) = streams::status(fd).filter(|status| status.st_mode & libc::S_IFMT != libc::S_IFREG) {
        hears(|| streams::came(&status));
    }
}

/// A semaphore that processes share, by its name, and whether only one can have it.
struct Shared {
    name: String,
    excludes: bool,
    /// How often this process's thread has it, where it can have it more than once.
    depth: Option<i64>,
}

fn shared(layout: &Layout, semaphore: Obj) -> Option<Shared> {
    let number = |name: &CStr| {
        let value = of(semaphore, name);
        if value.is_null() {
            return None;
        }
        let number = names::int(layout, value);
        // SAFETY: the reference that `of` took.
        unsafe { ffi::Py_DecRef(value) };
        number
    };
    let text = of(semaphore, c"name");
    let name = names::utf8(text).map(str::to_owned);
    if !text.is_null() {
        // SAFETY: as above.
        unsafe { ffi::Py_DecRef(text) };
    }
    let recursive = number(c"kind") == Some(0);
    let depth = recursive.then(|| count(layout, semaphore)).flatten();
    Some(Shared { name: name?, excludes: number(c"maxvalue") == Some(1), depth })
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
        let semaphore = thread::outermost(|| shared(&fixed.layout, call.receiver)).flatten();
        match semaphore {
            Some(lock) if lock.excludes && lock.depth.is_none_or(|depth| depth == 1) => {
                say(fixed, Kind::LockAcquired, &lock.name)
            }
            Some(lock) if lock.excludes => {}
            _ => heard(),
        }
    }
    result
}

fn releases(call: &Call) -> Obj {
    if let Some(fixed) = state::fixed()
        && let Some(lock) = thread::outermost(|| shared(&fixed.layout, call.receiver)).flatten()
        && lock.excludes
        && lock.depth.is_none_or(|depth| depth == 1)
    {
        say(fixed, Kind::LockReleased, &lock.name);
    }
    call.go_on()
}

pub(super) fn say(fixed: &Fixed, kind: Kind, name: &str) {
    const FILE: u8 = 5;
    thread::outermost(|| {
        let frame = tasks::current_frame(&fixed.layout);
        tasks::strand(fixed, thread::current(), frame);
        let stack = stacks::stack(fixed, frame, None);
        let word = name.bytes().fold(0, |word, byte| mix2(word, u64::from(byte))) | 1;
        let known = state::with(|state, _| state.objects.file_lock(&mut state.names, word, name));
        let Some((id, new)) = known else { return };
        let tell = |kind: Kind, small: u8| {
            let mut slot = ring::slot(kind, thread::tid());
            (slot.a, slot.b, slot.small, slot.stack) = (id, word, small, stack);
            tasks::say(thread::current(), slot);
        };
        if new {
            tell(Kind::LockNew, FILE);
        }
        tell(kind, 0);
    });
}

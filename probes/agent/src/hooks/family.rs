//! Other processes: locks and semaphores that processes share, and whatever comes in from outside (a pipe, a socket, the end
//! of a child), after which this process may know what others have done. What came in is not looked at.

use std::ffi::CStr;
use std::sync::Mutex;

use racetrace_probes::wire::Kind;

use crate::ffi::{self, Obj};
use crate::hooks::{Call, attribute, exchange_all, loaded, of, proxies, streams};
use crate::layout::Layout;
use crate::state::{self, Fixed};
use crate::table::mix2;
use crate::{codes, names, object, ring, stacks, tasks, thread};

pub fn start(layout: &Layout) {
    // SAFETY: imports builtin modules.
    let (io, os) = unsafe { (ffi::PyImport_ImportModule(c"_io".as_ptr()), ffi::PyImport_ImportModule(c"posix".as_ptr())) };
    exchange_all(layout, os, &[c"waitpid", c"wait", c"wait3", c"wait4", c"waitid"], waits);
    exchange_all(layout, os, &[c"system"], has_run);
    exchange_all(layout, os, &[c"read", c"readinto"], reads_descriptor);
    exchange_all(layout, of(io, c"FileIO"), &[c"readinto", c"read", c"readall"], reads_file);
}

pub fn start_sockets(layout: &Layout, module: Obj) {
    let class = of(module, c"socket");
    let names: &[&CStr] = &[c"recv", c"recv_into", c"recvfrom", c"recvfrom_into", c"recvmsg", c"_accept"];
    exchange_all(layout, class, names, receives);
    streams::start_sockets(layout, module, class);
}

/// Says that something came in.
pub(super) fn heard() {
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
        && thread::outermost(|| is_child(&fixed.layout, result) && !is_called_in(fixed, TIDIES)) == Some(true)
    {
        heard();
    }
    result
}

/// `os.system(command)`: what it has started is over, or nobody waits for it.
fn has_run(call: &Call) -> Obj {
    let result = call.go_on();
    if !result.is_null() {
        heard();
    }
    result
}

/// Functions that call one another, the innermost first.
type Chain = [(&'static str, &'static str)];

/// Before a process is started, `multiprocessing` clears away those that have ended: another time they still run then.
const TIDIES: &Chain = &[
    ("multiprocessing.popen_fork", "Popen.poll"),
    ("multiprocessing.process", "_cleanup"),
    ("multiprocessing.process", "BaseProcess.start"),
];
/// A process is told what to do by the one that starts it, and that one what the new one's pid is.
const STARTS: [&Chain; 2] = [
    &[("multiprocessing.spawn", "_main")],
    &[("multiprocessing.forkserver", "read_signed"), ("multiprocessing.popen_forkserver", "Popen._launch")],
];

/// Is it this function of the library that runs, called by this one?
fn is_called_in(fixed: &Fixed, chain: &Chain) -> bool {
    let mut frames = fixed.layout.frames(tasks::current_frame(&fixed.layout));
    chain.iter().all(|(module, qualname)| {
        let entry = frames.next().and_then(|frame| codes::of_frame(fixed, frame));
        entry.is_some_and(|entry| entry.module == *module && entry.qualname == *qualname)
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
    let Some(status) = streams::status(fd).filter(|status| status.st_mode & libc::S_IFMT != libc::S_IFREG) else { return };
    let is_known = |fixed| STARTS.iter().any(|chain| is_called_in(fixed, chain)) || proxies::is_answer(fixed);
    if thread::outermost(|| state::fixed().is_some_and(is_known)) != Some(true) {
        hears(|| streams::came(&status));
    }
}

/// Looks that are taken at what the process is called: a child of `multiprocessing` gets its name as it begins.
const MOST_LOOKS: u32 = 64;

struct Named {
    /// Number of the process within this family.
    process: u32,
    looks: u32,
    /// What stands for the process in `multiprocessing`; a child begins with its parent's.
    by: usize,
}

static NAMED: Mutex<Named> = Mutex::new(Named { process: 0, looks: 0, by: 0 });

/// Says what `multiprocessing` calls this process.
pub(super) fn name_process() {
    let Ok(mut named) = NAMED.try_lock() else { return };
    let process = ring::generation();
    if std::mem::replace(&mut named.process, process) != process {
        named.looks = 0;
    }
    if named.looks >= MOST_LOOKS {
        return;
    }
    named.looks += 1;
    let current = attribute(loaded(c"multiprocessing.process"), c"_current_process", |current| {
        let name = attribute(current, c"_name", |name| names::utf8(name).map(str::to_owned))?;
        Some((current as usize, name))
    });
    let Some((by, name)) = current.filter(|(by, name)| *by != named.by && name != "MainProcess") else { return };
    (named.by, named.looks) = (by, MOST_LOOKS);
    drop(named);
    let known = state::with(|state, _| state.names.text(&name));
    let mut slot = ring::slot(Kind::ProcessName, thread::tid());
    slot.word = known.unwrap_or(0);
    tasks::say(thread::current(), slot);
}

pub(super) fn say(fixed: &Fixed, kind: Kind, name: &str) {
    thread::outermost(|| tell_lock(fixed, kind, name));
}

/// The same, from inside the agent.
pub(super) fn tell_lock(fixed: &Fixed, kind: Kind, name: &str) {
    const FILE: u8 = 5;
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
}

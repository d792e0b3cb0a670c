//! The extension module: `start(session, libraries, standard[, threads, tool])` puts everything in place: with `threads` in
//! a process that runs already. Goodbyes and forks are here too.

use std::ffi::{c_int, c_void};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use racetrace_probes::wire::Kind;

use crate::ffi::{self, METH_VARARGS, MethodDef, Obj};
use crate::hooks::threads;
use crate::layout::Layout;
use crate::midway::Midway;
use crate::names::utf8;
use crate::state::{self, Fixed};
use crate::{coroutines, hooks, interpreters, midway, object, ring, thread, watch};

static METHODS: [MethodDef; 2] = [
    MethodDef { name: c"start".as_ptr(), function: start as *mut c_void, flags: METH_VARARGS, doc: std::ptr::null() },
    MethodDef { name: std::ptr::null(), function: std::ptr::null_mut(), flags: 0, doc: std::ptr::null() },
];

#[repr(C)]
struct ModuleSlot {
    id: c_int,
    value: *mut c_void,
}

const PY_MOD_MULTIPLE_INTERPRETERS: c_int = 3;
/// Others load the agent too, and find that there is nothing for it to do.
const OWN_GIL_SUPPORTED: *mut c_void = std::ptr::without_provenance_mut(2);
const PY_MOD_GIL: c_int = 4;

/// What the import system asks for: the module's definition, made for the build that we are in. It is the same for every
/// interpreter of the process.
#[unsafe(no_mangle)]
pub extern "C" fn PyInit_racetrace_agent() -> Obj {
    static DEFINITION: OnceLock<usize> = OnceLock::new();
    let Ok(layout) = Layout::detect() else { return std::ptr::null_mut() };
    let definition = *DEFINITION.get_or_init(|| define(&layout).as_mut_ptr() as usize);
    // SAFETY: a definition of the layout of this build, which lives for ever.
    unsafe { ffi::PyModuleDef_Init(definition as *mut c_void) }
}

/// PyModuleDef_Base, then name, doc, size, methods, slots, traverse, clear, free: words, whose header differs.
fn define(layout: &Layout) -> &'static mut [usize] {
    let header_words = layout.header / 8;
    let definition = Box::leak(vec![0usize; header_words + 3 + 8].into_boxed_slice());
    // An immortal static object, as PyModuleDef_HEAD_INIT makes it.
    if layout.free_threaded {
        definition[1] = (u32::MAX as usize) << 32;
    } else {
        definition[0] = if layout.minor >= 12 { u32::MAX as usize } else { 1 << 29 };
    }
    let mut slots = Vec::new();
    if layout.minor >= 12 {
        slots.push(ModuleSlot { id: PY_MOD_MULTIPLE_INTERPRETERS, value: OWN_GIL_SUPPORTED });
    }
    if layout.minor >= 13 {
        // Without this, loading would switch the GIL of a free-threaded build back on.
        slots.push(ModuleSlot { id: PY_MOD_GIL, value: std::ptr::without_provenance_mut(1) });
    }
    slots.push(ModuleSlot { id: 0, value: std::ptr::null_mut() });
    let own = header_words + 3;
    definition[own] = c"racetrace_agent".as_ptr() as usize;
    definition[own + 3] = METHODS.as_ptr() as usize;
    definition[own + 4] = Box::leak(slots.into_boxed_slice()).as_ptr() as usize;
    definition
}

fn none() -> Obj {
    let none = object!(_Py_NoneStruct);
    // SAFETY: a new reference to None.
    unsafe { ffi::Py_IncRef(none) };
    none
}

/// `start(session: str, libraries: tuple[str], standard: tuple[str], threads: tuple[tuple] = (), tool: int = 0)`, where a
/// thread that runs already is its identity, its name and its handle, and the tool a pid. Returns None, or a str that says
/// why not.
unsafe extern "C-unwind" fn start(_module: Obj, args: Obj) -> Obj {
    std::panic::set_hook(Box::new(|_| {}));
    match std::panic::catch_unwind(|| begin(args)) {
        Ok(Ok(())) => none(),
        Ok(Err(why)) => text(why),
        Err(_) => text("the agent failed while it started"),
    }
}

fn text(why: &str) -> Obj {
    // SAFETY: makes a str of our bytes.
    unsafe { ffi::PyUnicode_FromStringAndSize(why.as_ptr().cast(), why.len() as isize) }
}

fn begin(args: Obj) -> Result<(), &'static str> {
    if state::fixed().is_some() {
        return Ok(()); // loaded twice, or by another interpreter: the first one goes on
    }
    let layout = Layout::detect()?;
    let argument = |index: isize| unsafe {
        // SAFETY: a tuple of arguments, checked for its size.
        if index < ffi::PyTuple_Size(args) { ffi::PyTuple_GetItem(args, index) } else { std::ptr::null_mut() }
    };
    let present = argument(3);
    if !present.is_null() && layout.free_threaded {
        return Err("a free-threaded build cannot be joined while it runs");
    }
    let session = utf8(argument(0)).ok_or("start() needs the session's directory")?.to_owned();
    let fixed = Fixed {
        layout,
        session,
        libraries: directories(argument(1)),
        standard: directories(argument(2)),
        watched: watched_packages(),
        joined_by: (!present.is_null()).then(|| tool(argument(4))),
    };
    if !state::start(fixed) {
        return Ok(());
    }
    let fixed = state::fixed().ok_or("no state")?;
    if !ring::open(&fixed.session, fixed.joined_by) {
        return Err("cannot make the shared memory for recording");
    }
    if fixed.is_joined() {
        ring::hush();
    }
    say_process(fixed);
    if !fixed.is_joined() {
        threads::introduce(0, "MainThread");
    }
    interpreters::start(&fixed.layout);
    hooks::start(&fixed.layout);
    watch::start(fixed)?;
    if fixed.is_joined() {
        watch::activate(fixed);
        midway::take_down(fixed, present);
        ring::listen();
    } else {
        coroutines::track_origins();
    }
    // SAFETY: registers functions of ours, which stay loaded.
    unsafe {
        libc::atexit(goodbye);
        libc::pthread_atfork(Some(about_to_fork), None, Some(forked));
    }
    Ok(())
}

/// Whose records they are.
fn tool(pid: Obj) -> u32 {
    if pid.is_null() || state_free_type(pid) != object!(PyLong_Type) {
        return 0;
    }
    // SAFETY: an int, as was just checked.
    unsafe { ffi::PyLong_AsLongLong(pid) }.try_into().unwrap_or(0)
}

fn watched_packages() -> Vec<String> {
    let packages = std::env::var("RACETRACE_WATCH").unwrap_or_default();
    packages.split(',').filter(|package| !package.is_empty()).map(str::to_owned).collect()
}

fn directories(tuple: Obj) -> Vec<String> {
    if tuple.is_null() || state_free_type(tuple) != object!(PyTuple_Type) {
        return Vec::new();
    }
    // SAFETY: a tuple, as was just checked; items are borrowed.
    unsafe {
        (0..ffi::PyTuple_Size(tuple))
            .filter_map(|index| utf8(ffi::PyTuple_GetItem(tuple, index)))
            .map(|directory| format!("{}/", directory.trim_end_matches('/')))
            .collect()
    }
}

fn state_free_type(object: Obj) -> Obj {
    Layout::detect().map_or(std::ptr::null_mut(), |layout| layout.type_of(object))
}

/// Tells who this process is.
fn say_process(fixed: &Fixed) {
    let layout = &fixed.layout;
    let mut lines = format!(
        // SAFETY: getpid cannot fail.
        "pid={}\nparent={}\npython=3.{}.{}\nfree_threaded={}\n",
        unsafe { libc::getpid() },
        parent(),
        layout.minor,
        layout.micro,
        u8::from(layout.free_threaded)
    );
    if let Ok(directory) = std::env::current_dir() {
        lines.push_str(&format!("directory={}\n", directory.display()));
    }
    if let Ok(command) = std::fs::read("/proc/self/cmdline") {
        for argument in command.split(|&byte| byte == 0).filter(|argument| !argument.is_empty()).take(64) {
            let argument = String::from_utf8_lossy(argument).replace('\n', " ");
            lines.push_str(&format!("argument={argument}\n"));
        }
    }
    let forked = Some(FORKED.load(Ordering::Relaxed)).filter(|forked| *forked != 0);
    state::with(|_, _| ring::push_blob_as_of(ring::slot(Kind::Process, thread::tid()), lines.as_bytes(), forked));
}

/// The process right above this one; a server that does nothing but fork on behalf of its own parent is passed over.
fn parent() -> i32 {
    // SAFETY: getppid cannot fail.
    let above = unsafe { libc::getppid() };
    match FORKED.load(Ordering::Relaxed) {
        0 => above,
        _ if is_fork_server(above) => parent_of(above).unwrap_or(above),
        _ => above,
    }
}

/// `python … -c 'from multiprocessing.forkserver import main; …'`
fn is_fork_server(pid: i32) -> bool {
    const IMPORT: &[u8] = b"from multiprocessing.forkserver import main";
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|command| command.windows(IMPORT.len()).any(|part| part == IMPORT))
}

/// The state and the parent's pid come behind the name, which is in brackets and may hold anything.
fn parent_of(pid: i32) -> Option<i32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, behind) = status.rsplit_once(')')?;
    behind.split_whitespace().nth(1)?.parse().ok()
}

/// Nobody takes the records of a process that was joined any more: at the next safe point it is left as it was.
#[cold]
pub fn leave(fixed: &Fixed) {
    static LEFT: AtomicBool = AtomicBool::new(false);
    if fixed.is_joined() && !is_finalizing() && !LEFT.swap(true, Ordering::Relaxed) {
        interpreters::call_later(undo);
    }
}

extern "C-unwind" fn undo(_: *mut c_void) -> c_int {
    thread::outermost(|| {
        watch::stop();
        coroutines::stop();
        state::fixed().inspect(|fixed| hooks::undo(&fixed.layout));
        ring::discard();
        state::end();
    });
    0
}

pub extern "C" fn goodbye() {
    state::with(|state, layout| state.settle(layout, thread::current()));
    ring::close();
}

/// The interpreter is being taken down: its modules are going, and nothing of interest comes any more.
pub fn is_finalizing() -> bool {
    static ASK: AtomicUsize = AtomicUsize::new(0);
    let mut ask = ASK.load(Ordering::Relaxed);
    if ask == 0 {
        // The function was renamed in 3.13.
        let found = ffi::symbol(c"Py_IsFinalizing").or_else(|| ffi::symbol(c"_Py_IsFinalizing"));
        ask = found.map_or(0, |found| found as usize);
        ASK.store(ask, Ordering::Relaxed);
    }
    // SAFETY: takes nothing, gives an int.
    ask != 0 && unsafe { std::mem::transmute::<usize, unsafe extern "C-unwind" fn() -> c_int>(ask)() } != 0
}

/// When this process, or a child of it, was last forked, in ticks; 0 for never.
static FORKED: AtomicU64 = AtomicU64::new(0);

/// A child may come to its first record when its parent has long gone on: it says since when it has been there.
extern "C" fn about_to_fork() {
    FORKED.store(ring::ticks(), Ordering::Relaxed);
}

/// In the child of a fork: the ring is the parent's. Ours is made when there is something to write.
extern "C" fn forked() {
    ring::leave_to_parent();
    thread::forget();
    state::reset_gate();
}

static MAKING: AtomicUsize = AtomicUsize::new(0);

/// Makes the ring of a forked child, at its first record.
pub fn make_ring() {
    if MAKING.swap(1, Ordering::AcqRel) != 0 {
        return;
    }
    if let Some(fixed) = state::fixed()
        && ring::open(&fixed.session, fixed.joined_by)
    {
        state::with(|state, _| {
            state.names.clear();
            state.objects.clear();
            state.stacks.clear();
            state.codes.forget_definitions();
            state.recent.clear();
            state.locks.clear();
            state.midway = Midway::default();
        });
        say_process(fixed);
        threads::introduce(0, "MainThread");
    }
    MAKING.store(0, Ordering::Release);
}

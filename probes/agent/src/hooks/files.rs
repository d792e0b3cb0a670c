//! Files as the program uses them: opened, written (as text, through a buffer, to the system), closed; paths asked about,
//! used and changed; locks on files. Only what the program's own code does, directly or through the standard library's
//! thin layers: not the import system's look-ups.

use racetrace_probes::wire::{Kind, Origin, Slot};

use crate::ffi::{self, Obj};
use crate::hooks::{Call, exchange_all, family, of};
use crate::layout::Layout;
use crate::objects::type_info;
use crate::state::{self, Fixed, State};
use crate::table::mix2;
use crate::{codes, names, object, ring, stacks, tasks, thread};

/// Modules of the standard library that only pass a path or a text on.
const THIN: &[&str] =
    &["os", "posixpath", "genericpath", "glob", "_glob", "shutil", "codecs", "tempfile", "io", "csv", "contextlib"];
const DEEPEST: usize = 12;

mod exclusion;
mod locked;
mod paths;
mod writes;

use paths::{effect, path_of, say_path, used};

mod mode {
    pub const READ: u8 = 0;
    pub const WRITE: u8 = 1;
    pub const APPEND: u8 = 2;
    pub const UPDATE: u8 = 3;
    pub const EXCLUSIVE: u8 = 4;
    pub const FOUND: u8 = 5;
}

pub fn start(layout: &Layout) {
    // SAFETY: imports builtin modules.
    let (io, os) = unsafe { (ffi::PyImport_ImportModule(c"_io".as_ptr()), ffi::PyImport_ImportModule(c"posix".as_ptr())) };
    exchange_all(layout, io, &[c"open"], open);
    exchange_all(layout, of(io, c"TextIOWrapper"), &[c"write"], writes::write_text);
    for class in [c"BufferedWriter", c"BufferedRandom"] {
        exchange_all(layout, of(io, class), &[c"write"], writes::write_buffered);
    }
    exchange_all(layout, of(io, c"FileIO"), &[c"write"], writes::write_raw);
    for class in [c"TextIOWrapper", c"BufferedWriter", c"BufferedRandom"] {
        exchange_all(layout, of(io, class), &[c"close"], close);
    }
    exchange_all(layout, of(io, c"FileIO"), &[c"close"], close_raw);
    exchange_all(layout, os, &[c"write"], writes::write_descriptor);
    exchange_all(layout, os, &[c"open"], open_descriptor);
    exchange_all(layout, os, &[c"close"], locked::close_descriptor);
    exchange_all(layout, os, &[c"stat", c"lstat", c"access", c"listdir", c"scandir"], paths::check);
    exchange_all(layout, os, &[c"remove", c"unlink", c"rmdir"], paths::remove);
    exchange_all(layout, os, &[c"rename", c"replace", c"link", c"symlink"], paths::rename);
    exchange_all(layout, os, &[c"mkdir"], paths::make_directory);
    exchange_all(layout, os, &[c"truncate", c"chmod", c"utime"], paths::change);
}

pub fn start_locks(layout: &Layout, module: Obj) {
    exchange_all(layout, module, &[c"flock", c"lockf"], locked::operate);
}

/// Where in the program's own code we are: its innermost frame, if only thin layers lie above it.
struct Site {
    frame: Obj,
    stack: u32,
    /// A thin layer was asked to tolerate (`exist_ok`, `missing_ok`).
    tolerant: bool,
}

fn site(fixed: &Fixed) -> Option<Site> {
    let layout = &fixed.layout;
    let mut tolerant = false;
    for frame in layout.frames(tasks::current_frame(layout)).take(DEEPEST) {
        let entry = codes::of_frame(fixed, frame)?;
        match entry.origin {
            Origin::User => {
                family::name_process();
                tasks::strand(fixed, thread::current(), tasks::current_frame(layout));
                let stack = stacks::stack(fixed, frame, None);
                return Some(Site { frame, stack, tolerant });
            }
            Origin::Standard if is_thin(&entry.module) => tolerant |= tolerates(layout, entry, frame),
            _ => return None,
        }
    }
    None
}

fn is_thin(module: &str) -> bool {
    THIN.contains(&module) || module == "pathlib" || module.starts_with("pathlib.")
}

fn tolerates(layout: &Layout, entry: &codes::Entry, frame: Obj) -> bool {
    entry.tolerance.iter().any(|&slot| layout.local(frame, slot) == object!(_Py_TrueStruct))
}

impl Site {
    fn slot(&self, kind: Kind) -> Slot {
        let mut slot = ring::slot(kind, thread::tid());
        (slot.stack, slot.d) = (self.stack, self.frame as u64);
        slot
    }
}

fn note(work: impl FnOnce(&Fixed) -> Option<()>) {
    if let Some(fixed) = state::fixed() {
        thread::outermost(|| work(fixed));
    }
}

/// Runs `work` with the pending exception, if any, put aside.
fn aside<R>(result: Obj, work: impl FnOnce(bool) -> R) -> R {
    unsafe extern "C-unwind" {
        fn PyErr_Fetch(kind: *mut Obj, value: *mut Obj, traceback: *mut Obj);
        fn PyErr_Restore(kind: Obj, value: Obj, traceback: Obj);
    }
    if !result.is_null() {
        return work(true);
    }
    let nothing = std::ptr::null_mut();
    let (mut kind, mut value, mut traceback) = (nothing, nothing, nothing);
    // SAFETY: takes the exception and gives the same back.
    unsafe {
        PyErr_Fetch(&raw mut kind, &raw mut value, &raw mut traceback);
        let done = work(false);
        PyErr_Restore(kind, value, traceback);
        done
    }
}

/// `open(file, mode='r', …)`.
fn open(call: &Call) -> Obj {
    let file = call.go_on();
    let text = names::utf8(call.argument(1, c"mode")).unwrap_or("r");
    let kind = open_mode(text);
    used(call, file, (0, c"file"), if kind == mode::READ { effect::OPEN } else { effect::CREATE }, kind == mode::EXCLUSIVE);
    if !file.is_null() {
        if kind == mode::EXCLUSIVE {
            paths::taken(call, c"file");
        }
        note(|fixed| {
            let site = site(fixed)?;
            let path = path_of(fixed, call.argument(0, c"file")).unwrap_or_default();
            let handle = describe(fixed, file)?;
            opened(&site, handle, &path, kind);
            Some(())
        });
    }
    file
}

fn open_mode(text: &str) -> u8 {
    match text {
        text if text.contains('x') => mode::EXCLUSIVE,
        text if text.contains('a') => mode::APPEND,
        text if text.contains('w') => mode::WRITE,
        text if text.contains('+') => mode::UPDATE,
        _ => mode::READ,
    }
}

fn opened(site: &Site, handle: Handle, path: &str, kind: u8) {
    if !path.is_empty() {
        state::with(|state, _| state.named_files.set(handle.inode, 1));
    }
    say_open(site.slot(Kind::FileOpen), handle, path, kind);
}

fn say_open(mut slot: Slot, handle: Handle, path: &str, kind: u8) {
    (slot.a, slot.b, slot.c, slot.small) = (handle.file, handle.inode, handle.fd as u64, kind);
    say_path(slot, path);
}

/// Gives a name to a file that was open before anybody looked, or that a library opened. The standard streams have theirs.
fn find(handle: Handle, stack: u32) {
    let is_new = |state: &mut State| state.named_files.get(handle.inode).is_none() && state.named_files.set(handle.inode, 1);
    if handle.fd <= 2 || state::with(|state, _| is_new(state)) != Some(true) {
        return;
    }
    let path = std::fs::read_link(format!("/proc/self/fd/{}", handle.fd)).unwrap_or_default();
    let path = path.to_str().filter(|path| path.starts_with('/') && !path.ends_with(" (deleted)")).unwrap_or_default();
    if !path.is_empty() {
        let mut slot = ring::slot(Kind::FileOpen, thread::tid());
        slot.stack = stack;
        say_open(slot, handle, path, mode::FOUND);
    }
}

/// `os.open(path, flags, …)`.
fn open_descriptor(call: &Call) -> Obj {
    let result = call.go_on();
    let flags = state::fixed().and_then(|fixed| names::int(&fixed.layout, call.argument(1, c"flags"))).unwrap_or(0) as i32;
    let kind = match flags {
        flags if flags & libc::O_EXCL != 0 => mode::EXCLUSIVE,
        flags if flags & libc::O_APPEND != 0 => mode::APPEND,
        flags if flags & (libc::O_CREAT | libc::O_TRUNC) != 0 => mode::WRITE,
        flags if flags & (libc::O_WRONLY | libc::O_RDWR) != 0 => mode::UPDATE,
        _ => mode::READ,
    };
    used(call, result, (0, c"path"), if kind == mode::READ { effect::OPEN } else { effect::CREATE }, kind == mode::EXCLUSIVE);
    if !result.is_null() {
        if kind == mode::EXCLUSIVE {
            paths::taken(call, c"path");
        }
        note(|fixed| {
            let site = site(fixed)?;
            let path = path_of(fixed, call.argument(0, c"path"))?;
            let handle = of_descriptor(names::int(&fixed.layout, result)? as i32)?;
            opened(&site, handle, &path, kind);
            Some(())
        });
    }
    result
}

/// What an open file is to the system.
#[derive(Clone, Copy)]
struct Handle {
    file: u64,
    inode: u64,
    fd: i32,
    append: bool,
}

const PACKED_APPEND: u64 = 1 << 32;

/// Looks a file object up; asks the system the first time. `None`: not on a file, a terminal or standard output.
fn describe(fixed: &Fixed, file: Obj) -> Option<Handle> {
    let layout = &fixed.layout;
    type_info(layout, layout.type_of(file));
    let known = state::with(|state, _| {
        let id = state.objects.channel(layout, &mut state.names, file);
        state.files.get(file as u64).map(|packed| (id, packed, state.inodes.get(file as u64).unwrap_or(0)))
    })?;
    if let Some((id, packed, inode)) = known {
        return (inode != 0).then_some(Handle { file: id, inode, fd: packed as u32 as i32, append: packed & PACKED_APPEND != 0 });
    }
    let handle = descriptor_of(layout, file).and_then(of_descriptor);
    state::with(|state, _| {
        let id = state.objects.channel(layout, &mut state.names, file);
        let (packed, inode) = handle
            .map_or((0, 0), |handle| (u64::from(handle.fd as u32) | if handle.append { PACKED_APPEND } else { 0 }, handle.inode));
        state.files.set(file as u64, packed);
        state.inodes.set(file as u64, inode);
        handle.map(|handle| Handle { file: id, ..handle })
    })?
}

fn descriptor_of(layout: &Layout, file: Obj) -> Option<i32> {
    let method = of(file, c"fileno");
    if method.is_null() {
        return None;
    }
    // SAFETY: `fileno()` of the interpreter's own file types; references are given back.
    unsafe {
        let number = ffi::PyObject_CallObject(method, std::ptr::null_mut());
        ffi::Py_DecRef(method);
        if number.is_null() {
            ffi::PyErr_Clear();
            return None;
        }
        let fd = names::int(layout, number);
        ffi::Py_DecRef(number);
        fd.map(|fd| fd as i32)
    }
}

fn of_descriptor(fd: i32) -> Option<Handle> {
    // SAFETY: system calls that only ask about a descriptor.
    unsafe {
        let mut status: libc::stat = std::mem::zeroed();
        if libc::fstat(fd, &raw mut status) != 0 {
            return None;
        }
        let regular = status.st_mode & libc::S_IFMT == libc::S_IFREG;
        if !regular && !(1..=2).contains(&fd) {
            return None;
        }
        let append = libc::fcntl(fd, libc::F_GETFL) & libc::O_APPEND != 0;
        Some(Handle { file: 0, inode: mix2(status.st_ino, status.st_dev) | 1, fd, append })
    }
}

/// What was still in buffers has been written by now.
fn close_raw(call: &Call) -> Obj {
    locked::closes(call.receiver);
    close(call)
}

fn close(call: &Call) -> Obj {
    let result = call.go_on();
    note(|fixed| {
        let known = state::with(|state, _| {
            state.inodes.remove(call.receiver as u64);
            state.files.remove(call.receiver as u64)?;
            state.objects.known(call.receiver)
        })??;
        tasks::strand(fixed, thread::current(), tasks::current_frame(&fixed.layout));
        let mut slot = ring::slot(Kind::FileClose, thread::tid());
        slot.a = known;
        tasks::say(thread::current(), slot);
        Some(())
    });
    result
}

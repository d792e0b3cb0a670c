//! Pipes and pairs of sockets within one process: what a thread reads there another has written, and all that it had done
//! before. What is written and how much is not looked at; connections over a network are none.

use std::sync::Mutex;

use racetrace_probes::wire::Kind;

use crate::ffi::{self, Obj};
use crate::hooks::{Call, exchange_all};
use crate::layout::Layout;
use crate::state::{self, Fixed};
use crate::{codes, object, sync, tasks, thread};

/// Pairs of sockets that are remembered: inodes of both ends. Later ones take the place of earlier ones.
const PAIRS: usize = 64;
static ENDS: Mutex<Vec<[u64; 2]>> = Mutex::new(Vec::new());

pub fn start_sockets(layout: &Layout, module: Obj, class: Obj) {
    exchange_all(layout, module, &[c"socketpair"], pairs);
    exchange_all(layout, class, &[c"send", c"sendall", c"sendmsg"], sends);
}

/// Something has come out of a descriptor that is no file.
pub fn came(status: &libc::stat) {
    if let Some(stream) = stream(status) {
        sync::stream(Kind::Observe, stream);
    }
}

/// Something is about to be written to a descriptor. `None`: to a file.
pub fn goes(fixed: &Fixed, fd: i32) -> Option<()> {
    let status = status(fd)?;
    let stream = stream(&status)?;
    tasks::strand(fixed, thread::current(), tasks::current_frame(&fixed.layout));
    sync::stream(Kind::Signal, stream);
    Some(())
}

pub fn status(fd: i32) -> Option<libc::stat> {
    // SAFETY: a system call that only asks about a descriptor.
    unsafe {
        let mut status: libc::stat = std::mem::zeroed();
        (libc::fstat(fd, &raw mut status) == 0).then_some(status)
    }
}

/// Both ends of a pipe have one inode; of a pair of sockets the first end's stands for both.
fn stream(status: &libc::stat) -> Option<u64> {
    match status.st_mode & libc::S_IFMT {
        libc::S_IFIFO => Some(status.st_ino),
        libc::S_IFSOCK => {
            let ends = ENDS.try_lock().ok()?;
            ends.iter().find(|pair| pair.contains(&status.st_ino)).map(|pair| pair[0])
        }
        _ => None,
    }
}

/// The descriptor of a socket comes right behind its header.
pub fn descriptor(layout: &Layout, socket: Obj) -> i32 {
    // SAFETY: the receiver of a method of `_socket.socket`.
    unsafe { ffi::field(socket, layout.header) }
}

/// `socketpair(…)`. An event loop wakes itself by one, which tells its tasks nothing.
fn pairs(call: &Call) -> Obj {
    let result = call.go_on();
    if !result.is_null()
        && let Some(fixed) = state::fixed()
    {
        thread::outermost(|| {
            let layout = &fixed.layout;
            if layout.type_of(result) != object!(PyTuple_Type) || is_of_an_event_loop(fixed) {
                return;
            }
            let end = |at: isize| {
                // SAFETY: a tuple of two sockets; its items are borrowed.
                let socket = unsafe { ffi::PyTuple_GetItem(result, at) };
                status(descriptor(layout, socket)).map(|status| status.st_ino)
            };
            if let (Some(one), Some(other), Ok(mut ends)) = (end(0), end(1), ENDS.try_lock()) {
                if ends.len() >= PAIRS {
                    ends.remove(0);
                }
                ends.push([one, other]);
            }
        });
    }
    result
}

fn is_of_an_event_loop(fixed: &Fixed) -> bool {
    let layout = &fixed.layout;
    let entries = layout.frames(tasks::current_frame(layout)).take(3);
    let mut entries = entries.filter_map(|frame| codes::of_frame(fixed, frame));
    entries.any(|entry| entry.module.starts_with("asyncio"))
}

fn sends(call: &Call) -> Obj {
    if let Some(fixed) = state::fixed() {
        thread::outermost(|| {
            if ENDS.try_lock().is_ok_and(|ends| !ends.is_empty()) {
                goes(fixed, descriptor(&fixed.layout, call.receiver));
            }
        });
    }
    call.go_on()
}

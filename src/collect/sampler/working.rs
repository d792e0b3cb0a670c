//! Threads that run freely: nothing on their whole stack, from the thread's start on, can take a lock or wait for another
//! thread. The windows that such a thread comes to are protected by nobody, whatever moment they are seen at; so this
//! needs no moment of rest, and sees also threads that run.

use crate::cpython::frame::RemoteFrame;
use crate::cpython::object::flags;
use crate::cpython::python::Python;
use crate::event::Shape;
use crate::target::address::RemoteAddr;
use crate::target::memory::Memory;

use super::approach::Act;
use super::codes::Codes;
use super::found::{Coming, Strand, coming};
use super::plain::{Plain, Plainness};
use super::strand::Activation;
use super::subject::Subject;
use super::value::Scope;
use super::ways::Standing;

/// The windows that a freely running thread comes to, on subjects that were there before it.
pub(super) fn read_working<M: Memory>(
    python: &Python<M>,
    codes: &mut Codes,
    known: &mut Plainness,
    strand: &mut Strand,
    is_users: impl Fn(&str) -> bool,
) {
    let frames = &strand.view.frames;
    if strand.task.is_some() || strand.waited.is_some() || frames.len() > DEEPEST {
        return;
    }
    let starting = frames.iter().rev().take_while(|frame| starts_thread(frame)).count();
    let own = frames.get(..frames.len() - starting).unwrap_or_default();
    // A thread that Python code did not start (the main thread) has a past that its stack does not tell.
    let Some(outermost) = own.last().filter(|_| starting > 0) else { return };
    let mut plain = Plain { python, codes, known };
    // The outermost first: it is the one that usually waits for something.
    if !own.iter().rev().all(|frame| Scope::of_frame(python, frame).is_some_and(|scope| plain.is_whole_plain(&scope, frame))) {
        return;
    }
    let roots = Roots::of(python, outermost);
    let mut found: Vec<Coming> = Vec::new();
    for (index, frame) in own.iter().enumerate().filter(|(_, frame)| is_users(&frame.code.remote.code.filename)) {
        let standing = if index == 0 { Standing::Innermost } else { Standing::Caller };
        let approach = frame.code.approach(frame.offset, standing);
        let opens = approach.targets.iter().filter(|target| matches!(target.act, Act::Opens(_)));
        let windows = opens.filter_map(|target| coming(python, frame, index, target.watch, target.act));
        found.extend(windows.filter(|window| roots.were_there(python, frame, &window.subject)));
    }
    // A thread that runs may have been in two places while it was read: it must still have the same frames.
    if !found.is_empty() && own.iter().all(|frame| is_still(python, &frame.frame)) {
        strand.working = found;
    }
}

/// Deeper stacks are not those of small workers, and dear to look at.
const DEEPEST: usize = 24;

/// Frames of `threading` that begin a thread.
fn starts_thread(activation: &Activation) -> bool {
    let code = &activation.code.remote.code;
    matches!(code.name.as_str(), "_bootstrap" | "_bootstrap_inner" | "run") && code.filename.ends_with("/threading.py")
}

fn is_still<M: Memory>(python: &Python<M>, frame: &RemoteFrame) -> bool {
    let now = python.frame_now(frame.at);
    now.is_some_and(|now| (now.code, now.globals, now.previous) == (frame.code, frame.globals, frame.previous))
}

/// What the thread was given when it was started.
struct Roots {
    given: Vec<RemoteAddr>,
}

impl Roots {
    fn of<M: Memory>(python: &Python<M>, outermost: &Activation) -> Roots {
        let code = &outermost.code.remote.code;
        let slots = python.slots(outermost.frame.at, outermost.locals()).unwrap_or_default();
        let parameters = (code.argcount + code.kwonly) as usize;
        // Cells of enclosing functions come behind all others.
        let enclosing = slots.len().saturating_sub(code.nfrees as usize);
        let given = slots.iter().enumerate().filter(|(slot, _)| *slot < parameters || *slot >= enclosing);
        Roots { given: given.map(|(_, object)| *object).filter(|object| !object.is_null()).collect() }
    }

    /// Did the subject's object exist when the thread was started: given to it, or known to the whole program?
    fn were_there<M: Memory>(&self, python: &Python<M>, frame: &Activation, subject: &Subject) -> bool {
        let object = subject.object;
        let content = |cell: RemoteAddr| python.memory.pointer(cell.plus(python.layout.object.header)).ok();
        let is_cell = |at: RemoteAddr| python.type_of(at).is_ok_and(|class| class.is_builtin("cell"));
        matches!(subject.shape, Shape::Module)
            || python.type_of(object).is_ok_and(|class| class.has(flags::TYPE))
            || self.given.iter().any(|given| {
                *given == object
                    || (is_cell(*given) && content(*given) == Some(object))
                    || python.attribute_holding(*given, object).is_some()
            })
            || python.global_holding(frame.frame.globals, object).is_some()
    }
}

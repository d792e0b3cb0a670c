//! What was found in the frames of one look: strands with the windows they stand in, the loops they walk and the accesses
//! they are about to make. It reads the target; whether what it read was so at one moment is for [`super::verify`].

use std::rc::Rc;

use racetrace_probes::plan::Operation;

use crate::cpython::container::Walked;
use crate::cpython::python::Python;
use crate::cpython::task::RemoteTask;
use crate::event::{Shape, Tid};
use crate::target::address::RemoteAddr;
use crate::target::memory::Memory;

use super::abandoned::Abandoned;
use super::accessor::{self, Spanning};
use super::approach::Act;
use super::codes::{Codes, KnownCode};
use super::course::Via;
use super::dropped::Dropped;
use super::files::{self, Writing};
use super::locks::{HeldLock, WaitedLock};
use super::nesting::{self, Nesting};
use super::paths::{self, PathAct};
use super::plain::{Asked, Plain, Plainness};
use super::prints;
use super::strand::{Activation, ThreadView};
use super::subject::{self, Subject};
use super::value::Scope;
use super::ways::Standing;

/// A strand of this look, before it is said in events.
pub(super) struct Strand {
    pub view: ThreadView,
    pub task: Option<RemoteTask>,
    pub name: Rc<str>,
    pub holds: Vec<HeldLock>,
    pub waited: Option<WaitedLock>,
    pub waits_for_task: Option<RemoteAddr>,
    /// `get_ident()` of the thread for whose end it waits.
    pub joins: Option<u64>,
    pub open: Vec<Opening>,
    pub spans: Vec<Spanning>,
    pub loops: Vec<Walk>,
    pub coming: Vec<Coming>,
    /// The `threading.Barrier` that it waits at.
    pub barrier: Option<RemoteAddr>,
    /// Windows that the thread comes to while it runs freely.
    pub working: Vec<Coming>,
    /// Locks that the thread takes one inside the other.
    pub nestings: Vec<Nesting>,
    /// What it will do to paths.
    pub paths: Vec<PathAct>,
    /// What it will write to files.
    pub writings: Vec<Writing>,
    pub dropped: Vec<Dropped>,
    pub abandoned: Vec<Abandoned>,
    pub still: bool,
    /// Its event loop waits for what comes next.
    pub rests: bool,
}

impl Strand {
    pub fn new(view: ThreadView, name: Rc<str>, holds: Vec<HeldLock>, waited: Option<WaitedLock>) -> Strand {
        Strand {
            view,
            task: None,
            name,
            holds,
            waited,
            waits_for_task: None,
            joins: None,
            open: Vec::new(),
            spans: Vec::new(),
            loops: Vec::new(),
            coming: Vec::new(),
            barrier: None,
            working: Vec::new(),
            nestings: Vec::new(),
            paths: Vec::new(),
            writings: Vec::new(),
            dropped: Vec::new(),
            abandoned: Vec::new(),
            still: false,
            rests: false,
        }
    }

    /// The kernel's id of its thread, or the one that the process itself knows.
    pub fn tid(&self) -> Tid {
        Tid(self.view.tid.or(self.view.state.native).unwrap_or(0))
    }

    /// Is there something that has to be verified?
    pub fn is_of_interest(&self) -> bool {
        let files = !(self.paths.is_empty() && self.writings.is_empty());
        let windows = files || !(self.open.is_empty() && self.spans.is_empty() && self.coming.is_empty());
        windows || !self.loops.is_empty() || !self.abandoned.is_empty() || !self.nestings.is_empty()
    }

    /// The outermost frame with something that has to be verified.
    pub fn deepest(&self) -> Option<RemoteAddr> {
        let open = self.open.iter().map(|opening| opening.frame).chain(self.spans.iter().map(|span| span.frame));
        let frames = open.chain(self.loops.iter().map(|walk| walk.frame)).chain(self.coming.iter().map(|coming| coming.frame));
        let frames = frames.chain(self.abandoned.iter().map(|abandoned| abandoned.frame));
        let frames = frames.chain(self.nestings.iter().flat_map(|nesting| [nesting.outer.frame, nesting.inner.frame]));
        let frames = frames.chain(self.paths.iter().map(|act| act.frame));
        let frames = frames.chain(self.writings.iter().map(|writing| writing.frame));
        self.view.frames.get(frames.max()?).map(|activation| activation.frame.at)
    }
}

/// A loop over a container, whose size may have changed.
pub(super) struct Walk {
    pub frame: usize,
    /// Offset at which the loop asks for its next element.
    pub next: u32,
    /// Where the iterator lies on the value stack.
    pub slot: u32,
    pub iterator: RemoteAddr,
    pub walked: Walked,
}

impl Walk {
    pub fn has_changed(&self) -> bool {
        self.walked.began != self.walked.now
    }
}

/// A window that a frame stands in, with the words that were read.
pub(super) struct Opening {
    pub frame: usize,
    pub window: u16,
    /// Offsets of the window's read and write.
    pub read: u32,
    pub write: u32,
    pub subject: Subject,
    pub held: Option<RemoteAddr>,
    pub now: Option<RemoteAddr>,
    /// The frame's locals: with them unchanged, it is about the same objects still.
    pub locals: Vec<RemoteAddr>,
}

/// An access that a strand is bound to come to, with nothing in between that could make it wait for another strand.
pub(super) struct Coming {
    pub frame: usize,
    pub act: Comes,
    /// The calls that lead from that frame to the function it is in.
    pub via: Vec<Via>,
    pub subject: Subject,
    pub locals: Vec<RemoteAddr>,
    /// A thread that is bound to be started while it is on its way, and comes to the same.
    pub rival: Option<String>,
    /// It has come through the window already, and done nothing since that others could notice.
    pub passed: bool,
}

impl Coming {
    fn resizes(&self) -> bool {
        matches!(self.act, Comes::Write { resizes: true, .. })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comes {
    Window {
        window: u16,
        read: u32,
        write: u32,
    },
    /// `resizes`: the number of elements changes, or their places in a list.
    Write {
        offset: u32,
        resizes: bool,
    },
}

/// The windows and loops that the strand's frames stand in.
pub(super) fn read_windows<M: Memory>(python: &Python<M>, strand: &mut Strand, is_users: impl Fn(&KnownCode) -> bool) {
    for (index, activation) in strand.view.frames.iter().enumerate() {
        let site = activation.code.site(activation.offset);
        // What libraries do with their own state is theirs to know.
        let windows = site.windows.iter().filter(|_| is_users(&activation.code));
        strand.open.extend(windows.filter_map(|window| opening(python, activation, index, *window)));
        if is_users(&activation.code) {
            strand.paths.extend(paths::inside(python, activation, index));
            strand.writings.extend(files::read_writings(python, activation, index));
            strand.writings.extend(prints::read_printing(python, &strand.view.frames, index));
        }
        for &(slot, next) in &site.iterators {
            let Ok(slots) = python.slots_at(activation.frame.at, slot, 1) else { continue };
            strand.loops.extend(slots.first().and_then(|iterator| {
                let walked = python.walked(*iterator)?;
                Some(Walk { frame: index, next, slot, iterator: *iterator, walked })
            }));
        }
    }
}

fn opening<M: Memory>(python: &Python<M>, activation: &Activation, frame: usize, window: u16) -> Option<Opening> {
    let plan = activation.code.plan()?;
    let planned = plan.windows.get(usize::from(window))?;
    let watch = plan.watches.iter().find(|watch| planned.reads.contains(&watch.offset))?;
    let locals = python.raw_slots(activation.frame.at, activation.locals()).ok()?;
    let subject = subject::of_read(python, activation, watch)?;
    let held = subject.carried.and_then(|slot| python.slots_at(activation.frame.at, slot, 1).ok()?.first().copied());
    let now = subject.slot.and_then(|slot| python.memory.pointer(slot).ok());
    Some(Opening {
        frame,
        window,
        read: watch.offset,
        write: planned.write,
        subject,
        held: held.filter(|at| !at.is_null()),
        now,
        locals,
    })
}

/// What the strand's frames are bound to come to. `is_users` tells the program's own files.
pub(super) fn read_coming<M: Memory>(
    python: &Python<M>,
    codes: &mut Codes,
    known: &mut Plainness,
    strand: &mut Strand,
    is_users: impl Fn(&KnownCode) -> bool,
) {
    if let Some(waited) = &strand.waited {
        strand
            .nestings
            .extend(strand.view.frames.first().into_iter().flat_map(|frame| nesting::waiting(waited, frame, &strand.holds)));
        strand.barrier = barrier(python, &strand.view.frames);
        if strand.barrier.is_none() {
            return;
        }
    }
    let skipped = match strand.barrier {
        Some(_) => BARRIER.len(),
        None if strand.task.is_some() => sleeping(&strand.view.frames),
        None => 0,
    };
    if strand.task.is_some() && skipped == 0 {
        return;
    }
    let lies_ahead = |index: usize, activation: &Activation| {
        let (code, offset, standing) = (&activation.code, activation.offset, Standing::of(index));
        let accesses = || !code.approach(offset, standing).targets.is_empty();
        is_users(code) && (accesses() || code.path_site(offset, standing).goes_on() || !code.entries(offset, standing).is_empty())
    };
    // Whether the strand gets to frames in which nothing lies ahead need not be known.
    let ahead = strand.view.frames.iter().enumerate().rposition(|(index, activation)| lies_ahead(index, activation));
    let mut plain = Plain { python, codes, known, asked: Asked::Waits };
    for (index, activation) in strand.view.frames.iter().enumerate().take(ahead.map_or(0, |last| last + 1)).skip(skipped) {
        let approach = activation.code.approach(activation.offset, Standing::of(index));
        let Some(scope) = Scope::of_frame(python, activation) else { return };
        if is_users(&activation.code) {
            let is_told = |act: &Act| strand.barrier.is_none() || matches!(act, Act::Opens(_));
            for target in approach.targets.iter().filter(|target| is_told(&target.act)) {
                if target.calls.iter().all(|call| plain.is_plain(&scope, *call)) {
                    strand.coming.extend(coming(python, activation, index, target.watch, target.act));
                }
            }
            if strand.barrier.is_none() {
                strand.paths.extend(paths::ahead(&mut plain, &scope, activation, index));
            }
            if strand.task.is_none() && strand.waited.is_none() {
                strand.nestings.extend(nesting::ahead(&mut plain, &scope, activation, index, &strand.holds));
            }
        }
        if Some(index) == ahead {
            return;
        }
        let leaves = approach.leaving.as_ref().is_some_and(|calls| calls.iter().all(|call| plain.is_plain(&scope, *call)));
        if !leaves {
            return;
        }
    }
}

pub(super) fn coming<M: Memory>(
    python: &Python<M>,
    activation: &Activation,
    frame: usize,
    watch: usize,
    act: Act,
) -> Option<Coming> {
    let plan = activation.code.plan()?;
    let watch = plan.watches.get(watch)?;
    let act = match act {
        Act::Opens(window) => Comes::Window { window, read: watch.offset, write: plan.windows.get(usize::from(window))?.write },
        Act::Writes => Comes::Write { offset: watch.offset, resizes: false },
    };
    let subject = subject::of(python, activation, watch)?;
    let act = match act {
        Comes::Write { offset, .. } => Comes::Write { offset, resizes: resizes(&watch.operation, &subject) },
        window @ Comes::Window { .. } => window,
    };
    let locals = python.raw_slots(activation.frame.at, activation.locals()).ok()?;
    Some(Coming { frame, act, via: Vec::new(), subject, locals, rival: None, passed: false })
}

/// The windows across functions that frames of the program's own files stand in.
pub(super) fn read_spans<M: Memory>(
    python: &Python<M>,
    codes: &mut Codes,
    strand: &mut Strand,
    is_users: impl Fn(&KnownCode) -> bool,
) {
    for (index, activation) in strand.view.frames.iter().enumerate() {
        if is_users(&activation.code) {
            strand.spans.extend(accessor::read_spans(python, codes, activation, index));
        }
    }
}

/// Does a write add a key to a dict, or take an element away?
fn resizes(operation: &Operation, subject: &Subject) -> bool {
    match operation {
        Operation::ItemDelete { .. } | Operation::MethodCall { .. } => true,
        Operation::ItemWrite { .. } => subject.shape == Shape::Dict && subject.slot.is_none(),
        _ => false,
    }
}

/// The frames of a thread that waits at a `threading.Barrier` for others to come, innermost first.
const BARRIER: [&str; 4] = ["wait", "wait_for", "_wait", "wait"];

/// The barrier that a thread waits at. All who wait there are let go by the same last one, in no order. (Who comes while
/// they leave waits elsewhere: in `_enter`.)
fn barrier<M: Memory>(python: &Python<M>, frames: &[Activation]) -> Option<RemoteAddr> {
    let waits = frames.get(..BARRIER.len())?.iter().zip(BARRIER).all(|(frame, name)| {
        let code = &frame.code.remote.code;
        code.name == name && code.filename.ends_with("/threading.py")
    });
    let own = frames.get(BARRIER.len() - 1).filter(|_| waits)?;
    let barrier = *python.slots(own.frame.at, 1).ok()?.first()?;
    python.type_of(barrier).is_ok_and(|class| python.derives_from(class.at, "Barrier")).then_some(barrier)
}

/// How many of a suspended task's innermost frames are `asyncio.sleep`, which waits for nobody.
fn sleeping(frames: &[Activation]) -> usize {
    let sleeps = |frame: &&Activation| {
        let code = &frame.code.remote.code;
        matches!(code.name.as_str(), "sleep" | "__sleep0") && code.filename.ends_with("asyncio/tasks.py")
    };
    frames.iter().take_while(sleeps).count()
}

/// Keeps of what is coming only what another strand's window, loop or coming window is about too, and of loops those whose
/// container has changed, or is about to be changed by another strand.
pub(super) fn keep_shared(pid: u32, strands: &mut [Strand]) {
    let mut about: Vec<(RemoteAddr, Option<String>, usize)> = Vec::new();
    let mut spanned = Vec::new();
    let mut walked: Vec<(RemoteAddr, usize)> = Vec::new();
    let mut resized: Vec<(RemoteAddr, usize)> = Vec::new();
    for (index, strand) in strands.iter().enumerate() {
        let windows = strand.coming.iter().filter(|coming| matches!(coming.act, Comes::Window { .. }));
        let subjects = strand.open.iter().map(|open| &open.subject).chain(windows.map(|coming| &coming.subject));
        about.extend(subjects.map(|subject| (subject.object, subject.part.clone(), index)));
        spanned.extend(strand.spans.iter().map(|span| (span.subject.object, span.subject.part.clone(), index)));
        walked.extend(strand.loops.iter().map(|walk| (walk.walked.container, index)));
        let resizing = strand.coming.iter().filter(|coming| coming.resizes());
        resized.extend(resizing.map(|coming| (coming.subject.object, index)));
    }
    let elsewhere = |list: &[(RemoteAddr, usize)], object: RemoteAddr, index: usize| {
        list.iter().any(|(found, other)| *other != index && *found == object)
    };
    nesting::keep_rings(&mut strands.iter_mut().map(|strand| &mut strand.nestings).collect::<Vec<_>>());
    files::keep_shared(pid, &mut strands.iter_mut().map(|strand| &mut strand.writings).collect::<Vec<_>>());
    paths::keep_shared(&mut strands.iter_mut().map(|strand| &mut strand.paths).collect::<Vec<_>>());
    for (index, strand) in strands.iter_mut().enumerate() {
        strand.coming.retain(|coming| {
            let subject = &coming.subject;
            let same = |(object, part, other): &(RemoteAddr, Option<String>, usize)| {
                *other != index && *object == subject.object && *part == subject.part
            };
            about.iter().any(same) || (coming.resizes() && elsewhere(&walked, subject.object, index))
        });
        strand.spans.retain(|span| {
            let subject = &span.subject;
            spanned.iter().any(|(object, part, other)| *other != index && *object == subject.object && *part == subject.part)
        });
        strand.loops.retain(|walk| walk.has_changed() || elsewhere(&resized, walk.walked.container, index));
    }
}

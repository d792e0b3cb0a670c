//! Call stacks, hash-consed: walks the frames of the running thread and gives the whole stack one number.

use racetrace_probes::wire::Kind;

use crate::codes::Codes;
use crate::ffi::Obj;
use crate::layout::Layout;
use crate::state::{self, Fixed};
use crate::table::{Table, mix, mix2};
use crate::{ring, thread};

const STACKS: usize = 1 << 17;
const DEEPEST: usize = 40;
/// How many frames of the thread's own must be unchanged for a remembered stack to be believed.
const CHECKED: usize = 4;
const REMEMBERED: usize = 1 << 10;
/// Paths through code that are remembered, whatever frames they are in (those of many tasks).
const PATHS: usize = 1 << 12;

pub struct Stacks {
    ids: Table,
    next: u32,
    recent: Box<[Path]>,
    paths: Box<[Path]>,
}

/// Where the frames of a stack are, spread to one word, and the stack's number.
#[derive(Clone, Copy)]
struct Path {
    frames: u64,
    id: u32,
}

const NOTHING: Path = Path { frames: 0, id: 0 };

impl Stacks {
    pub fn new() -> Stacks {
        Stacks {
            ids: Table::new(STACKS),
            next: 1,
            recent: vec![NOTHING; REMEMBERED].into_boxed_slice(),
            paths: vec![NOTHING; PATHS].into_boxed_slice(),
        }
    }

    pub fn clear(&mut self) {
        self.ids.clear();
        self.recent.fill(NOTHING);
        self.paths.fill(NOTHING);
    }

    /// The stack that ends in `frame` at byte `offset` of its code (`None`: where the frame itself says it is), if it was
    /// asked for not long ago.
    #[inline]
    pub fn known(&self, layout: &Layout, frame: Obj, offset: Option<u32>) -> Option<u32> {
        let near = near(layout, frame, top_of(layout, frame, offset), offset.is_none());
        let place = &self.recent[near as usize & (REMEMBERED - 1)];
        (place.frames == near).then_some(place.id)
    }

    /// The same, found anew. `Err` names a frame whose code is not known yet: learn it, outside the gate, and ask again.
    fn id(&mut self, layout: &Layout, codes: &mut Codes, frame: Obj, offset: Option<u32>) -> Result<u32, Obj> {
        let top = top_of(layout, frame, offset);
        let near = near(layout, frame, top, offset.is_none());
        let path = path(layout, frame, top, offset.is_none());
        let at = path as usize & (PATHS - 1);
        if self.paths[at].frames != path {
            let id = self.walk(layout, codes, frame, top, offset.is_none())?;
            self.paths[at] = Path { frames: path, id };
        }
        let id = self.paths[at].id;
        self.recent[near as usize & (REMEMBERED - 1)] = Path { frames: near, id };
        Ok(id)
    }

    fn walk(&mut self, layout: &Layout, codes: &mut Codes, frame: Obj, top: u32, top_is_raw: bool) -> Result<u32, Obj> {
        let mut path = [(0u32, 0u32); DEEPEST];
        let mut depth = 0;
        let mut at = frame;
        while !at.is_null() && depth < DEEPEST {
            let code = layout.code(at);
            let entry = codes.id(code).ok_or(at)?;
            let offset = match depth {
                0 if top_is_raw => entry.owner(top),
                0 => top,
                _ => entry.owner(layout.offset(at, code)),
            };
            path[depth] = (entry.id, offset);
            depth += 1;
            at = layout.previous(at);
        }
        Ok(path[..depth].iter().rev().fold(0, |parent, &(code, offset)| self.push(parent, code, offset)))
    }

    fn push(&mut self, parent: u32, code: u32, offset: u32) -> u32 {
        let key = mix2(u64::from(parent), u64::from(code) << 32 | u64::from(offset)) | 1;
        if let Some(id) = self.ids.get(key) {
            return id as u32;
        }
        let id = self.next;
        self.next += 1;
        if !self.ids.set(key, u64::from(id)) {
            // Whoever reads the ring keeps the last numbers only: those from before are not used any more.
            self.clear();
            self.ids.set(key, u64::from(id));
        }
        let mut slot = ring::slot(Kind::Stack, thread::tid());
        slot.stack = id;
        slot.word = parent;
        slot.a = u64::from(code);
        slot.b = u64::from(offset);
        ring::push(slot);
        id
    }
}

#[inline(always)]
fn top_of(layout: &Layout, frame: Obj, offset: Option<u32>) -> u32 {
    offset.unwrap_or_else(|| layout.offset(frame, layout.code(frame)))
}

/// The innermost frames, in one word that tells them apart; never 0. Those of generators and coroutines, of which there may
/// be many that do the same, stand for what they run; those of the thread itself also for themselves.
#[inline(always)]
fn near(layout: &Layout, frame: Obj, top: u32, top_is_raw: bool) -> u64 {
    // Spread first: offsets and the distances of code objects are alike.
    let top = spread(0, (top as usize) << 1 | usize::from(top_is_raw));
    let mut word = spread(top, layout.code(frame) as usize);
    let mut own = 0;
    let mut at = frame;
    for _ in 0..DEEPEST {
        if !layout.is_generators(at) {
            word = spread(word, at as usize);
            own += 1;
            if own == CHECKED {
                break;
            }
        }
        at = layout.frame_before(at);
        if at.is_null() {
            break;
        }
        word = spread(word, layout.instruction(at));
    }
    mix(word) | 1
}

/// Code and instruction of each frame, in one word that tells paths apart; never 0.
fn path(layout: &Layout, frame: Obj, top: u32, top_is_raw: bool) -> u64 {
    // As in `near`.
    let mut word = mix2(u64::from(top), u64::from(top_is_raw));
    let mut at = frame;
    for depth in 0..DEEPEST {
        if at.is_null() {
            break;
        }
        let instruction = if depth == 0 { 0 } else { layout.instruction(at) };
        word = spread(spread(word, layout.code(at) as usize), instruction);
        at = layout.previous(at);
    }
    mix2(word, 1) | 1
}

#[inline(always)]
fn spread(word: u64, with: usize) -> u64 {
    (word.rotate_left(5) ^ with as u64).wrapping_mul(0x517c_c1b7_2722_0a95)
}

/// The number of the stack that ends in `frame`; 0 when there is none or it cannot be told.
#[inline]
pub fn stack(fixed: &Fixed, frame: Obj, offset: Option<u32>) -> u32 {
    if frame.is_null() {
        return 0;
    }
    let known = state::within(fixed, |state, layout| state.stacks.known(layout, frame, offset));
    known.flatten().unwrap_or_else(|| stack_found(fixed, frame, offset))
}

#[cold]
#[inline(never)]
fn stack_found(fixed: &Fixed, frame: Obj, offset: Option<u32>) -> u32 {
    for _ in 0..=DEEPEST {
        match state::within(fixed, |state, layout| state.stacks.id(layout, &mut state.codes, frame, offset)) {
            Some(Ok(id)) => return id,
            Some(Err(unknown)) => {
                let code = fixed.layout.code(unknown);
                if crate::codes::learn(fixed, code, fixed.layout.globals(unknown)).is_none() {
                    return 0;
                }
            }
            None => return 0,
        }
    }
    0
}

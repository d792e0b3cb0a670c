//! Call stacks, hash-consed: walks the frames of the running thread and gives the whole stack one number.

use racetrace_probes::wire::Kind;

use crate::codes::Codes;
use crate::ffi::Obj;
use crate::layout::Layout;
use crate::state::{self, Fixed};
use crate::table::{Table, mix2};
use crate::{ring, thread};

const STACKS: usize = 1 << 17;
const DEEPEST: usize = 40;
/// How many frames must be unchanged for a remembered stack to be believed.
const CHECKED: usize = 4;
const REMEMBERED: usize = 1 << 10;
/// Paths through code that are remembered, whatever frames they are in (those of many tasks).
const PATHS: usize = 1 << 12;

pub struct Stacks {
    ids: Table,
    next: u32,
    recent: Box<[Recent]>,
    paths: Box<[Path]>,
}

/// Where every frame of a stack is, spread to one word, and the stack's number.
#[derive(Clone, Copy)]
struct Path {
    frames: u64,
    id: u32,
}

#[derive(Clone, Copy)]
struct Recent {
    frames: [(usize, usize); CHECKED],
    offset: u32,
    id: u32,
}

const NOTHING: Recent = Recent { frames: [(0, 0); CHECKED], offset: u32::MAX, id: 0 };

impl Stacks {
    pub fn new() -> Stacks {
        Stacks {
            ids: Table::new(STACKS),
            next: 1,
            recent: vec![NOTHING; REMEMBERED].into_boxed_slice(),
            paths: vec![Path { frames: 0, id: 0 }; PATHS].into_boxed_slice(),
        }
    }

    pub fn clear(&mut self) {
        self.ids.clear();
        self.recent.fill(NOTHING);
        self.paths.fill(Path { frames: 0, id: 0 });
    }

    /// The stack that ends in `frame` at byte `offset` of its code (`None`: where the frame itself says it is).
    /// `Err` names a frame whose code is not known yet: learn it, outside the gate, and ask again.
    #[inline]
    fn id(&mut self, layout: &Layout, codes: &mut Codes, frame: Obj, offset: Option<u32>) -> Result<u32, Obj> {
        let top = offset.unwrap_or_else(|| layout.offset(frame, layout.code(frame)));
        let mut frames = [(0, 0); CHECKED];
        let mut at = frame;
        for (index, entry) in frames.iter_mut().enumerate() {
            if at.is_null() {
                break;
            }
            *entry = (at as usize, if index == 0 { layout.code(at) as usize } else { layout.instruction(at) });
            at = layout.previous(at);
        }
        let place = mix2(frame as u64, u64::from(top) ^ frames[1].1 as u64) as usize & (REMEMBERED - 1);
        let recent = &self.recent[place];
        if recent.offset == top && recent.frames == frames {
            return Ok(recent.id);
        }
        let path = path(layout, frame, top, offset.is_none());
        let at = path as usize & (PATHS - 1);
        if self.paths[at].frames != path {
            let id = self.walk(layout, codes, frame, top, offset.is_none())?;
            self.paths[at] = Path { frames: path, id };
        }
        let id = self.paths[at].id;
        self.recent[place] = Recent { frames, offset: top, id };
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
            self.ids.clear();
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

/// Code and instruction of each frame, in one word that tells paths apart; never 0.
fn path(layout: &Layout, frame: Obj, top: u32, top_is_raw: bool) -> u64 {
    // Spread first: offsets and the distances of code objects are alike.
    let mut word = mix2(u64::from(top), u64::from(top_is_raw));
    let mut at = frame;
    for depth in 0..DEEPEST {
        if at.is_null() {
            break;
        }
        let code = layout.code(at);
        let instruction = if depth == 0 { 0 } else { layout.instruction(at) };
        word = (word.rotate_left(5) ^ code as u64).wrapping_mul(0x517c_c1b7_2722_0a95);
        word = (word.rotate_left(5) ^ instruction as u64).wrapping_mul(0x517c_c1b7_2722_0a95);
        at = layout.previous(at);
    }
    mix2(word, 1) | 1
}

/// The number of the stack that ends in `frame`; 0 when there is none or it cannot be told.
#[inline]
pub fn stack(fixed: &Fixed, frame: Obj, offset: Option<u32>) -> u32 {
    if frame.is_null() {
        return 0;
    }
    for _ in 0..=DEEPEST {
        match state::with(|state, layout| state.stacks.id(layout, &mut state.codes, frame, offset)) {
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

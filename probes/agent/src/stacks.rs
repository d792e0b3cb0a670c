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

/// Odd numbers without a pattern (the first hexadecimal digits of pi).
const OFFSET: u64 = 0x243f_6a88_85a3_08d3;
const ODD: [(u64, u64); 8] = [
    (0x1319_8a2e_0370_7345, 0xa409_3822_299f_31d1),
    (0x082e_fa98_ec4e_6c89, 0x4528_21e6_38d0_1377),
    (0xbe54_66cf_34e9_0c6d, 0xc0ac_29b7_c97c_50dd),
    (0x3f84_d5b5_b547_0917, 0x9216_d5d9_8979_fb1b),
    (0xd131_0ba6_98df_b5ad, 0x2ffd_72db_d01a_dfb7),
    (0xb8e1_afed_6a26_7e97, 0xba7c_9045_f12c_7f99),
    (0x24a1_9947_b391_6cf7, 0x0801_f2e2_858e_fc17),
    (0x6369_20d8_7157_4e69, 0xa458_fea3_f493_3d7f),
];

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

    /// The stack that ends in `frame` at byte `offset` of its code (`None`: where the frame itself says it is).
    /// `Err` names a frame whose code is not known yet: learn it, outside the gate, and ask again.
    #[inline]
    fn id(&mut self, layout: &Layout, codes: &mut Codes, frame: Obj, offset: Option<u32>) -> Result<u32, Obj> {
        let top = offset.unwrap_or_else(|| layout.offset(frame, layout.code(frame)));
        let near = near(layout, frame, top, offset.is_none());
        let place = near as usize & (REMEMBERED - 1);
        if self.recent[place].frames == near {
            return Ok(self.recent[place].id);
        }
        let path = path(layout, frame, top, offset.is_none());
        let at = path as usize & (PATHS - 1);
        if self.paths[at].frames != path {
            let id = self.walk(layout, codes, frame, top, offset.is_none())?;
            self.paths[at] = Path { frames: path, id };
        }
        let id = self.paths[at].id;
        self.recent[place] = Path { frames: near, id };
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

/// The innermost frames, in one word that tells them apart; never 0. Those of generators and coroutines, of which there may
/// be many that do the same, stand for what they run; those of the thread itself also for themselves.
#[inline]
fn near(layout: &Layout, frame: Obj, top: u32, top_is_raw: bool) -> u64 {
    let mut word = (u64::from(top) << 1 | u64::from(top_is_raw)).wrapping_mul(OFFSET) ^ layout.code(frame) as u64;
    let mut at = frame;
    let mut own = 0;
    // A sum of products: none of them waits for another.
    for depth in 0..DEEPEST {
        let odd = ODD[depth % ODD.len()];
        if depth > 0 {
            if depth % ODD.len() == 0 {
                word = mix(word);
            }
            word = word.wrapping_add((layout.instruction(at) as u64).wrapping_mul(odd.0));
        }
        if layout.generator(at).is_none() {
            word = word.wrapping_add((at as u64).wrapping_mul(odd.1));
            own += 1;
        }
        at = layout.previous(at);
        if own == CHECKED || at.is_null() {
            break;
        }
    }
    mix(word) | 1
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

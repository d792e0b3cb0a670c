//! Which variables of modules can still change, as far as the program's own code shows: by the names that it stores. What
//! nobody stores is the same whenever it is read: once an instruction was seen to read it, it orders nothing and opens no
//! window any more, and need not be watched. Neither need what only the body of the main script has a name for, which one
//! thread runs once; nor that something is put into a queue or taken out, as long as nobody asks whether it is empty or
//! full. A name that is worked out at run time counts from its first use on. Which values there are is not looked at.

use std::sync::atomic::{AtomicU32, Ordering};

use racetrace_probes::exception_table;
use racetrace_probes::instruction::{Instructions, NOWHERE};
use racetrace_probes::method;
use racetrace_probes::opcode::Op;
use racetrace_probes::plan::{Operation, Watch};
use racetrace_probes::wire::action;

use crate::access::Site;
use crate::codes;
use crate::ffi::{self, Obj, field};
use crate::layout::Layout;
use crate::names::{KeyKind, key_id, utf8};
use crate::state::{self, Fixed};
use crate::table::Table;
use crate::{object, watch};

/// A function stores it, or somebody an attribute of that name.
const STORED: u64 = 1;
/// The body of the main script is still to store it.
const TO_COME: u64 = 2;
/// Other code than that body has a name for it.
const NAMED: u64 = 4;
/// Somewhere an instruction is not watched because of what is known of the name.
const RESTS: u64 = 8;

const NAMES: usize = 1 << 16;
/// Code within code that is looked at.
const DEEPEST: u32 = 8;
/// Methods by which a queue is asked how full it is.
const QUESTIONS: [&str; 3] = ["empty", "full", "qsize"];

pub struct Variables {
    /// By key: what is known of a name.
    names: Table,
    /// There were too many: what is not in the table may be anything.
    full: bool,
    body: Obj,
    body_begun: bool,
    /// There is a second strand.
    shared: bool,
    asks_queues: bool,
    queues_rest: bool,
}

/// Counts how often instructions that rested had to be watched again, from 1.
static WAKES: AtomicU32 = AtomicU32::new(1);
/// Said of a watch in place of such a number: it is needed.
const NEEDED: u32 = u32::MAX;

/// Whose code it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The main script's, outside of its functions.
    Body,
    /// The same, executed in another way or again.
    Script,
    /// A module's, whose own stores are not watched.
    Module,
    Function,
}

/// A name in some code, and what that says of it.
type Mention = (u64, u64);

#[derive(Default)]
struct Mentions {
    names: Vec<Mention>,
    asks_queues: bool,
}

impl Variables {
    pub fn new() -> Variables {
        Variables {
            names: Table::new(NAMES),
            full: false,
            body: std::ptr::null_mut(),
            body_begun: false,
            shared: false,
            asks_queues: false,
            queues_rest: false,
        }
    }

    /// Is the code the body of the main script, or may it be?
    fn is_body(&mut self, code: Obj) -> bool {
        if self.body.is_null() {
            self.body = code;
        }
        self.body == code
    }

    /// True: something that rests has to be watched.
    fn note(&mut self, (key, what): Mention) -> bool {
        let before = self.names.get(key).unwrap_or(0);
        if before | what == before {
            return false;
        }
        if !self.names.set(key, before | what) {
            return !std::mem::replace(&mut self.full, true);
        }
        before & RESTS != 0
    }

    fn note_all(&mut self, mentions: &Mentions) -> bool {
        let mut wakes = false;
        for mention in &mentions.names {
            wakes |= self.note(*mention);
        }
        if mentions.asks_queues && !self.asks_queues {
            self.asks_queues = true;
            wakes |= self.queues_rest;
        }
        wakes
    }

    fn queues_may_rest(&mut self) -> bool {
        self.queues_rest |= !self.asks_queues;
        !self.asks_queues
    }

    fn may_rest(&mut self, key: u64, reads: bool, by_body: bool) -> bool {
        let known = self.names.get(key).unwrap_or(0);
        let same = reads && known & (STORED | TO_COME) == 0;
        let own = by_body && known & (STORED | NAMED) == 0;
        (same || own) && !self.full && self.names.set(key, known | RESTS)
    }
}

/// The program's code object is about to be executed for the first time: what it stores and names, also in the functions
/// that it makes.
pub fn learn(fixed: &Fixed, code: Obj, whose: Whose) {
    let mut mentions = Mentions::default();
    mention(&fixed.layout, code, whose, DEEPEST, &mut mentions);
    if state::with(|state, _| state.variables.note_all(&mentions)) == Some(true) {
        wake(fixed);
    }
}

/// Whose a module's own code is. The first that the main script executes is its body.
pub fn whose_module(fixed: &Fixed, code: Obj, is_main: bool, suspends: bool) -> Whose {
    if !is_main {
        return Whose::Module;
    }
    let first = || state::with(|state, _| state.variables.is_body(code)) == Some(true);
    if !suspends && !fixed.is_joined() && first() { Whose::Body } else { Whose::Script }
}

/// The body of the main script is entered. A second time it is no more than any other code.
pub fn body_entered(fixed: &Fixed, code: Obj) {
    if state::with(|state, _| std::mem::replace(&mut state.variables.body_begun, true)) == Some(true) {
        learn(fixed, code, Whose::Script);
    }
}

/// There is going to be a second strand. What the body of the main script, which starts it, has stored by now and does
/// not come to again is over; `frame` is the running thread's innermost.
pub fn second_strand(fixed: &Fixed, frame: Obj) {
    let layout = &fixed.layout;
    let first = state::with(|state, _| {
        let first = !std::mem::replace(&mut state.variables.shared, true);
        (first && !state.variables.body.is_null()).then_some(state.variables.body)
    });
    let Some(Some(body)) = first else { return };
    let Some(frame) = layout.frames(frame).take(1 << 10).find(|frame| layout.code(*frame) == body) else { return };
    let Some(code) = codes::copy(layout, body) else { return };
    let Ok(instructions) = Instructions::decode(&code.bytecode, layout.version()) else { return };
    let earliest = earliest(&instructions, &code.exception_table, layout.offset(frame, body));
    let names = names_of(layout, body);
    let stores = instructions.as_slice().iter().filter(|instruction| stores_global(instruction.op));
    let stored =
        stores.filter_map(|store| Some((store.offset < earliest, key_id(layout, name_at(names, store.arg)?, KeyKind::Name))));
    let (over, to_come): (Vec<_>, Vec<_>) = stored.partition(|(over, _)| *over);
    let is_over = |key: &u64| !to_come.iter().any(|(_, other)| other == key);
    state::with(|state, _| {
        for key in over.iter().map(|(_, key)| *key).filter(is_over) {
            if let Some(known) = state.variables.names.value(key) {
                *known &= !TO_COME;
            }
        }
    });
}

/// The first instruction that can follow the one at `offset`: ways back are taken as often as there are some.
fn earliest(instructions: &Instructions, exception_table: &[u8], offset: u32) -> u32 {
    let list = instructions.as_slice();
    let (handlers, covered) = exception_table::read(exception_table, instructions);
    let place = |index: u32| list.get(index as usize).map(|instruction| instruction.offset);
    let handler = |covered: &u32| handlers.get(*covered as usize).map(|handler| handler.target);
    let mut earliest = offset;
    loop {
        let from_there = list.iter().zip(&covered).filter(|(instruction, _)| instruction.offset >= earliest);
        let targets = from_there
            .flat_map(|(instruction, covered)| [Some(instruction.target).filter(|target| *target != NOWHERE), handler(covered)]);
        match targets.flatten().filter_map(place).min().filter(|target| *target < earliest) {
            Some(before) => earliest = before,
            None => return earliest,
        }
    }
}

/// A name of an attribute or a module's variable that only shows at run time.
pub fn worked_out(fixed: &Fixed, name: Obj, action: u8) {
    if name.is_null() || fixed.layout.type_of(name) != object!(PyUnicode_Type) {
        return;
    }
    let key = key_id(&fixed.layout, name, KeyKind::Name);
    let what = if action == action::READ { NAMED } else { NAMED | STORED };
    if state::within(fixed, |state, _| state.variables.note((key, what))) == Some(true) {
        wake(fixed);
    }
}

/// Is it still open whether the watch is needed?
#[inline(always)]
pub fn is_open(site: &Site) -> bool {
    site.memory().is_some_and(|memory| memory.rested.load(Ordering::Relaxed) != NEEDED)
}

/// Is the watched instruction at rest?
pub fn rests(site: &Site) -> bool {
    site.memory().is_some_and(|memory| memory.rested.load(Ordering::Relaxed) == WAKES.load(Ordering::Relaxed))
}

/// Is what the watched instruction did this time, as far as is known, all that it will ever say? From then on it rests.
pub fn may_rest(site: &Site, watch: &Watch) -> bool {
    let Some(memory) = site.memory() else { return false };
    let wakes = WAKES.load(Ordering::Relaxed);
    let rests = is_of_no_concern(site, watch);
    memory.rested.store(if rests { wakes } else { NEEDED }, Ordering::Relaxed);
    rests
}

#[cold]
fn is_of_no_concern(site: &Site, watch: &Watch) -> bool {
    let (fixed, by_body) = (site.fixed, site.entry.is_body && site.fixed.layout.minor >= 12);
    let (name, reads) = match &watch.operation {
        Operation::GlobalRead { name } => (*name, true),
        Operation::GlobalWrite { name, .. } | Operation::GlobalDelete { name } if by_body => (*name, false),
        Operation::MethodCall { method, arguments, keywords, .. } if method::only_fills_queues(method, *arguments, *keywords) => {
            return state::within(fixed, |state, _| state.variables.queues_may_rest()) == Some(true);
        }
        _ => return false,
    };
    let Some(name) = name_at(site.entry.names, name) else { return false };
    let key = key_id(&fixed.layout, name, KeyKind::Name);
    state::within(fixed, |state, _| state.variables.may_rest(key, reads, by_body)) == Some(true)
}

#[cold]
fn wake(fixed: &Fixed) {
    WAKES.fetch_add(1, Ordering::Relaxed);
    watch::again(fixed);
}

fn mention(layout: &Layout, code: Obj, whose: Whose, depth: u32, mentions: &mut Mentions) {
    let names = names_of(layout, code);
    let first = mentions.names.len();
    let named = if whose == Whose::Body { 0 } else { NAMED };
    for at in 0.. {
        let Some(name) = name_at(names, at) else { break };
        mentions.names.push((key_id(layout, name, KeyKind::Name), named));
        mentions.asks_queues |= utf8(name).is_some_and(|name| QUESTIONS.contains(&name));
    }
    let own = mentions.names.get_mut(first..).unwrap_or_default();
    match codes::bytecode(code).and_then(|bytecode| Instructions::decode(&bytecode, layout.version()).ok()) {
        Some(instructions) => {
            for instruction in instructions.as_slice() {
                let what = stores(instruction.op, whose);
                if let Some((_, known)) = own.get_mut(instruction.arg as usize).filter(|_| what != 0) {
                    *known |= what;
                }
            }
        }
        None => own.iter_mut().for_each(|(_, known)| *known |= NAMED | STORED),
    }
    if depth > 0 {
        for inner in codes::inner(layout, code) {
            mention(layout, inner, Whose::Function, depth - 1, mentions);
        }
    }
}

fn stores(op: Op, whose: Whose) -> u64 {
    match (op, whose) {
        (Op::StoreAttr | Op::DeleteAttr, _) => STORED,
        (op, Whose::Body) if stores_global(op) => TO_COME,
        (op, Whose::Script) if stores_global(op) => STORED,
        (Op::StoreGlobal | Op::DeleteGlobal, Whose::Function) => STORED,
        _ => 0,
    }
}

fn stores_global(op: Op) -> bool {
    matches!(op, Op::StoreName | Op::DeleteName | Op::StoreGlobal | Op::DeleteGlobal)
}

fn names_of(layout: &Layout, code: Obj) -> Obj {
    // SAFETY: a code object's tuple of names, which lives as long as it.
    unsafe { field(code, layout.code_names) }
}

fn name_at(names: Obj, at: u32) -> Option<Obj> {
    // SAFETY: a tuple, of which items are borrowed.
    unsafe {
        let there = !names.is_null() && (at as isize) < ffi::PyTuple_Size(names);
        there.then(|| ffi::PyTuple_GetItem(names, at as isize))
    }
}

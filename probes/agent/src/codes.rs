//! Code objects: an id for each, its definition to the ring, and the plan of what to watch in it.

use racetrace_probes::code::Code;
use std::ops::Range;
use std::sync::atomic::AtomicBool;

use racetrace_probes::instruction::Instructions;
use racetrace_probes::plan::{self, Operation, Plan, Watch};
use racetrace_probes::version::Version;
use racetrace_probes::wire::{self, Kind, Origin};

use crate::ffi::{self, Obj, field};
use crate::met::{Frames, Memory};
use crate::names::utf8;
use crate::state::{self, Fixed};
use crate::sync::{self, Role};
use crate::table::Table;
use crate::variables::{self, Whose};
use crate::{hooks, ring, thread};
use hooks::attribute;

mod copy;

pub use copy::{bytecode, copy, inner};

const CODES: usize = 1 << 16;
/// Bytecode longer than this is not planned (generated tables, giant test modules).
const LONGEST: usize = 1 << 16;

pub struct Codes {
    ids: Table,
    entries: Vec<&'static Entry>,
    /// Raised in a forked child: definitions written before do not count for its ring.
    generation: u32,
    defined: Vec<u32>,
}

/// A code object that the agent knows. Never freed: it holds a reference to the code object, whose address is its key.
pub struct Entry {
    pub id: u32,
    pub code: Obj,
    pub origin: Origin,
    pub module: String,
    /// Slots of parameters by which a caller asks for tolerance: `exist_ok`, `missing_ok`.
    pub tolerance: Vec<usize>,
    pub nlocalsplus: usize,
    pub names: Obj,
    pub consts: Obj,
    pub flags: u32,
    /// By instruction (offset / 2): its watches, from the first to before the last; both 0 where there are none.
    index: Box<[(u16, u16)]>,
    pub plan: Plan,
    /// One for each watch of the plan.
    pub memories: Box<[Memory]>,
    /// By code unit: the offset of the instruction that it belongs to; empty where frames say it exactly (3.13+).
    owners: Box<[u32]>,
    definition: Vec<u8>,
    /// By code unit: the offset of the instruction proper behind EXTENDED_ARGs, and whether it is watched; empty where
    /// there is no trace function (3.12+).
    traced: Box<[(u32, bool)]>,
    /// What calling this function of the standard library means for order.
    pub sync: Option<Role>,
    /// What it awaits is a future of its own: who fulfils it tells nothing (`sleep`), or only that it is its turn now
    /// (a lock), which another time it may be before the other.
    pub waits_alone: bool,
    pub qualname: String,
    /// Some loop changes what it walks: watched even while there is a single strand.
    pub walks_and_changes: bool,
    /// The body of the main script.
    pub is_body: bool,
    /// Events have been asked for.
    pub prepared: AtomicBool,
}

impl Entry {
    /// The watches at an instruction, as places in the plan's list.
    #[inline(always)]
    pub fn watches(&self, offset: u32) -> Range<usize> {
        self.index.get(offset as usize / 2).map_or(0..0, |&(first, end)| usize::from(first)..usize::from(end))
    }

    /// Has the instruction watches, or does the function's activation begin there?
    #[inline(always)]
    pub fn is_watched_at(&self, offset: u32) -> bool {
        self.index.get(offset as usize / 2).is_some_and(|&(_, end)| end != 0) || self.plan.enter == Some(offset)
    }

    pub fn is_watched(&self) -> bool {
        !self.plan.watches.is_empty()
    }
}

impl Codes {
    pub fn new() -> Codes {
        Codes { ids: Table::new(CODES), entries: Vec::new(), generation: 1, defined: Vec::new() }
    }

    pub fn forget_definitions(&mut self) {
        self.generation += 1;
    }

    #[inline(always)]
    pub fn entry(&self, code: Obj) -> Option<&'static Entry> {
        self.ids.get(code as u64).and_then(|index| self.entries.get(index as usize).copied())
    }

    pub fn all(&self) -> Vec<&'static Entry> {
        self.entries.clone()
    }

    /// The id of a known code object, defined to the ring. `None`: call [`learn`] first, outside the gate.
    #[inline]
    pub fn id(&mut self, code: Obj) -> Option<&'static Entry> {
        let entry = self.entry(code)?;
        let defined = &mut self.defined[entry.id as usize - 1];
        if *defined != self.generation {
            *defined = self.generation;
            let mut slot = ring::slot(Kind::Code, thread::tid());
            slot.word = entry.id;
            ring::push_blob(slot, &entry.definition);
        }
        Some(entry)
    }
}

impl Entry {
    /// The offset of the instruction that a caller's frame is at.
    #[inline]
    pub fn owner(&self, offset: u32) -> u32 {
        self.owners.get(offset as usize / 2).copied().unwrap_or(offset)
    }

    /// The instruction proper behind the EXTENDED_ARGs at `offset`, where a trace function is called for the whole, if it
    /// is watched.
    #[inline(always)]
    pub fn watched_behind(&self, offset: u32) -> Option<u32> {
        self.traced.get(offset as usize / 2).filter(|traced| traced.1).map(|traced| traced.0)
    }
}

/// Makes a code object known: copies it, plans it if it is the user's. Runs outside the gate: copying allocates.
#[cold]
pub fn learn(fixed: &Fixed, code: Obj, globals: Obj) -> Option<&'static Entry> {
    if let Some(Some(entry)) = state::with(|state, _| state.codes.entry(code)) {
        return Some(entry);
    }
    if crate::start::is_finalizing() {
        crate::start::goodbye();
        return None;
    }
    let layout = &fixed.layout;
    hooks::look_again(layout);
    let copy = copy(layout, code)?;
    let module = module_name(globals);
    let origin = origin(fixed, &copy.filename, &module);
    let version = layout.version();
    let plan = if origin == Origin::User && copy.bytecode.len() <= LONGEST && copy.name != "<module>"
        || origin == Origin::User && module == "__main__"
    {
        plan::plan(&copy, version).unwrap_or_default()
    } else {
        Plan::default()
    };
    let is_body = origin == Origin::User && learn_variables(fixed, code, &copy, &module) == Whose::Body;
    // SAFETY: the reference is kept for good; names and consts live as long as the code.
    let (names, consts, flags) = unsafe {
        ffi::Py_IncRef(code);
        (field(code, layout.code_names), field(code, layout.code_consts), field::<u32>(code, layout.code_flags))
    };
    let memories = Memory::all(&plan.watches, Frames { layout, nlocalsplus: layout.nlocalsplus(code), names });
    let mut index = vec![(0, 0); if plan.watches.is_empty() { 0 } else { copy.bytecode.len() / 2 + 1 }];
    for (number, watch) in plan.watches.iter().enumerate().take(usize::from(u16::MAX) - 1) {
        // The beginning of a loop says nothing that its first step does not, unless that step may not be watched.
        let begins = matches!(watch.operation, Operation::IterBegin { .. });
        let says_nothing = begins && (layout.minor < 12 || memories[number].other.is_none());
        let number = number as u16;
        match index.get_mut(watch.offset as usize / 2) {
            Some(place @ (0, 0)) if !says_nothing => *place = (number, number + 1),
            Some((_, end)) if *end == number && number != 0 => *end += 1,
            _ => {}
        }
    }
    let definition = wire::encode_code(&module, origin, &copy);
    let owners = if layout.minor < 13 { owners(&copy, version) } else { Vec::new() };
    let walks_and_changes = walks_and_changes(&plan);
    let role = sync::role(&module, &copy.qualname);
    let sleeps = module == "asyncio.tasks" && copy.qualname == "sleep";
    let tolerance =
        (0..copy.locals.len()).filter(|&slot| matches!(copy.locals[slot].as_str(), "exist_ok" | "missing_ok")).collect();
    let entry = Entry {
        id: 0,
        code,
        origin,
        module,
        tolerance,
        nlocalsplus: layout.nlocalsplus(code),
        names,
        consts,
        flags,
        index: index.into_boxed_slice(),
        memories,
        plan,
        owners: owners.into_boxed_slice(),
        definition,
        traced: Box::default(),
        sync: role,
        waits_alone: role == Some(Role::AsyncAcquire) || (role.is_none() && sleeps),
        qualname: copy.qualname,
        walks_and_changes,
        is_body,
        prepared: AtomicBool::new(false),
    };
    let traced = if layout.minor < 12 { traced(&entry, &copy.bytecode) } else { Box::default() };
    state::with(|state, _| {
        let codes = &mut state.codes;
        if let Some(entry) = codes.entry(code) {
            return Some(entry);
        }
        let number = codes.entries.len();
        if !codes.ids.set(code as u64, number as u64) {
            return None;
        }
        let entry: &'static Entry = Box::leak(Box::new(Entry { id: number as u32 + 1, traced, ..entry }));
        codes.entries.push(entry);
        codes.defined.push(0);
        Some(entry)
    })
    .flatten()
}

/// What is known of the code that a frame runs.
pub fn of_frame(fixed: &Fixed, frame: Obj) -> Option<&'static Entry> {
    learn(fixed, fixed.layout.code(frame), fixed.layout.globals(frame))
}

/// What the program's code says of variables.
fn learn_variables(fixed: &Fixed, code: Obj, copy: &Code, module: &str) -> Whose {
    let whose = match copy.name.as_str() {
        "<module>" => {
            let suspends = copy.flags & crate::tasks::COROUTINE_FLAGS != 0;
            variables::whose_module(fixed, code, module == "__main__", suspends)
        }
        _ => Whose::Function,
    };
    variables::learn(fixed, code, whose);
    whose
}

/// What a trace function has to know of each code unit.
fn traced(entry: &Entry, bytecode: &[u8]) -> Box<[(u32, bool)]> {
    const EXTENDED_ARG: u8 = 144;
    let mut traced: Box<[_]> = (0..bytecode.len() as u32).step_by(2).map(|at| (at, entry.is_watched_at(at))).collect();
    for unit in (1..traced.len()).rev() {
        if bytecode[2 * unit - 2] == EXTENDED_ARG {
            traced[unit - 1] = traced[unit];
        }
    }
    traced
}

/// Has this code object, not yet known, a loop that changes what it walks? Cheap where it has no loop.
pub fn own_loop_changes(fixed: &Fixed, code: Obj, of: Origin) -> bool {
    const FOR_ITER: u8 = 93;
    let layout = &fixed.layout;
    let Some(copy) = copy(layout, code) else { return false };
    if origin(fixed, &copy.filename, "__main__") != of || copy.bytecode.len() > LONGEST {
        return false;
    }
    let loops = copy.bytecode.chunks(2).any(|unit| unit.first() == Some(&FOR_ITER));
    let version = layout.version();
    loops && plan::plan(&copy, version).is_ok_and(|plan| walks_and_changes(&plan))
}

/// Does some loop change, by the name under which it walks it, what it walks?
fn walks_and_changes(plan: &Plan) -> bool {
    let changes = |watch: &Watch| {
        matches!(
            watch.operation,
            Operation::ItemDelete { .. } | Operation::ItemWrite { .. } | Operation::MethodCall { .. } | Operation::InPlace { .. }
        )
    };
    let container = |path: &str| path.split('[').next().unwrap_or(path).to_owned();
    let walks = |watch: &&Watch| matches!(watch.operation, Operation::IterBegin { .. } | Operation::IterNext { .. });
    let walked = plan.watches.iter().filter(walks);
    let walked: Vec<String> = walked.map(|watch| container(&watch.path)).collect();
    !walked.is_empty() && plan.watches.iter().any(|watch| changes(watch) && walked.contains(&container(&watch.path)))
}

fn module_name(globals: Obj) -> String {
    if globals.is_null() {
        return String::new();
    }
    // SAFETY: `globals` is a dict (a function's or frame's globals); the result is borrowed.
    let name = unsafe { ffi::PyDict_GetItemString(globals, c"__name__".as_ptr()) };
    utf8(name).unwrap_or_default().to_owned()
}

/// Is it a Python function of the user's?
pub fn is_by_user(fixed: &Fixed, function: Obj) -> bool {
    let text = |object: Obj, name: &std::ffi::CStr| attribute(object, name, |value| utf8(value).map(str::to_owned));
    if function.is_null() {
        return false;
    }
    let file = attribute(function, c"__code__", |code| text(code, c"co_filename"));
    file.is_some_and(|file| origin(fixed, &file, &text(function, c"__module__").unwrap_or_default()) == Origin::User)
}

/// Whose code a file is. Generated code ("<string>") counts as its module's when that is the program itself.
fn origin(fixed: &Fixed, filename: &str, module: &str) -> Origin {
    if filename.starts_with('<') {
        return if module == "__main__" && matches!(filename, "<string>" | "<stdin>") { Origin::User } else { Origin::Standard };
    }
    let below = |directories: &[String]| directories.iter().any(|directory| filename.starts_with(directory.as_str()));
    if filename.contains("/site-packages/") || filename.contains("/dist-packages/") || below(&fixed.libraries) {
        let package = module.split('.').next().unwrap_or(module);
        let watched = fixed.watched.iter().any(|watched| watched.replace('-', "_") == package);
        return if watched { Origin::User } else { Origin::Library };
    }
    if filename.starts_with(&fixed.session) || below(&fixed.standard) { Origin::Standard } else { Origin::User }
}

/// For each code unit the offset of the instruction that it belongs to, inline caches included.
fn owners(code: &Code, version: Version) -> Vec<u32> {
    let Ok(instructions) = Instructions::decode(&code.bytecode, version) else { return Vec::new() };
    let mut owners = vec![0; code.bytecode.len() / 2];
    for instruction in instructions.as_slice() {
        let units = instruction.offset as usize / 2..instruction.end as usize / 2;
        if let Some(places) = owners.get_mut(units) {
            places.fill(instruction.offset);
        }
    }
    owners
}

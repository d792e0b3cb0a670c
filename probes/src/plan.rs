//! The plan for one code object: which instructions to watch, and the windows that they form.

use crate::code::Code;
use crate::version::Version;

mod assemble;

/// Everything that static analysis has to say about one code object. Deterministic: the agent and the tool, given the
/// same code and version, make the same plan.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// By ascending offset; an offset may appear more than once (`del d[k]` in a loop over `d`, …).
    pub watches: Vec<Watch>,
    pub windows: Vec<Window>,
    /// Offsets of calls (and awaits) that are parts of windows that span functions.
    pub spans: Vec<Span>,
    /// Offsets of writes that are only made where something is still what the caller says: it has read that before, and
    /// the rest with it.
    pub confirmed: Vec<u32>,
    /// Offsets of calls that may take a lock, and are only made if something that was read allows it.
    pub decided: Vec<u32>,
    /// By offset: what loops wait for.
    pub polls: Vec<Poll>,
    /// Offset of the instruction to watch as `Event::Enter`: only where some window's reads do not dominate its write.
    pub enter: Option<u32>,
    /// By ascending offset: what the source calls the context manager that a `with` enters at this instruction
    /// (BEFORE_WITH, SETUP_WITH, LOAD_SPECIAL and the call behind it), or the receiver of a method called here whose
    /// name is one of a lock's (`acquire`, `release`, `wait`, `set` …), so that a lock taken here has a name.
    pub paths: Vec<(u32, String)>,
}

/// One instruction that touches a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    /// Byte offset of the instruction proper (not of an EXTENDED_ARG before it, not of a cache after it), as
    /// `sys.monitoring` and `f_lasti` state it.
    pub offset: u32,
    /// Depth of the value stack before the instruction (number of entries above `nlocalsplus`).
    pub depth: u32,
    pub operation: Operation,
    /// Where the value that is read goes.
    pub flows: Flows,
    /// The subject as the source names it: `counter`, `self.items`, `cache[…]`; for reports.
    pub path: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flows {
    /// A branch tests it (a check).
    pub into_branch: bool,
    /// It flows into the return value, or into what is yielded.
    pub into_return: bool,
    /// It flows into an argument of a call.
    pub into_argument: bool,
}

/// Where an operand lies: `Place::Stack(1)` is the top of the stack before the instruction, `Stack(2)` the one below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Stack(u32),
    /// Frame slot.
    Local(u32),
    /// Index into `co_consts`.
    Const(u32),
    /// Index into `co_names`.
    Name(u32),
}

/// What the instruction does. STORE_NAME and its kin are the `Global` operations too, in a module's own code only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    GlobalRead {
        name: u32,
    },
    GlobalWrite {
        name: u32,
        value: Place,
    },
    GlobalDelete {
        name: u32,
    },
    /// `slot` is the frame slot that holds the cell.
    CellRead {
        slot: u32,
    },
    CellWrite {
        slot: u32,
        value: Place,
    },
    CellDelete {
        slot: u32,
    },
    AttributeRead {
        object: Place,
        name: u32,
    },
    AttributeWrite {
        object: Place,
        name: u32,
        value: Place,
    },
    AttributeDelete {
        object: Place,
        name: u32,
    },
    ItemRead {
        container: Place,
        key: Place,
    },
    ItemWrite {
        container: Place,
        key: Place,
        value: Place,
    },
    ItemDelete {
        container: Place,
        key: Place,
    },
    /// `container[a:b]` by BINARY_SLICE; before 3.12 it is an `ItemRead` whose key is a slice.
    SliceRead {
        container: Place,
    },
    /// `container[a:b] = value` by STORE_SLICE.
    SliceWrite {
        container: Place,
        value: Place,
    },
    /// `key in container`.
    Contains {
        container: Place,
        key: Place,
    },
    /// The container's truth (`if items:`), its length included.
    Truth {
        container: Place,
    },
    /// Augmented assignment that changes the container in place (`items += [..]`, `flags |= {..}`); which one is
    /// meant depends on the operand's type: for immutable values it touches nothing.
    InPlace {
        container: Place,
    },
    /// `receiver.method(…)` with a method name from [`crate::method::METHODS`]; the receiver's type decides whether it
    /// counts. `callable` is where the callee lies: an unbound method (or, if `receiver` is the same place, a bound one,
    /// whose `__self__` is the receiver). Where the method was found bound after all, the interpreter has put it into one
    /// of the two places and NULL into the other: up to 3.12 NULL is in `callable`, from 3.13 on in `receiver`.
    /// `first` is the place of the first argument; the next one is at the place above. `arguments` counts keyword
    /// arguments (the last `keywords` of them) too.
    MethodCall {
        method: &'static str,
        callable: Place,
        receiver: Place,
        first: Option<Place>,
        arguments: u32,
        keywords: u32,
    },
    /// `len(x)`, `sum(x)`, `sorted(x)` … with a name from [`crate::method::FUNCTIONS`], or `getattr(x, name[, d])`,
    /// `setattr(x, name, v)`, `hasattr(x, name)`, `delattr(x, name)`; `callable` must be the function of that name for
    /// it to count (of `join`: the method of `str`).
    FunctionCall {
        function: &'static str,
        callable: Place,
        first: Place,
        arguments: u32,
    },
    /// GET_ITER (or FOR_ITER over something already iterable): `iterable` begins to be walked.
    IterBegin {
        iterable: Place,
    },
    /// FOR_ITER, `next(iterator)`, the SEND of a `yield from`: `iterator` is asked for the next element.
    IterNext {
        iterator: Place,
    },
    /// A C function or an instruction takes all elements that an iterator like `map(f, d)` gives: `[*it]`, `f(*it)`,
    /// `a, b = it`, `items.extend(it)`.
    Consume {
        iterable: Place,
    },
}

/// A stretch that must not be split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    pub kind: WindowKind,
    /// Offsets of the reads (checks) that can open it; the last one executed before `write` counts.
    pub reads: Vec<u32>,
    /// Offset of the write (act) that closes it.
    pub write: u32,
    /// The subject as the source names it (for reports, and to match calls through different names).
    pub path: String,
    /// On every path from the function's entry to `write` one of `reads` is executed.
    pub dominated: bool,
    /// The first instruction inside where the GIL can be handed over on this version, or a suspension: what makes the
    /// window breakable. `None`: latent on a build with a GIL.
    pub switch: Option<Switch>,
    /// A suspension (await, yield) lies on some path inside.
    pub suspends: bool,
    /// A loop waits for what is checked, and the write takes it back (`while busy: …`, `busy = True`): only another one
    /// that has waited as well is in its way.
    pub waits: bool,
    /// What is stored is the result of a task or future that others may wait for, too.
    pub shared: Shared,
}

/// May others have got the same result, of one task or future?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shared {
    #[default]
    No,
    /// If it is the same object.
    Perhaps,
    /// The task or future was found where others find it: if it is equal.
    Found,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WindowKind {
    ReadModifyWrite,
    CheckThenAct,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switch {
    pub offset: u32,
    pub why: SwitchWhy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SwitchWhy {
    /// A call: of Python code, or of a C function after which the interpreter checks.
    Call,
    BackwardJump,
    /// 3.10 only: a conditional jump that is taken, forwards.
    ForwardJump,
    /// `await`, `async for`, `async with`, `yield`.
    Suspension,
    /// An operator that may run Python code (`__add__`, a property …) cannot be excluded. Weak: not counted alone.
    Operator,
    /// Any instruction: free-threaded builds, and CPython before 3.10.
    Anywhere,
}

/// A window that spans functions: the result of the call at `read` flows into an argument of, or a branch that controls,
/// the call or store at `write`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    pub kind: WindowKind,
    /// Offset of the call whose result counts, or of a direct read.
    pub read: u32,
    /// Offset of the call or store that depends on it.
    pub write: u32,
    /// What the source calls the receivers (of plain functions: the functions); empty if nothing.
    pub read_path: String,
    pub write_path: String,
    /// Both are direct accesses to one attribute or item, which code of its class may compute: a property, a descriptor,
    /// `__getitem__`. Without such code below them they are a window, and no span.
    pub computed: bool,
}

/// A read that decides whether a loop is left; or a call, for what is read in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poll {
    /// Offset of the read or call.
    pub read: u32,
    /// The loop: ascending ranges of offsets, the ends not included.
    pub inside: Vec<(u32, u32)>,
}

/// Makes the plan for `code`.
///
/// # Errors
/// Bytecode that cannot be decoded (unknown opcode, jump out of range, inconsistent stack depth), or too much of it.
pub fn plan(code: &Code, version: Version) -> Result<Plan, PlanError> {
    assemble::plan(code, version)
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanError {
    UnsupportedVersion(Version),
    /// Offset of the instruction that could not be understood.
    Malformed {
        offset: u32,
    },
    /// So much code that analysing it inside a process would take noticeable time or memory.
    TooLarge,
}

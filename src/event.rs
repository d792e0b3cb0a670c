//! The vocabulary: everything that a source (probes, sampler, trace file) can tell the analysis.
//!
//! Events state what happened and never judge it. Definitions (text, code, stacks, objects, keys) come before their
//! first use and hold within one process; ids of different processes are unrelated. An object id stands for one
//! lifetime of one object: an address that is freed and used again gets another id.

mod file;
pub mod origin;
pub mod sample;

pub use file::{OpenMode, PathEffect, WriteLevel};
use serde::{Deserialize, Serialize};

/// Number of a process within the session: 0, 1, 2 … in the order of appearance (not the kernel's pid).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Default)]
pub struct ProcessId(pub u32);

/// The kernel's thread id. The kernel uses them again; [`Event::ThreadBegin`] and [`Event::ThreadEnd`] bound one life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Tid(pub u32);

/// Interned text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TextId(pub u32);

/// A code object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CodeId(pub u32);

/// A hash-consed call stack: its innermost frame and the stack below. `StackId(0)` is the empty (unknown) stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct StackId(pub u32);

/// One lifetime of one Python object (or of one open file description, for files).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObjectId(pub u64);

/// What inside an object: an attribute, variable or item key, by equality of the key. `WHOLE` is the object itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KeyId(pub u64);

impl KeyId {
    /// The container as a whole (its size, its elements' order), or an object without parts such as a closure cell.
    pub const WHOLE: KeyId = KeyId(0);
}

/// An asyncio task, by its outermost coroutine. Unique within a process, never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TaskId(pub u64);

/// Ties a thread's start in the parent to its beginning in the child, and to its join. Unique within a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ThreadToken(pub u64);

/// Something through which one strand tells another to go on: an event, a queue, a future, an item handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ChannelId(pub u64);

/// A frame's address: tells the activations of one function apart while they live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FrameId(pub u64);

/// An event with its circumstances.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Nanoseconds since the session began.
    pub time: u64,
    pub process: ProcessId,
    pub thread: Tid,
    pub event: Event,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    // ---- definitions
    Process(ProcessInfo),
    Text {
        id: TextId,
        text: String,
    },
    Code(Box<CodeInfo>),
    /// `offset` is in bytes into the bytecode, at the instruction being executed (a caller's is at its call).
    Stack {
        id: StackId,
        parent: StackId,
        code: CodeId,
        offset: u32,
    },
    Object {
        id: ObjectId,
        shape: Shape,
        type_name: TextId,
        label: Option<TextId>,
    },
    ObjectEnd {
        id: ObjectId,
    },
    Key {
        id: KeyId,
        label: TextId,
    },

    // ---- strands and hard order
    /// The parent starts a thread; said before the thread can run.
    ThreadStart {
        token: ThreadToken,
        stack: StackId,
    },
    /// First event of a thread. Without a token it was there before watching began, or was started by foreign code.
    ThreadBegin {
        token: Option<ThreadToken>,
        name: TextId,
    },
    ThreadName {
        name: TextId,
    },
    ThreadEnd,
    /// The thread was on its way before watching began: it may hold locks, and know of what others did, without anybody
    /// having said so. What it touches proves nothing, until it is `Settled`.
    Unsettled,
    /// From here on it is known what the thread holds. What it was told before is not: all that was recorded so far is
    /// taken as ordered before all that follows.
    Settled,
    /// The current strand has waited for the end of that thread, or seen that it has ended.
    ThreadJoin {
        token: ThreadToken,
    },
    /// The strand blocks without limit for something that is no lock: over with its next event.
    Block {
        on: Awaited,
        stack: StackId,
    },
    /// The current strand creates a task; `future` is the channel on which its completion is signalled.
    TaskNew {
        task: TaskId,
        future: ChannelId,
        name: TextId,
        stack: StackId,
    },
    /// From here on this thread runs that task, or (None) code of its event loop or of the thread itself.
    TaskSwitch {
        task: Option<TaskId>,
    },
    /// The running task or coroutine gives way to its event loop here.
    Suspend {
        stack: StackId,
    },
    TaskEnd {
        task: TaskId,
    },
    /// What was done before a `Signal` is before everything that follows an `Observe` of the same channel.
    Signal {
        channel: ChannelId,
    },
    Observe {
        channel: ChannelId,
    },
    /// A `Signal` with something that somebody will take out again: who gets it knows what was before it was put, and
    /// nothing of what was put besides. `item` tells what is on the way in one channel apart.
    Put {
        channel: ChannelId,
        item: u64,
    },
    Got {
        channel: ChannelId,
        item: u64,
    },

    /// The thread of a pool of several begins with a piece of work that it has just got. Another time another thread gets it:
    /// that one thread does two of them one after the other is no order.
    JobBegin,
    JobEnd,

    // ---- mutual exclusion
    LockNew {
        lock: ObjectId,
        kind: LockKind,
        stack: StackId,
    },
    /// The strand is about to block for the lock. Followed by `LockAcquired` or `LockFailed`, or nothing if it hangs.
    LockWait {
        lock: ObjectId,
        stack: StackId,
        patience: Patience,
    },
    LockAcquired {
        lock: ObjectId,
        stack: StackId,
        patience: Patience,
    },
    LockFailed {
        lock: ObjectId,
        stack: StackId,
        patience: Patience,
    },
    LockReleased {
        lock: ObjectId,
        stack: StackId,
    },

    // ---- accesses
    Access(Access),
    /// A loop or an iterating function starts to walk `object` (`iterator` tells walks apart).
    IterBegin {
        object: ObjectId,
        iterator: u64,
        frame: FrameId,
        /// Number of elements in `object` now, where the source could look.
        length: Option<u64>,
        stack: StackId,
    },
    /// The loop asks for another element: whatever changed the container since it began shows now.
    IterNext {
        iterator: u64,
        /// Number of elements in the container that is walked, before the iterator looks at it.
        length: Option<u64>,
        stack: StackId,
    },
    IterEnd {
        iterator: u64,
    },
    /// First instruction of an activation of a function that has windows whose reads do not dominate the write.
    Enter {
        frame: FrameId,
        code: CodeId,
    },

    // ---- files
    FileOpen {
        file: ObjectId,
        path: TextId,
        inode: u64,
        fd: i32,
        mode: OpenMode,
        stack: StackId,
    },
    FileWrite {
        file: ObjectId,
        inode: u64,
        fd: i32,
        length: u64,
        level: WriteLevel,
        append: bool,
        /// The last byte is a newline: what follows begins another record.
        ends_line: bool,
        stack: StackId,
        frame: FrameId,
    },
    FileClose {
        file: ObjectId,
    },
    /// The program asks about a path (`exists`, `stat`, `listdir` of its directory …).
    PathCheck {
        path: TextId,
        stack: StackId,
        frame: FrameId,
    },
    /// The program acts on a path; `effect` says how, `tolerant` that the call itself copes with the path having changed
    /// (`x`, `O_EXCL`, `exist_ok`, `missing_ok`, `ignore_errors`). Handlers around it are seen in the code, not here.
    PathUse {
        path: TextId,
        effect: PathEffect,
        tolerant: bool,
        stack: StackId,
        frame: FrameId,
    },
    /// A use that failed, and so changed nothing.
    PathFailed {
        path: TextId,
        effect: PathEffect,
        tolerant: bool,
        stack: StackId,
        frame: FrameId,
    },

    // ---- processes
    /// What the program calls this process (`multiprocessing` does: `Process-1`).
    ProcessName {
        name: TextId,
    },
    /// Something has come in from another process (a pipe, a socket, a semaphore, its end): what others have done so far
    /// may be known here now.
    Hear,

    /// A value in memory that processes share is read or written, under its own lock. `what` is the same in all of them.
    Shared {
        what: TextId,
        writes: bool,
        stack: StackId,
        frame: FrameId,
    },

    /// An object is put into a container, for whoever takes it out.
    Offered {
        item: ObjectId,
        container: ObjectId,
    },
    /// One of those that were put in is taken out again.
    Taken {
        container: ObjectId,
    },

    // ---- asyncio
    /// A coroutine object was dropped without ever having been run. `made` is where it was created.
    CoroutineDropped {
        name: TextId,
        made: StackId,
        file: TextId,
        line: u32,
    },

    /// The thread's event loop had nothing to do for so long. 0: it will say so from here on.
    LoopWaited {
        nanoseconds: u64,
    },

    // ---- sampled states (never mixed with traced ones in one claim)
    Sample(Box<sample::Sample>),

    // ---- the end, and what is missing
    /// Records were lost here: whatever depends on an unbroken sequence must be forgotten.
    Gap {
        lost: u64,
    },
    /// The process said goodbye (`true`), or was found gone without having said so.
    ProcessEnd {
        orderly: bool,
    },
    /// A test begins on this thread, or (None) ends.
    Test {
        name: Option<TextId>,
    },
    /// Something that could not be watched, in a sentence for the report.
    NotWatched {
        what: TextId,
        why: TextId,
    },
}

impl Event {
    /// Is it something that a strand does to what others may touch too?
    pub fn is_evidence(&self) -> bool {
        matches!(
            self,
            Event::Access(_)
                | Event::Enter { .. }
                | Event::IterBegin { .. }
                | Event::IterNext { .. }
                | Event::IterEnd { .. }
                | Event::FileWrite { .. }
                | Event::PathCheck { .. }
                | Event::PathUse { .. }
                | Event::PathFailed { .. }
                | Event::Shared { .. }
        )
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProcessInfo {
    pub pid: u32,
    pub parent: Option<u32>,
    /// Major, minor, micro.
    pub python: (u8, u8, u8),
    pub free_threaded: bool,
    pub command: Vec<String>,
    /// Directory that relative file names of code objects are relative to.
    pub directory: String,
}

/// A code object, as far as analysis and reports need it. The bytecode is the unspecialised one (`co_code`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CodeInfo {
    pub id: u32,
    /// `__name__` of the module whose globals the function uses.
    pub module: String,
    pub origin: racetrace_probes::wire::Origin,
    pub code: racetrace_probes::code::Code,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Shape {
    /// A module's globals; the label is the module's name.
    Module,
    /// An instance, a class or another object with attributes.
    Instance,
    Class,
    Cell,
    Dict,
    List,
    Set,
    Deque,
    /// `queue.Queue`, `SimpleQueue` and `asyncio.Queue`.
    Queue,
    Lock,
    File,
    Other,
    /// A mapping that is no dict, of a class whose own code is not watched (`cachetools.TTLCache`, `shelve.Shelf`).
    Mapping,
    /// Numbers side by side (`bytearray`, `array.array`), of which single items are touched.
    Array,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LockKind {
    Lock,
    RLock,
    /// `threading` semaphore with its initial value.
    Semaphore(u32),
    AsyncLock,
    AsyncSemaphore(u32),
    /// `flock`/`lockf` on a file, across processes: the lock object's label is the file's path, the same in all of them.
    File,
}

/// How long the strand is ready to wait for a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Patience {
    Forever,
    Timeout,
    Never,
}

/// What a strand blocks for, besides locks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Awaited {
    /// The end of that thread.
    Thread(ThreadToken),
    /// The end of every other thread, as the interpreter shuts down.
    Threads,
    /// Something to be put into a queue.
    Channel(ChannelId),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Access {
    pub stack: StackId,
    pub frame: FrameId,
    pub action: Action,
    pub object: ObjectId,
    pub key: KeyId,
    /// For a write: the value that it stores. For a read: unknown, unless the source could look it up.
    pub value: Value,
}

/// What an access does to its subject. An access is one atomic step of the interpreter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    Read,
    Write,
    Delete,
    /// An item store that adds a key: changes the container's size too.
    Insert,
    /// One C call that reads and changes (`append`, `setdefault`, `pop`, `update` …). `key` is WHOLE where it has none.
    Update,
    /// Changes the whole container (`clear`, `sort`, slice assignment).
    Replace,
}

/// A value small enough to show.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Value {
    Unknown,
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(TextId),
    /// Any other object: its identity within the process, and its type's name.
    Object(u64, TextId),
}

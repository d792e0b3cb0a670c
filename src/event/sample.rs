//! What one look into a running process shows. Filled by the sampler, read by the analysis of sampled sessions. States,
//! no judgements: whether two of them make a race is for the analysis to say.

use serde::{Deserialize, Serialize};

use super::{KeyId, ObjectId, PathEffect, Patience, StackId, TaskId, TextId, Tid, Value};

/// The strands that are of interest at one moment: those that stand inside a window or a loop, hold or wait for a lock.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Sample {
    pub strands: Vec<StrandState>,
    /// Threads and tasks that were looked at, of interest or not.
    pub seen: u32,
    /// Threads and tasks that could not be read.
    pub unread: u32,
}

/// One thread, or one suspended task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StrandState {
    /// The thread, or the one that runs the task's event loop.
    pub thread: Tid,
    pub task: Option<TaskId>,
    pub name: TextId,
    pub stack: StackId,
    /// It has certainly not run between the sample before and this one.
    pub still: bool,
    /// A task that holds a lock of asyncio's: its event loop waits for what comes next, and has nothing left to do.
    #[serde(default)]
    pub rests: bool,
    pub waits: Waits,
    pub holds: Vec<Hold>,
    pub windows: Vec<OpenWindow>,
    #[serde(default)]
    pub spans: Vec<OpenSpan>,
    pub loops: Vec<OpenLoop>,
    /// What it is about to do, with nothing in between that could make it wait for another strand.
    #[serde(default)]
    pub coming: Vec<Coming>,
    /// It waits at this `threading.Barrier`, behind which lies what it comes to.
    #[serde(default)]
    pub barrier: Option<ObjectId>,
    /// Windows that it comes to, at whatever moment, with nothing on its whole stack that could take a lock or wait, and on
    /// subjects that were there before the thread.
    #[serde(default)]
    pub working: Vec<Coming>,
    /// Locks that it takes one inside the other, now or with nothing to wait for before it does but the locks around.
    #[serde(default)]
    pub nestings: Vec<Nesting>,
    /// What it will do to paths: because it has asked about them, or with nothing to wait for before it does.
    #[serde(default)]
    pub paths: Vec<PathAct>,
    /// What it will write to files that another strand writes to as well.
    #[serde(default)]
    pub writings: Vec<Writing>,
    /// Coroutines that its code makes and throws away.
    #[serde(default)]
    pub dropped: Vec<Dropped>,
}

/// What a strand cannot go on without.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Waits {
    /// Nothing that is known: it runs, waits for the GIL, or for something outside.
    Nothing,
    Lock {
        lock: ObjectId,
        patience: Patience,
        /// A lock of asyncio's.
        by_task: bool,
        /// The code that waits also gives the lock back: it is no signal.
        #[serde(default)]
        mutex: bool,
    },
    /// The end of a thread.
    Thread(Tid),
    /// The end of a task.
    Task(TaskId),
}

/// A lock in a strand's hands.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    pub lock: ObjectId,
    /// Where it was taken; empty if only the lock itself names its owner.
    pub stack: StackId,
    /// A lock of asyncio's.
    pub by_task: bool,
}

/// A lock that is taken inside another one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Nesting {
    pub outer: Hold,
    pub inner: Hold,
    /// What else is held by then.
    pub gates: Vec<ObjectId>,
}

/// An act on a path that a strand will do.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PathAct {
    /// Where the strand stands, from the frame that acts.
    pub stack: StackId,
    /// Where it has asked about the path.
    pub check: Option<StackId>,
    pub act: StackId,
    pub effect: PathEffect,
    pub path: TextId,
}

/// A write to a file that a strand will do.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Writing {
    /// Where the strand stands, from the frame that writes.
    pub stack: StackId,
    /// Where it has written the first piece of a record that this write goes on with.
    pub first: Option<StackId>,
    pub write: StackId,
    /// The file object, and what the file is called.
    pub file: ObjectId,
    pub name: TextId,
    /// The file itself (device and inode), if this handle writes from a place of its own.
    pub inode: Option<(u64, u64)>,
}

/// A strand stands between the read and the write of a window, and has certainly stood there for the whole look.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OpenWindow {
    /// Where the strand stands, from the frame that the window is in.
    pub stack: StackId,
    /// The same at the window's read, and at its write.
    pub read: StackId,
    pub write: StackId,
    /// Index into the windows of the plan of that frame's code.
    pub window: u16,
    /// The module, instance, cell or container, and what in it.
    pub object: ObjectId,
    pub key: KeyId,
    pub subject: SubjectValue,
}

/// A coroutine that nothing will run: thrown away at once, or kept where nothing reads it any more.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Dropped {
    /// The call that makes it; where the strand stands, if another function made it.
    pub made: StackId,
    /// The coroutine's qualified name.
    pub name: TextId,
    /// The variable that keeps it.
    #[serde(default)]
    pub kept_in: Option<TextId>,
}

/// A strand stands between a call that has read a subject and one that will store it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OpenSpan {
    /// Where the strand stands, from the frame that makes both calls.
    pub stack: StackId,
    /// In the functions that are called.
    pub read: StackId,
    pub write: StackId,
    /// A branch decides about the second call; else it is given what the first one returned.
    pub checks: bool,
    pub object: ObjectId,
    pub key: KeyId,
}

/// An access that a strand is bound to come to from where it stands, or a window that it has just come through.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Coming {
    /// Where the strand stands, from the frame that the access is in.
    pub stack: StackId,
    pub what: Ahead,
    pub object: ObjectId,
    pub key: KeyId,
    /// It has come through the window already, and done nothing since that another strand could notice.
    #[serde(default)]
    pub passed: bool,
    /// A thread that is bound to be started while it may be there, and to come to the same.
    #[serde(default)]
    pub rival: Option<TextId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Ahead {
    /// A window, by its number in the plan of the frame's code.
    Window { window: u16, read: StackId, write: StackId },
    /// A store, or what takes an element away.
    /// `resizes`: it changes the number of elements, or their places.
    Write { write: StackId, resizes: bool },
}

/// The value that a strand carries inside its window, against the one that the subject has.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum SubjectValue {
    /// It could not be told, or the window carries none.
    Unknown,
    /// The very object that the subject holds now.
    Current(Value),
    /// Another one: somebody has stored `now` since `held` was read. `now` is unknown if it changed during the look.
    Stale { held: Value, now: Value },
}

/// A strand stands in a loop over a container whose size has changed since the loop began, or is about to be changed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OpenLoop {
    /// Where the strand stands, and where the loop asks for its next element.
    pub stack: StackId,
    pub next: StackId,
    pub object: ObjectId,
    pub began: u64,
    pub now: u64,
}

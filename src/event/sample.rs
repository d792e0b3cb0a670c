//! What one look into a running process shows. Filled by the sampler, read by the analysis of sampled sessions. States,
//! no judgements: whether two of them make a race is for the analysis to say.

use serde::{Deserialize, Serialize};

use super::{KeyId, ObjectId, Patience, StackId, TaskId, TextId, Tid, Value};

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
    pub waits: Waits,
    pub holds: Vec<Hold>,
    pub windows: Vec<OpenWindow>,
    pub loops: Vec<OpenLoop>,
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

/// A strand stands in a loop over a container whose size has changed since the loop began.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OpenLoop {
    /// Where the strand stands, and where the loop asks for its next element.
    pub stack: StackId,
    pub next: StackId,
    pub object: ObjectId,
    pub began: u64,
    pub now: u64,
}

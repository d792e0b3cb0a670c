//! asyncio tasks: which there are, and where each is suspended. Found through asyncio's own registers: a `WeakSet` of
//! all tasks to 3.13, linked lists of threads and interpreters from 3.14 on.

use std::collections::HashSet;

use crate::target::address::RemoteAddr;
use crate::target::memory::{Fault, Memory};

use super::frame::RemoteFrame;
use super::python::{Interpreter, Python, ThreadState};

/// Where a task's fields are; learnt from a live task, because no version of asyncio's C part publishes it before 3.14.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskLayout {
    pub coroutine: u64,
    pub waiter: u64,
    pub name: u64,
}

/// A task at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteTask {
    pub at: RemoteAddr,
    pub name: String,
    /// The event loop.
    pub event_loop: RemoteAddr,
    /// The future or task that it awaits; null if it is ready to run.
    pub waiter: RemoteAddr,
    /// Where that is written.
    pub waiter_at: Option<RemoteAddr>,
    /// The frames of its coroutines, innermost first; empty while it runs or when it is done.
    pub frames: Vec<RemoteFrame>,
}

/// The lists of tasks in 3.14+, from `_AsyncioDebug` (section `.AsyncioDebug` of `_asyncio`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskLists {
    pub node_in_task: u64,
    pub head_in_interpreter: u64,
    pub head_in_thread: u64,
    pub layout: TaskLayout,
}

const MOST_TASKS: usize = 100_000;

impl<M: Memory> Python<M> {
    /// The addresses of all tasks of an interpreter.
    ///
    /// # Errors
    /// When asyncio's registers cannot be read.
    pub fn task_addresses(
        &self,
        interpreter: Interpreter,
        threads: &[ThreadState],
        lists: Option<TaskLists>,
    ) -> Result<Vec<RemoteAddr>, Fault> {
        let mut tasks = Vec::new();
        if let Some(lists) = lists {
            let own = threads.iter().filter(|thread| thread.interpreter.at == interpreter.at);
            let heads = own.map(|thread| thread.at.plus(lists.head_in_thread));
            for head in heads.chain([interpreter.at.plus(lists.head_in_interpreter)]) {
                // Half a list is better than none: a list that changes while it is read breaks off.
                let _ = self.linked_tasks(head, lists.node_in_task, &mut tasks);
            }
        }
        let Some(module) = self.module(interpreter.at, "asyncio.tasks")? else { return Ok(tasks) };
        for name in ["_all_tasks", "_scheduled_tasks", "_eager_tasks"] {
            if let Some(set) = self.attribute(module, name)? {
                let _ = self.weak_or_plain_set(set, &mut tasks);
            }
        }
        tasks.sort_unstable();
        tasks.dedup();
        Ok(tasks)
    }

    fn linked_tasks(&self, head: RemoteAddr, node_in_task: u64, into: &mut Vec<RemoteAddr>) -> Result<(), Fault> {
        let mut node = self.memory.pointer(head)?;
        let mut seen = HashSet::new();
        while node != head && !node.is_null() && into.len() < MOST_TASKS && seen.insert(node) {
            into.push(RemoteAddr(node.0.wrapping_sub(node_in_task)));
            node = self.memory.pointer(node)?;
        }
        Ok(())
    }

    /// The members of a set, or of a `WeakSet` (whose attribute `data` is a set of weak references).
    fn weak_or_plain_set(&self, object: RemoteAddr, into: &mut Vec<RemoteAddr>) -> Result<(), Fault> {
        let class = self.type_of(object)?;
        if class.is_builtin("set") {
            into.extend(self.set_members(object, MOST_TASKS)?);
            return Ok(());
        }
        let Some(data) = self.attribute(object, "data")? else { return Ok(()) };
        for reference in self.set_members(data, MOST_TASKS)? {
            // {header, wr_object, …}
            let task = self.memory.pointer(reference.plus(self.layout.object.header))?;
            if !task.is_null() {
                into.push(task);
            }
        }
        Ok(())
    }

    /// The members of a set.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn set_members(&self, set: RemoteAddr, limit: usize) -> Result<Vec<RemoteAddr>, Fault> {
        let layout = &self.layout.set;
        let mask = self.memory.u64(set.plus(layout.mask))?;
        if mask >= LARGEST_SET {
            return Err(Fault::Unreadable(set));
        }
        let table = self.memory.pointer(set.plus(layout.table))?;
        let words = self.pointers(table, (mask + 1) * 2)?;
        let used = self.memory.u64(set.plus(layout.used))?;
        // {key, hash} a slot; deleted ones hold a dummy whose hash is -1.
        let members = words.as_chunks().0.iter().filter(|[key, hash]| !key.is_null() && hash.0 != u64::MAX).map(|[key, _]| *key);
        Ok(members.take(limit.min(usize::try_from(used).unwrap_or(0))).collect())
    }

    /// Where the fields of asyncio's tasks are, seen from one of them: its coroutine is the only field that is one, and
    /// neighbours follow a fixed order (`fut_waiter`, `coro`, `name`) in all versions.
    ///
    /// # Errors
    /// When the task cannot be read.
    pub fn learn_task_layout(&self, task: RemoteAddr) -> Result<Option<TaskLayout>, Fault> {
        let class = self.type_of(task)?;
        if class.name != "_asyncio.Task" && !class.name.ends_with("Task") {
            return Ok(None);
        }
        let size = class.basicsize.min(512);
        for offset in (self.layout.object.header..size.saturating_sub(8)).step_by(8) {
            let field = self.memory.pointer(task.plus(offset))?;
            if !field.is_null() && self.type_of(field).is_ok_and(|class| class.name == "coroutine") {
                return Ok(Some(TaskLayout { coroutine: offset, waiter: offset - 8, name: offset + 8 }));
            }
        }
        Ok(None)
    }

    /// Reads a task.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn task(&self, at: RemoteAddr, layout: TaskLayout) -> Result<RemoteTask, Fault> {
        let name = self.memory.pointer(at.plus(layout.name))?;
        let name = self.text(name).or_else(|_| self.int(name).map(|number| format!("Task-{number}"))).unwrap_or_default();
        Ok(RemoteTask {
            at,
            name,
            event_loop: self.memory.pointer(at.plus(self.layout.object.header))?,
            waiter: self.memory.pointer(at.plus(layout.waiter))?,
            waiter_at: Some(at.plus(layout.waiter)),
            frames: self.coroutine_frames(self.memory.pointer(at.plus(layout.coroutine))?)?,
        })
    }

    /// The task that each thread's event loop runs right now, where the interpreter says so.
    ///
    /// # Errors
    /// When asyncio's registers cannot be read.
    pub fn current_tasks(&self, interpreter: RemoteAddr) -> Result<Vec<RemoteAddr>, Fault> {
        let Some(module) = self.module(interpreter, "asyncio.tasks")? else { return Ok(Vec::new()) };
        let Some(current) = self.attribute(module, "_current_tasks")? else { return Ok(Vec::new()) };
        Ok(self.dict_entries(current, 1024)?.into_iter().map(|entry| entry.value).collect())
    }
}

const LARGEST_SET: u64 = 1 << 22;

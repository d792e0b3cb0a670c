//! Which locks a strand holds and which one it waits for, read off its frames: a `with` block leaves the lock's exit on
//! the value stack, an acquisition in progress leaves the lock itself, and re-entrant locks name their owners.

use std::collections::HashMap;

use racetrace_probes::opcode::Op;

use crate::cpython::lock::LockState;
use crate::cpython::python::Python;
use crate::event::Patience;
use crate::target::address::RemoteAddr;
use crate::target::memory::Memory;
use crate::target::threads::Activity;

use super::strand::Activation;

/// A lock that a strand holds, by a `with` statement of one of its frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldLock {
    pub lock: RemoteAddr,
    /// What stands in the `with` statement: the lock, or something with a lock inside, such as a condition.
    pub entered: RemoteAddr,
    pub by_task: bool,
    /// What lies on the value stack while it is held: the exit, and what is above; from this slot on.
    pub slot: u32,
    pub pair: [RemoteAddr; 2],
    /// Index into the strand's frames.
    pub frame: usize,
    /// Offset of the instruction that took it.
    pub entered_at: u32,
}

/// A lock that a strand cannot get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitedLock {
    pub lock: RemoteAddr,
    pub patience: Patience,
    pub by_task: bool,
    /// The code that waits also gives the lock back: no signal.
    pub mutex: bool,
}

/// `futex` on x86-64 and aarch64.
#[cfg(target_arch = "x86_64")]
const FUTEX: i64 = 202;
#[cfg(not(target_arch = "x86_64"))]
const FUTEX: i64 = 98;

/// The locks of all `with` blocks that the frames are in.
pub fn held<M: Memory>(python: &Python<M>, frames: &[Activation]) -> Vec<HeldLock> {
    let mut found: Vec<HeldLock> = Vec::new();
    for (index, activation) in frames.iter().enumerate() {
        let site = activation.code.site(activation.offset);
        for &(slot, entered_at) in &site.exits {
            let Ok(pair) = python.slots_at(activation.frame.at, slot, 2) else { continue };
            let [exit, above] = pair[..] else { continue };
            let Ok(Some(entered)) = python.entered(exit, above) else { continue };
            let lock = if entered.is_async {
                async_lock(python, entered.object).then_some(entered.object)
            } else {
                python.lock_behind(entered.object).ok().flatten().filter(|lock| lock.locked).map(|lock| lock.at)
            };
            if let Some(lock) = lock
                && !waits_in_between(python, frames.get(..index).unwrap_or_default(), entered.object)
                && !found.iter().any(|held| held.lock == lock)
            {
                let by_task = entered.is_async;
                let pair = [exit, above];
                found.push(HeldLock { lock, entered: entered.object, by_task, slot, pair, frame: index, entered_at });
            }
        }
    }
    found
}

/// Is the frame entering a `with` block, or does its code release what it acquires?
fn gives_back(frame: &Activation) -> bool {
    let flow = frame.code.flow();
    let op = flow.and_then(|flow| flow.list().get(flow.instructions.at(frame.offset)?).map(|found| found.op));
    let enters = matches!(op, Some(Op::BeforeWith | Op::SetupWith | Op::LoadSpecial));
    // From 3.14 on a `with` statement calls what LOAD_SPECIAL has loaded.
    let code = &frame.code.remote.code;
    enters || code.names.iter().any(|name| name == "release") || !code.names.iter().any(|name| name == "acquire")
}

/// Does a frame further in wait on the condition that was entered? It gives the lock back meanwhile.
fn waits_in_between<M: Memory>(python: &Python<M>, inner: &[Activation], entered: RemoteAddr) -> bool {
    inner.iter().any(|frame| {
        is_threadings(frame, &["wait"]) && python.slots(frame.frame.at, 1).is_ok_and(|slots| slots.first() == Some(&entered))
    })
}

/// Is it one of these functions of module `threading`?
fn is_threadings(frame: &Activation, names: &[&str]) -> bool {
    let code = &frame.code.remote.code;
    names.contains(&code.name.as_str()) && code.filename.ends_with("/threading.py")
}

/// An `asyncio.Lock` that is locked.
fn async_lock<M: Memory>(python: &Python<M>, object: RemoteAddr) -> bool {
    python.type_of(object).is_ok_and(|class| class.name == "Lock")
        && matches!(python.attribute(object, "_locked"), Ok(Some(flag)) if python.int(flag) == Ok(1))
}

/// The lock whose acquisition the innermost frame is in, if the thread sleeps for it now.
pub fn waited<M: Memory>(python: &Python<M>, frames: &[Activation], activity: impl FnOnce() -> Activity) -> Option<WaitedLock> {
    let innermost = frames.first()?;
    let first = innermost.locals();
    let site = innermost.code.site(innermost.offset);
    // What the blocks around left there is held, not waited for.
    let is_exit = |slot: u32| site.exits.iter().any(|(exit, _)| *exit == slot || (python.exits_are_pairs() && *exit + 1 == slot));
    let entries = python.slots_at(innermost.frame.at, first, site.depth.saturating_sub(first)).ok()?;
    let candidates: Vec<LockState> = entries
        .into_iter()
        .zip(first..site.depth)
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .filter(|(_, slot)| !is_exit(*slot))
        .filter_map(|(entry, _)| acquiring(python, entry))
        .filter(|lock| lock.locked)
        .collect();
    if candidates.is_empty() {
        return None;
    }
    let Activity::Waiting { call: FUTEX, arguments: [word, _, _, timeout], .. } = activity() else { return None };
    let exact = candidates.iter().find(|lock| lock.futex == Some(RemoteAddr(word)));
    // Locks that sleep in the parking lot have no word of their own; one that has, and another, is not waited for.
    let lock = exact.or_else(|| candidates.iter().find(|lock| lock.futex.is_none() && lock.contended))?;
    let patience = if timeout == 0 { Patience::Forever } else { Patience::Timeout };
    Some(WaitedLock { lock: lock.at, patience, by_task: false, mutex: gives_back(innermost) })
}

/// Is a thread in a system call other than one that waits for a lock, or the GIL?
pub fn waits_for_others(activity: Activity) -> bool {
    matches!(activity, Activity::Waiting { call, .. } if call != FUTEX)
}

/// `get_ident()` of the thread for whose end the innermost frame waits, without a limit of time.
pub fn joined<M: Memory>(python: &Python<M>, frames: &[Activation], activity: impl FnOnce() -> Activity) -> Option<u64> {
    let innermost = frames.first().filter(|frame| is_threadings(frame, &["join", "_wait_for_tstate_lock"]))?;
    let thread = *python.slots(innermost.frame.at, 1).ok()?.first().filter(|thread| !thread.is_null())?;
    let ident = python.ident(python.attribute(thread, "_ident").ok()??)?;
    matches!(activity(), Activity::Waiting { call: FUTEX, arguments: [_, _, _, 0], .. }).then_some(ident)
}

/// The lock that a value-stack entry has to do with: itself, or the receiver of a bound `acquire` or `__enter__`, or of
/// the `__exit__` that a `with` statement has put there before it enters (to 3.11).
fn acquiring<M: Memory>(python: &Python<M>, slot: RemoteAddr) -> Option<LockState> {
    if slot.is_null() {
        return None;
    }
    if let Ok(Some(lock)) = python.lock(slot) {
        return Some(lock);
    }
    match python.callable(slot) {
        Ok(Some((name, Some(receiver)))) if matches!(name.as_str(), "acquire" | "__enter__" | "__exit__") => {
            python.lock(receiver).ok().flatten()
        }
        _ => None,
    }
}

/// The asyncio lock for which a suspended task waits: its innermost coroutine is `asyncio.Lock.acquire`.
pub fn waited_by_task<M: Memory>(python: &Python<M>, frames: &[Activation]) -> Option<WaitedLock> {
    let innermost = frames.first()?;
    let code = &innermost.code.remote.code;
    if code.name != "acquire" || !code.filename.ends_with("asyncio/locks.py") {
        return None;
    }
    let lock = *python.slots(innermost.frame.at, 1).ok()?.first()?;
    async_lock(python, lock).then_some(WaitedLock { lock, patience: Patience::Forever, by_task: true, mutex: true })
}

/// A name for a lock, from the frames that use it: the attribute or global that holds it.
pub fn name<M: Memory>(python: &Python<M>, frames: &[Activation], lock: RemoteAddr) -> Option<String> {
    for activation in frames {
        let slots = python.slots(activation.frame.at, activation.locals()).unwrap_or_default();
        let receivers = slots.into_iter().filter(|slot| !slot.is_null());
        for receiver in receivers {
            if let Some(name) = python.attribute_holding(receiver, lock) {
                return Some(name);
            }
        }
        if let Some(name) = python.global_holding(activation.frame.globals, lock) {
            return Some(name);
        }
    }
    None
}

/// What the local variables of some frames hold, by address: `function.variable`, rather one that was assigned than a parameter.
pub struct Locals {
    assigned: HashMap<RemoteAddr, String>,
    parameters: HashMap<RemoteAddr, String>,
}

impl Locals {
    pub fn read<'a, M: Memory>(python: &Python<M>, frames: impl Iterator<Item = &'a Activation>) -> Locals {
        let mut locals = Locals { assigned: HashMap::new(), parameters: HashMap::new() };
        for activation in frames {
            let code = &activation.code.remote.code;
            let slots = python.slots(activation.frame.at, activation.locals()).unwrap_or_default();
            for (index, (slot, variable)) in
                slots.into_iter().zip(&code.locals).enumerate().filter(|(_, (slot, _))| !slot.is_null())
            {
                let is_cell = python.type_of(slot).is_ok_and(|class| class.is_builtin("cell"));
                let content = || python.memory.pointer(slot.plus(python.layout.object.header)).ok();
                let Some(value) = (if is_cell { content() } else { Some(slot) }) else { continue };
                let is_parameter = index < code.argcount.saturating_add(code.kwonly) as usize;
                let names = if is_parameter { &mut locals.parameters } else { &mut locals.assigned };
                names.entry(value).or_insert_with(|| format!("{}.{variable}", code.name));
            }
        }
        locals
    }

    pub fn name(&self, lock: RemoteAddr) -> Option<String> {
        self.assigned.get(&lock).or_else(|| self.parameters.get(&lock)).cloned()
    }
}

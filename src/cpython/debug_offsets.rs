//! `_Py_DebugOffsets`: how an interpreter describes itself, at the start of its runtime (CPython 3.13 and later).
//! It takes over what a build may vary; the rest of a layout comes from the tables.

use crate::target::address::RemoteAddr;
use crate::target::memory::{Fault, Memory};

use super::layout::Layout;

const COOKIE: &[u8; 8] = b"xdebugpy";

/// The description's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preamble {
    /// `PY_VERSION_HEX`.
    pub version_hex: u32,
    pub free_threaded: bool,
}

/// Reads the start, if the cookie is there.
///
/// # Errors
/// When the address cannot be read.
pub fn preamble(memory: &impl Memory, runtime: RemoteAddr) -> Result<Option<Preamble>, Fault> {
    let mut bytes = [0; 24];
    memory.read(runtime, &mut bytes)?;
    let word =
        |index: usize| bytes.get(index * 8..index * 8 + 8).and_then(|word| word.try_into().ok()).map_or(0, u64::from_ne_bytes);
    if bytes[..8] != *COOKIE {
        return Ok(None);
    }
    Ok(u32::try_from(word(1)).ok().map(|version_hex| Preamble { version_hex, free_threaded: word(2) != 0 }))
}

/// The names of the words behind the preamble, in order, per minor version: `group.field`.
fn words(minor: u8) -> &'static [&'static str] {
    match minor {
        13 => &WORDS_3_13,
        14 => &WORDS_3_14,
        15 => &WORDS_3_15,
        _ => &[],
    }
}

/// Replaces what the interpreter says about itself in the table. Values that no structure can have are left alone.
///
/// # Errors
/// When the description cannot be read.
pub fn apply(memory: &impl Memory, runtime: RemoteAddr, minor: u8, layout: &mut Layout) -> Result<(), Fault> {
    let names = words(minor);
    let bytes = memory.bytes(runtime.plus(24), names.len() * 8)?;
    for (name, word) in names.iter().zip(bytes.chunks_exact(8)) {
        let Ok(word) = word.try_into().map(u64::from_ne_bytes) else { continue };
        if word < LARGEST_OFFSET
            && let Some(place) = place(layout, name)
        {
            *place = word;
        }
    }
    Ok(())
}

/// Where an interpreter takes requests of debuggers (PEP 768, 3.14 and later).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DebuggerSupport {
    /// In a thread state.
    pub eval_breaker: u64,
    pub pending_call: u64,
    pub script_path: u64,
    /// In an interpreter state: an int, 1 where requests are taken.
    pub enabled: u64,
    pub script_path_size: u64,
}

/// What the description says of it, behind all else.
///
/// # Errors
/// When the description cannot be read.
pub fn debugger_support(memory: &impl Memory, runtime: RemoteAddr, minor: u8) -> Result<Option<DebuggerSupport>, Fault> {
    /// The two words of `llist_node` lie in between.
    const BETWEEN: usize = 2;
    if minor < 14 || words(minor).is_empty() {
        return Ok(None);
    }
    let at = runtime.plus(24 + 8 * (words(minor).len() + BETWEEN) as u64);
    let mut support = [0; 6];
    for (word, bytes) in support.iter_mut().zip(memory.bytes(at, 6 * 8)?.as_chunks().0) {
        *word = u64::from_ne_bytes(*bytes);
    }
    let [eval_breaker, support_at, enabled, pending_call, script_path, script_path_size] = support;
    let sane = support.iter().all(|&word| word < LARGEST_OFFSET) && script_path_size > 1 && script_path > pending_call;
    Ok(sane.then_some(DebuggerSupport {
        eval_breaker,
        pending_call: support_at + pending_call,
        script_path: support_at + script_path,
        enabled,
        script_path_size,
    }))
}

/// `PyInterpreterState` is the largest structure, below 1 MiB in all versions.
const LARGEST_OFFSET: u64 = 1 << 20;

fn place<'a>(layout: &'a mut Layout, name: &str) -> Option<&'a mut u64> {
    Some(match name {
        "runtime.interpreters_head" => &mut layout.runtime.interpreters_head,
        "interpreter.id" => &mut layout.interpreter.id,
        "interpreter.next" => &mut layout.interpreter.next,
        "interpreter.threads_head" => &mut layout.interpreter.threads_head,
        "interpreter.modules" => &mut layout.interpreter.modules,
        "interpreter.gil" => return layout.interpreter.gil.as_mut(),
        "thread.next" => &mut layout.thread.next,
        "thread.interp" => &mut layout.thread.interpreter,
        "thread.frame" => &mut layout.thread.frame,
        "thread.thread_id" => &mut layout.thread.thread_id,
        "thread.native_thread_id" => return layout.thread.native_thread_id.as_mut(),
        "frame.previous" => &mut layout.frame.previous,
        "frame.executable" => &mut layout.frame.code,
        "frame.instr_ptr" => return layout.frame.instruction.as_mut(),
        "frame.localsplus" => &mut layout.frame.slots,
        "frame.owner" => return layout.frame.owner.as_mut(),
        "frame.stackpointer" => return layout.frame.stack_pointer.as_mut(),
        "code.filename" => &mut layout.code.filename,
        "code.name" => &mut layout.code.name,
        "code.qualname" => return layout.code.qualname.as_mut(),
        "code.linetable" => &mut layout.code.line_table,
        "code.firstlineno" => &mut layout.code.firstlineno,
        "code.argcount" => &mut layout.code.argcount,
        "code.localsplusnames" => return layout.code.localsplusnames.as_mut(),
        "code.adaptive" => return layout.code.adaptive.as_mut(),
        "object.type" => &mut layout.object.r#type,
        "type.name" => &mut layout.r#type.name,
        "type.flags" => &mut layout.r#type.flags,
        "tuple.items" => &mut layout.tuple.items,
        "list.items" => &mut layout.list.items,
        "dict.keys" => &mut layout.dict.keys,
        "dict.values" => &mut layout.dict.values,
        "int.tag" => &mut layout.int.size,
        "int.digits" => &mut layout.int.digits,
        "bytes.data" => &mut layout.bytes.data,
        "text.state" => &mut layout.text.state,
        "text.length" => &mut layout.text.length,
        "text.ascii" => &mut layout.text.ascii,
        "generator.frame" => &mut layout.generator.frame,
        "generator.state" => return layout.generator.state.as_mut(),
        _ => return None,
    })
}

#[rustfmt::skip]
const WORDS_3_13: [&str; 70] = [
    "runtime.size", "runtime.finalizing", "runtime.interpreters_head", "interpreter.size", "interpreter.id",
    "interpreter.next", "interpreter.threads_head", "interpreter.gc", "interpreter.modules", "interpreter.sysdict",
    "interpreter.builtins", "interpreter.gil", "interpreter.gil_state", "interpreter.gil_enabled",
    "interpreter.gil_locked", "interpreter.gil_holder", "thread.size", "thread.prev", "thread.next", "thread.interp",
    "thread.frame", "thread.thread_id", "thread.native_thread_id", "thread.datastack", "thread.status", "frame.size",
    "frame.previous", "frame.executable", "frame.instr_ptr", "frame.localsplus", "frame.owner", "code.size",
    "code.filename", "code.name", "code.qualname", "code.linetable", "code.firstlineno", "code.argcount",
    "code.localsplusnames", "code.localspluskinds", "code.adaptive", "object.size", "object.type", "type.size",
    "type.name", "type.repr", "type.flags", "tuple.size", "tuple.items", "tuple.ob_size", "list.size", "list.items",
    "list.ob_size", "dict.size", "dict.keys", "dict.values", "float.size", "float.value", "int.size", "int.tag",
    "int.digits", "bytes.size", "bytes.ob_size", "bytes.data", "text.size", "text.state", "text.length", "text.ascii",
    "gc.size", "gc.collecting",
];

#[rustfmt::skip]
const WORDS_3_14: [&str; 84] = [
    "runtime.size", "runtime.finalizing", "runtime.interpreters_head", "interpreter.size", "interpreter.id",
    "interpreter.next", "interpreter.threads_head", "interpreter.threads_main", "interpreter.gc",
    "interpreter.modules", "interpreter.sysdict", "interpreter.builtins", "interpreter.gil", "interpreter.gil_state",
    "interpreter.gil_enabled", "interpreter.gil_locked", "interpreter.gil_holder", "interpreter.code_generation",
    "interpreter.tlbc_generation", "thread.size", "thread.prev", "thread.next", "thread.interp", "thread.frame",
    "thread.thread_id", "thread.native_thread_id", "thread.datastack", "thread.status", "frame.size",
    "frame.previous", "frame.executable", "frame.instr_ptr", "frame.localsplus", "frame.owner", "frame.stackpointer",
    "frame.tlbc_index", "code.size", "code.filename", "code.name", "code.qualname", "code.linetable",
    "code.firstlineno", "code.argcount", "code.localsplusnames", "code.localspluskinds", "code.adaptive", "code.tlbc",
    "object.size", "object.type", "type.size", "type.name", "type.repr", "type.flags", "tuple.size", "tuple.items",
    "tuple.ob_size", "list.size", "list.items", "list.ob_size", "set.size", "set.used", "set.table", "set.mask",
    "dict.size", "dict.keys", "dict.values", "float.size", "float.value", "int.size", "int.tag", "int.digits",
    "bytes.size", "bytes.ob_size", "bytes.data", "text.size", "text.state", "text.length", "text.ascii", "gc.size",
    "gc.collecting", "generator.size", "generator.name", "generator.frame", "generator.state",
];

#[rustfmt::skip]
const WORDS_3_15: [&str; 100] = [
    "runtime.size", "runtime.finalizing", "runtime.interpreters_head", "interpreter.size", "interpreter.id",
    "interpreter.next", "interpreter.threads_head", "interpreter.threads_main", "interpreter.gc",
    "interpreter.modules", "interpreter.sysdict", "interpreter.builtins", "interpreter.gil", "interpreter.gil_state",
    "interpreter.gil_enabled", "interpreter.gil_locked", "interpreter.gil_holder", "interpreter.code_generation",
    "interpreter.tlbc_generation", "thread.size", "thread.prev", "thread.next", "thread.interp", "thread.frame",
    "thread.base_frame", "thread.last_profiled_frame", "thread.last_profiled_sequence", "thread.thread_id",
    "thread.native_thread_id", "thread.datastack", "thread.status", "thread.holds_gil", "thread.gil_requested",
    "thread.current_exception", "thread.exc_state", "exception.value", "frame.size", "frame.previous",
    "frame.executable", "frame.instr_ptr", "frame.localsplus", "frame.owner", "frame.stackpointer",
    "frame.tlbc_index", "code.size", "code.filename", "code.name", "code.qualname", "code.linetable",
    "code.firstlineno", "code.argcount", "code.localsplusnames", "code.localspluskinds", "code.adaptive", "code.tlbc",
    "object.size", "object.type", "type.size", "type.name", "type.repr", "type.flags", "type.basicsize",
    "type.dictoffset", "heap_type.size", "heap_type.cached_keys", "tuple.size", "tuple.items", "tuple.ob_size",
    "list.size", "list.items", "list.ob_size", "set.size", "set.used", "set.table", "set.mask", "dict.size",
    "dict.keys", "dict.values", "float.size", "float.value", "int.size", "int.tag", "int.digits", "bytes.size",
    "bytes.ob_size", "bytes.data", "text.size", "text.state", "text.length", "text.ascii", "text.compact", "gc.size",
    "gc.collecting", "gc.frame", "gc.generation_stats_size", "gc.generation_stats", "generator.size",
    "generator.name", "generator.frame", "generator.state",
];

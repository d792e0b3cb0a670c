//! Files that strands write to in pieces: a record whose first piece has been written and whose next one is to come, and
//! handles of their own that are about to write from a place of their own. Of Python's own file objects; what the file
//! holds is not looked at.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;

use racetrace_probes::access::called_name;
use racetrace_probes::call::Call;
use racetrace_probes::code::Code;
use racetrace_probes::flow::{Flow, Value};
use racetrace_probes::ident::{Idents, name_index, name_text};
use racetrace_probes::opcode::Op;
use racetrace_probes::plan::Place;

use crate::cpython::python::Python;
use crate::target::address::RemoteAddr;
use crate::target::memory::Memory;

use super::site::reaches;
use super::strand::Activation;
use super::value::Scope;

/// A write that a strand will do.
pub(super) struct Writing {
    pub frame: usize,
    /// Offset of the write that has begun the record.
    pub first: Option<u32>,
    pub write: u32,
    /// The file object that the program writes to.
    pub file: RemoteAddr,
    pub name: String,
    pub fd: u32,
    /// The open file in the file system, once it has been asked for.
    pub inode: Option<(u64, u64)>,
    pub locals: Vec<RemoteAddr>,
}

/// What static analysis says about one position.
#[derive(Debug, Clone, Default)]
pub(super) struct WriteSite {
    /// Writes that may have begun a record, and those that come next.
    between: Vec<(usize, usize)>,
    /// Writes that may come.
    ahead: Vec<usize>,
}

/// Functions that move to a place in a file.
const MOVES: &[&str] = &["seek", "truncate", "lseek", "pwrite", "mmap"];

impl WriteSite {
    pub fn new(code: &Code, flow: &Flow, offset: u32) -> WriteSite {
        let mut site = WriteSite::default();
        let Some(at) = flow.instructions.at(offset) else { return site };
        let writes = writes(code, flow);
        let others = |write: usize| writes.iter().copied().filter(move |other| *other != write);
        if writes.contains(&at) {
            return site;
        }
        for first in writes.iter().copied() {
            // The one that may go on with the record is the next, whichever way control takes.
            let next = others(first).filter(|write| reaches(flow, first, *write, &writes_but(&writes, *write)));
            let next: Vec<usize> = next.collect();
            if let [second] = next[..]
                && reaches(flow, first, at, &writes)
                && reaches(flow, at, second, &writes_but(&writes, second))
                && !reaches(flow, at, first, &writes_but(&writes, first))
            {
                site.between.push((first, second));
            }
        }
        if !code.names.iter().any(|name| MOVES.contains(&name.as_str())) {
            site.ahead.extend(writes.iter().copied().filter(|write| reaches(flow, at, *write, &[])));
        }
        site
    }
}

fn writes_but(writes: &[usize], but: usize) -> Vec<usize> {
    writes.iter().copied().filter(|write| *write != but).collect()
}

/// Calls of `x.write(one)`.
fn writes(code: &Code, flow: &Flow) -> Vec<usize> {
    if !code.names.iter().any(|name| name == "write") {
        return Vec::new();
    }
    let idents = Idents::new(code, flow);
    let is_write = |at: &usize| {
        let call = Call::at(flow, code, *at).filter(|call| call.arguments == 1 && call.keywords == 0);
        call.is_some_and(|call| called_name(code, &idents, &call) == Some("write"))
    };
    (0..flow.list().len()).filter(|at| flow.reached(*at)).filter(is_write).collect()
}

/// Is what the call writes certain not to end a line?
fn begins_a_record<M: Memory>(scope: &Scope<'_, M>, at: usize) -> bool {
    let text = Call::at(scope.flow, scope.code(), at).and_then(|call| call.argument(scope.flow, 0));
    text.is_some_and(|text| goes_on(scope, text, 4))
}

/// The constants themselves are asked: of what is known of code, only their beginnings are kept.
fn goes_on<M: Memory>(scope: &Scope<'_, M>, text: Value, further: usize) -> bool {
    let flow = scope.flow;
    let (Some(further), Some((at, maker))) = (further.checked_sub(1), flow.maker(text)) else { return false };
    match maker.op {
        Op::LoadConst => {
            let text = scope.place(at, Place::Const(maker.arg)).and_then(|constant| scope.python.text(constant).ok());
            text.is_some_and(|text| !text.is_empty() && !text.ends_with(['\n', '\r']))
        }
        Op::BinaryAdd | Op::InplaceAdd => goes_on(scope, flow.operand(at, 1), further),
        Op::BinaryOp if matches!(maker.arg, 0 | 13) => goes_on(scope, flow.operand(at, 1), further),
        Op::BuildString => flow.uses(at).last().is_some_and(|last| goes_on(scope, *last, further)),
        _ => false,
    }
}

/// The writes of that sort that a frame stands before.
pub(super) fn read_writings<M: Memory>(python: &Python<M>, activation: &Activation, frame: usize) -> Vec<Writing> {
    let site = activation.code.write_site(activation.offset);
    if site.between.is_empty() && site.ahead.is_empty() {
        return Vec::new();
    }
    let Some(scope) = Scope::of_frame(python, activation) else { return Vec::new() };
    let receiver = |at: usize| {
        let call = Call::at(scope.flow, scope.code(), at)?;
        let (_, maker) = scope.flow.maker(call.callee)?;
        let is_write = name_text(scope.code(), name_index(&maker, scope.flow.minor)) == Some("write");
        scope.owner_of(call.callee).filter(|_| is_write)
    };
    let offset = |at: usize| scope.flow.list().get(at).map_or(0, |found| found.offset);
    let mut found: Vec<Writing> = Vec::new();
    let pairs = site.between.iter().map(|(first, second)| (Some(*first), *second));
    for (first, write) in pairs.chain(site.ahead.iter().map(|write| (None, *write))) {
        if first.is_some_and(|first| !begins_a_record(&scope, first)) {
            continue;
        }
        let Some(file) = receiver(write).filter(|file| first.is_none_or(|first| receiver(first) == Some(*file))) else {
            continue;
        };
        if found.iter().any(|known| known.file == file && known.first.is_some() >= first.is_some()) {
            continue;
        }
        let Some((fd, name)) = opened(python, file) else { continue };
        let Ok(locals) = python.raw_slots(activation.frame.at, activation.locals()) else { continue };
        found.push(Writing { frame, first: first.map(offset), write: offset(write), file, name, fd, inode: None, locals });
    }
    found
}

/// The descriptor and name behind a file object: `io.TextIOWrapper`, a buffer, a raw file.
pub(super) fn opened<M: Memory>(python: &Python<M>, file: RemoteAddr) -> Option<(u32, String)> {
    let header = python.layout.object.header;
    let mut at = file;
    for _ in 0..3 {
        let class = python.type_of(at).ok()?;
        at = match class.name.as_str() {
            // {header, ok, detached, chunk size, buffer, …}
            "_io.TextIOWrapper" => python.memory.pointer(at.plus(header + 16)).ok()?,
            // {header, raw, …}
            "_io.BufferedWriter" => python.memory.pointer(at.plus(header)).ok()?,
            // {header, fd, …}
            "_io.FileIO" => {
                let fd = python.memory.u32(at.plus(header)).ok().filter(|fd| fd.cast_signed() > 2)?;
                let name = python.text(python.attribute(at, "name").ok()??).ok()?;
                return Some((fd, name));
            }
            _ => return None,
        };
    }
    None
}

/// Keeps what another strand writes to as well: a record of its own that has begun, or the same file by another handle.
pub(super) fn keep_shared(pid: u32, strands: &mut [&mut Vec<Writing>]) {
    let mut records: HashMap<RemoteAddr, Vec<usize>> = HashMap::new();
    let mut names: HashMap<String, Vec<(usize, RemoteAddr)>> = HashMap::new();
    for (strand, writings) in strands.iter().enumerate() {
        for writing in writings.iter() {
            if writing.first.is_some() {
                records.entry(writing.file).or_default().push(strand);
            }
            names.entry(writing.name.clone()).or_default().push((strand, writing.file));
        }
    }
    let mut handles: HashMap<(u64, u64), Vec<RemoteAddr>> = HashMap::new();
    for (strand, writings) in strands.iter_mut().enumerate() {
        for writing in writings.iter_mut() {
            let elsewhere = |(other, file): &(usize, RemoteAddr)| *other != strand && *file != writing.file;
            if names.get(&writing.name).is_some_and(|users| users.iter().any(elsewhere)) {
                writing.inode = overwriting(pid, writing.fd);
                if let Some(inode) = writing.inode {
                    handles.entry(inode).or_default().push(writing.file);
                }
            }
        }
    }
    for (strand, writings) in strands.iter_mut().enumerate() {
        for writing in writings.iter_mut() {
            let is_shared = records.get(&writing.file).is_some_and(|users| users.iter().any(|other| *other != strand));
            writing.first = writing.first.filter(|_| is_shared);
            let has_other =
                |inode: &(u64, u64)| handles.get(inode).is_some_and(|files| files.iter().any(|file| *file != writing.file));
            writing.inode = writing.inode.filter(has_other);
        }
        writings.retain(|writing| writing.first.is_some() || writing.inode.is_some());
    }
}

/// The regular file that a descriptor writes to from a place of its own: opened for nothing but writing, and not at its end.
fn overwriting(pid: u32, fd: u32) -> Option<(u64, u64)> {
    const O_ACCMODE: u32 = 0o3;
    const O_WRONLY: u32 = 0o1;
    const O_APPEND: u32 = 0o2000;
    let text = crate::target::procfs::read(&format!("/proc/{pid}/fdinfo/{fd}"))?;
    let flags = text.lines().find_map(|line| u32::from_str_radix(line.strip_prefix("flags:")?.trim(), 8).ok())?;
    if flags & O_ACCMODE != O_WRONLY || flags & O_APPEND != 0 {
        return None;
    }
    let file = std::fs::metadata(format!("/proc/{pid}/fd/{fd}")).ok().filter(std::fs::Metadata::is_file)?;
    Some((file.dev(), file.ino()))
}

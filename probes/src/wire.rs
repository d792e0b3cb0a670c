//! What the agent writes and the tool reads: one file in shared memory per process, with a ring of fixed-size records
//! and a ring of bytes for texts and code objects. This module lays out memory and packs fields; it maps nothing.
//!
//! File: [`Header`] (one page), then `slots` × [`Slot`], then `blob` bytes. All of it is allocated before it is mapped,
//! so that a full disk cannot turn into SIGBUS in the target. The producer owns `head` and `blob_head`, the consumer
//! `tail` and `blob_tail`. A slot is complete when its `stamp` is its sequence number plus one.

use std::sync::atomic::{AtomicU32, AtomicU64};

use crate::code::{Code, Const};

/// "racetrac" in ASCII.
pub const MAGIC: u64 = u64::from_le_bytes(*b"racetrac");
/// Raised with every change of what is laid out here.
pub const VERSION: u32 = 1;
pub const HEADER_BYTES: usize = 4096;

/// Records in the ring of one process: 64 bytes each.
pub const SLOTS: u64 = 1 << 16;
pub const BLOB_BYTES: u64 = 4 << 20;
/// Longest text or code object that is sent; longer ones are cut or not sent.
pub const BLOB_MAX: u64 = 1 << 20;

pub const FILE_BYTES: u64 = HEADER_BYTES as u64 + SLOTS * SLOT_BYTES as u64 + BLOB_BYTES;

/// Could the text be a name in a program? Such texts come again and again, and are not the program's data; both sides have to
/// agree, for labels of keys that are none are sent anew each time and forgotten.
pub fn is_name(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next().is_some_and(|first| first.is_alphabetic() || first == '_')
        && characters.all(|next| next.is_alphanumeric() || next == '_')
}

#[repr(C)]
pub struct Header {
    pub magic: AtomicU64,
    pub version: AtomicU32,
    pub pid: AtomicU32,
    pub parent: AtomicU32,
    /// What the target does when the ring is full, a [`Full`].
    pub when_full: AtomicU32,
    /// CLOCK_MONOTONIC in ns and the time-stamp counter at the same moment, twice: at the start, and refreshed by the
    /// consumer, so that record times (counter ticks) can be turned into ns.
    pub base_ns: AtomicU64,
    pub base_ticks: AtomicU64,
    _pad0: [u64; 10],
    /// Sequence number of the next record.
    pub head: AtomicU64,
    pub blob_head: AtomicU64,
    /// Records that were not written because the ring was full.
    pub dropped: AtomicU64,
    _pad1: [u64; 13],
    pub tail: AtomicU64,
    pub blob_tail: AtomicU64,
    /// Counted up by the consumer while it lives; a producer that waits for room and sees no change checks on it.
    pub heartbeat: AtomicU64,
    /// Pid of the consumer.
    pub consumer: AtomicU32,
    /// Set by either side: 0 recording, 1 the producer says goodbye, 2 the consumer wants the producer to stop.
    pub state: AtomicU32,
    /// Futex that the consumer wakes after it has made room.
    pub room: AtomicU32,
}

pub const STATE_RECORDING: u32 = 0;
pub const STATE_ENDED: u32 = 1;
pub const STATE_STOP: u32 = 2;

/// What to do when the ring is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Full {
    Wait = 0,
    Drop = 1,
}

pub const SLOT_BYTES: usize = 64;

/// One record. Which fields mean what is said with each [`Kind`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C, align(64))]
pub struct Slot {
    /// Sequence number + 1, written last.
    pub stamp: u64,
    /// Time-stamp counter (x86-64), else CLOCK_MONOTONIC in ns.
    pub time: u64,
    pub tid: u32,
    pub kind: u8,
    pub small: u8,
    pub short: u16,
    pub stack: u32,
    pub word: u32,
    pub a: u64,
    pub b: u64,
    pub c: u64,
    pub d: u64,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $value:literal,)*) => {
        /// The kinds of records. Names and meaning are those of the tool's `event::Event`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Kind { $($(#[$doc])* $name = $value,)* }
        impl Kind {
            pub fn from_byte(byte: u8) -> Option<Kind> {
                match byte { $($value => Some(Kind::$name),)* _ => None }
            }
        }
    };
}

kinds! {
    /// `word` id; `a` position and `b` length in the blob: UTF-8.
    Text = 1,
    /// `word` id; `a`, `b` blob: see [`encode_code`].
    Code = 2,
    /// `stack` id, `word` parent, `a` code, `b` offset.
    Stack = 3,
    /// `a` id, `small` shape, `word` type name, `b` label or 0.
    Object = 4,
    /// `a` id.
    ObjectEnd = 5,
    /// `a` id, `word` label.
    Key = 6,
    /// `a`, `b` blob: lines `key=value` (pid, parent, python, free_threaded, directory, argument …).
    Process = 7,
    /// `a` token, `stack`.
    ThreadStart = 10,
    /// `a` token or 0, `word` name.
    ThreadBegin = 11,
    /// `word` name.
    ThreadName = 12,
    ThreadEnd = 13,
    /// `a` token.
    ThreadJoin = 14,
    /// `a` task, `b` future channel, `word` name, `stack`.
    TaskNew = 15,
    /// `a` task or 0.
    TaskSwitch = 16,
    /// `stack`.
    Suspend = 17,
    /// `a` task.
    TaskEnd = 18,
    /// `a` channel, `b` the item that is put into it, or 0.
    Signal = 19,
    /// `a` channel, `b` the item that was got out of it, or 0.
    Observe = 20,
    /// `a` lock, `small` kind (0 Lock, 1 RLock, 2 Semaphore, 3 AsyncLock, 4 AsyncSemaphore, 5 File), `b` initial value, `stack`.
    LockNew = 21,
    /// `a` lock, `small` patience (0 for ever, 1 timeout, 2 never), `stack`.
    LockWait = 22,
    /// As `LockWait`.
    LockAcquired = 23,
    /// As `LockWait`.
    LockFailed = 24,
    /// `a` lock, `stack`.
    LockReleased = 25,
    /// `small` what for (0 a thread: `a` token; 1 all threads; 2 a channel: `a`), `stack`.
    Block = 26,
    /// `stack`, `small` action, `short` value tag, `word` value text, `a` object, `b` key, `c` value, `d` frame.
    Access = 30,
    /// `a` object, `b` iterator, `c` its number of elements (all ones: unknown), `d` frame, `stack`.
    IterBegin = 31,
    /// `b` iterator.
    IterEnd = 32,
    /// `d` frame, `word` code.
    Enter = 33,
    /// `b` iterator, `c` elements in what is walked (all ones: unknown), `stack`: the loop asks for another element.
    IterNext = 34,
    /// `a` file, `b` inode, `c` fd, `word` path, `small` mode, `stack`.
    FileOpen = 40,
    /// `a` file, `b` inode, `c` length (low 32) and fd (high 32), `small` level, `short` bit 0 append, bit 1 ends with
    /// a newline, `stack`, `d` frame.
    FileWrite = 41,
    /// `a` file.
    FileClose = 42,
    /// `word` path, `stack`, `d` frame.
    PathCheck = 43,
    /// `word` path, `small` effect, `short` bit 0 tolerant, bit 1 failed, `stack`, `d` frame.
    PathUse = 44,
    /// Something has come in from another process.
    Hear = 45,
    /// A pool's thread begins with what was handed to the pool last, and is done with it.
    JobBegin = 46,
    JobEnd = 47,
    /// From here on what the thread holds and was told is not known, until `Settled`.
    Unsettled = 48,
    Settled = 49,
    /// `word` name, `a` file name, `b` line, `stack` where it was dropped.
    CoroutineDropped = 50,
    /// `a` ns: the thread's event loop waited so long for something to do. 0: it will say so from here on.
    LoopWaited = 51,
    /// `a` lost records.
    Gap = 60,
    ProcessEnd = 61,
    /// `word` what, `a` why.
    NotWatched = 62,
    /// `word` name: a test begins (or, with 0, ends) on this thread.
    Test = 63,
    /// `word` name: what `multiprocessing` calls this process.
    ProcessName = 64,
    /// `word` what in the memory that processes share, the same in all of them; `small` action (read or write), `stack`, `d`
    /// frame.
    Shared = 65,
    /// Into the container `a` the object `b` is put that somebody has touched before.
    Offered = 66,
    /// Out of the container `a`, into which such objects were put, one is taken.
    Taken = 67,
}

/// Tags of `short` in an `Access`: what the value in `c` / `word` is.
pub mod value {
    pub const UNKNOWN: u16 = 0;
    pub const NONE: u16 = 1;
    /// `c` 0 or 1.
    pub const BOOL: u16 = 2;
    /// `c` as i64.
    pub const INT: u16 = 3;
    /// `c` bits of an f64.
    pub const FLOAT: u16 = 4;
    /// `word` text.
    pub const TEXT: u16 = 5;
    /// `c` identity, `word` type name.
    pub const OBJECT: u16 = 6;
}

/// How the name of what processes share begins (`Shared`), where it is an object that a manager keeps.
pub const MANAGED: &str = "manager";

/// `small` of an `Access`.
pub mod action {
    pub const READ: u8 = 0;
    pub const WRITE: u8 = 1;
    pub const DELETE: u8 = 2;
    pub const INSERT: u8 = 3;
    pub const UPDATE: u8 = 4;
    pub const REPLACE: u8 = 5;
}

/// `small` of an `Object`, in the order of the tool's `event::Shape`.
pub mod shape {
    pub const MODULE: u8 = 0;
    pub const INSTANCE: u8 = 1;
    pub const CLASS: u8 = 2;
    pub const CELL: u8 = 3;
    pub const DICT: u8 = 4;
    pub const LIST: u8 = 5;
    pub const SET: u8 = 6;
    pub const DEQUE: u8 = 7;
    pub const QUEUE: u8 = 8;
    pub const LOCK: u8 = 9;
    pub const FILE: u8 = 10;
    pub const OTHER: u8 = 11;
    /// A mapping that is no dict, of a class whose own code is not watched.
    pub const MAPPING: u8 = 12;
    /// Numbers side by side (`bytearray`, `array.array`): only single items count, by their index.
    pub const ARRAY: u8 = 13;
}

/// Where code comes from, decided in the target, which knows its paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Origin {
    #[default]
    User = 0,
    /// site-packages, dist-packages.
    Library = 1,
    /// The standard library, frozen and generated code.
    Standard = 2,
}

/// A code object as it travels: module, origin, code.
pub fn encode_code(module: &str, origin: Origin, code: &Code) -> Vec<u8> {
    let mut out = Vec::with_capacity(256 + code.bytecode.len());
    out.push(origin as u8);
    put_text(&mut out, module);
    put_text(&mut out, &code.filename);
    put_text(&mut out, &code.name);
    put_text(&mut out, &code.qualname);
    for number in [
        code.first_line,
        code.flags,
        code.argcount,
        code.posonly,
        code.kwonly,
        code.stacksize,
        code.nlocals,
        code.ncells,
        code.nfrees,
    ] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    for bytes in [&code.bytecode, &code.line_table, &code.exception_table] {
        put_bytes(&mut out, bytes);
    }
    for list in [&code.names, &code.locals] {
        put_length(&mut out, list.len());
        list.iter().for_each(|text| put_text(&mut out, text));
    }
    put_consts(&mut out, &code.consts);
    out
}

/// The inverse of [`encode_code`]; `None` for anything it did not write.
pub fn decode_code(bytes: &[u8]) -> Option<(String, Origin, Code)> {
    let mut input = Input { bytes };
    let origin = match input.byte()? {
        0 => Origin::User,
        1 => Origin::Library,
        2 => Origin::Standard,
        _ => return None,
    };
    let module = input.text()?;
    let mut code = Code { filename: input.text()?, name: input.text()?, qualname: input.text()?, ..Code::default() };
    for field in [
        &mut code.first_line,
        &mut code.flags,
        &mut code.argcount,
        &mut code.posonly,
        &mut code.kwonly,
        &mut code.stacksize,
        &mut code.nlocals,
        &mut code.ncells,
        &mut code.nfrees,
    ] {
        *field = input.number()?;
    }
    code.bytecode = input.bytes()?.to_vec();
    code.line_table = input.bytes()?.to_vec();
    code.exception_table = input.bytes()?.to_vec();
    code.names = input.texts()?;
    code.locals = input.texts()?;
    code.consts = input.consts(8)?;
    Some((module, origin, code))
}

fn put_length(out: &mut Vec<u8>, length: usize) {
    out.extend_from_slice(&(length as u32).to_le_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_length(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_bytes(out, text.as_bytes());
}

fn put_consts(out: &mut Vec<u8>, consts: &[Const]) {
    put_length(out, consts.len());
    for value in consts {
        match value {
            Const::None => out.push(0),
            Const::Bool(value) => out.extend_from_slice(&[1, u8::from(*value)]),
            Const::Int(value) => {
                out.push(2);
                out.extend_from_slice(&value.to_le_bytes());
            }
            Const::Text(text) => {
                out.push(3);
                put_text(out, text);
            }
            Const::Tuple(items) => {
                out.push(4);
                put_consts(out, items);
            }
            Const::Other => out.push(5),
        }
    }
}

/// A cursor over bytes that somebody else wrote.
struct Input<'a> {
    bytes: &'a [u8],
}

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.bytes.split_at_checked(count)?;
        self.bytes = rest;
        Some(head)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn number(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let count = self.number()? as usize;
        self.take(count)
    }

    fn text(&mut self) -> Option<String> {
        Some(String::from_utf8_lossy(self.bytes()?).into_owned())
    }

    fn texts(&mut self) -> Option<Vec<String>> {
        let count = self.number()?;
        (0..count).map(|_| self.text()).collect()
    }

    fn consts(&mut self, depth: u32) -> Option<Vec<Const>> {
        let count = self.number()?;
        (0..count).map(|_| self.constant(depth)).collect()
    }

    fn constant(&mut self, depth: u32) -> Option<Const> {
        Some(match self.byte()? {
            0 => Const::None,
            1 => Const::Bool(self.byte()? != 0),
            2 => Const::Int(i64::from_le_bytes(self.take(8)?.try_into().ok()?)),
            3 => Const::Text(self.text()?),
            4 if depth > 0 => Const::Tuple(self.consts(depth - 1)?),
            5 => Const::Other,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_and_the_header_have_the_size_that_the_other_side_expects() {
        assert_eq!(size_of::<Slot>(), SLOT_BYTES);
        assert!(size_of::<Header>() <= HEADER_BYTES);
    }

    #[test]
    fn a_code_object_survives_the_journey() {
        let code = Code {
            filename: "shop/cart.py".into(),
            name: "add".into(),
            bytecode: vec![1, 2, 3],
            names: vec!["total".into()],
            consts: vec![
                Const::None,
                Const::Int(-7),
                Const::Tuple(vec![Const::Text("k".into()), Const::Bool(true)]),
                Const::Other,
            ],
            ..Code::default()
        };
        let bytes = encode_code("shop.cart", Origin::User, &code);
        assert_eq!(decode_code(&bytes), Some(("shop.cart".into(), Origin::User, code)));
        for cut in 0..bytes.len() {
            assert_eq!(decode_code(&bytes[..cut]), None, "cut at {cut}");
        }
    }
}

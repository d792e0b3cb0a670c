//! How a record is written and read: a head byte, what changed of its circumstances, and the event's fields. The table
//! of events below *is* the format: add rows, never renumber or change one. Knows nothing of blocks.

use super::field::Field;
use super::number::{Input, Output, fold, unfold};
use crate::event::*;

/// What a record is kept for. Under a limit, details go first, then lives, and names never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Processes, texts, code, stacks: needed to name anything.
    Names,
    /// Beginnings and ends of strands, objects, locks, files, tests.
    Lives,
    /// What strands did: accesses, lock operations, signals, samples.
    Detail,
}

impl Class {
    pub const ALL: [Class; 3] = [Class::Names, Class::Lives, Class::Detail];
}

macro_rules! events {
    ($($tag:literal $class:ident $name:ident { $($field:tt $(: $variable:ident)?),* $(,)? })*) => {
        fn tag_and_class(event: &Event) -> (u8, Class) {
            match event { $(Event::$name { .. } => ($tag, Class::$class),)* }
        }
        #[inline]
        fn put_event(event: &Event, output: &mut Output) {
            match event { $(Event::$name { $($field $(: $variable)?),* } => { $(events!(@name $field $($variable)?).put(output);)* })* }
        }
        #[inline]
        fn get_event(tag: u8, input: &mut Input) -> Option<Event> {
            Some(match tag {
                $($tag => {
                    $(let events!(@name $field $($variable)?) = Field::get(input)?;)*
                    Event::$name { $($field $(: $variable)?),* }
                })*
                _ => return None,
            })
        }
    };
    (@name $field:tt $variable:ident) => { $variable };
    (@name $field:ident) => { $field };
}

events! {
    1 Names Process { 0: info }
    2 Names Text { id, text }
    3 Names Code { 0: info }
    4 Names Stack { id, parent, code, offset }
    5 Lives Object { id, shape, type_name, label }
    6 Lives ObjectEnd { id }
    7 Lives Key { id, label }
    8 Lives ThreadStart { token, stack }
    9 Lives ThreadBegin { token, name }
    10 Lives ThreadName { name }
    11 Lives ThreadEnd {}
    12 Lives ThreadJoin { token }
    13 Lives TaskNew { task, future, name, stack }
    14 Detail TaskSwitch { task }
    15 Detail Suspend { stack }
    16 Lives TaskEnd { task }
    17 Detail Signal { channel }
    18 Detail Observe { channel }
    19 Lives LockNew { lock, kind, stack }
    20 Detail LockWait { lock, stack, patience }
    21 Detail LockAcquired { lock, stack, patience }
    22 Detail LockFailed { lock, stack, patience }
    23 Detail LockReleased { lock, stack }
    24 Detail Access { 0: access }
    25 Detail IterBegin { object, iterator, frame, length, stack }
    26 Detail IterNext { iterator, length, stack }
    27 Detail IterEnd { iterator }
    28 Detail Enter { frame, code }
    29 Lives FileOpen { file, path, inode, fd, mode, stack }
    30 Detail FileWrite { file, inode, fd, length, level, append, ends_line, stack, frame }
    31 Lives FileClose { file }
    32 Detail PathCheck { path, stack, frame }
    33 Detail PathUse { path, effect, tolerant, stack, frame }
    34 Lives CoroutineDropped { name, made, file, line }
    35 Detail Sample { 0: sample }
    36 Lives Gap { lost }
    37 Lives ProcessEnd { orderly }
    38 Lives Test { name }
    39 Names NotWatched { what, why }
    40 Detail Block { on, stack }
    41 Detail Hear {}
    42 Detail Put { channel, item }
    43 Detail Got { channel, item }
    44 Detail PathFailed { path, effect, tolerant, stack, frame }
    45 Detail JobBegin {}
    46 Detail JobEnd {}
    47 Lives Unsettled {}
    48 Lives Settled {}
    49 Detail LoopWaited { nanoseconds }
    50 Names ProcessName { name }
    51 Detail Shared { what, writes, stack, frame }
    52 Detail Offered { item, container }
    53 Detail Taken { container }
}

/// The six low bits of the head byte are the event's tag.
const TAG: u8 = 0x3f;
/// Process and thread are those of the block's record before.
const SAME_STRAND: u8 = 0x40;
/// The record follows the block's record before: no other block of the segment has one in between.
const NEXT: u8 = 0x80;

pub fn class(event: &Event) -> Class {
    tag_and_class(event).1
}

/// Appends a record that stands `skipped` places after the block's record before it.
pub fn put(record: &Record, skipped: u64, output: &mut Output) {
    let same = record.process.0 == output.last.process && record.thread.0 == output.last.thread;
    let (tag, _) = tag_and_class(&record.event);
    output.byte(tag | if same { SAME_STRAND } else { 0 } | if skipped == 0 { NEXT } else { 0 });
    if skipped != 0 {
        output.number(skipped);
    }
    if !same {
        record.process.put(output);
        record.thread.put(output);
    }
    output.number(fold(record.time.wrapping_sub(output.last.time) as i64));
    output.last.time = record.time;
    put_event(&record.event, output);
}

/// The head of a record: its byte, and how many places were skipped.
#[inline]
pub fn get_head(input: &mut Input) -> Option<(u8, u64)> {
    let head = input.byte()?;
    let skipped = if head & NEXT != 0 { 0 } else { input.number()? };
    Some((head, skipped))
}

/// What follows the head.
#[inline]
pub fn get_body(head: u8, input: &mut Input) -> Option<Record> {
    if head & SAME_STRAND == 0 {
        ProcessId::get(input)?;
        Tid::get(input)?;
    }
    let (process, thread) = (ProcessId(input.last.process), Tid(input.last.thread));
    input.last.time = input.last.time.wrapping_add(unfold(input.number()?) as u64);
    let time = input.last.time;
    Some(Record { time, process, thread, event: get_event(head & TAG, input)? })
}

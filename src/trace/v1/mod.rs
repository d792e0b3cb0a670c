//! Version 1 of the trace file. Knows its own bytes only; which version a file has is told by [`super::Reader`].
//!
//! # The format
//!
//! All numbers are little-endian. A file is [`MAGIC`] (12 bytes), the version (4 bytes), then blocks.
//!
//! A **block** is a header of 40 bytes and `stored` bytes of payload:
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 4 | marker `f5 72 74 62`, so that blocks can be found again after damage |
//! | 4 | 1 | kind: 1 names, 2 lives, 3 detail, 4 report, 5 source, 6 dropped, 7 end |
//! | 5 | 3 | zero |
//! | 8 | 4 | segment |
//! | 12 | 8 | records in the block (of a dropped block: records that were left out) |
//! | 20 | 4 | stored: bytes of payload |
//! | 24 | 4 | raw: bytes of payload once expanded; where equal to `stored`, it is not compressed, else one LZ4 block |
//! | 28 | 4 | CRC-32 of the payload |
//! | 32 | 4 | zero |
//! | 36 | 4 | CRC-32 of the 36 bytes before |
//!
//! Every block can be expanded and decoded by itself. **Record blocks** (names, lives, detail) with one segment number
//! follow one another; their records interleave by their places, which count from 0 in each segment. Detail can be left
//! out to keep to a limit: then a dropped block stands there and the reader says [`Gap`](crate::event::Event::Gap).
//!
//! A **record** is a head byte (6 bits tag of the event; `0x40` same process and thread as the block's record before;
//! `0x80` no place skipped), unless `0x80` the number of places skipped, unless `0x40` process and thread, the time, and the event's
//! fields as `record.rs` and `field.rs` list them. Numbers are base 128, low bits first; identities, times, processes and threads are
//! the distance to the last one of their sort in this block (folded: 0, -1, 1, -2 …), which begins at 0.
//!
//! **Report** blocks hold a report as JSON (`racetrace.report/1`): what was found so far; the last one counts. **Source**
//! blocks hold JSON `{"file": {"line": "text"}}`; they add up. The **end** block says that the recording ended in order.

pub mod block;
mod field;
mod number;
pub(super) mod read;
pub(super) mod record;
pub(super) mod segment;

/// A byte that is not ASCII, the name, and a line end that transfers as text damage.
pub const MAGIC: [u8; 12] = *b"\x89racetrace\r\n";
pub const VERSION: u32 = 1;

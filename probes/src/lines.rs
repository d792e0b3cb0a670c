//! Which line (and columns) of the source an instruction belongs to, from the line tables of all versions. See CPython's
//! Objects/lnotab_notes.txt (3.8-3.10) and Objects/locations.md or InternalDocs/code_objects.md (3.11 and later).

use crate::code::Code;
use crate::version::Version;

/// A place in the source. Columns count bytes from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    pub line: u32,
    pub end_line: u32,
    pub columns: Option<(u32, u32)>,
}

/// The whole table, decoded once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lines {
    /// Where stretches begin, ascending, and where they are in the source; the last one is where the code ends.
    stretches: Vec<(u32, Option<Position>)>,
}

impl Lines {
    #[must_use]
    pub fn new(code: &Code, version: Version) -> Lines {
        let mut lines = Lines::default();
        let length = code.bytecode.len() as u32;
        match version.minor {
            11.. => lines.locations(&code.line_table, code.first_line),
            10 => lines.line_table(&code.line_table, code.first_line),
            _ => lines.line_number_table(&code.line_table, code.first_line, length),
        }
        lines
    }

    #[must_use]
    pub fn line(&self, offset: u32) -> Option<u32> {
        self.position(offset).map(|position| position.line)
    }

    #[must_use]
    pub fn position(&self, offset: u32) -> Option<Position> {
        let behind = self.stretches.partition_point(|(start, _)| *start <= offset);
        self.stretches.get(behind.checked_sub(1)?).and_then(|(_, position)| *position)
    }

    fn add(&mut self, start: u32, position: Option<Position>) {
        self.stretches.push((start, position));
    }

    /// 3.8, 3.9: pairs of address and line increments.
    fn line_number_table(&mut self, table: &[u8], first_line: u32, length: u32) {
        let (mut offset, mut line) = (0_u32, first_line);
        self.add(0, at(line));
        for pair in table.chunks_exact(2) {
            let &[addresses, lines] = pair else { break };
            offset = offset.saturating_add(u32::from(addresses));
            line = line.saturating_add_signed(i32::from(lines.cast_signed()));
            match self.stretches.last_mut() {
                Some((start, position)) if *start == offset => *position = at(line),
                _ => self.add(offset, at(line)),
            }
        }
        self.add(length.max(offset.saturating_add(1)), None);
    }

    /// 3.10: pairs of length and line increment; -128 means no line.
    fn line_table(&mut self, table: &[u8], first_line: u32) {
        let (mut offset, mut line) = (0_u32, first_line);
        for pair in table.chunks_exact(2) {
            let &[length, lines] = pair else { break };
            let increment = lines.cast_signed();
            if increment != -128 {
                line = line.saturating_add_signed(i32::from(increment));
            }
            if length != 0 {
                self.add(offset, if increment == -128 { None } else { at(line) });
            }
            offset = offset.saturating_add(u32::from(length));
        }
        self.add(offset, None);
    }

    /// 3.11 and later: entries of five forms, with columns.
    fn locations(&mut self, table: &[u8], first_line: u32) {
        let mut bytes = table.iter().copied().peekable();
        let (mut offset, mut line) = (0_u32, first_line);
        while let Some(head) = bytes.next() {
            let units = u32::from(head & 7) + 1;
            let position = match (head >> 3) & 15 {
                15 => None,
                14 => {
                    line = line.saturating_add_signed(signed(&mut bytes));
                    let end_line = line.saturating_add(varint(&mut bytes));
                    let (from, to) = (varint(&mut bytes), varint(&mut bytes));
                    let columns = from.checked_sub(1).zip(to.checked_sub(1));
                    Some(Position { line, end_line, columns })
                }
                13 => {
                    line = line.saturating_add_signed(signed(&mut bytes));
                    at(line)
                }
                form @ 10..=12 => {
                    line = line.saturating_add(u32::from(form) - 10);
                    let columns = bytes.next().zip(bytes.next()).map(|(from, to)| (u32::from(from), u32::from(to)));
                    Some(Position { line, end_line: line, columns })
                }
                form => {
                    let second = bytes.next().unwrap_or(0);
                    let from = (u32::from(form) << 3) | (u32::from(second) >> 4);
                    Some(Position { line, end_line: line, columns: Some((from, from + u32::from(second & 15))) })
                }
            };
            self.add(offset, position);
            offset = offset.saturating_add(2 * units);
        }
        self.add(offset, None);
    }
}

fn at(line: u32) -> Option<Position> {
    Some(Position { line, end_line: line, columns: None })
}

/// Little-endian groups of six bits; bit 6 says that more follow.
fn varint(bytes: &mut impl Iterator<Item = u8>) -> u32 {
    let mut value = 0_u32;
    let mut shift = 0;
    for byte in bytes {
        value |= u32::from(byte & 63).checked_shl(shift).unwrap_or(0);
        shift += 6;
        if byte & 64 == 0 {
            break;
        }
    }
    value
}

fn signed(bytes: &mut impl Iterator<Item = u8>) -> i32 {
    let value = varint(bytes);
    let magnitude = (value >> 1) as i32;
    if value & 1 == 1 { -magnitude } else { magnitude }
}

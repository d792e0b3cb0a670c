//! `co_exceptiontable` (3.11+) as ranges. Before 3.11 the bytecode itself says where handlers are; see `flow`.

use crate::instruction::{Instructions, NOWHERE};

/// Where control goes when an instruction raises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handler {
    /// Index of the handler's first instruction.
    pub target: u32,
    /// How many entries of the value stack it keeps.
    pub depth: u32,
    /// What is pushed on top of those: the exception, the raising offset before it, or the six values of 3.8-3.10.
    pub pushes: u32,
}

/// For each instruction, which of the returned handlers covers it ([`NOWHERE`]: none).
#[must_use]
pub fn read(table: &[u8], instructions: &Instructions) -> (Vec<Handler>, Vec<u32>) {
    let list = instructions.as_slice();
    let mut handlers: Vec<Handler> = Vec::new();
    let mut by_instruction = vec![NOWHERE; list.len()];
    let mut bytes = table.iter().copied();
    let mut first = 0;
    while let Some([start, length, target, depth_lasti]) = entry(&mut bytes) {
        let (Some(from), Some(target)) = (start.checked_mul(2), target.checked_mul(2).and_then(|at| instructions.at(at))) else {
            continue;
        };
        let Some(to) = length.checked_mul(2).and_then(|length| from.checked_add(length)) else { continue };
        let handler = Handler { target: target as u32, depth: depth_lasti >> 1, pushes: 1 + (depth_lasti & 1) };
        let index = known(&handlers, handler).unwrap_or(handlers.len());
        if index == handlers.len() {
            handlers.push(handler);
        }
        // Ranges ascend and do not overlap; what does not keep to that is cut, so that the work stays linear.
        first = list.partition_point(|instruction| instruction.offset < from).max(first);
        for (instruction, covered) in list.iter().zip(&mut by_instruction).skip(first) {
            if instruction.offset >= to {
                break;
            }
            *covered = index as u32;
            first += 1;
        }
    }
    (handlers, by_instruction)
}

/// Equal handlers of neighbouring ranges are one.
fn known(handlers: &[Handler], handler: Handler) -> Option<usize> {
    let recent = handlers.len().saturating_sub(64);
    handlers.iter().skip(recent).rposition(|known| *known == handler).map(|index| recent + index)
}

fn entry(bytes: &mut impl Iterator<Item = u8>) -> Option<[u32; 4]> {
    let mut entry = [0; 4];
    for value in &mut entry {
        *value = varint(bytes)?;
    }
    Some(entry)
}

/// Big-endian groups of six bits; bit 6 says that more follow.
fn varint(bytes: &mut impl Iterator<Item = u8>) -> Option<u32> {
    let mut value = 0_u32;
    loop {
        let byte = bytes.next()?;
        value = value.checked_mul(64)? | u32::from(byte & 63);
        if byte & 64 == 0 {
            return Some(value);
        }
    }
}

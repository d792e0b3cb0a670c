//! Which source line an instruction stands on: the three formats of line tables. It knows nothing of columns.

/// The line of the instruction at byte `offset`; the function's first line where the table says nothing.
pub fn line_at(code: &racetrace_probes::code::Code, minor: u8, offset: u32) -> u32 {
    let table = &code.line_table;
    let found = match minor {
        ..10 => lnotab(table, code.first_line, offset),
        10 => linetable(table, code.first_line, offset),
        _ => locations(table, code.first_line, offset),
    };
    found.unwrap_or(code.first_line)
}

/// `co_lnotab` (to 3.9): pairs of byte and line increments.
fn lnotab(table: &[u8], first: u32, offset: u32) -> Option<u32> {
    let (mut at, mut line) = (0u32, i64::from(first));
    for &[bytes, lines] in table.as_chunks().0 {
        at = at.saturating_add(u32::from(bytes));
        if at > offset {
            break;
        }
        line = line.saturating_add(i64::from(lines.cast_signed()));
    }
    u32::try_from(line).ok()
}

/// PEP 626's table (3.10): pairs of length and line increment; -128 for no line.
fn linetable(table: &[u8], first: u32, offset: u32) -> Option<u32> {
    let (mut end, mut line) = (0u32, i64::from(first));
    for &[bytes, lines] in table.as_chunks().0 {
        let lines = lines.cast_signed();
        end = end.saturating_add(u32::from(bytes));
        if lines != i8::MIN {
            line = line.saturating_add(i64::from(lines));
        }
        if offset < end {
            return if lines == i8::MIN { None } else { u32::try_from(line).ok() };
        }
    }
    None
}

/// The location table (3.11+): entries that start with a byte with its high bit set, code and length in it.
fn locations(table: &[u8], first: u32, offset: u32) -> Option<u32> {
    let (mut at, mut end, mut line) = (0, 0u32, i64::from(first));
    while let Some(&head) = table.get(at) {
        at += 1;
        let kind = (head >> 3) & 15;
        end = end.saturating_add(2 * (u32::from(head & 7) + 1));
        match kind {
            // No columns; or all of them: both begin with a signed line increment.
            13 | 14 => line = line.checked_add(signed_varint(table, &mut at)?)?,
            10..=12 => line = line.checked_add(i64::from(kind) - 10)?,
            _ => {}
        }
        while table.get(at).is_some_and(|byte| byte & 0x80 == 0) {
            at += 1;
        }
        if offset < end {
            return if kind == 15 { None } else { u32::try_from(line).ok() };
        }
    }
    None
}

fn signed_varint(table: &[u8], at: &mut usize) -> Option<i64> {
    let (mut value, mut shift) = (0u64, 0u32);
    loop {
        let byte = *table.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x3f).checked_shl(shift)?;
        shift += 6;
        if byte & 0x40 == 0 {
            break;
        }
    }
    let magnitude = i64::try_from(value >> 1).ok()?;
    Some(if value & 1 == 1 { -magnitude } else { magnitude })
}

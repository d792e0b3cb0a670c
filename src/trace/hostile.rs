//! Takes a trace apart into the payloads of its blocks, and makes a file with right checksums of any payloads: what a
//! fuzzer needs to get behind the checksums. The tool itself has no use for it.

use super::v1::block::{self, Blocks, Kind, Next};
use super::v1::{MAGIC, VERSION};

/// Kind, records promised, bytes before compression.
pub type Payload = (Kind, u64, Vec<u8>);

/// The payloads of all sound blocks of a file.
#[must_use]
pub fn payloads(file: &[u8]) -> Vec<Payload> {
    let prefix = MAGIC.len() + 4;
    let mut blocks = Blocks::new(file.get(prefix..).unwrap_or_default(), prefix as u64);
    let mut found = Vec::new();
    loop {
        match blocks.read_next() {
            Next::Block(header, raw) => found.push((header.kind, header.records, raw)),
            Next::End | Next::Failed { .. } => return found,
            _ => {}
        }
    }
}

/// A file of these payloads. Record blocks get one segment for each block of names and what follows it.
#[must_use]
pub fn file(payloads: &[Payload]) -> Vec<u8> {
    let mut bytes = [&MAGIC[..], &VERSION.to_le_bytes()].concat();
    let mut segment: u32 = 0;
    let mut last = 0;
    for (kind, records, raw) in payloads {
        if *kind as u8 <= last {
            segment = segment.wrapping_add(1);
        }
        last = *kind as u8;
        bytes.extend(block::seal(*kind, segment, *records, raw));
    }
    bytes
}

/// A file of one segment: the bytes, as they are, split among names, lives and detail.
#[must_use]
pub fn segment(bytes: &[u8]) -> Vec<u8> {
    let third = bytes.len() / 3;
    let (names, rest) = bytes.split_at(third);
    let (lives, detail) = rest.split_at(third);
    file(&[(Kind::Names, 0, names.to_vec()), (Kind::Lives, 0, lives.to_vec()), (Kind::Detail, 0, detail.to_vec())])
}

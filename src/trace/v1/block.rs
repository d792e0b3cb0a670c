//! Blocks: a header that can be recognised anywhere in the file, then compressed bytes with a checksum. Finds the next
//! readable block after damage. Does not look into the bytes.

use std::io::Read;

/// Starts every block header; not a sequence that text contains.
const MARKER: [u8; 4] = [0xf5, b'r', b't', b'b'];
pub const HEADER_BYTES: usize = 40;
/// More than any block that the writer makes: readers refuse larger ones.
pub const MAX_RECORD_BYTES: u32 = 8 << 20;
pub const MAX_DOCUMENT_BYTES: u32 = 64 << 20;
/// LZ4 cannot make more of less, so that a header cannot ask for memory that its block does not earn.
const MAX_EXPANSION: u64 = 255;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    Names = 1,
    Lives = 2,
    Detail = 3,
    /// A `finding::Report` as JSON; the last one counts.
    Report = 4,
    /// Lines of source as JSON; all of them together count.
    Source = 5,
    /// Stands where blocks were left out to keep to a limit; `records` is how many records they held.
    Dropped = 6,
    /// The recording ended in order.
    End = 7,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Kind> {
        use Kind::*;
        [Names, Lives, Detail, Report, Source, Dropped, End].into_iter().find(|kind| *kind as u8 == byte)
    }

    fn max_bytes(self) -> u32 {
        match self {
            Kind::Names | Kind::Lives | Kind::Detail => MAX_RECORD_BYTES,
            Kind::Report | Kind::Source => MAX_DOCUMENT_BYTES,
            Kind::Dropped | Kind::End => 0,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub kind: Kind,
    /// Record blocks with the same number, one after the other, belong together.
    pub segment: u32,
    pub records: u64,
    pub stored_bytes: u32,
    pub raw_bytes: u32,
    payload_sum: u32,
}

impl Header {
    fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0..4].copy_from_slice(&MARKER);
        bytes[4] = self.kind as u8;
        bytes[8..12].copy_from_slice(&self.segment.to_le_bytes());
        bytes[12..20].copy_from_slice(&self.records.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.stored_bytes.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.raw_bytes.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.payload_sum.to_le_bytes());
        let sum = crc32fast::hash(&bytes[..36]);
        bytes[36..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Answers `None` for anything that is not a whole, sound and sane header.
    fn from_bytes(bytes: &[u8; HEADER_BYTES]) -> Option<Header> {
        let number = |at: usize| bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map(u32::from_le_bytes);
        if bytes[..4] != MARKER || number(36)? != crc32fast::hash(&bytes[..36]) {
            return None;
        }
        let header = Header {
            kind: Kind::from_byte(bytes[4])?,
            segment: number(8)?,
            records: u64::from(number(12)?) | u64::from(number(16)?) << 32,
            stored_bytes: number(20)?,
            raw_bytes: number(24)?,
            payload_sum: number(28)?,
        };
        let most = header.kind.max_bytes();
        let earned = u64::from(header.stored_bytes) * MAX_EXPANSION;
        let sane = header.raw_bytes <= most && header.stored_bytes <= header.raw_bytes && u64::from(header.raw_bytes) <= earned;
        sane.then_some(header)
    }
}

/// A block as it stands in the file. Bytes that do not get shorter are stored as they are.
pub fn seal(kind: Kind, segment: u32, records: u64, raw: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_BYTES + lz4_flex::block::get_maximum_output_size(raw.len())];
    let (_, room) = bytes.split_at_mut(HEADER_BYTES);
    let stored = match lz4_flex::block::compress_into(raw, room) {
        Ok(stored) if stored < raw.len() => stored,
        _ => {
            room[..raw.len()].copy_from_slice(raw);
            raw.len()
        }
    };
    bytes.truncate(HEADER_BYTES + stored);
    let header = Header {
        kind,
        segment,
        records,
        stored_bytes: stored as u32,
        raw_bytes: raw.len() as u32,
        payload_sum: crc32fast::hash(&bytes[HEADER_BYTES..]),
    };
    bytes[..HEADER_BYTES].copy_from_slice(&header.to_bytes());
    bytes
}

/// What the file has next.
#[derive(Debug)]
pub enum Next {
    /// A block, with its bytes expanded.
    Block(Header, Vec<u8>),
    /// The header is sound, its bytes are not.
    Damaged(Header),
    /// These bytes are no block.
    Skipped {
        bytes: u64,
    },
    /// The file ends within this block.
    Cut {
        from: u64,
        header: Option<Header>,
    },
    /// Reading failed here.
    Failed {
        from: u64,
        error: std::io::Error,
    },
    End,
}

/// The blocks of a file, one after the other.
pub struct Blocks<R> {
    source: R,
    buffer: Vec<u8>,
    /// Bytes of `buffer` before this are done with.
    start: usize,
    /// Offset in the file of `buffer[start]`.
    offset: u64,
    failed: Option<std::io::Error>,
    /// The source has no more, so that looking again costs nothing.
    ended: bool,
}

const CHUNK: usize = 256 << 10;

impl<R: Read> Blocks<R> {
    /// `source` stands at the first block, `offset` bytes into the file.
    pub fn new(source: R, offset: u64) -> Self {
        Blocks { source, buffer: Vec::new(), start: 0, offset, failed: None, ended: false }
    }

    pub fn offset(&self) -> u64 {
        self.offset
    }

    pub fn read_next(&mut self) -> Next {
        let from = self.offset;
        let mut searched = 0;
        while self.fill(HEADER_BYTES) {
            if let Some(header) = self.window().first_chunk().and_then(Header::from_bytes) {
                return if searched > 0 { Next::Skipped { bytes: searched } } else { self.payload(header) };
            }
            searched += self.skip_to_marker();
        }
        let rest = self.window().len() as u64;
        self.consume(rest as usize);
        if let Some(error) = self.failed.take() {
            return Next::Failed { from: self.offset, error };
        }
        match (searched, rest) {
            (0, 0) => Next::End,
            (0, _) => Next::Cut { from, header: None },
            _ => Next::Skipped { bytes: searched + rest },
        }
    }

    fn payload(&mut self, header: Header) -> Next {
        let from = self.offset;
        let length = header.stored_bytes as usize;
        if !self.fill(HEADER_BYTES + length) {
            if let Some(error) = self.failed.take() {
                return Next::Failed { from, error };
            }
            return self.without_payload(header);
        }
        let stored = self.window().get(HEADER_BYTES..HEADER_BYTES + length).unwrap_or_default();
        let raw = expand(&header, stored);
        self.consume(HEADER_BYTES + length);
        match raw {
            Some(raw) => Next::Block(header, raw),
            None => Next::Damaged(header),
        }
    }

    /// The file is too short for the block: it was cut, unless there are other blocks after this header.
    fn without_payload(&mut self, header: Header) -> Next {
        let from = self.offset;
        self.consume(1);
        let mut skipped = 1;
        while self.window().len() >= HEADER_BYTES {
            if self.window().first_chunk().and_then(Header::from_bytes).is_some() {
                return Next::Skipped { bytes: skipped };
            }
            skipped += self.skip_to_marker();
        }
        self.consume(self.window().len());
        Next::Cut { from, header: Some(header) }
    }

    /// Moves on to the next byte that could start a header; answers how far that was.
    fn skip_to_marker(&mut self) -> u64 {
        let window = self.window();
        let rest = window.get(1..).unwrap_or_default();
        let distance = match rest.windows(MARKER.len()).position(|four| four == MARKER) {
            Some(at) => at + 1,
            None => window.len().saturating_sub(MARKER.len() - 1).max(1),
        };
        self.consume(distance);
        distance as u64
    }

    fn window(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }

    fn consume(&mut self, bytes: usize) {
        self.start += bytes;
        self.offset += bytes as u64;
    }

    /// Makes the window at least `wanted` long; `false` where the source has no more. Memory grows only with bytes read.
    fn fill(&mut self, wanted: usize) -> bool {
        while self.window().len() < wanted {
            if self.ended {
                return false;
            }
            self.buffer.drain(..self.start.min(self.buffer.len()));
            self.start = 0;
            let before = self.buffer.len();
            let chunk = (wanted - before).clamp(CHUNK, 4 * CHUNK) as u64;
            match self.source.by_ref().take(chunk).read_to_end(&mut self.buffer) {
                Ok(_) if self.buffer.len() > before => {}
                Ok(_) => self.ended = true,
                Err(error) => {
                    self.failed = Some(error);
                    self.ended = true;
                }
            }
        }
        true
    }
}

fn expand(header: &Header, stored: &[u8]) -> Option<Vec<u8>> {
    if crc32fast::hash(stored) != header.payload_sum {
        return None;
    }
    if header.stored_bytes == header.raw_bytes {
        return Some(stored.to_vec());
    }
    let mut raw = vec![0; header.raw_bytes as usize];
    let length = lz4_flex::block::decompress_into(stored, &mut raw).ok()?;
    (length == raw.len()).then_some(raw)
}

//! A segment: the records of a while, split by class into blocks that can be dropped apart, each record with its place
//! among all of them, so that reading puts them back into their order. Does no I/O.

use super::block::{self, Kind};
use super::number::{Input, Output, Registers};
use super::record::{self, Class};
use crate::event::Record;

fn kind(class: Class) -> Kind {
    match class {
        Class::Names => Kind::Names,
        Class::Lives => Kind::Lives,
        Class::Detail => Kind::Detail,
    }
}

/// The blocks of one class while they are made.
#[derive(Default)]
struct Pen {
    output: Output,
    records: u64,
    /// Place in the segment that the next record has if it follows at once.
    next: u64,
}

impl Pen {
    fn put(&mut self, place: u64, record: &Record) {
        record::put(record, place - self.next, &mut self.output);
        self.next = place + 1;
        self.records += 1;
    }

    fn clear(&mut self) {
        self.output.bytes.clear();
        self.output.last = Registers::default();
        (self.records, self.next) = (0, 0);
    }
}

/// Collects records until they are sealed into blocks.
#[derive(Default)]
pub struct Encoder {
    pens: [Pen; 3],
    places: u64,
}

/// A block ready for the file.
pub struct Sealed {
    pub kind: Kind,
    pub records: u64,
    pub bytes: Vec<u8>,
}

impl Encoder {
    pub fn put(&mut self, record: &Record) {
        let [names, lives, detail] = &mut self.pens;
        let pen = match record::class(&record.event) {
            Class::Names => names,
            Class::Lives => lives,
            Class::Detail => detail,
        };
        pen.put(self.places, record);
        self.places += 1;
    }

    pub fn is_empty(&self) -> bool {
        self.places == 0
    }

    /// Size of the largest of the blocks to be, before compression.
    pub fn bytes(&self) -> usize {
        self.pens.iter().map(|pen| pen.output.bytes.len()).max().unwrap_or(0)
    }

    /// The blocks of what was put since the last time, names first. A block that no reader would accept (one text of
    /// megabytes) is left out, and its records are counted in a block of what was dropped.
    pub fn seal(&mut self, segment: u32) -> Vec<Sealed> {
        let mut blocks = Vec::new();
        for (class, pen) in Class::ALL.into_iter().zip(&mut self.pens) {
            if pen.records > 0 {
                let fits = pen.output.bytes.len() <= block::MAX_RECORD_BYTES as usize;
                let (kind, raw) = if fits { (kind(class), pen.output.bytes.as_slice()) } else { (Kind::Dropped, &[][..]) };
                blocks.push(Sealed { kind, records: pen.records, bytes: block::seal(kind, segment, pen.records, raw) });
            }
            pen.clear();
        }
        self.places = 0;
        blocks
    }
}

/// The records of one block while they are read.
#[derive(Default)]
struct Stream {
    raw: Vec<u8>,
    read: usize,
    last: Registers,
    head: u8,
    /// Place of the record at `head`; `u64::MAX` where there is none.
    place: u64,
    records: u64,
}

impl Stream {
    fn new(raw: Vec<u8>, records: u64) -> Self {
        let mut stream = Stream { raw, records, ..Stream::default() };
        stream.advance(0);
        stream
    }

    fn advance(&mut self, next: u64) {
        let mut input = Input::new(self.raw.get(self.read..).unwrap_or_default(), &mut self.last);
        let head = record::get_head(&mut input);
        self.read = self.raw.len() - input.bytes.len();
        (self.head, self.place) = match head {
            Some((head, skipped)) => (head, next.saturating_add(skipped).min(u64::MAX - 1)),
            None => (0, u64::MAX),
        };
    }

    #[inline]
    fn take(&mut self) -> Option<Record> {
        let mut input = Input::new(self.raw.get(self.read..).unwrap_or_default(), &mut self.last);
        let record = record::get_body(self.head, &mut input);
        self.read = self.raw.len() - input.bytes.len();
        if record.is_some() {
            self.records = self.records.saturating_sub(1);
            self.advance(self.place + 1);
        } else {
            self.place = u64::MAX;
        }
        record
    }
}

/// Puts the records of a segment's blocks back into their order.
#[derive(Default)]
pub struct Decoder {
    streams: Vec<Stream>,
    /// The stream that has the next record, as long as its place is below `until`: then another one is to be chosen.
    current: usize,
    until: u64,
}

impl Decoder {
    /// Adds the expanded bytes of a block whose header promised `records`.
    pub fn add(&mut self, raw: Vec<u8>, records: u64) {
        self.streams.push(Stream::new(raw, records));
        self.until = 0;
    }

    /// The next record. At the end, [`Decoder::clear`] tells whether all of them could be read.
    #[inline]
    pub fn next(&mut self) -> Option<Record> {
        loop {
            match self.streams.get_mut(self.current) {
                Some(stream) if stream.place < self.until => {
                    if let Some(record) = stream.take() {
                        return Some(record);
                    }
                }
                _ => self.choose()?,
            }
        }
    }

    /// The stream with the lowest place; of several, as damage makes them, the first.
    fn choose(&mut self) -> Option<()> {
        let places = || self.streams.iter().map(|stream| stream.place).enumerate();
        let (current, place) = places().min_by_key(|(_, place)| *place)?;
        let others = places().filter(|(at, _)| *at != current);
        self.until = others.map(|(at, place)| place.saturating_add(u64::from(at > current))).min().unwrap_or(u64::MAX);
        self.current = current;
        (place != u64::MAX).then_some(())
    }

    /// Forgets the segment; answers how many promised records could not be read.
    pub fn clear(&mut self) -> u64 {
        self.until = 0;
        self.streams.drain(..).fold(0, |sum, stream| sum.saturating_add(stream.records))
    }
}

//! A record: what one strand writes to one file in one go, in one write or several. Where one record ends and the next
//! begins is decided here: at the end of a line, or in files without lines where the program comes round again; and
//! wherever the strand gives up a lock that it held for the write.

use super::point::Point;
use crate::event::{FrameId, StackId};

/// One write as a part of a record.
#[derive(Debug, Clone)]
pub struct Entry {
    pub point: Point,
    pub frame: FrameId,
    /// The call that writes stands in code of the user, not in a library's loop over the parts.
    pub by_user: bool,
    /// It is a call that writes its arguments one by one (`print`): nothing can come between unless an argument's own
    /// code runs.
    pub in_parts: bool,
    pub length: u64,
    pub ends_line: bool,
}

#[derive(Debug, Clone)]
pub struct Record {
    pub first: Point,
    pub last: Point,
    frame: FrameId,
    places: Vec<StackId>,
    writes: u32,
    /// What was written ends a line.
    ended: bool,
    /// One call that writes in parts made all of it.
    one_call: bool,
    /// All but the first write is the end of the line.
    plain_line: bool,
    intruder: Option<Point>,
}

/// Places of one record that are told apart.
const PLACES: usize = 64;

impl Record {
    pub fn new(entry: &Entry) -> Record {
        Record {
            first: entry.point.clone(),
            last: entry.point.clone(),
            frame: entry.frame,
            places: vec![entry.point.stack],
            writes: 1,
            ended: entry.ends_line,
            one_call: entry.in_parts,
            plain_line: true,
            intruder: None,
        }
    }

    pub fn writes(&self) -> u32 {
        self.writes
    }

    /// `print(x, file=f)`: the text and the end of its line. Nobody's code runs in between.
    pub fn is_single_call(&self) -> bool {
        self.writes == 1 || (self.one_call && self.plain_line)
    }

    /// One call wrote all its parts: between them only code of the arguments can run.
    pub fn is_one_call(&self) -> bool {
        self.one_call
    }

    pub fn is_like(&self, other: &Record) -> bool {
        self.first.strand == other.first.strand && self.first.stack == other.first.stack && self.last.stack == other.last.stack
    }

    /// Is this write still part of the record?
    pub fn goes_on_with(&self, entry: &Entry, by_line: bool) -> bool {
        if self.ended || self.gave_up_lock(&entry.point) {
            return false;
        }
        let again = self.places.contains(&entry.point.stack);
        by_line || (entry.frame == self.frame && !(again && entry.by_user && !entry.in_parts))
    }

    /// Takes the write in. Returns a write of another strand that came between and was not meant to.
    pub fn take(&mut self, entry: &Entry) -> Option<Point> {
        let intruder = self.intruder.take().filter(|other| !(self.last.is_before(other) && other.is_before(&entry.point)));
        self.one_call &= entry.in_parts && self.places.first() == Some(&entry.point.stack);
        self.plain_line &= entry.length == 1 && entry.ends_line;
        if self.places.len() < PLACES && !self.places.contains(&entry.point.stack) {
            self.places.push(entry.point.stack);
        }
        self.writes += 1;
        self.ended = entry.ends_line;
        self.last = entry.point.clone();
        intruder
    }

    /// Another strand writes.
    pub fn intrude(&mut self, other: &Point) {
        if !self.ended && self.intruder.is_none() {
            self.intruder = Some(other.clone());
        }
    }

    /// Nothing keeps this write of another strand out of the record, and it has a place where it can land.
    pub fn can_be_split_by(&self, other: &Point) -> bool {
        self.writes > 1
            && other.strand != self.first.strand
            && (other.thread != self.first.thread || self.first.gave_way(&self.last))
            && !self.last.is_before(other)
            && !other.is_before(&self.first)
            && !self.first.is_guarded(&self.last, other)
    }

    /// The strand held a lock for the last write, and has let it go since: what it writes now is meant to stand alone.
    fn gave_up_lock(&self, now: &Point) -> bool {
        let mut held = self.last.held().iter().filter(|held| held.excludes).peekable();
        held.peek().is_some() && !held.any(|held| now.held().iter().any(|hold| hold.acquisition == held.acquisition))
    }
}

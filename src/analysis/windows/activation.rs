//! Activations of windows: the reads that a strand has made and that a later write of it may depend on. A read waits,
//! in its frame, for its write; both together are a closed window. Order and conflicts are judged elsewhere.

use smallvec::SmallVec;

use super::shadow::Past;
use crate::analysis::definitions::SiteId;
use crate::analysis::lock::{Held, LockId};
use crate::event::{CodeId, FrameId, KeyId, ObjectId, StackId, Value};

/// Which window of which code: of the plan's `windows`, or of its `spans`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Which {
    Window(CodeId, u16),
    Span(CodeId, u16),
}

/// A read that may open a window.
#[derive(Debug, Clone)]
pub struct Open {
    pub frame: FrameId,
    pub offset: u32,
    pub object: ObjectId,
    pub key: KeyId,
    pub past: Past,
    /// Writes of the subject, by anyone, before it.
    pub writes_before: u64,
    pub value: Option<Value>,
    /// Its strand has written the part since, with nobody able to come between: what it does to the part later is founded
    /// on its own write, as with a place that is reserved under a lock and filled or given back without it.
    pub claimed: bool,
}

/// A window that its strand has gone through.
#[derive(Debug, Clone)]
pub struct Closed {
    pub which: Which,
    pub read: Past,
    pub write: Past,
    /// What the read saw.
    pub seen: Option<Value>,
    pub writes_before: u64,
    /// What it concerns: the whole container, or one item.
    pub key: KeyId,
    /// What was looked for, be it in a sequence that it concerns as a whole.
    pub looked_for: KeyId,
    /// Locks held from the read to the write without a break.
    pub locks: SmallVec<[LockId; 2]>,
    /// The strand gave way to others of its event loop in between.
    pub split: bool,
}

impl Closed {
    /// `all`: the write concerns all places of a sequence.
    pub fn new(which: Which, open: &Open, write: Past, all: bool) -> Closed {
        let split = open.past.turns != write.turns;
        let locks = unbroken(&open.past.locks, &write.locks);
        let whole = open.key == KeyId::WHOLE || all || write.action.is_whole();
        let key = if whole { KeyId::WHOLE } else { open.key };
        // Of one place it was counted how often that one was written.
        let writes_before = if all && open.key != KeyId::WHOLE { u64::MAX } else { open.writes_before };
        Closed { which, read: open.past.clone(), write, seen: open.value, writes_before, key, looked_for: open.key, locks, split }
    }
}

impl Closed {
    /// The site by which a conflicting access is known: of a mere check, that of the act that would have followed it.
    pub fn site_of(&self, access: &Past) -> SiteId {
        if access.action == crate::event::Action::Read { self.write.site } else { access.site }
    }
}

impl crate::event::Action {
    /// Changes the container as a whole.
    pub(super) fn is_whole(self) -> bool {
        self == crate::event::Action::Replace
    }
}

/// Locks held at both ends by the same acquisition.
fn unbroken(before: &[Held], after: &[Held]) -> SmallVec<[LockId; 2]> {
    let same = |held: &&Held| held.excludes && after.iter().any(|other| other.acquisition == held.acquisition);
    before.iter().filter(same).map(|held| held.lock).collect()
}

/// Two accesses of one strand between which nobody else can come: under one lock that was not let go, or in one turn of an
/// event loop.
pub fn are_one_step(one: &Past, other: &Past, in_task: bool) -> bool {
    !unbroken(&one.locks, &other.locks).is_empty() || (in_task && one.turns == other.turns)
}

/// The open reads of one strand, by frame; the most recently used frame last, the reads of a frame in no order.
#[derive(Debug, Default)]
pub struct Opens {
    frames: Vec<(FrameId, Vec<Open>)>,
    /// Reads under calls that spans begin with.
    spans: Vec<OpenSpan>,
    /// Lists of frames that are over, for those to come.
    spare: Vec<Vec<Open>>,
}

#[derive(Debug, Clone)]
pub struct OpenSpan {
    pub code: CodeId,
    pub span: u16,
    /// The stack below the frame that makes both calls.
    pub below: StackId,
    pub open: Open,
    /// It saw what its strand had just written itself, with nobody able to come between: who counts himself in, and asks
    /// whether he is the first.
    pub own: bool,
    /// A later look at the same part, under the second call.
    pub looked: Option<Past>,
}

impl OpenSpan {
    /// Has the second call looked for itself, with nobody able to come between that and what it does?
    pub fn has_looked(&self, act: &Past, in_task: bool) -> bool {
        self.looked.as_ref().is_some_and(|look| are_one_step(look, act, in_task))
    }
}

const FRAMES: usize = 48;
const READS: usize = 32;
const SPANS: usize = 32;
const SPARE: usize = 4;

impl Opens {
    pub fn open(&mut self, open: Open) {
        let at = match self.frames.iter().rposition(|(frame, _)| *frame == open.frame) {
            Some(at) => at,
            None => {
                if self.frames.len() >= FRAMES {
                    let (_, oldest) = self.frames.remove(0);
                    self.keep(oldest);
                }
                self.frames.push((open.frame, self.spare.pop().unwrap_or_default()));
                self.frames.len() - 1
            }
        };
        let Some((_, reads)) = self.frames.get_mut(at) else { return };
        let same = |other: &Open| other.offset == open.offset && other.object == open.object && other.key == open.key;
        let oldest = || (0..reads.len()).min_by_key(|at| reads.get(*at).map(|other| other.past.sequence));
        let place = reads.iter().position(same).or_else(|| if reads.len() >= READS { oldest() } else { None });
        match place.and_then(|at| reads.get_mut(at)) {
            Some(place) => *place = open,
            None => reads.push(open),
        }
    }

    /// The latest read at one of `offsets` in that frame, of the same part of the object.
    pub fn latest(&self, frame: FrameId, offsets: &[u32], object: ObjectId, fits: impl Fn(KeyId) -> bool) -> Option<&Open> {
        let (_, reads) = self.frames.iter().rev().find(|(other, _)| *other == frame)?;
        let fits = |open: &&Open| open.object == object && fits(open.key) && offsets.contains(&open.offset);
        reads.iter().filter(fits).max_by_key(|open| open.past.sequence)
    }

    /// The strand writes this part: reads that nobody could come after lead to a claim.
    pub fn write(&mut self, frame: FrameId, object: ObjectId, key: KeyId, write: &Past, in_task: bool) {
        let reads = self.frames.iter_mut().rev().find(|(other, _)| *other == frame).map(|(_, reads)| reads);
        let spans = self.spans.iter_mut().map(|span| &mut span.open);
        let opens = reads.into_iter().flatten().chain(spans);
        for open in opens.filter(|open| open.object == object && open.key == key) {
            open.claimed |= are_one_step(&open.past, write, in_task);
        }
    }

    /// A function begins anew in that frame.
    pub fn entered(&mut self, frame: FrameId) {
        if let Some(at) = self.frames.iter().position(|(other, _)| *other == frame) {
            let (_, reads) = self.frames.remove(at);
            self.keep(reads);
        }
    }

    /// Its strand has ended: another may have the memory.
    pub fn clear(&mut self) {
        for (_, reads) in std::mem::take(&mut self.frames) {
            self.keep(reads);
        }
        self.spans.clear();
    }

    fn keep(&mut self, mut reads: Vec<Open>) {
        if self.spare.len() < SPARE {
            reads.clear();
            self.spare.push(reads);
        }
    }

    /// A later read under the same first call replaces earlier ones of other parts: they belong to an earlier activation.
    pub fn open_span(&mut self, new: OpenSpan) {
        let place = |other: &OpenSpan| (other.code, other.span, other.below);
        let replaced = |other: &OpenSpan| {
            place(other) == place(&new) && (other.open.object == new.open.object || other.open.past.stack == new.open.past.stack)
        };
        self.spans.retain(|other| !replaced(other));
        if self.spans.len() >= SPANS {
            self.spans.remove(0);
        }
        self.spans.push(new);
    }

    /// The spans that look at the same part of an object.
    pub fn spans_of(&mut self, object: ObjectId, key: KeyId) -> impl Iterator<Item = &mut OpenSpan> {
        let fits = move |open: &Open| open.object == object && (open.key == key || key == KeyId::WHOLE);
        self.spans.iter_mut().filter(move |span| fits(&span.open))
    }

    /// Takes the latest read under that span's first call, of the same part of the object: a span is gone through once.
    pub fn take_span(
        &mut self,
        code: CodeId,
        span: u16,
        below: StackId,
        object: ObjectId,
        fits: impl Fn(KeyId) -> bool,
    ) -> Option<OpenSpan> {
        let same = |other: &OpenSpan| {
            (other.code, other.span, other.below, other.open.object) == (code, span, below, object) && fits(other.open.key)
        };
        let at = self.spans.iter().rposition(same)?;
        Some(self.spans.remove(at))
    }
}

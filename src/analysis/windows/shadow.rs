//! What is remembered of the accesses to each subject: the last writes, checks and windows, one for each strand and
//! site, in short lists. Bounded by live objects. It does not judge them.

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::activation::Closed;
use crate::analysis::clock::{Knowledge, Known, Moment};
use crate::analysis::definitions::SiteId;
use crate::analysis::lock::Holding;
use crate::analysis::picture::Scene;
use crate::analysis::strand::StrandId;
use crate::event::{Action, KeyId, ObjectId, StackId, Value};

/// An access that is over.
#[derive(Debug, Clone)]
pub struct Past {
    pub strand: StrandId,
    /// The thread's own strand: those of one event loop have the same.
    pub home: Option<StrandId>,
    pub moment: Moment,
    pub sequence: u64,
    pub time: u64,
    pub stack: StackId,
    pub site: SiteId,
    pub action: Action,
    pub value: Value,
    pub locks: Holding,
    /// How often its strand had given way before.
    pub turns: u64,
    /// Which piece of work of a pool it was part of; 0 for none.
    pub job: u32,
    /// What its strand knew to be over; only kept for writes to subjects that several strands touch.
    pub known: Option<Knowledge>,
    /// It decided whether a loop was left.
    pub polls: bool,
}

impl Past {
    pub fn scene<'a>(&'a self, access: usize, what: &'a str) -> Scene<'a> {
        Scene { access: Some(access), what, strand: self.strand, time: self.time, held: &self.locks }
    }
}

/// What is remembered of one subject.
#[derive(Debug, Default)]
pub struct Part {
    pub writes: Recent<Past>,
    /// Checks and returned reads, for plain unordered accesses.
    pub reads: Recent<Past>,
    pub windows: Recent<Closed>,
    pub writes_total: u64,
    /// What was known with writes that are not remembered any more.
    pub before: Known,
    /// Loops wait for what is written.
    pub polled: bool,
    pub value: Option<Value>,
    /// A note on plain unordered accesses was made.
    pub noted: bool,
}

impl Part {
    pub fn has_been_written(&mut self, past: Past) {
        self.writes_total += 1;
        let (strand, site) = (past.strand, past.site);
        if let Some(oldest) = self.writes.put(strand, past, |other| other.site == site) {
            oldest.known.iter().for_each(|known| self.before.join(known.seen()));
            self.before.learn(oldest.moment);
        }
    }
}

/// The last few of a kind, one for each strand and site; the oldest makes room.
#[derive(Debug)]
pub struct Recent<T> {
    /// With its strand, so that the others need not be looked at.
    entries: SmallVec<[(StrandId, Box<T>); 1]>,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Recent { entries: SmallVec::new() }
    }
}

/// Entries of one list.
const RECENT: usize = 8;

impl<T> Recent<T> {
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.entries.iter().map(|(_, entry)| &**entry)
    }

    /// Puts `new` in the place of the strand's entry that is `same`, or of the oldest, which is returned. The newest is last.
    pub fn put(&mut self, strand: StrandId, new: T, same: impl Fn(&T) -> bool) -> Option<T> {
        let last = self.entries.len().wrapping_sub(1);
        if let Some(at) = self.entries.iter().position(|(by, entry)| *by == strand && same(entry)) {
            if let Some((_, entry)) = self.entries.get_mut(at) {
                **entry = new;
            }
            if at != last {
                self.entries[at..].rotate_left(1);
            }
            return None;
        }
        if self.entries.len() < RECENT {
            self.entries.push((strand, Box::new(new)));
            return None;
        }
        let oldest = self.entries.first_mut().map(|(by, oldest)| {
            *by = strand;
            std::mem::replace(&mut **oldest, new)
        });
        self.entries.rotate_left(1);
        oldest
    }
}

/// What is remembered of one object.
#[derive(Debug)]
pub struct ObjectShadow {
    /// Who made it: the strand of the first access of all, if that was a write. Who begins by reading found it there.
    pub creator: Option<StrandId>,
    /// The first access of all.
    pub first: Moment,
    /// Strands that touched it, with the sequence number of their first access, and whether the object came to them at
    /// run time (it was not there when they were started).
    touched: SmallVec<[Touch; 2]>,
    last: StrandId,
    /// The piece of a pool's work in which it was touched last, and whether there were several.
    job: u32,
    in_several_jobs: bool,
    keys: Vec<KeyId>,
}

#[derive(Debug, Clone, Copy)]
pub struct Touch {
    pub strand: StrandId,
    pub sequence: u64,
    pub handed_over: bool,
}

/// Strands that one object remembers; one that comes back after having been forgotten counts as new.
const TOUCHES: usize = 64;

impl ObjectShadow {
    pub fn new(strand: StrandId, first: Moment, action: Action) -> ObjectShadow {
        let creator = (action != Action::Read).then_some(strand);
        ObjectShadow { creator, first, touched: SmallVec::new(), last: strand, job: 0, in_several_jobs: false, keys: Vec::new() }
    }

    pub fn shared(&self) -> bool {
        self.touched.len() > 1 || self.in_several_jobs
    }

    /// It is touched in that piece of work, by the strand that touched it before.
    pub fn touch_in(&mut self, job: u32) {
        self.in_several_jobs |= self.job != 0 && self.job != job;
        self.job = job;
    }

    pub fn touch_of(&self, strand: StrandId) -> Option<Touch> {
        self.touched.iter().find(|touch| touch.strand == strand).copied()
    }

    /// `handed_over` is asked when the strand is new to the object. True if that makes it shared for the first time.
    pub fn touch(&mut self, strand: StrandId, sequence: u64, handed_over: impl FnOnce(&ObjectShadow) -> bool) -> bool {
        if self.last == strand && !self.touched.is_empty() {
            return false;
        }
        self.last = strand;
        if self.touch_of(strand).is_some() {
            return false;
        }
        let handed_over = handed_over(self);
        if self.touched.len() >= TOUCHES {
            self.touched.remove(1);
        }
        self.touched.push(Touch { strand, sequence, handed_over });
        self.touched.len() == 2
    }
}

/// The subjects of one process.
#[derive(Debug, Default)]
pub struct Shadow {
    objects: FxHashMap<ObjectId, ObjectShadow>,
    parts: FxHashMap<(ObjectId, KeyId), Part>,
    /// Times that subjects had to be forgotten to make room.
    pub evictions: u64,
}

impl Shadow {
    pub fn object(&self, object: ObjectId) -> Option<&ObjectShadow> {
        self.objects.get(&object)
    }

    pub fn object_or(&mut self, object: ObjectId, new: impl FnOnce() -> ObjectShadow) -> &mut ObjectShadow {
        self.objects.entry(object).or_insert_with(new)
    }

    pub fn part(&self, object: ObjectId, key: KeyId) -> Option<&Part> {
        self.parts.get(&(object, key))
    }

    pub fn part_mut(&mut self, object: ObjectId, key: KeyId) -> &mut Part {
        self.parts.entry((object, key)).or_insert_with(|| {
            if let Some(shadow) = self.objects.get_mut(&object) {
                shadow.keys.push(key);
            }
            Part::default()
        })
    }

    pub fn forget(&mut self, object: ObjectId) {
        let Some(shadow) = self.objects.remove(&object) else { return };
        for key in shadow.keys {
            self.parts.remove(&(object, key));
        }
    }

    pub fn clear(&mut self) {
        self.objects.clear();
        self.parts.clear();
    }

    /// Keeps the number of subjects below `most`: objects of one strand go first, then all.
    pub fn make_room(&mut self, most: usize) {
        if self.parts.len() <= most {
            return;
        }
        self.evictions += 1;
        let alone: Vec<ObjectId> = self.objects.iter().filter(|(_, shadow)| !shadow.shared()).map(|(id, _)| *id).collect();
        for object in alone {
            self.forget(object);
        }
        if self.parts.len() > most / 2 {
            self.clear();
        }
    }
}

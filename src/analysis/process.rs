//! One process of a session: its definitions, objects, threads, tasks and channels. Ids are only good within it.

use std::collections::VecDeque;

use rustc_hash::{FxHashMap, FxHashSet};

use super::clock::{Knowledge, Moment, Stamp, Told};
use super::definitions::{Definitions, SiteId};
use super::lent::Lent;
use super::lock::LockId;
use super::strand::StrandId;
use crate::event::{ChannelId, KeyId, ObjectId, ProcessInfo, Shape, StackId, TaskId, TextId, ThreadToken, Tid};

#[derive(Debug, Default)]
pub struct Process {
    pub info: ProcessInfo,
    pub(super) name: Option<TextId>,
    pub definitions: Definitions,
    pub objects: FxHashMap<ObjectId, Object>,
    pub(super) threads: FxHashMap<Tid, ThreadState>,
    pub(super) tokens: FxHashMap<ThreadToken, TokenState>,
    /// What the threads had done that were forgotten after they had ended: whoever joins one follows all of them.
    pub(super) forgotten_threads: Knowledge,
    pub(super) tasks: FxHashMap<TaskId, TaskState>,
    /// When it was first heard of, and when something came in from other processes, in ascending order.
    pub(super) started: u64,
    pub(super) heard: Vec<u64>,
    /// When it last said something itself.
    pub(super) alive: u64,
    /// What it had known until then, the last few times: a child's first records may come later than that.
    pub(super) before_hearing: VecDeque<(u64, Knowledge)>,
    /// What it had done when it ended.
    pub(super) farewell: Option<Knowledge>,
    pub(super) channels: Channels,
    pub(super) lent: Lent,
    pub(super) locks: FxHashMap<ObjectId, LockId>,
    /// Last moments of ended strands' chains that no other strand has taken over.
    pub(super) idle_chains: FxHashSet<Moment>,
    /// The same, the longest idle first; some may have been taken since.
    pub(super) idle_line: std::collections::VecDeque<Moment>,
    /// Strands that are in loops which wait, of a process without a GIL.
    pub(super) pollers: Vec<StrandId>,
    /// Watching began in its midst: a task whose beginning was not seen is unsettled.
    pub(super) midway: bool,
    /// When it ended.
    pub ended: Option<u64>,
}

#[derive(Debug, Clone)]
pub struct Object {
    pub shape: Shape,
    pub type_name: TextId,
    pub label: Option<TextId>,
    /// The site whose path names it best, and how good that is.
    pub named_by: Option<SiteId>,
    pub(super) name_rank: u8,
    /// Parts whose checks in critical sections gave order to something else: they themselves get no order from that.
    pub(super) sources: FxHashSet<KeyId>,
}

/// Such parts that are remembered of one object: of the others, what is in order with them stays in order.
pub(super) const SOURCES: usize = 4096;

impl Object {
    pub(super) fn new(shape: Shape, type_name: TextId, label: Option<TextId>) -> Object {
        Object { shape, type_name, label, named_by: None, name_rank: 0, sources: FxHashSet::default() }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct ThreadState {
    /// The thread's own strand, and the one it runs now (a task, or itself).
    pub own: StrandId,
    pub current: StrandId,
}

#[derive(Debug)]
pub(super) struct TokenState {
    pub start: Option<(Stamp, StackId, StrandId)>,
    pub strand: Option<StrandId>,
}

#[derive(Debug)]
pub(super) struct TaskState {
    pub strand: StrandId,
    pub future: ChannelId,
}

/// What was signalled on each channel. The oldest are merged into one that every later observation of a channel that is
/// not known any more follows: forgetting a channel adds order, and never takes any away.
#[derive(Debug, Default)]
pub(super) struct Channels {
    by_id: FxHashMap<ChannelId, Channel>,
    order: VecDeque<ChannelId>,
    /// Channels whose object is gone: who waited for it may say so a little later.
    ended: VecDeque<ChannelId>,
    forgotten: Option<Told>,
}

#[derive(Debug, Default, Clone)]
pub(super) struct Channel {
    told: Told,
    /// The last moment of the strand whose end it announces.
    pub ends: Option<Moment>,
    items: Option<Box<Items>>,
}

/// What has been put into a channel and was not taken out yet.
#[derive(Debug, Default, Clone)]
struct Items {
    /// By item: what was before it was put, and how often it was.
    waiting: FxHashMap<u64, (Told, u32)>,
    /// There were too many: from then on they are not told apart.
    overflown: bool,
}

/// Items of one channel that are told apart.
const MOST_ITEMS: usize = 1 << 14;

const REMEMBERED_CHANNELS: usize = 1 << 16;
const ENDED_CHANNELS: usize = 256;

impl Channels {
    pub fn signal(&mut self, id: ChannelId, stamp: &Stamp, ends: Option<Moment>) {
        if !self.by_id.contains_key(&id) {
            self.order.push_back(id);
            if self.order.len() > REMEMBERED_CHANNELS
                && let Some(oldest) = self.order.pop_front().and_then(|oldest| self.by_id.remove(&oldest))
            {
                let mut all = match self.forgotten.take() {
                    Some(Told::Often(knowledge)) => knowledge,
                    _ => Knowledge::default(),
                };
                all.join_told(&oldest.told);
                self.forgotten = Some(Told::Often(all));
            }
        }
        let channel = self.by_id.entry(id).or_default();
        channel.told.add(stamp);
        channel.ends = ends;
    }

    /// One more item is in the channel.
    pub fn put(&mut self, id: ChannelId, item: u64, stamp: &Stamp) {
        let Some(channel) = self.by_id.get_mut(&id) else { return };
        let items = channel.items.get_or_insert_default();
        if items.waiting.len() >= MOST_ITEMS {
            items.waiting = FxHashMap::default();
            items.overflown = true;
        }
        if !items.overflown {
            let (told, count) = items.waiting.entry(item).or_default();
            told.add(stamp);
            *count += 1;
        }
    }

    /// One is taken out: what was before it was put, if that was seen.
    pub fn take(&mut self, id: ChannelId, item: u64) -> Option<Told> {
        let items = self.by_id.get_mut(&id)?.items.as_mut()?;
        let (told, count) = items.waiting.get_mut(&item)?;
        *count -= 1;
        if *count > 0 {
            return Some(told.clone());
        }
        items.waiting.remove(&item).map(|(told, _)| told)
    }

    /// The object behind the channel is gone: nobody can observe it any more, except for calls that are under way.
    pub fn end(&mut self, id: ChannelId) {
        if self.by_id.contains_key(&id) {
            self.ended.push_back(id);
            if self.ended.len() > ENDED_CHANNELS
                && let Some(oldest) = self.ended.pop_front()
            {
                self.by_id.remove(&oldest);
            }
        }
    }

    pub fn observe(&self, id: ChannelId) -> Option<(&Told, Option<Moment>)> {
        match self.by_id.get(&id) {
            Some(channel) => Some((&channel.told, channel.ends)),
            None => self.forgotten.as_ref().map(|told| (told, None)),
        }
    }
}

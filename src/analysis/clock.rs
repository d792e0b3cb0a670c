//! Vector clocks over chains: what a strand certainly knows to have happened. Each strand runs on a chain; an ended
//! strand's chain goes to a later strand that is ordered after it (chain decomposition, EventRacer 2013), so that a
//! hundred thousand short tasks do not cost a hundred thousand entries each. It does not know which events make order.

use std::sync::Arc;

/// A point in time of one chain. Accesses of a strand between two of its publications share one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Moment {
    pub chain: u32,
    pub tick: u32,
}

/// What is known of other chains: for each the last tick that is certainly over. Copies share what they have in common:
/// a long base, and short news that are merged into a new base when they grow beyond the base's square root.
#[derive(Debug, Clone, Default)]
pub struct Known {
    base: Arc<Vec<(u32, u32)>>,
    news: Vec<(u32, u32)>,
}

impl Known {
    pub fn tick(&self, chain: u32) -> Option<u32> {
        find(&self.news, chain).max(find(&self.base, chain))
    }

    pub fn includes(&self, moment: Moment) -> bool {
        self.tick(moment.chain).is_some_and(|tick| tick >= moment.tick)
    }

    pub fn learn(&mut self, moment: Moment) {
        match self.news.binary_search_by_key(&moment.chain, |entry| entry.0) {
            Ok(at) => {
                if let Some(entry) = self.news.get_mut(at) {
                    entry.1 = entry.1.max(moment.tick);
                }
            }
            Err(at) if find(&self.base, moment.chain).is_none_or(|tick| tick < moment.tick) => {
                self.news.insert(at, (moment.chain, moment.tick));
                self.settle();
            }
            Err(_) => {}
        }
    }

    pub fn join(&mut self, other: &Known) {
        if !Arc::ptr_eq(&self.base, &other.base) {
            match news_of(&self.base, &other.base) {
                (_, false) => {}
                // Sharing it makes the next comparison free.
                (false, true) => self.base = Arc::clone(&other.base),
                (true, true) => self.base = Arc::new(merge(&self.base, &other.base)),
            }
        }
        if !other.news.is_empty() {
            self.news = merge(&self.news, &other.news);
            self.settle();
        }
    }

    /// Number of entries, for tests of the memory that clocks take.
    pub fn len(&self) -> usize {
        self.base.len() + self.news.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn settle(&mut self) {
        if self.news.len() > self.base.len().isqrt().max(16) {
            self.base = Arc::new(merge(&self.base, &self.news));
            self.news.clear();
        }
    }
}

fn find(entries: &[(u32, u32)], chain: u32) -> Option<u32> {
    let at = entries.binary_search_by_key(&chain, |entry| entry.0).ok()?;
    entries.get(at).map(|entry| entry.1)
}

/// Does each of two lists sorted by chain say something that the other does not?
fn news_of(left: &[(u32, u32)], right: &[(u32, u32)]) -> (bool, bool) {
    let (mut left_has, mut right_has) = (false, false);
    let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
    while !(left_has && right_has) {
        match (left.peek(), right.peek()) {
            (Some(a), Some(b)) if a.0 == b.0 => {
                left_has |= a.1 > b.1;
                right_has |= b.1 > a.1;
                left.next();
                right.next();
            }
            (Some(a), Some(b)) if a.0 > b.0 => {
                right_has = true;
                right.next();
            }
            (Some(_), _) => {
                left_has = true;
                left.next();
            }
            (None, Some(_)) => return (left_has, true),
            (None, None) => break,
        }
    }
    (left_has, right_has)
}

/// Union of two lists sorted by chain; the later tick wins.
fn merge(left: &[(u32, u32)], right: &[(u32, u32)]) -> Vec<(u32, u32)> {
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let (mut left, mut right) = (left.iter().copied().peekable(), right.iter().copied().peekable());
    loop {
        let next = match (left.peek(), right.peek()) {
            (Some(a), Some(b)) if a.0 == b.0 => {
                let both = (a.0, a.1.max(b.1));
                left.next();
                right.next();
                both
            }
            (Some(a), Some(b)) if a.0 > b.0 => {
                let entry = *b;
                right.next();
                entry
            }
            (Some(a), _) => {
                let entry = *a;
                left.next();
                entry
            }
            (None, Some(b)) => {
                let entry = *b;
                right.next();
                entry
            }
            (None, None) => return merged,
        };
        merged.push(next);
    }
}

/// The two clocks of one holder. `soft` (hard order and order between critical sections that conflict) is only kept
/// apart once it knows more than `hard`.
#[derive(Debug, Clone, Default)]
pub struct Knowledge {
    hard: Arc<Known>,
    soft: Option<Arc<Known>>,
}

impl Knowledge {
    pub fn hard(&self) -> &Known {
        &self.hard
    }

    pub fn share_hard(&self) -> Arc<Known> {
        Arc::clone(&self.hard)
    }

    pub fn soft(&self) -> &Known {
        self.soft.as_ref().unwrap_or(&self.hard)
    }

    /// Takes over what a publication says.
    pub fn join(&mut self, stamp: &Stamp) {
        if self.soft.is_some() || stamp.knowledge.soft.is_some() {
            self.join_soft(stamp);
        }
        if !self.hard.includes(stamp.moment) {
            let known = Arc::make_mut(&mut self.hard);
            known.join(&stamp.knowledge.hard);
            known.learn(stamp.moment);
        }
    }

    /// Takes it over as soft order only. True if that was news.
    pub fn join_soft(&mut self, stamp: &Stamp) -> bool {
        if self.soft().includes(stamp.moment) {
            return false;
        }
        let hard = &self.hard;
        let known = Arc::make_mut(self.soft.get_or_insert_with(|| Arc::clone(hard)));
        known.join(stamp.knowledge.soft());
        known.learn(stamp.moment);
        true
    }

    /// Takes over all that another holder knows (a channel with several signals).
    pub fn join_all(&mut self, other: &Knowledge) {
        if other.soft.is_none() && other.hard.is_empty() {
            return;
        }
        if !Arc::ptr_eq(&self.hard, &other.hard) {
            Arc::make_mut(&mut self.hard).join(&other.hard);
        }
        if self.soft.is_some() || other.soft.is_some() {
            let hard = &self.hard;
            Arc::make_mut(self.soft.get_or_insert_with(|| Arc::clone(hard))).join(other.soft());
        }
    }
}

/// What a strand publishes: its moment and all that it knew then.
#[derive(Debug, Clone)]
pub struct Stamp {
    pub moment: Moment,
    pub knowledge: Knowledge,
}

/// The clock of one strand.
#[derive(Debug, Clone)]
pub struct Clock {
    moment: Moment,
    knowledge: Knowledge,
}

impl Clock {
    pub fn new(moment: Moment, knowledge: Knowledge) -> Clock {
        Clock { moment, knowledge }
    }

    pub fn moment(&self) -> Moment {
        self.moment
    }

    pub fn knowledge(&self) -> &Knowledge {
        &self.knowledge
    }

    /// What happened so far goes out; what follows is a later moment.
    pub fn publish(&mut self) -> Stamp {
        let stamp = Stamp { moment: self.moment, knowledge: self.knowledge.clone() };
        self.moment.tick = self.moment.tick.saturating_add(1);
        stamp
    }

    /// What happened so far, while more of the same moment may follow.
    pub fn peek(&self) -> Stamp {
        Stamp { moment: self.moment, knowledge: self.knowledge.clone() }
    }

    pub fn join(&mut self, stamp: &Stamp) {
        self.knowledge.join(stamp);
    }

    pub fn join_soft(&mut self, stamp: &Stamp) -> bool {
        self.knowledge.join_soft(stamp)
    }

    pub fn join_all(&mut self, knowledge: &Knowledge) {
        self.knowledge.join_all(knowledge);
    }

    pub fn hard_after(&self, moment: Moment) -> bool {
        moment.chain == self.moment.chain || self.knowledge.hard().includes(moment)
    }

    pub fn soft_after(&self, moment: Moment) -> bool {
        moment.chain == self.moment.chain || self.knowledge.soft().includes(moment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(chain: u32) -> Clock {
        Clock::new(Moment { chain, tick: 1 }, Knowledge::default())
    }

    #[test]
    fn what_follows_a_publication_is_not_part_of_it() {
        let (mut a, mut b) = (clock(1), clock(2));
        let before = a.moment();
        b.join(&a.publish());
        assert!(b.hard_after(before));
        assert!(!b.hard_after(a.moment()));
    }

    #[test]
    fn order_is_transitive() {
        let (mut a, mut b, mut c) = (clock(1), clock(2), clock(3));
        let first = a.moment();
        b.join(&a.publish());
        c.join(&b.publish());
        assert!(c.hard_after(first));
    }

    #[test]
    fn soft_order_is_no_hard_order_and_travels_along_hard_edges() {
        let (mut a, mut b, mut c) = (clock(1), clock(2), clock(3));
        let first = a.moment();
        assert!(b.join_soft(&a.publish()));
        assert!(b.soft_after(first) && !b.hard_after(first));
        c.join(&b.publish());
        assert!(c.soft_after(first) && !c.hard_after(first));
    }

    #[test]
    fn a_list_that_says_all_that_another_does_is_shared() {
        let more = [(1, 5), (3, 2), (4, 1)];
        assert_eq!(news_of(&more, &[(1, 4), (4, 1)]), (true, false));
        assert_eq!(news_of(&[(3, 2)], &more), (false, true));
        assert_eq!(news_of(&more, &more), (false, false));
        assert_eq!(news_of(&more, &[(2, 1)]), (true, true));
        assert_eq!(news_of(&[(1, 6)], &more), (true, true));
        let mut known = Known { base: Arc::new(vec![(3, 1)]), news: Vec::new() };
        let other = Known { base: Arc::new(more.to_vec()), news: Vec::new() };
        known.join(&other);
        assert!(Arc::ptr_eq(&known.base, &other.base));
        known.join(&Known { base: Arc::new(vec![(2, 9), (3, 1)]), news: Vec::new() });
        assert_eq!(*known.base, [(1, 5), (2, 9), (3, 2), (4, 1)]);
    }

    #[test]
    fn many_joins_keep_every_entry_and_copies_stay_small() {
        let mut known = Known::default();
        for chain in (0..10_000).rev() {
            known.learn(Moment { chain, tick: chain + 1 });
        }
        assert_eq!(known.len(), 10_000);
        assert!((0..10_000).all(|chain| known.tick(chain) == Some(chain + 1)));
        assert!(known.news.len() <= 100);
    }
}

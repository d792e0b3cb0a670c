//! Vector clocks over chains: what a strand certainly knows to have happened. Each strand runs on a chain; an ended
//! strand's chain goes to a later strand that is ordered after it (chain decomposition, EventRacer 2013), so that a
//! hundred thousand short tasks do not cost a hundred thousand entries each. It does not know which events make order.

mod known;

pub use known::Known;

/// A point in time of one chain. Accesses of a strand between two of its publications share one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Moment {
    pub chain: u32,
    pub tick: u32,
}

/// The clocks of one holder. `soft` (hard order and order between critical sections that conflict) is only kept apart
/// once it knows more than `hard`; so is `seen` (that, and order by what loops wait for) once it knows more than `soft`.
#[derive(Debug, Clone, Default)]
pub struct Knowledge {
    hard: Known,
    soft: Option<Known>,
    seen: Option<Known>,
}

impl Knowledge {
    pub fn hard(&self) -> &Known {
        &self.hard
    }

    pub fn soft(&self) -> &Known {
        self.soft.as_ref().unwrap_or(&self.hard)
    }

    pub fn seen(&self) -> &Known {
        self.seen.as_ref().unwrap_or(self.soft())
    }

    /// Takes over what a publication says.
    pub fn join(&mut self, stamp: &Stamp) {
        self.join_seen(stamp);
        if self.soft.is_some() || stamp.knowledge.soft.is_some() {
            self.join_soft(stamp);
        }
        if !self.hard.includes(stamp.moment) {
            self.hard.join(&stamp.knowledge.hard);
            self.hard.learn(stamp.moment);
        }
    }

    fn join_seen(&mut self, stamp: &Stamp) {
        if (self.seen.is_some() || stamp.knowledge.seen.is_some()) && !self.seen().includes(stamp.moment) {
            let known = self.own_seen();
            known.join(stamp.knowledge.seen());
            known.learn(stamp.moment);
        }
    }

    /// Takes it over as soft order only.
    pub fn join_soft(&mut self, stamp: &Stamp) {
        self.join_seen(stamp);
        if !self.soft().includes(stamp.moment) {
            let known = self.own_soft();
            known.join(stamp.knowledge.soft());
            known.learn(stamp.moment);
        }
    }

    pub fn join_told(&mut self, told: &Told) {
        match told {
            Told::Nothing => {}
            Told::Once(stamp) => self.join(stamp),
            Told::Often(knowledge) => self.join_all(knowledge),
        }
    }

    /// Takes over all that another holder knows.
    pub fn join_all(&mut self, other: &Knowledge) {
        if self.seen.is_some() || other.seen.is_some() {
            self.own_seen().join(other.seen());
        }
        if self.soft.is_some() || other.soft.is_some() {
            self.own_soft().join(other.soft());
        }
        self.hard.join(&other.hard);
    }

    fn own_soft(&mut self) -> &mut Known {
        self.soft.get_or_insert_with(|| self.hard.clone())
    }

    fn own_seen(&mut self) -> &mut Known {
        let Knowledge { hard, soft, seen } = self;
        seen.get_or_insert_with(|| soft.as_ref().unwrap_or(hard).clone())
    }
}

/// What a strand publishes: its moment and all that it knew then.
#[derive(Debug, Clone)]
pub struct Stamp {
    pub moment: Moment,
    pub knowledge: Knowledge,
}

/// What one or several strands have told. Most channels are told of once, or by one strand: then nothing is joined.
#[derive(Debug, Default, Clone)]
pub enum Told {
    #[default]
    Nothing,
    Once(Stamp),
    Often(Knowledge),
}

impl Told {
    /// Is that moment over for whoever is told?
    pub fn includes(&self, moment: Moment) -> bool {
        match self {
            Told::Nothing => false,
            Told::Once(stamp) => {
                let own = stamp.moment.chain == moment.chain && moment.tick <= stamp.moment.tick;
                own || stamp.knowledge.hard().includes(moment)
            }
            Told::Often(knowledge) => knowledge.hard().includes(moment),
        }
    }

    pub fn add(&mut self, stamp: &Stamp) {
        match self {
            Told::Nothing => *self = Told::Once(stamp.clone()),
            Told::Once(earlier) if earlier.moment.chain == stamp.moment.chain && earlier.moment <= stamp.moment => {
                *earlier = stamp.clone();
            }
            Told::Once(earlier) => {
                let mut both = Knowledge::default();
                both.join(earlier);
                both.join(stamp);
                *self = Told::Often(both);
            }
            Told::Often(knowledge) => knowledge.join(stamp),
        }
    }
}

/// The clock of one strand.
#[derive(Debug, Clone)]
pub struct Clock {
    moment: Moment,
    knowledge: Knowledge,
    /// Whoever knows of this tick of its chain knows all that it knows itself: it has learnt nothing since.
    changed: u32,
    /// The tick in which somebody was told while more of it may follow.
    peeked: u32,
}

impl Clock {
    pub fn new(moment: Moment, knowledge: Knowledge) -> Clock {
        Clock { moment, knowledge, changed: moment.tick, peeked: 0 }
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

    /// What happened so far, while more of the same moment may follow; to be looked at.
    pub fn peek(&self) -> Stamp {
        Stamp { moment: self.moment, knowledge: self.knowledge.clone() }
    }

    /// The same, for others to join.
    pub fn publish_early(&mut self) -> Stamp {
        self.peeked = self.moment.tick;
        self.peek()
    }

    pub fn join(&mut self, stamp: &Stamp) {
        let own = self.own();
        self.join_seen(stamp);
        if self.knowledge.soft.is_some() || stamp.knowledge.soft.is_some() {
            self.join_soft(stamp);
        }
        if !self.knowledge.hard.includes(stamp.moment) {
            follow(&mut self.knowledge.hard, &stamp.knowledge.hard, own);
            self.knowledge.hard.learn(stamp.moment);
            self.has_changed();
        }
    }

    pub fn join_told(&mut self, told: &Told) {
        match told {
            Told::Nothing => {}
            Told::Once(stamp) => self.join(stamp),
            Told::Often(knowledge) => self.join_all(knowledge),
        }
    }

    /// Takes it over as soft order only. True if that was news.
    pub fn join_soft(&mut self, stamp: &Stamp) -> bool {
        if self.knowledge.soft().includes(stamp.moment) {
            return false;
        }
        let own = self.own();
        self.join_seen(stamp);
        let known = self.knowledge.own_soft();
        follow(known, stamp.knowledge.soft(), own);
        known.learn(stamp.moment);
        self.has_changed();
        true
    }

    fn join_seen(&mut self, stamp: &Stamp) {
        let apart = self.knowledge.seen.is_some() || stamp.knowledge.seen.is_some();
        if apart && !self.knowledge.seen().includes(stamp.moment) {
            let own = self.own();
            let known = self.knowledge.own_seen();
            follow(known, stamp.knowledge.seen(), own);
            known.learn(stamp.moment);
            self.has_changed();
        }
    }

    /// What was stored has been seen, by whoever stored it that knew this.
    pub fn has_seen(&mut self, other: &Known) {
        let own = self.own();
        follow(self.knowledge.own_seen(), other, own);
        self.has_changed();
    }

    /// Takes over all that another holder knows (a channel with several signals).
    pub fn join_all(&mut self, other: &Knowledge) {
        if other.soft.is_none() && other.seen.is_none() && other.hard.is_empty() {
            return;
        }
        let own = self.own();
        if self.knowledge.seen.is_some() || other.seen.is_some() {
            follow(self.knowledge.own_seen(), other.seen(), own);
        }
        if self.knowledge.soft.is_some() || other.soft.is_some() {
            follow(self.knowledge.own_soft(), other.soft(), own);
        }
        follow(&mut self.knowledge.hard, &other.hard, own);
        self.has_changed();
    }

    /// Is that nothing new?
    pub fn knows(&self, other: &Known) -> bool {
        let mut both = self.knowledge.seen().clone();
        both.join(other);
        both.is_same(self.knowledge.seen())
    }

    pub fn hard_after(&self, moment: Moment) -> bool {
        moment.chain == self.moment.chain || self.knowledge.hard().includes(moment)
    }

    pub fn soft_after(&self, moment: Moment) -> bool {
        moment.chain == self.moment.chain || self.knowledge.soft().includes(moment)
    }

    pub fn seen_after(&self, moment: Moment) -> bool {
        moment.chain == self.moment.chain || self.knowledge.seen().includes(moment)
    }

    /// The moment whose publication says all that is known here.
    fn own(&self) -> Moment {
        Moment { chain: self.moment.chain, tick: self.changed }
    }

    fn has_changed(&mut self) {
        let is_out = self.peeked == self.moment.tick;
        self.changed = self.moment.tick.saturating_add(u32::from(is_out));
    }
}

/// Joins what another knows; at once where that contains what `own`, the holder's last news, said.
fn follow(known: &mut Known, other: &Known, own: Moment) {
    if other.includes(own) {
        *known = other.clone();
    } else {
        known.join(other);
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
    fn who_contains_the_last_news_is_followed_at_once_and_nothing_is_lost() {
        let (mut a, mut b, mut c) = (clock(1), clock(2), clock(3));
        let first = c.moment();
        a.join(&c.publish());
        b.join(&a.publish());
        a.join(&b.publish());
        assert!(a.hard_after(first));
        // Learnt in the tick that was told early: who knows that tick does not know this.
        let early = a.publish_early();
        b.join(&early);
        let later = c.moment();
        a.join(&c.publish());
        a.join(&b.publish());
        assert!(a.hard_after(later) && a.hard_after(first));
    }
}

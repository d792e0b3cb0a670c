//! What is known of other chains: for each the last tick that is certainly over. A persistent radix tree by chain: copies
//! share every part in which they agree, and a join looks only at parts that are not shared, so that a clock over ten
//! thousand tasks is copied by counting one reference and joined for what is new. It does not know whose knowledge it is.

use std::sync::Arc;

use super::Moment;

/// Chains of a leaf, and children of an inner node, as powers of two.
const LEAF_BITS: u32 = 6;
const INNER_BITS: u32 = 5;
const LEAF: usize = 1 << LEAF_BITS;
const INNER: usize = 1 << INNER_BITS;

/// A part of the tree. Tick 0 means that nothing is known: the first tick of a chain is 1.
#[derive(Debug, Clone)]
enum Node {
    Leaf([u32; LEAF]),
    Inner([Option<Arc<Node>>; INNER]),
}

#[derive(Debug, Clone, Default)]
pub struct Known {
    root: Option<Arc<Node>>,
    /// Levels of inner nodes above the leaves.
    height: u32,
}

impl Known {
    pub fn tick(&self, chain: u32) -> Option<u32> {
        let mut node = self.root.as_deref()?;
        if !covers(self.height, chain) {
            return None;
        }
        let mut height = self.height;
        loop {
            match node {
                Node::Leaf(ticks) => return ticks.get(chain as usize % LEAF).copied().filter(|tick| *tick != 0),
                Node::Inner(children) => {
                    node = children.get(child_of(height, chain))?.as_deref()?;
                    height = height.saturating_sub(1);
                }
            }
        }
    }

    pub fn includes(&self, moment: Moment) -> bool {
        self.tick(moment.chain).is_some_and(|tick| tick >= moment.tick)
    }

    pub fn learn(&mut self, moment: Moment) {
        if self.includes(moment) {
            return;
        }
        while !covers(self.height, moment.chain) {
            self.raise();
        }
        learn(&mut self.root, self.height, moment);
    }

    pub fn join(&mut self, other: &Known) {
        let Some(theirs) = &other.root else { return };
        while self.height < other.height {
            self.raise();
        }
        if self.root.as_ref().is_some_and(|root| says_all(root, self.height, theirs, other.height)) {
            return;
        }
        let mut place = &mut self.root;
        for _ in other.height..self.height {
            match Arc::make_mut(place.get_or_insert_with(|| Arc::new(Node::Inner([const { None }; INNER])))) {
                Node::Inner([first, ..]) => place = first,
                Node::Leaf(_) => return,
            }
        }
        match place {
            Some(ours) => *ours = joined(ours, theirs),
            None => *place = Some(Arc::clone(theirs)),
        }
    }

    /// Number of chains of which something is known, for tests of the memory that clocks take.
    pub fn len(&self) -> usize {
        self.root.as_deref().map_or(0, count)
    }

    pub fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// Do both share all they have? A quick look: they may say the same without.
    pub fn is_same(&self, other: &Known) -> bool {
        match (&self.root, &other.root) {
            (Some(ours), Some(theirs)) => Arc::ptr_eq(ours, theirs),
            (None, None) => true,
            _ => false,
        }
    }

    /// Another level above.
    fn raise(&mut self) {
        self.height += 1;
        self.root = self.root.take().map(|root| {
            let mut children = [const { None }; INNER];
            if let Some(first) = children.first_mut() {
                *first = Some(root);
            }
            Arc::new(Node::Inner(children))
        });
    }
}

/// Can a tree of that height hold the chain?
fn covers(height: u32, chain: u32) -> bool {
    u64::from(chain) >> (LEAF_BITS + INNER_BITS * height) == 0
}

fn child_of(height: u32, chain: u32) -> usize {
    let shift = LEAF_BITS + INNER_BITS * height.saturating_sub(1);
    (u64::from(chain) >> shift) as usize % INNER
}

fn learn(place: &mut Option<Arc<Node>>, height: u32, moment: Moment) {
    let node = place
        .get_or_insert_with(|| Arc::new(if height == 0 { Node::Leaf([0; LEAF]) } else { Node::Inner([const { None }; INNER]) }));
    match Arc::make_mut(node) {
        Node::Leaf(ticks) => {
            if let Some(tick) = ticks.get_mut(moment.chain as usize % LEAF) {
                *tick = moment.tick.max(*tick);
            }
        }
        Node::Inner(children) => {
            if let Some(child) = children.get_mut(child_of(height, moment.chain)) {
                learn(child, height.saturating_sub(1), moment);
            }
        }
    }
}

/// Is a lower tree part of what the higher one says?
fn says_all(high: &Arc<Node>, mut height: u32, low: &Arc<Node>, low_height: u32) -> bool {
    let mut at = high;
    while height > low_height {
        match &**at {
            Node::Inner([Some(first), ..]) => at = first,
            _ => return false,
        }
        height -= 1;
    }
    !differences(at, low).1
}

/// Does each of two nodes of one height say something that the other does not?
fn differences(left: &Arc<Node>, right: &Arc<Node>) -> (bool, bool) {
    if Arc::ptr_eq(left, right) {
        return (false, false);
    }
    let (mut left_has, mut right_has) = (false, false);
    match (&**left, &**right) {
        (Node::Leaf(left), Node::Leaf(right)) => {
            for (left, right) in left.iter().zip(right) {
                left_has |= left > right;
                right_has |= right > left;
            }
        }
        (Node::Inner(left), Node::Inner(right)) => {
            for pair in left.iter().zip(right) {
                let (more, less) = match pair {
                    (Some(left), Some(right)) => differences(left, right),
                    (left, right) => (left.is_some(), right.is_some()),
                };
                left_has |= more;
                right_has |= less;
                if left_has && right_has {
                    break;
                }
            }
        }
        _ => return (true, true),
    }
    (left_has, right_has)
}

/// Both together; shared with the one that says it all, where one does.
fn joined(left: &Arc<Node>, right: &Arc<Node>) -> Arc<Node> {
    match differences(left, right) {
        (_, false) => return Arc::clone(left),
        (false, true) => return Arc::clone(right),
        (true, true) => {}
    }
    Arc::new(match (&**left, &**right) {
        (Node::Leaf(left), Node::Leaf(right)) => {
            let mut ticks = *left;
            ticks.iter_mut().zip(right).for_each(|(tick, other)| *tick = (*tick).max(*other));
            Node::Leaf(ticks)
        }
        (Node::Inner(left), Node::Inner(right)) => {
            let mut children = [const { None }; INNER];
            for (child, pair) in children.iter_mut().zip(left.iter().zip(right)) {
                *child = match pair {
                    (Some(left), Some(right)) => Some(joined(left, right)),
                    (left, right) => left.as_ref().or(right.as_ref()).map(Arc::clone),
                };
            }
            Node::Inner(children)
        }
        _ => return Arc::clone(left),
    })
}

fn count(node: &Node) -> usize {
    match node {
        Node::Leaf(ticks) => ticks.iter().filter(|tick| **tick != 0).count(),
        Node::Inner(children) => children.iter().flatten().map(|child| count(child)).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(entries: &[(u32, u32)]) -> Known {
        let mut known = Known::default();
        entries.iter().for_each(|&(chain, tick)| known.learn(Moment { chain, tick }));
        known
    }

    #[test]
    fn a_clock_that_says_all_that_another_does_is_shared() {
        let mut few = known(&[(3, 1)]);
        let more = known(&[(1, 5), (3, 2), (400, 1)]);
        few.join(&more);
        assert!(few.is_same(&more));
        few.join(&known(&[(2, 9), (3, 1)]));
        assert!(!few.is_same(&more));
        let all: Vec<_> = [1, 2, 3, 4, 400].map(|chain| few.tick(chain)).into();
        assert_eq!(all, [Some(5), Some(9), Some(2), None, Some(1)]);
        assert_eq!((few.len(), more.len()), (4, 3));
    }

    #[test]
    fn trees_of_different_heights_are_joined_both_ways() {
        let chains = [0, 1, 63, 64, 2047, 2048, 70_000, 3_000_000, u32::MAX];
        for low in chains {
            for high in chains {
                let (a, b) = (known(&[(low, 7)]), known(&[(high, 8), (5, 1)]));
                let (mut left, mut right) = (a.clone(), b.clone());
                left.join(&b);
                right.join(&a);
                for chain in chains.into_iter().chain([5]) {
                    let expected = a.tick(chain).max(b.tick(chain));
                    assert_eq!((left.tick(chain), right.tick(chain)), (expected, expected), "{low} {high} {chain}");
                }
                // What is known already changes nothing, so nothing is copied.
                let before = right.clone();
                right.join(&a);
                assert!(right.is_same(&before));
            }
        }
    }

    #[test]
    fn many_chains_keep_every_entry() {
        let mut known = Known::default();
        for chain in (0..10_000).rev() {
            known.learn(Moment { chain, tick: chain + 1 });
        }
        assert_eq!(known.len(), 10_000);
        assert!((0..10_000).all(|chain| known.tick(chain) == Some(chain + 1)));
        let mut copy = known.clone();
        copy.learn(Moment { chain: 1, tick: 1 });
        assert!(copy.is_same(&known), "what is known is not learnt again");
    }
}

//! Which looks are thorough. At first all are; later, when nobody is anywhere that was not looked at often, some only glance
//! at the stacks. It says nothing of how often to look at all.

use std::hash::{Hash, Hasher};
use std::time::Duration;

use rustc_hash::{FxHashMap, FxHasher};

/// So long all looks are thorough.
const FIRST: Duration = Duration::from_secs(5);
/// So often must a place have been looked at thoroughly to be familiar.
const FAMILIAR: u32 = 16;
/// Of looks at familiar places, one of so many is thorough.
const ONE_OF: u32 = 8;
const MOST_PLACES: usize = 1 << 16;

/// Where a strand stands in the program's own functions: their code and instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Whereabouts(u64);

impl Whereabouts {
    /// `None` for a strand that is in no function of the program's own.
    pub fn of(frames: impl Iterator<Item = (u32, u32)>) -> Option<Whereabouts> {
        let (mut hasher, mut any) = (FxHasher::default(), false);
        for frame in frames {
            frame.hash(&mut hasher);
            any = true;
        }
        any.then(|| Whereabouts(hasher.finish()))
    }
}

#[derive(Debug, Default)]
pub(super) struct Pace {
    /// How often each place has been looked at thoroughly.
    known: FxHashMap<Whereabouts, u32>,
    /// Glances since the last thorough look.
    glances: u32,
}

impl Pace {
    /// Is a look thorough that finds strands there, so long after the first one?
    pub fn is_thorough(&mut self, age: Duration, strands: &[Whereabouts]) -> bool {
        let is_familiar = |place: &Whereabouts| self.known.get(place).is_some_and(|times| *times >= FAMILIAR);
        if age >= FIRST && self.glances + 1 < ONE_OF && strands.iter().all(is_familiar) {
            self.glances += 1;
            return false;
        }
        self.glances = 0;
        if self.known.len() >= MOST_PLACES {
            self.known.clear();
        }
        for place in strands {
            *self.known.entry(*place).or_default() += 1;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: u32) -> Whereabouts {
        Whereabouts::of([(1, 2), (3, offset)].into_iter()).expect("frames")
    }

    #[test]
    fn at_first_all_looks_are_thorough_and_later_those_that_find_something_new() {
        let mut pace = Pace::default();
        assert!((0..1000).all(|_| pace.is_thorough(Duration::from_secs(4), &[at(2)])));
        let thorough = (0..100).filter(|_| pace.is_thorough(Duration::from_secs(6), &[at(2)])).count();
        assert_eq!(thorough, 100 / ONE_OF as usize);
        for _ in 0..FAMILIAR {
            assert!(pace.is_thorough(Duration::from_secs(7), &[at(2), at(4)]));
        }
        assert!(!pace.is_thorough(Duration::from_secs(8), &[at(2), at(4)]));
    }

    #[test]
    fn who_is_in_no_function_of_the_program_is_nowhere() {
        assert_eq!(Whereabouts::of(std::iter::empty()), None);
        assert_ne!(at(2), at(4));
    }
}

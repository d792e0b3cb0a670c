//! In how many samples something was seen. One reading of a running process can be wrong in ways nobody thought of, so that
//! claims which rest on more than one strand are made at the second sighting. It does not know what was seen.

use std::collections::HashMap;
use std::hash::Hash;

/// So often must it be seen.
const ENOUGH: u32 = 2;

/// Of `MOST` things it remembers how often; then it begins anew.
#[derive(Debug)]
pub struct Sightings<K, const MOST: usize = 0x4000> {
    /// How often, and when last.
    seen: HashMap<K, (u32, u64)>,
}

impl<K, const MOST: usize> Default for Sightings<K, MOST> {
    fn default() -> Self {
        Sightings { seen: HashMap::new() }
    }
}

impl<K: Eq + Hash, const MOST: usize> Sightings<K, MOST> {
    /// It is seen in the sample of this time: was that often enough?
    pub fn are_enough(&mut self, what: K, time: u64) -> bool {
        if self.seen.len() >= MOST {
            self.seen.clear();
        }
        let (sightings, last) = self.seen.entry(what).or_default();
        if *sightings == 0 || *last != time {
            (*sightings, *last) = (*sightings + 1, time);
        }
        *sightings >= ENOUGH
    }
}

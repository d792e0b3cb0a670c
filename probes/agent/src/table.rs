//! A hash table from non-zero words to words. It grows up to a fixed size and never fails: when it is full it says so.

/// Open addressing with linear probing; deletion shifts entries back, so that look-ups stay short.
pub struct Table {
    entries: Box<[(u64, u64)]>,
    used: usize,
    largest: usize,
}

/// Where tables start: small enough not to matter where nothing comes.
const SMALLEST: usize = 1 << 9;

impl Table {
    /// `capacity`, the most places that it will ever have, is a power of two.
    pub fn new(capacity: usize) -> Table {
        debug_assert!(capacity.is_power_of_two());
        Table { entries: vec![(0, 0); capacity.min(SMALLEST)].into_boxed_slice(), used: 0, largest: capacity }
    }

    fn is_full(&self) -> bool {
        self.used >= self.entries.len() / 4 * 3
    }

    #[cold]
    fn grow(&mut self) {
        let places = (self.entries.len() * 4).min(self.largest);
        let entries = std::mem::replace(&mut self.entries, vec![(0, 0); places].into_boxed_slice());
        for (key, value) in entries.into_iter().filter(|entry| entry.0 != 0) {
            if let Err(at) = self.find(key) {
                self.entries[at] = (key, value);
            }
        }
    }

    #[inline(always)]
    fn home(&self, key: u64) -> usize {
        (mix(key) as usize) & (self.entries.len() - 1)
    }

    #[inline]
    fn find(&self, key: u64) -> Result<usize, usize> {
        let mask = self.entries.len() - 1;
        let mut at = self.home(key);
        loop {
            match self.entries[at].0 {
                found if found == key => return Ok(at),
                0 => return Err(at),
                _ => at = (at + 1) & mask,
            }
        }
    }

    #[inline]
    pub fn get(&self, key: u64) -> Option<u64> {
        self.find(key).ok().map(|at| self.entries[at].1)
    }

    /// Sets a value. False when the table is three quarters full at its largest, and the key is new.
    pub fn set(&mut self, key: u64, value: u64) -> bool {
        match self.find(key) {
            Ok(at) => self.entries[at].1 = value,
            Err(_) if self.is_full() && self.entries.len() < self.largest => {
                self.grow();
                return self.set(key, value);
            }
            Err(_) if self.is_full() => return false,
            Err(at) => {
                self.entries[at] = (key, value);
                self.used += 1;
            }
        }
        true
    }

    /// The value of a known key, to be changed.
    #[inline]
    pub fn value(&mut self, key: u64) -> Option<&mut u64> {
        let at = self.find(key).ok()?;
        Some(&mut self.entries[at].1)
    }

    #[inline]
    pub fn remove(&mut self, key: u64) -> Option<u64> {
        // Most tables hold nothing most of the time, and each end of an object asks several.
        if self.used == 0 { None } else { self.take(key) }
    }

    fn take(&mut self, key: u64) -> Option<u64> {
        let mask = self.entries.len() - 1;
        let mut hole = self.find(key).ok()?;
        let value = self.entries[hole].1;
        let mut next = (hole + 1) & mask;
        while self.entries[next].0 != 0 {
            let home = self.home(self.entries[next].0);
            if (next.wrapping_sub(home) & mask) >= (next.wrapping_sub(hole) & mask) {
                self.entries[hole] = self.entries[next];
                hole = next;
            }
            next = (next + 1) & mask;
        }
        self.entries[hole] = (0, 0);
        self.used -= 1;
        Some(value)
    }

    pub fn clear(&mut self) {
        self.entries.fill((0, 0));
        self.used = 0;
    }
}

/// A good spread of all bits (the finaliser of splitmix64).
#[inline(always)]
pub fn mix(mut word: u64) -> u64 {
    word ^= word >> 30;
    word = word.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word ^= word >> 27;
    word = word.wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[inline(always)]
pub fn mix2(a: u64, b: u64) -> u64 {
    mix(a ^ mix(b.wrapping_add(0x9e37_79b9_7f4a_7c15)))
}

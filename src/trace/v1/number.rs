//! Numbers as bytes: little-endian base 128, and the distance to the last number of the same sort. Knows nothing of
//! records.

/// The last number of each sort, so that the next one can be written as a short distance. Every block starts anew.
#[derive(Debug, Clone, Default)]
pub struct Registers {
    pub time: u64,
    pub process: u32,
    pub thread: u32,
    pub text: u32,
    pub code: u32,
    pub stack: u32,
    pub object: u64,
    pub key: u64,
    pub task: u64,
    pub token: u64,
    pub channel: u64,
    pub frame: u64,
    pub identity: u64,
}

/// Where bytes are put.
#[derive(Debug, Default)]
pub struct Output {
    pub bytes: Vec<u8>,
    pub last: Registers,
}

impl Output {
    #[inline]
    pub fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    #[inline]
    pub fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    pub fn blob(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
    }
}

/// A cursor over bytes that may say anything.
#[derive(Debug)]
pub struct Input<'a> {
    pub bytes: &'a [u8],
    pub last: &'a mut Registers,
}

impl<'a> Input<'a> {
    #[inline]
    pub fn new(bytes: &'a [u8], last: &'a mut Registers) -> Self {
        Input { bytes, last }
    }

    #[inline]
    pub fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    #[inline]
    pub fn number(&mut self) -> Option<u64> {
        let first = self.byte()?;
        if first < 0x80 { Some(u64::from(first)) } else { self.long_number(u64::from(first & 0x7f)) }
    }

    fn long_number(&mut self, mut number: u64) -> Option<u64> {
        for shift in (7..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    /// A byte string, which cannot be longer than what is there.
    pub fn blob(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (head, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(head)
    }

    /// A count of things of which each takes a byte or more.
    pub fn count(&mut self) -> Option<usize> {
        let count = usize::try_from(self.number()?).ok()?;
        (count <= self.bytes.len()).then_some(count)
    }
}

/// Signed numbers near zero, of either sign, as small unsigned ones.
#[inline]
pub fn fold(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

#[inline]
pub fn unfold(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_length_survive() {
        let mut output = Output::default();
        let numbers: Vec<u64> = (0..64).flat_map(|bit| [1u64 << bit, (1u64 << bit) - 1, u64::MAX >> bit]).collect();
        numbers.iter().for_each(|number| output.number(*number));
        let mut last = Registers::default();
        let mut input = Input::new(&output.bytes, &mut last);
        assert!(numbers.iter().all(|number| input.number() == Some(*number)));
        assert_eq!(input.number(), None);
    }

    #[test]
    fn a_number_without_an_end_is_refused() {
        let mut last = Registers::default();
        assert_eq!(Input::new(&[0xff; 11], &mut last).number(), None);
        assert_eq!(Input::new(&[0xff; 3], &mut last).number(), None);
    }

    #[test]
    fn signs_survive() {
        for number in [0, 1, -1, i64::MAX, i64::MIN, 300, -300] {
            assert_eq!(unfold(fold(number)), number);
        }
    }
}

//! Files that were cut, changed or made up: what can be read is read, what cannot is said, and nothing panics, hangs or
//! takes memory beyond what the file earns.

use super::made::{Numbers, file, records};
use crate::event::{Event, Record};
use crate::trace::v1::block::{self, Kind};
use crate::trace::{Item, Options, Reader, v1};

/// Reads all there is; `None` if it is refused at once.
fn read(bytes: Vec<u8>) -> Option<(Vec<Record>, Reader)> {
    let mut reader = Reader::from_bytes(bytes).ok()?;
    let records = reader.by_ref().filter_map(|item| if let Item::Record(record) = item { Some(record) } else { None });
    let records = records.collect();
    Some((records, reader))
}

#[test]
fn a_trace_cut_at_any_byte_is_readable_up_to_there() {
    let written = records(3, 4000);
    let whole = file(&written, Options::default());
    let mut numbers = Numbers::new(4);
    for _ in 0..1000 {
        let cut = numbers.below(whole.len() as u64) as usize;
        let Some((found, reader)) = read(whole[..cut].to_vec()) else {
            assert!(cut < 16);
            continue;
        };
        // Records of a segment whose later blocks are cut come without those in between.
        let mut rest = written.iter();
        assert!(found.iter().all(|found| rest.any(|written| written == found)), "cut at {cut}: an order that never was");
        assert!(reader.missing().no_end && !reader.missing().sentences().is_empty());
        let share = found.len() as f64 / written.len() as f64;
        assert!(share + 0.15 > cut as f64 / whole.len() as f64, "cut at {cut}: only {share} was read");
    }
}

#[test]
fn a_trace_with_changed_bytes_never_panics_and_says_what_is_missing() {
    let written = records(5, 2000);
    let whole = file(&written, Options::default());
    for seed in 0..10_000 {
        let mut numbers = Numbers::new(seed);
        let changed = mutate(&whole, &mut numbers);
        let intact = changed == whole;
        let Some((found, reader)) = read(changed) else { continue };
        assert!(found.len() <= written.len() * 3);
        assert!(intact || !reader.missing().nothing() || found.len() >= written.len(), "seed {seed}");
    }
}

/// Checksums keep most damage from the decoder: here it gets it, as from someone who computes checksums.
#[test]
fn hostile_records_with_right_checksums_never_panic() {
    let mut encoder = v1::segment::Encoder::default();
    records(6, 1500).iter().for_each(|record| encoder.put(record));
    let blocks = encoder.seal(0);
    let mut decoder = v1::segment::Decoder::default();
    for seed in 0..10_000 {
        let mut numbers = Numbers::new(seed);
        for sealed in &blocks {
            let mut opened = block::Blocks::new(sealed.bytes.as_slice(), 0);
            let block::Next::Block(header, raw) = opened.read_next() else { panic!("our own block") };
            decoder.add(mutate(&raw, &mut numbers), header.records);
        }
        let mut read = 0;
        while decoder.next().is_some() {
            read += 1;
        }
        assert!(read < 20_000);
        decoder.clear();
    }
}

#[test]
fn a_damaged_block_costs_its_records_and_leaves_a_gap() {
    let written = records(7, 4000);
    let mut bytes = file(&written, Options::default());
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x55;
    let (found, reader) = read(bytes).expect("a trace");
    assert!(reader.missing().events());
    assert!(found.len() > written.len() / 2);
    let gaps = |records: &[Record]| records.iter().filter(|record| matches!(record.event, Event::Gap { .. })).count();
    assert!(gaps(&found) > gaps(&written) - 30);
    assert!(reader.missing().sentences().iter().any(|sentence| sentence.contains("damaged")));
}

#[test]
fn a_header_that_promises_much_gets_no_memory() {
    let mut bytes = [&v1::MAGIC[..], &v1::VERSION.to_le_bytes()].concat();
    // Compresses to nearly nothing: all that a block can earn.
    let zeros = vec![0; block::MAX_RECORD_BYTES as usize];
    for _ in 0..20 {
        bytes.extend(block::seal(Kind::Detail, 1, u64::MAX, &zeros));
    }
    let (found, reader) = read(bytes).expect("a trace");
    assert!(found.is_empty());
    assert!(reader.missing().damaged > 0);
}

#[test]
fn headers_without_end_take_no_time() {
    let sealed = block::seal(Kind::Source, 1, 0, &vec![7; 1 << 20]);
    let header = &sealed[..block::HEADER_BYTES];
    let bytes = [&v1::MAGIC[..], &v1::VERSION.to_le_bytes(), &header.repeat(100_000)].concat();
    let (found, reader) = read(bytes).expect("a trace");
    assert!(found.is_empty());
    assert!(!reader.missing().nothing());
}

/// Changes, removes, repeats or inserts some bytes.
fn mutate(bytes: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(bytes.len().max(1) as u64) as usize;
        let until = (at + numbers.below(64) as usize).min(bytes.len());
        match numbers.below(5) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..until)),
            2 => {
                let again = bytes[at..until].to_vec();
                drop(bytes.splice(at..at, again));
            }
            3 => bytes[at..until].fill(numbers.next() as u8),
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = numbers.next() as u8;
                }
            }
        }
        if bytes.is_empty() {
            break;
        }
    }
    bytes
}

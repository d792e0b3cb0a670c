//! Traces of real runs, changed at random behind right checksums, and cut at random bytes: reading and analysing them never
//! panics, and ends. `RACETRACE_CHANGES` says how many traces are changed, `RACETRACE_SEED` with which numbers.

mod harness;

use std::fs;
use std::path::Path;

use harness::{Session, pythons};
use racetrace::analysis::{Analysis, Options};
use racetrace::trace::hostile::{self, Payload};
use racetrace::trace::{Item, Reader};

/// Programs that between them make every sort of event.
const PROGRAMS: [&str; 6] = [
    "async_balance_racy.py",
    "cache_get_or_compute_racy.py",
    "dict_iterate_threads_racy.py",
    "file_two_handles_racy.py",
    "handmade_queue_safe.py",
    "lock_order_inversion_racy.py",
];

fn traces() -> Vec<Vec<u8>> {
    let python = &pythons::supported()[0];
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let record = |program: &&str| {
        let session = Session::new().option("--trace").option("run.rt");
        let outcome = session.python(python, &[&corpus.join(program).to_string_lossy()]);
        let bytes = fs::read(session.path().join("run.rt"));
        bytes.unwrap_or_else(|error| panic!("no trace of {program}: {error}; {}", outcome.stderr))
    };
    PROGRAMS.iter().map(record).collect()
}

/// How many records could be read and were analysed.
fn analyse(bytes: Vec<u8>) -> usize {
    let Ok(mut reader) = Reader::from_bytes(bytes) else { return 0 };
    let mut analysis = Analysis::new(Options::default());
    let mut records = 0;
    for item in reader.by_ref() {
        if let Item::Record(record) = item {
            analysis.record(&record);
            records += 1;
        }
    }
    let _ = (analysis.report(), reader.missing().sentences());
    records
}

#[test]
fn changed_records_are_analysed_without_a_panic() {
    let traces: Vec<Vec<Payload>> = traces().iter().map(|bytes| hostile::payloads(bytes)).collect();
    let number = |name: &str, usual: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual);
    let (rounds, seed) = (number("RACETRACE_CHANGES", 10_000), number("RACETRACE_SEED", 0x9e37_79b9_7f4a_7c15));
    for round in 0..usize::try_from(rounds).expect("fits") {
        let mut numbers = Numbers(seed ^ (round as u64 + 1).wrapping_mul(0x2545_f491_4f6c_dd1d) | 1);
        let _told = Told(format!("round {round} of seed {seed}"));
        let mut payloads = traces[round % traces.len()].clone();
        for _ in 0..=numbers.below(6) {
            let block = numbers.below(payloads.len());
            change(&mut payloads[block].2, &mut numbers);
        }
        analyse(hostile::file(&payloads));
    }
}

#[test]
fn a_real_trace_cut_anywhere_is_analysed_up_to_there() {
    let mut numbers = Numbers(7);
    for bytes in traces() {
        let whole = analyse(bytes.clone());
        for _ in 0..170 {
            let cut = numbers.below(bytes.len());
            assert!(analyse(bytes[..cut].to_vec()) <= whole, "cut at {cut}");
        }
    }
}

/// Says what was going on when a test fails.
struct Told(String);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.0);
        }
    }
}

struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end.max(1) as u64) as usize
    }
}

/// One byte, a bit, or a run of bytes that is repeated, removed or copied from elsewhere.
fn change(bytes: &mut Vec<u8>, numbers: &mut Numbers) {
    if bytes.is_empty() {
        return;
    }
    let at = numbers.below(bytes.len());
    let end = (at + 1 + numbers.below(24)).min(bytes.len());
    match numbers.below(4) {
        0 => bytes[at] = numbers.below(256) as u8,
        1 => bytes[at] ^= 1 << numbers.below(8),
        2 => drop(bytes.drain(at..end)),
        _ => {
            let run = bytes[at..end].to_vec();
            let to = numbers.below(bytes.len());
            drop(bytes.splice(to..to, run));
        }
    }
}

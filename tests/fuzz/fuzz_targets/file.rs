//! Any bytes as a trace file: what can be read is analysed. Mostly meets the checksums; see `records`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use racetrace::analysis::{Analysis, Options};
use racetrace::trace::{Item, Reader};

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut reader) = Reader::from_bytes(bytes.to_vec()) else { return };
    let mut analysis = Analysis::new(Options::default());
    for item in reader.by_ref() {
        if let Item::Record(record) = item {
            analysis.record(&record);
        }
    }
    let _ = (analysis.report(), reader.missing().sentences());
});

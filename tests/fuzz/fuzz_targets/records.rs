//! Any bytes as records behind right checksums, read and analysed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use racetrace::analysis::{Analysis, Options};
use racetrace::trace::{Item, Reader, hostile};

fuzz_target!(|bytes: &[u8]| {
    let Ok(reader) = Reader::from_bytes(hostile::segment(bytes)) else { return };
    let mut analysis = Analysis::new(Options::default());
    for item in reader {
        if let Item::Record(record) = item {
            analysis.record(&record);
        }
    }
    let _ = analysis.report();
});

//! Any bytes as damage to the memory of an interpreter, which then is read as a look reads it. The interpreter is
//! `RACETRACE_PYTHON`, or the `python3` of the path.

#![no_main]

#[path = "../../harness/dump.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod dump;
#[path = "../../harness/image.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod image;

use std::path::PathBuf;

use image::{MOST_READS, Metered, Taken};
use libfuzzer_sys::fuzz_target;
use racetrace::cpython::python::Python;

thread_local! {
    static TAKEN: Taken = Taken::of(&std::env::var_os("RACETRACE_PYTHON").map_or("python3".into(), PathBuf::from));
}

fuzz_target!(|bytes: &[u8]| {
    TAKEN.with(|taken| {
        let mut image = taken.image.clone();
        // Each twelve bytes: which of the places that are read, how far into it, and the word to be there.
        for &[a, b, c, d, word @ ..] in bytes.as_chunks::<12>().0 {
            let (start, len) = taken.places[usize::from(u16::from_le_bytes([a, b])) * 7 % taken.places.len()];
            let offset = u64::from(u16::from_le_bytes([c, d])) % len.max(1) as u64;
            image.overwrite(start.plus(offset & !7), &word);
        }
        let metered = Metered::new(&image);
        let runtime = dump::described(&metered, &taken.runtime);
        let reader = Python::new(metered, &runtime);
        let _ = dump::everything(&reader, taken.lists);
        assert!(reader.memory.reads.get() <= MOST_READS);
    });
});

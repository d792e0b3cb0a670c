//! Memory that is garbage: images of live interpreters, damaged at random, go through everything that reads interpreters.
//! Nothing may panic, go on without end, or take memory without bound. What is found in garbage is not looked at.
//!
//! `RACETRACE_DAMAGES=10000 cargo test --release --test damaged_memory` tries that many on each interpreter.

mod harness;

use harness::dump::{described, everything};
use harness::image::{MOST_READS, Metered, Taken};
use harness::pythons::all;
use harness::random::Random;
use racetrace::cpython::discovery;
use racetrace::cpython::python::Python;
use racetrace::target::address::RemoteAddr;
use racetrace::target::memory::{Image, Memory};
use racetrace::target::view::{Noted, View};

/// Damaged images a version in the normal run.
const DAMAGES: u64 = 150;
/// Bytes that the process may grow by.
const MOST_GROWTH: u64 = 192 << 20;

/// Damages some words, mostly of those that are read.
fn damage(random: &mut Random, image: &mut Image, places: &[(RemoteAddr, usize)]) {
    for _ in 0..1 + random.below(24) {
        let (start, len) = places[random.below(places.len() as u64) as usize];
        let at = RemoteAddr((start.0 + random.below(len.max(1) as u64)) & !7);
        let elsewhere = places[random.below(places.len() as u64) as usize].0;
        match random.below(12) {
            0..=1 => flip(random, image, at),
            2 => put(image, at, random.next()),
            3 => put(image, at, elsewhere.0),
            // A chain that comes back to itself, or joins another.
            4 => put(image, at, start.0),
            5..=6 => put(image, at, image.u64(elsewhere).unwrap_or(0)),
            7 => put(image, at, [u64::MAX, 1 << 63, (1 << 63) - 1, 1 << 40, 1 << 32, 65_536, 65_535][random.below(7) as usize]),
            8 => put(image, at, 0),
            9 => put(image, at, random.below(1 << 17)),
            10 => image.cut(at),
            _ => {
                for word in 0..random.below(64) {
                    put(image, at.plus(8 * word), random.next());
                }
            }
        }
    }
}

fn flip(random: &mut Random, image: &mut Image, at: RemoteAddr) {
    let at = at.plus(random.below(8));
    if let Ok(byte) = image.u8(at) {
        image.overwrite(at, &[byte ^ (1 << random.below(8))]);
    }
}

fn put(image: &mut Image, at: RemoteAddr, word: u64) {
    image.overwrite(at, &word.to_ne_bytes());
}

/// The most memory that this process has used since the last call, in bytes.
fn peak() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    std::fs::write("/proc/self/clear_refs", "5").expect("the peak can be reset");
    kib << 10
}

#[test]
fn garbage_is_read_without_panic_loop_or_flood() {
    let damages = std::env::var("RACETRACE_DAMAGES").ok().and_then(|text| text.parse().ok()).unwrap_or(DAMAGES);
    let mut worst = 0;
    for python in all() {
        let taken = Taken::of(&python.path);
        eprintln!("{}: {} reads of {} KiB", python.name(), taken.places.len(), taken.image.len() / 1024);
        peak();
        let before = peak();
        for seed in 0..damages {
            let mut image = taken.image.clone();
            damage(&mut Random::new(seed), &mut image, &taken.places);
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let metered = Metered::new(&image);
                let runtime = described(&metered, &taken.runtime);
                if seed % 2 == 0 {
                    let reader = Python::new(metered, &runtime);
                    let _ = everything(&reader, taken.lists);
                    return reader.memory.reads.get();
                }
                // As a look does: what lies together is read at once, what was asked for is foreseen the next time.
                let (reader, mut noted) = (Python::new(View::of(metered), &runtime), Noted::default());
                for _ in 0..2 {
                    reader.memory.keep();
                    reader.memory.foresee(&mut noted);
                    let _ = everything(&reader, taken.lists);
                    reader.memory.note(&mut noted);
                }
                reader.memory.now().reads.get()
            }));
            let Ok(reads) = outcome else { panic!("{}: panicked on damage {seed}", python.name()) };
            assert!(reads <= MOST_READS, "{}: no end of reading with damage {seed}", python.name());
            worst = worst.max(reads);
            if seed % 64 == 0 {
                let _ = discovery::find(&taken.process, &Metered::new(&image), &mut Vec::new());
            }
            let growth = peak().saturating_sub(before);
            assert!(growth <= MOST_GROWTH, "{}: {} MiB for damage {seed}", python.name(), growth >> 20);
        }
    }
    eprintln!("{damages} damages each, at most {worst} reads");
}

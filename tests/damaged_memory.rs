//! Memory that is garbage: images of live interpreters, damaged at random, go through everything that reads interpreters.
//! Nothing may panic, go on without end, or take memory without bound. What is found in garbage is not looked at.
//!
//! `RACETRACE_DAMAGES=10000 cargo test --release --test damaged_memory` tries that many on each interpreter.

mod harness;

use std::cell::{Cell, RefCell};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use harness::dump::{described, everything};
use harness::pythons::{Python as Installed, all};
use harness::random::Random;
use racetrace::collect::sampler::target::task_lists;
use racetrace::cpython::discovery::{self, Runtime};
use racetrace::cpython::python::Python;
use racetrace::cpython::task::TaskLists;
use racetrace::target::address::RemoteAddr;
use racetrace::target::memory::{Fault, Image, Memory, Recording};
use racetrace::target::process::Process;

/// Damaged images a version in the normal run.
const DAMAGES: u64 = 150;
/// Reads that one dump may take; an undamaged one takes some ten thousand.
const MOST_READS: u64 = 1_000_000;
/// Bytes that the process may grow by.
const MOST_GROWTH: u64 = 192 << 20;

const PROGRAM: &str = "
import asyncio, collections, queue, threading

lock, again, counter, table = threading.Lock(), threading.RLock(), 0, {'a': 1, 2: 'b', None: 1.5, 'ü': 'ш' * 30}
waiting = queue.Queue()

class Account:
    rate = 2

    def __init__(self):
        self.balance, self.owner, self.lock = 10, 'someone', threading.Lock()

    def move(self, up):
        with self.lock:
            for key in table:
                if self.balance >= 1:
                    self.balance -= waiting.get()

class Slotted:
    __slots__ = ('total',)

def closes_over():
    total = 0
    def add():
        nonlocal total
        total = total + waiting.get()
    return add

def holds():
    global counter
    with lock:
        with again:
            counter = counter + waiting.get()

def wants():
    with lock:
        pass

def recurse(depth):
    return recurse(depth - 1) if depth else waiting.get()

async def sleeps(gate):
    global counter
    if counter == 0:
        await gate.wait()
        counter += 1

async def main():
    gate, section = asyncio.Event(), asyncio.Lock()
    async def inside():
        async with section:
            await sleeps(gate)
    tasks = [asyncio.create_task(inside()) for _ in range(5)] + [asyncio.create_task(sleeps(gate), name='named')]
    await asyncio.sleep(0.01)
    print('ready', flush=True)
    await gate.wait()

account = Account()
threads = [holds, wants, closes_over(), lambda: recurse(40), lambda: account.move(True), lambda: account.move(False)]
for target in threads:
    threading.Thread(target=target, daemon=True).start()
asyncio.run(main())
";

/// Counts reads, and says that the process is gone when there have been too many.
struct Metered<'a> {
    image: &'a Image,
    reads: Cell<u64>,
    seen: Option<RefCell<Vec<(RemoteAddr, usize)>>>,
}

impl<'a> Metered<'a> {
    fn new(image: &'a Image) -> Self {
        Metered { image, reads: Cell::new(0), seen: None }
    }

    fn noting(image: &'a Image) -> Self {
        Metered { seen: Some(RefCell::default()), ..Metered::new(image) }
    }
}

impl Memory for Metered<'_> {
    fn read(&self, at: RemoteAddr, into: &mut [u8]) -> Result<(), Fault> {
        self.reads.set(self.reads.get() + 1);
        if self.reads.get() > MOST_READS {
            return Err(Fault::Gone);
        }
        if let Some(seen) = &self.seen {
            seen.borrow_mut().push((at, into.len()));
        }
        self.image.read(at, into)
    }
}

/// An interpreter's memory as it was when everything was read once.
struct Taken {
    runtime: Runtime,
    lists: Option<TaskLists>,
    image: Image,
    /// What reading everything reads.
    places: Vec<(RemoteAddr, usize)>,
    process: Process,
    child: std::process::Child,
}

impl Drop for Taken {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn take(python: &Installed) -> Taken {
    let home = tempfile::tempdir().expect("a directory");
    let file = home.path().join("app.py");
    std::fs::write(&file, PROGRAM).expect("a program");
    let mut child = Command::new(&python.path).arg(&file).stdout(Stdio::piped()).spawn().expect("python starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    assert_eq!(lines.next().and_then(Result::ok).as_deref(), Some("ready"));
    let process = Process::open(child.id()).expect("our own child can be read");
    let memory = Recording::new(process.memory());
    let runtime = discovery::find(&process, &memory, &mut Vec::new()).expect("an interpreter");
    let lists = task_lists(&process, runtime.version.minor, &memory);
    let reader = Python::new(memory, &runtime);
    let live = everything(&reader, lists).expect("it lives");
    let image = reader.memory.image();
    let noting = Python::new(Metered::noting(&image), &runtime);
    let again = everything(&noting, lists).expect("the image holds it");
    assert!(live.threads >= 7 && live.frames >= 60 && live.windows >= 4 && live.held >= 3 && live.names >= 7, "{live:?}");
    assert!(again.threads == live.threads && again.frames >= 60 && again.held == live.held, "{live:?} {again:?}");
    assert!(again.tasks >= 6, "{again:?}");
    let places = noting.memory.seen.as_ref().expect("notes").borrow().clone();
    eprintln!("{}: {} reads of {} KiB", python.name(), places.len(), image.len() / 1024);
    Taken { runtime, lists, image, places, process, child }
}

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
        let taken = take(python);
        peak();
        let before = peak();
        for seed in 0..damages {
            let mut image = taken.image.clone();
            damage(&mut Random::new(seed), &mut image, &taken.places);
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let metered = Metered::new(&image);
                let runtime = described(&metered, &taken.runtime);
                let reader = Python::new(metered, &runtime);
                let _ = everything(&reader, taken.lists);
                reader.memory.reads.get()
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

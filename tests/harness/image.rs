//! An interpreter's memory as it was at one moment, taken from a live process. What is done with it is for others to say.

use std::cell::{Cell, RefCell};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use racetrace::collect::sampler::target::task_lists;
use racetrace::cpython::discovery::{self, Runtime};
use racetrace::cpython::python::Python;
use racetrace::cpython::task::TaskLists;
use racetrace::target::address::RemoteAddr;
use racetrace::target::memory::{Fault, Image, Memory, Recording};
use racetrace::target::process::Process;

use super::dump::everything;

/// Reads that one dump may take; an undamaged one takes some ten thousand.
pub const MOST_READS: u64 = 1_000_000;

const PROGRAM: &str = "
import asyncio, collections, os, queue, threading, time

place, page = '/nowhere/page', open(os.devnull, 'w')
first, second = threading.Lock(), threading.Lock()
lock, again, counter, turns, table = threading.Lock(), threading.RLock(), 0, 0, {'a': 1, 2: 'b', None: 1.5, 'ü': 'ш' * 30}
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

def nests():
    with first:
        time.sleep(1000)
        with second:
            pass

def acts():
    if not os.path.exists(place):
        time.sleep(1000)
        open(place, 'w').close()

def writes():
    page.write('a')
    time.sleep(1000)
    page.write('b')

def tick(times):
    global turns
    for _ in range(times):
        turns += 1
        time.sleep(1000)

def ticks():
    for name in ['a', 'b']:
        table[name] = len(name)
        tick(3)

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
    kept = sleeps(gate)
    sleeps(gate)
    await asyncio.sleep(0.01)
    print('ready', flush=True)
    await gate.wait()

account = Account()
threads = [holds, wants, nests, nests, acts, acts, writes, writes, ticks, ticks, closes_over(), lambda: recurse(40), lambda: account.move(True), lambda: account.move(False)]
for target in threads:
    threading.Thread(target=target, daemon=True).start()
asyncio.run(main())
";

/// Counts reads, and says that the process is gone when there have been too many.
pub struct Metered<'a> {
    image: &'a Image,
    pub reads: Cell<u64>,
    seen: Option<RefCell<Vec<(RemoteAddr, usize)>>>,
}

impl<'a> Metered<'a> {
    pub fn new(image: &'a Image) -> Self {
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
pub struct Taken {
    pub runtime: Runtime,
    pub lists: Option<TaskLists>,
    pub image: Image,
    /// What reading everything reads.
    pub places: Vec<(RemoteAddr, usize)>,
    pub process: Process,
    child: Child,
}

impl Drop for Taken {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Taken {
    /// Starts the interpreter at `path`, and reads everything once.
    pub fn of(path: &Path) -> Taken {
        let mut child =
            Command::new(path).args(["-W", "ignore", "-c", PROGRAM]).stdout(Stdio::piped()).spawn().expect("python starts");
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
        assert!(again.tasks >= 6 && again.told >= 6, "{again:?}");
        let places = noting.memory.seen.as_ref().expect("notes").borrow().clone();
        Taken { runtime, lists, image, places, process, child }
    }
}

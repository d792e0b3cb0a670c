//! How fast recorded events are written, read and analysed, and in how much memory: a made trace of a long run (threads
//! that update a counter under a lock, objects of their own that come and go, and now and then a shared one without a
//! lock). Runs no Python.
//!
//!     cargo bench --bench analysis                      10^7 events
//!     cargo bench --bench analysis -- --events 100000000

use std::path::Path;
use std::time::Instant;

use racetrace::analysis::{Analysis, Options};
use racetrace::event::*;
use racetrace::trace::{self, Item, Reader, Writer};
use racetrace_probes::code::{Code, Const};
use racetrace_probes::wire::Origin;

const THREADS: u32 = 8;
/// Rounds that one thread makes before the next has its turn.
const TURN: u64 = 200;
/// Rounds for which an object lives.
const LIFE: u64 = 1000;

const TOTAL: KeyId = KeyId(1);
const COUNT: KeyId = KeyId(2);
const GLOBALS: ObjectId = ObjectId(1);
const SHARED: ObjectId = ObjectId(2);
const LOCK: ObjectId = ObjectId(3);

fn main() {
    let events = std::env::args().skip_while(|argument| argument != "--events").nth(1);
    let events: u64 = events.and_then(|number| number.parse().ok()).unwrap_or(10_000_000);
    let directory = tempfile::tempdir().expect("a directory for the trace");
    let path = directory.path().join("made.rt");

    let clock = Clock::start();
    let mut writer = Writer::create(&path, trace::Options::default()).expect("the trace can be created");
    let written = make(events, |record| writer.record(&record).expect("the trace can be written"));
    drop(writer);
    let bytes = std::fs::metadata(&path).expect("the trace is there").len();
    clock.row("made and written", written);
    println!("{:<32} {:>6.1} bytes/event, {} MiB in all", "", bytes as f64 / written as f64, bytes >> 20);

    let clock = Clock::start();
    let read = open(&path).filter(|item| matches!(item, Item::Record(_))).count() as u64;
    assert_eq!(read, written);
    clock.row("read", read);
    let before = peak_memory();

    let clock = Clock::start();
    let mut analysis = Analysis::new(Options::default());
    open(&path).for_each(|item| take(&mut analysis, &item));
    let report = analysis.report();
    clock.row("read and analysed, one thread", read);
    println!("{:<32} {:>6} MiB (before the analysis: {} MiB)", "peak memory", peak_memory() >> 10, before >> 10);

    let clock = Clock::start();
    let mut analysis = Analysis::new(Options::default());
    trace::ahead::read(open(&path), |item, _| take(&mut analysis, &item));
    let again = analysis.report();
    clock.row("read ahead and analysed", read);
    assert_eq!(again, report);
    for finding in &report.findings {
        println!("{:<32} {:?}, {} times: {}", "found", finding.kind, finding.count, finding.subject.name);
    }
}

fn take(analysis: &mut Analysis, item: &Item) {
    if let Item::Record(record) = item {
        analysis.record(record);
    }
}

/// Wall clock and processor time: on a busy machine only the second tells something.
struct Clock {
    start: Instant,
    cpu: f64,
}

impl Clock {
    fn start() -> Clock {
        Clock { start: Instant::now(), cpu: cpu_seconds() }
    }

    fn row(&self, what: &str, events: u64) {
        let (wall, cpu) = (self.start.elapsed().as_secs_f64(), cpu_seconds() - self.cpu);
        let million = events as f64 / 1e6;
        println!(
            "{what:<32} {:>6.1} million events a second of one core, {:.1} of wall clock ({events} in {cpu:.1} s, {wall:.1} s)",
            million / cpu,
            million / wall
        );
    }
}

/// Of all threads of this process, in the kernel's ticks of 10 ms.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn open(path: &Path) -> Reader {
    Reader::open(path).expect("the trace can be read")
}

/// In KiB, as the kernel counts it for this process.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// Makes at least so many events and answers how many.
fn make(events: u64, pass: impl FnMut(Record)) -> u64 {
    let mut maker = Maker { pass, made: 0, time: 0, thread: 0 };
    maker.begin();
    let mut round = 0;
    while maker.made < events {
        maker.thread = (round / TURN) as u32 % THREADS + 1;
        maker.round(round);
        round += 1;
    }
    maker.made
}

struct Maker<F> {
    pass: F,
    made: u64,
    time: u64,
    thread: u32,
}

impl<F: FnMut(Record)> Maker<F> {
    fn say(&mut self, event: Event) {
        self.time += 100;
        self.made += 1;
        (self.pass)(Record { time: self.time, process: ProcessId(0), thread: Tid(100 + self.thread), event });
    }

    /// Process, names, code, stacks, threads.
    fn begin(&mut self) {
        let directory = "/srv/bench".to_owned();
        self.say(Event::Process(ProcessInfo { pid: 1, python: (3, 12, 1), directory, ..ProcessInfo::default() }));
        let texts = ["bench", "total", "count", "Counter", "lock", "module", "worker"];
        for (id, text) in (1..).zip(texts) {
            self.say(Event::Text { id: TextId(id), text: text.to_owned() });
        }
        for info in [locked(), field()] {
            self.say(Event::Code(Box::new(info)));
        }
        for (id, code, offset) in [(1, 1, 12), (2, 1, 16), (3, 1, 32), (4, 1, 40), (5, 2, 6), (6, 2, 34)] {
            self.say(Event::Stack { id: StackId(id), parent: StackId(0), code: CodeId(code), offset });
        }
        for (id, label) in [(TOTAL, 2), (COUNT, 3)] {
            self.say(Event::Key { id, label: TextId(label) });
        }
        self.say(Event::ThreadBegin { token: None, name: TextId(6) });
        self.say(Event::Object { id: GLOBALS, shape: Shape::Module, type_name: TextId(6), label: Some(TextId(1)) });
        self.say(Event::Object { id: SHARED, shape: Shape::Instance, type_name: TextId(4), label: None });
        self.say(Event::Object { id: LOCK, shape: Shape::Lock, type_name: TextId(5), label: None });
        self.say(Event::LockNew { lock: LOCK, kind: LockKind::Lock, stack: StackId(1) });
        for thread in 1..=THREADS {
            self.thread = 0;
            self.say(Event::ThreadStart { token: ThreadToken(u64::from(thread)), stack: StackId(1) });
            self.thread = thread;
            self.say(Event::ThreadBegin { token: Some(ThreadToken(u64::from(thread))), name: TextId(7) });
        }
    }

    fn round(&mut self, round: u64) {
        let thread = u64::from(self.thread);
        self.locked(round, FrameId(0x7f00_0000_0000 + thread * 0x1000));
        // An object of its own for every thread; its number tells its generation.
        let generation = round / (TURN * u64::from(THREADS)) / (LIFE / TURN);
        let own = ObjectId(1000 + generation * u64::from(THREADS) + thread);
        let turns = round / (TURN * u64::from(THREADS));
        if turns.is_multiple_of(LIFE / TURN) && round.is_multiple_of(TURN) {
            if generation > 0 {
                self.say(Event::ObjectEnd { id: ObjectId(own.0 - u64::from(THREADS)) });
            }
            self.say(Event::Object { id: own, shape: Shape::Instance, type_name: TextId(4), label: None });
        }
        let object = if round.is_multiple_of(10) { SHARED } else { own };
        self.field(object, round, FrameId(0x7f00_0000_0400 + thread * 0x1000));
    }

    fn locked(&mut self, round: u64, frame: FrameId) {
        self.say(Event::LockAcquired { lock: LOCK, stack: StackId(1), patience: Patience::Forever });
        self.update(GLOBALS, TOTAL, [StackId(2), StackId(3)], round, frame);
        self.say(Event::LockReleased { lock: LOCK, stack: StackId(4) });
    }

    fn field(&mut self, object: ObjectId, round: u64, frame: FrameId) {
        self.update(object, COUNT, [StackId(5), StackId(6)], round, frame);
    }

    fn update(&mut self, object: ObjectId, key: KeyId, [read, write]: [StackId; 2], round: u64, frame: FrameId) {
        let access = Access { stack: read, frame, action: Action::Read, object, key, value: Value::Unknown };
        self.say(Event::Access(access));
        let value = Value::Int(i64::try_from(round).unwrap_or(0));
        self.say(Event::Access(Access { stack: write, action: Action::Write, value, ..access }));
    }
}

/// `with lock: total += 1`, as CPython 3.12 compiles it.
fn locked() -> CodeInfo {
    let bytecode = "970074000000000000000000350001007402000000000000000064017a0d00006101640064006400ab0200000000000001007900\
                    230031007301770201005900010001007900780359007701";
    let code = Code {
        name: "locked".into(),
        qualname: "locked".into(),
        first_line: 2,
        bytecode: bytes(bytecode),
        names: vec!["lock".into(), "total".into()],
        line_table: bytes("8000e4090df100010513dc080d9011890a8805f703010513f700010513f100010513fa"),
        exception_table: bytes("870a1a039a052307"),
        stacksize: 6,
        ..function()
    };
    CodeInfo { id: 1, module: "bench".into(), origin: Origin::User, code }
}

/// `self.count += 1`, as CPython 3.12 compiles it.
fn field() -> CodeInfo {
    let bytecode = "97007c0078016a0000000000000000000000000000000000000064017a0d000063025f0000000000000000007900";
    let code = Code {
        name: "field".into(),
        qualname: "field".into(),
        first_line: 6,
        bytecode: bytes(bytecode),
        names: vec!["count".into()],
        locals: vec!["self".into()],
        nlocals: 1,
        argcount: 1,
        line_table: bytes("8000d80408874a824a9021814f864a"),
        stacksize: 3,
        ..function()
    };
    CodeInfo { id: 2, module: "bench".into(), origin: Origin::User, code }
}

fn function() -> Code {
    Code { filename: "/srv/bench/bench.py".into(), flags: 3, consts: vec![Const::None, Const::Int(1)], ..Code::default() }
}

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).unwrap_or(0);
    hex.as_bytes().chunks(2).map(|pair| pair.iter().fold(0, |byte, next| byte << 4 | digit(*next))).collect()
}

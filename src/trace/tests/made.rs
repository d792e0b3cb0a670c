//! Records made from a seed: every event, with ids and numbers near and far. No analysis would make sense of them.

use racetrace_probes::code::{Code, Const};
use racetrace_probes::wire::Origin;

use crate::event::*;
use crate::trace::{Options, Writer};

/// A small generator of numbers, so that a failing seed can be repeated.
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn id(&mut self) -> u64 {
        match self.below(20) {
            0 => self.next(),
            1 => u64::MAX,
            _ => self.below(300),
        }
    }

    fn small(&mut self) -> u32 {
        self.id() as u32
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

pub fn records(seed: u64, count: usize) -> Vec<Record> {
    let mut numbers = Numbers::new(seed);
    let mut time = 0;
    let mut thread = Tid(7);
    (0..count)
        .map(|_| {
            time += numbers.below(1000);
            if numbers.below(10) == 0 {
                thread = Tid(numbers.below(5) as u32);
            }
            let event = event(&mut numbers);
            Record { time, process: ProcessId(numbers.below(30) as u32 / 29), thread, event }
        })
        .collect()
}

/// The file that a writer makes of them.
pub fn file(records: &[Record], options: Options) -> Vec<u8> {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("run.rt");
    let mut writer = Writer::create(&path, options).expect("created");
    for (at, record) in records.iter().enumerate() {
        writer.record(record).expect("recorded");
        if at % 400 == 399 {
            writer.flush().expect("flushed");
        }
    }
    writer.source(&super::whole::lines()).expect("written");
    writer.finish(&super::whole::report()).expect("finished");
    std::fs::read(&path).expect("readable")
}

fn event(numbers: &mut Numbers) -> Event {
    let stack = StackId(numbers.small());
    let frame = FrameId(numbers.id());
    let object = ObjectId(numbers.id());
    let text = TextId(numbers.small());
    let task = TaskId(numbers.id());
    let token = ThreadToken(numbers.id());
    let channel = ChannelId(numbers.id());
    let patience = numbers.pick(&[Patience::Forever, Patience::Timeout, Patience::Never]);
    match numbers.below(63) {
        0 => Event::Process(ProcessInfo {
            pid: numbers.small(),
            parent: Some(numbers.small()),
            python: (3, 13, 1),
            free_threaded: true,
            command: vec!["python".into(), String::new()],
            directory: "/srv".into(),
        }),
        1 => Event::Text { id: text, text: "smörgås".repeat(numbers.below(9) as usize) },
        2 => Event::Code(Box::new(code(numbers))),
        3 => Event::Stack { id: stack, parent: StackId(numbers.small()), code: CodeId(numbers.small()), offset: numbers.small() },
        4 => {
            let shapes = [Shape::Module, Shape::Class, Shape::Deque, Shape::Other];
            Event::Object { id: object, shape: numbers.pick(&shapes), type_name: text, label: Some(TextId(3)) }
        }
        5 => Event::ObjectEnd { id: object },
        6 => Event::Key { id: KeyId(numbers.id()), label: text },
        7 => Event::ThreadStart { token, stack },
        8 => Event::ThreadBegin { token: numbers.pick(&[None, Some(token)]), name: text },
        9 => Event::ThreadName { name: text },
        10 => Event::ThreadEnd,
        11 => Event::ThreadJoin { token },
        12 => Event::TaskNew { task, future: channel, name: text, stack },
        13 => Event::TaskSwitch { task: numbers.pick(&[None, Some(task)]) },
        14 => Event::Suspend { stack },
        15 => Event::TaskEnd { task },
        16 => Event::Signal { channel },
        17 => match numbers.below(5) {
            3 => Event::JobBegin,
            4 => Event::JobEnd,
            0 => Event::Observe { channel },
            1 => Event::Put { channel, item: 7 },
            _ => Event::Got { channel, item: u64::MAX },
        },
        18 => {
            let kinds = [LockKind::Lock, LockKind::RLock, LockKind::Semaphore(3), LockKind::AsyncSemaphore(1), LockKind::File];
            Event::LockNew { lock: object, kind: numbers.pick(&kinds), stack }
        }
        19 => Event::LockWait { lock: object, stack, patience },
        20 => Event::LockAcquired { lock: object, stack, patience },
        21 => Event::LockFailed { lock: object, stack, patience },
        22 => Event::LockReleased { lock: object, stack },
        23 => Event::IterBegin { object, iterator: numbers.id(), frame, length: Some(numbers.id()), stack },
        24 => Event::IterNext { iterator: numbers.id(), length: None, stack },
        25 => Event::IterEnd { iterator: numbers.id() },
        26 => Event::Enter { frame, code: CodeId(numbers.small()) },
        27 => Event::FileOpen { file: object, path: text, inode: numbers.id(), fd: -1, mode: OpenMode::Exclusive, stack },
        28 => Event::FileWrite {
            file: object,
            inode: numbers.id(),
            fd: i32::MAX,
            length: numbers.id(),
            level: WriteLevel::Buffered,
            append: true,
            ends_line: false,
            stack,
            frame,
        },
        29 => Event::FileClose { file: object },
        30 => Event::PathCheck { path: text, stack, frame },
        31 if numbers.below(2) == 0 => {
            Event::PathFailed { path: text, effect: PathEffect::MakeDirectory, tolerant: false, stack, frame }
        }
        31 => Event::PathUse { path: text, effect: PathEffect::MakeDirectory, tolerant: true, stack, frame },
        32 => Event::CoroutineDropped { name: text, made: stack, file: TextId(1), line: numbers.small() },
        33 => Event::Sample(Box::default()),
        34 => Event::Gap { lost: numbers.id() },
        35 => Event::ProcessEnd { orderly: true },
        36 => Event::Test { name: numbers.pick(&[None, Some(text)]) },
        37 => Event::NotWatched { what: text, why: TextId(9) },
        39 => match numbers.below(5) {
            0 => Event::ProcessName { name: text },
            1 => Event::Shared { what: text, writes: true, stack, frame },
            2 => Event::Offered { item: object, container: ObjectId(numbers.id()) },
            3 => Event::Taken { container: object },
            _ => Event::Hear,
        },
        40 => Event::Unsettled,
        41 => Event::Settled,
        42 => Event::LoopWaited { nanoseconds: numbers.id() },
        38 => Event::Block { on: numbers.pick(&[Awaited::Thread(token), Awaited::Threads, Awaited::Channel(channel)]), stack },
        _ => Event::Access(access(numbers, stack, frame, object)),
    }
}

fn access(numbers: &mut Numbers, stack: StackId, frame: FrameId, object: ObjectId) -> Access {
    let action = numbers.pick(&[Action::Read, Action::Write, Action::Delete, Action::Insert, Action::Update, Action::Replace]);
    let values = [
        Value::Unknown,
        Value::None,
        Value::Bool(true),
        Value::Bool(false),
        Value::Int(-1),
        Value::Int(i64::MIN),
        Value::Float(0.5),
        Value::Text(TextId(4)),
        Value::Object(numbers.id(), TextId(5)),
    ];
    Access { stack, frame, action, object, key: KeyId(numbers.id()), value: numbers.pick(&values) }
}

fn code(numbers: &mut Numbers) -> CodeInfo {
    let nested = Const::Tuple(vec![Const::Text("k".into()), Const::Tuple(vec![Const::Int(-9), Const::Bool(false)]), Const::None]);
    CodeInfo {
        id: numbers.small(),
        module: "shop.cart".into(),
        origin: Origin::Library,
        code: Code {
            filename: "shop/cart.py".into(),
            qualname: "Cart.add".into(),
            bytecode: (0..numbers.below(50)).map(|byte| byte as u8).collect(),
            names: vec!["total".into()],
            consts: vec![nested, Const::Other, Const::Bool(true)],
            line_table: vec![1, 255],
            ..Code::default()
        },
    }
}

//! From a record in a ring to an event of the vocabulary. It believes nothing: what cannot be understood is `None`, and
//! whether that means loss is for the caller to say.

use racetrace_probes::wire::{self, Kind, Slot, action, shape, value};

use crate::event::{
    Access, Action, Awaited, ChannelId, CodeId, CodeInfo, Event, FrameId, KeyId, LockKind, ObjectId, OpenMode, PathEffect,
    Patience, ProcessInfo, Shape, StackId, TaskId, TextId, ThreadToken, Value, WriteLevel,
};

/// Where the bytes of texts and code objects are fetched: position and length.
pub type Blob<'a> = &'a dyn Fn(u64, u64) -> Option<Vec<u8>>;

/// Does this kind keep bytes in the blob?
pub fn has_blob(kind: Kind) -> bool {
    matches!(kind, Kind::Text | Kind::Code | Kind::Process)
}

/// What the record says.
pub fn decode(slot: &Slot, kind: Kind, blob: Blob<'_>) -> Option<Event> {
    let stack = StackId(slot.stack);
    let text = TextId(slot.word);
    let lock = ObjectId(slot.a);
    let frame = FrameId(slot.d);
    Some(match kind {
        Kind::Text => Event::Text { id: text, text: String::from_utf8_lossy(&blob(slot.a, slot.b)?).into_owned() },
        Kind::Code => code(slot, blob)?,
        Kind::Stack => {
            let (code, offset) = (CodeId(low(slot.a)), low(slot.b));
            Event::Stack { id: stack, parent: StackId(slot.word), code, offset }
        }
        Kind::Object => {
            let label = (slot.b != 0).then(|| TextId(low(slot.b)));
            Event::Object { id: ObjectId(slot.a), shape: shape_of(slot.small)?, type_name: text, label }
        }
        Kind::ObjectEnd => Event::ObjectEnd { id: ObjectId(slot.a) },
        Kind::Key => Event::Key { id: KeyId(slot.a), label: text },
        Kind::Process => Event::Process(process(&String::from_utf8_lossy(&blob(slot.a, slot.b)?))),
        Kind::ThreadStart => Event::ThreadStart { token: ThreadToken(slot.a), stack },
        Kind::ThreadBegin => Event::ThreadBegin { token: (slot.a != 0).then_some(ThreadToken(slot.a)), name: text },
        Kind::ThreadName => Event::ThreadName { name: text },
        Kind::ThreadEnd => Event::ThreadEnd,
        Kind::ThreadJoin => Event::ThreadJoin { token: ThreadToken(slot.a) },
        Kind::TaskNew => Event::TaskNew { task: TaskId(slot.a), future: ChannelId(slot.b), name: text, stack },
        Kind::TaskSwitch => Event::TaskSwitch { task: (slot.a != 0).then_some(TaskId(slot.a)) },
        Kind::Suspend => Event::Suspend { stack },
        Kind::TaskEnd => Event::TaskEnd { task: TaskId(slot.a) },
        Kind::Signal if slot.b != 0 => Event::Put { channel: ChannelId(slot.a), item: slot.b },
        Kind::Observe if slot.b != 0 => Event::Got { channel: ChannelId(slot.a), item: slot.b },
        Kind::Signal => Event::Signal { channel: ChannelId(slot.a) },
        Kind::Observe => Event::Observe { channel: ChannelId(slot.a) },
        Kind::LockNew => Event::LockNew { lock, kind: lock_kind(slot)?, stack },
        Kind::LockWait => Event::LockWait { lock, stack, patience: patience(slot.small)? },
        Kind::LockAcquired => Event::LockAcquired { lock, stack, patience: patience(slot.small)? },
        Kind::LockFailed => Event::LockFailed { lock, stack, patience: patience(slot.small)? },
        Kind::LockReleased => Event::LockReleased { lock, stack },
        Kind::Block => Event::Block { on: awaited(slot)?, stack },
        Kind::Access => access(slot)?,
        Kind::IterBegin => Event::IterBegin { object: ObjectId(slot.a), iterator: slot.b, frame, length: known(slot.c), stack },
        Kind::IterEnd => Event::IterEnd { iterator: slot.b },
        Kind::IterNext => Event::IterNext { iterator: slot.b, length: known(slot.c), stack },
        Kind::Enter => Event::Enter { frame, code: CodeId(slot.word) },
        Kind::FileOpen => {
            let mode = open_mode(slot.small)?;
            Event::FileOpen { file: ObjectId(slot.a), path: text, inode: slot.b, fd: low(slot.c) as i32, mode, stack }
        }
        Kind::FileWrite => Event::FileWrite {
            file: ObjectId(slot.a),
            inode: slot.b,
            fd: (slot.c >> 32) as i32,
            length: u64::from(low(slot.c)),
            level: write_level(slot.small)?,
            append: slot.short & 1 != 0,
            ends_line: slot.short & 2 != 0,
            stack,
            frame,
        },
        Kind::FileClose => Event::FileClose { file: ObjectId(slot.a) },
        Kind::PathCheck => Event::PathCheck { path: text, stack, frame },
        Kind::PathUse => {
            let (path, effect, tolerant) = (text, path_effect(slot.small)?, slot.short & 1 != 0);
            match slot.short & 2 {
                0 => Event::PathUse { path, effect, tolerant, stack, frame },
                _ => Event::PathFailed { path, effect, tolerant, stack, frame },
            }
        }
        Kind::Hear => Event::Hear,
        Kind::Shared => Event::Shared { what: text, writes: slot.small != action::READ, stack, frame },
        Kind::Offered => Event::Offered { item: ObjectId(slot.b), container: ObjectId(slot.a) },
        Kind::Taken => Event::Taken { container: ObjectId(slot.a) },
        Kind::ProcessName => Event::ProcessName { name: text },
        Kind::LoopWaited => Event::LoopWaited { nanoseconds: slot.a },
        Kind::Unsettled => Event::Unsettled,
        Kind::Settled => Event::Settled,
        Kind::JobBegin => Event::JobBegin,
        Kind::JobEnd => Event::JobEnd,
        Kind::CoroutineDropped => {
            Event::CoroutineDropped { name: text, made: stack, file: TextId(low(slot.a)), line: low(slot.b) }
        }
        Kind::Gap => Event::Gap { lost: slot.a },
        Kind::ProcessEnd => Event::ProcessEnd { orderly: true },
        Kind::NotWatched => Event::NotWatched { what: text, why: TextId(low(slot.a)) },
        Kind::Test => Event::Test { name: (slot.word != 0).then_some(text) },
    })
}

fn awaited(slot: &Slot) -> Option<Awaited> {
    Some(match slot.small {
        0 => Awaited::Thread(ThreadToken(slot.a)),
        1 => Awaited::Threads,
        2 => Awaited::Channel(ChannelId(slot.a)),
        _ => return None,
    })
}

fn low(word: u64) -> u32 {
    word as u32
}

/// All ones stand for a number that the agent could not tell.
fn known(word: u64) -> Option<u64> {
    (word != u64::MAX).then_some(word)
}

fn code(slot: &Slot, blob: Blob<'_>) -> Option<Event> {
    let (module, origin, code) = wire::decode_code(&blob(slot.a, slot.b)?)?;
    Some(Event::Code(Box::new(CodeInfo { id: slot.word, module, origin, code })))
}

/// Lines `key=value`. A line without a known key continues the argument before it, which had a line break in it.
fn process(text: &str) -> ProcessInfo {
    let mut info = ProcessInfo::default();
    for line in text.split('\n') {
        match line.split_once('=') {
            Some(("pid", pid)) => info.pid = pid.parse().unwrap_or(0),
            Some(("parent", pid)) => info.parent = pid.parse().ok().filter(|pid| *pid != 0),
            Some(("python", version)) => info.python = version_of(version),
            Some(("free_threaded", flag)) => info.free_threaded = matches!(flag, "1" | "true" | "True"),
            Some(("directory", path)) => info.directory = path.to_owned(),
            Some(("argument", argument)) => info.command.push(argument.to_owned()),
            _ => {
                if let Some(last) = info.command.last_mut().filter(|_| !line.is_empty()) {
                    last.push('\n');
                    last.push_str(line);
                }
            }
        }
    }
    info
}

fn version_of(text: &str) -> (u8, u8, u8) {
    let mut parts = text.split('.').map(|part| {
        let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap_or(0)
    });
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

fn access(slot: &Slot) -> Option<Event> {
    let value = match slot.short {
        value::NONE => Value::None,
        value::BOOL => Value::Bool(slot.c != 0),
        value::INT => Value::Int(slot.c as i64),
        value::FLOAT => Value::Float(f64::from_bits(slot.c)),
        value::TEXT => Value::Text(TextId(slot.word)),
        value::OBJECT => Value::Object(slot.c, TextId(slot.word)),
        _ => Value::Unknown,
    };
    let action = match slot.small {
        action::READ => Action::Read,
        action::WRITE => Action::Write,
        action::DELETE => Action::Delete,
        action::INSERT => Action::Insert,
        action::UPDATE => Action::Update,
        action::REPLACE => Action::Replace,
        _ => return None,
    };
    let (stack, frame) = (StackId(slot.stack), FrameId(slot.d));
    Some(Event::Access(Access { stack, frame, action, object: ObjectId(slot.a), key: KeyId(slot.b), value }))
}

fn shape_of(byte: u8) -> Option<Shape> {
    Some(match byte {
        shape::MODULE => Shape::Module,
        shape::INSTANCE => Shape::Instance,
        shape::CLASS => Shape::Class,
        shape::CELL => Shape::Cell,
        shape::DICT => Shape::Dict,
        shape::LIST => Shape::List,
        shape::SET => Shape::Set,
        shape::DEQUE => Shape::Deque,
        shape::QUEUE => Shape::Queue,
        shape::MAPPING => Shape::Mapping,
        shape::ARRAY => Shape::Array,
        shape::LOCK => Shape::Lock,
        shape::FILE => Shape::File,
        shape::OTHER => Shape::Other,
        _ => return None,
    })
}

fn lock_kind(slot: &Slot) -> Option<LockKind> {
    let initial = u32::try_from(slot.b).unwrap_or(u32::MAX);
    Some(match slot.small {
        0 => LockKind::Lock,
        1 => LockKind::RLock,
        2 => LockKind::Semaphore(initial),
        3 => LockKind::AsyncLock,
        4 => LockKind::AsyncSemaphore(initial),
        5 => LockKind::File,
        _ => return None,
    })
}

fn patience(byte: u8) -> Option<Patience> {
    [Patience::Forever, Patience::Timeout, Patience::Never].get(usize::from(byte)).copied()
}

fn open_mode(byte: u8) -> Option<OpenMode> {
    use OpenMode::{Append, Exclusive, Found, Read, Update, Write};
    [Read, Write, Append, Update, Exclusive, Found].get(usize::from(byte)).copied()
}

fn write_level(byte: u8) -> Option<WriteLevel> {
    [WriteLevel::Text, WriteLevel::Buffered, WriteLevel::System].get(usize::from(byte)).copied()
}

fn path_effect(byte: u8) -> Option<PathEffect> {
    use PathEffect::{Change, Create, MakeDirectory, Open, Remove, Rename};
    [Open, Create, Remove, Rename, MakeDirectory, Change].get(usize::from(byte)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use racetrace_probes::code::Code;
    use racetrace_probes::wire::Origin;

    fn decoded(slot: Slot, bytes: &[u8]) -> Option<Event> {
        let kind = Kind::from_byte(slot.kind)?;
        decode(&slot, kind, &|position, length| bytes.get(position as usize..(position + length) as usize).map(<[u8]>::to_vec))
    }

    #[test]
    fn an_access_keeps_its_subject_its_value_and_its_place() {
        let slot = Slot {
            kind: Kind::Access as u8,
            small: action::WRITE,
            short: value::INT,
            stack: 7,
            a: 100,
            b: 5,
            c: (-41_i64) as u64,
            d: 9,
            ..Slot::default()
        };
        let expected = Access {
            stack: StackId(7),
            frame: FrameId(9),
            action: Action::Write,
            object: ObjectId(100),
            key: KeyId(5),
            value: Value::Int(-41),
        };
        assert_eq!(decoded(slot, &[]), Some(Event::Access(expected)));
        assert_eq!(decoded(Slot { small: 99, ..slot }, &[]), None, "an action that does not exist");
        let Some(Event::Access(odd)) = decoded(Slot { short: 99, ..slot }, &[]) else { panic!("an unknown value is no loss") };
        assert_eq!(odd.value, Value::Unknown);
    }

    #[test]
    fn a_process_says_who_it_is_even_with_odd_arguments() {
        let text =
            "pid=12\nparent=3\npython=3.13.0rc2\nfree_threaded=1\ndirectory=/srv/a=b\nargument=-c\nargument=x = 1\nprint(x)\n";
        let slot = Slot { kind: Kind::Process as u8, a: 0, b: text.len() as u64, ..Slot::default() };
        let expected = ProcessInfo {
            pid: 12,
            parent: Some(3),
            python: (3, 13, 0),
            free_threaded: true,
            command: vec!["-c".into(), "x = 1\nprint(x)".into()],
            directory: "/srv/a=b".into(),
        };
        assert_eq!(decoded(slot, text.as_bytes()), Some(Event::Process(expected)));
    }

    #[test]
    fn code_that_is_cut_is_refused_and_whole_code_is_not() {
        let code = Code { name: "add".into(), bytecode: vec![151, 0], ..Code::default() };
        let bytes = wire::encode_code("shop.cart", Origin::User, &code);
        let slot = Slot { kind: Kind::Code as u8, word: 4, a: 0, b: bytes.len() as u64, ..Slot::default() };
        let whole = CodeInfo { id: 4, module: "shop.cart".into(), origin: Origin::User, code };
        assert_eq!(decoded(slot, &bytes), Some(Event::Code(Box::new(whole))));
        assert_eq!(decoded(Slot { b: slot.b - 1, ..slot }, &bytes), None);
        assert_eq!(decoded(Slot { a: 1, ..slot }, &bytes), None);
    }

    #[test]
    fn a_written_file_has_length_and_descriptor_in_one_word() {
        let slot = Slot { kind: Kind::FileWrite as u8, small: 2, short: 1, a: 8, b: 9, c: (3 << 32) | 120, ..Slot::default() };
        let Some(Event::FileWrite { fd, length, level, append, .. }) = decoded(slot, &[]) else { panic!("not a write") };
        assert_eq!((fd, length, level, append), (3, 120, WriteLevel::System, true));
    }

    #[test]
    fn any_bytes_at_all_are_an_event_or_nothing() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for _ in 0..100_000 {
            let slot = Slot {
                kind: next() as u8,
                small: next() as u8,
                short: next() as u16,
                stack: next() as u32,
                word: next() as u32,
                a: next() % 64,
                b: next() % 64,
                c: next(),
                d: next(),
                ..Slot::default()
            };
            let bytes: Vec<u8> = (0..next() % 128).map(|_| next() as u8).collect();
            let _ = decoded(slot, &bytes);
        }
    }
}

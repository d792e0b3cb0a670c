//! How each type that occurs in an event is written and read. Tags are part of the format: add, never renumber.
//! Decides nothing about blocks.

use racetrace_probes::code::{Code, Const};
use racetrace_probes::wire::Origin;

use super::number::{Input, Output, fold, unfold};
use crate::event::sample::Sample;
use crate::event::*;

/// A part of an event. `get` answers `None` to whatever `put` did not write.
pub trait Field: Sized {
    fn put(&self, output: &mut Output);
    fn get(input: &mut Input) -> Option<Self>;
}

/// Identities: the distance to the last one of their sort.
macro_rules! identities {
    ($($name:ident($number:ty as $signed:ty) => $register:ident),* $(,)?) => { $(
        impl Field for $name {
            #[inline]
            fn put(&self, output: &mut Output) {
                let distance = self.0.wrapping_sub(output.last.$register) as $signed;
                output.last.$register = self.0;
                output.number(fold(i64::from(distance)));
            }
            #[inline]
            fn get(input: &mut Input) -> Option<Self> {
                let distance = unfold(input.number()?) as $number;
                input.last.$register = input.last.$register.wrapping_add(distance);
                Some($name(input.last.$register))
            }
        }
    )* };
}

identities! {
    ProcessId(u32 as i32) => process,
    Tid(u32 as i32) => thread,
    TextId(u32 as i32) => text,
    CodeId(u32 as i32) => code,
    StackId(u32 as i32) => stack,
    ObjectId(u64 as i64) => object,
    KeyId(u64 as i64) => key,
    TaskId(u64 as i64) => task,
    ThreadToken(u64 as i64) => token,
    ChannelId(u64 as i64) => channel,
    FrameId(u64 as i64) => frame,
}

/// Choices without data: one byte.
macro_rules! choices {
    ($($name:ident { $($tag:literal = $choice:ident),* $(,)? })*) => { $(
        impl Field for $name {
            #[inline]
            fn put(&self, output: &mut Output) {
                output.byte(match self { $($name::$choice => $tag,)* });
            }
            #[inline]
            fn get(input: &mut Input) -> Option<Self> {
                match input.byte()? { $($tag => Some($name::$choice),)* _ => None }
            }
        }
    )* };
}

choices! {
    Shape {
        0 = Module, 1 = Instance, 2 = Class, 3 = Cell, 4 = Dict, 5 = List, 6 = Set, 7 = Deque, 8 = Queue, 9 = Lock, 10 = File,
        11 = Other, 12 = Mapping, 13 = Array,
    }
    Patience { 0 = Forever, 1 = Timeout, 2 = Never }
    Action { 0 = Read, 1 = Write, 2 = Delete, 3 = Insert, 4 = Update, 5 = Replace }
    OpenMode { 0 = Read, 1 = Write, 2 = Append, 3 = Update, 4 = Exclusive, 5 = Found }
    WriteLevel { 0 = Text, 1 = Buffered, 2 = System }
    PathEffect { 0 = Open, 1 = Create, 2 = Remove, 3 = Rename, 4 = MakeDirectory, 5 = Change }
    Origin { 0 = User, 1 = Library, 2 = Standard }
}

/// Records without choices: their fields in order.
macro_rules! products {
    ($($name:ident { $($field:ident),* $(,)? })*) => { $(
        impl Field for $name {
            #[inline]
            fn put(&self, output: &mut Output) {
                let $name { $($field),* } = self;
                $($field.put(output);)*
            }
            #[inline]
            fn get(input: &mut Input) -> Option<Self> {
                $(let $field = Field::get(input)?;)*
                Some($name { $($field),* })
            }
        }
    )* };
}

products! {
    Access { stack, frame, action, object, key, value }
    ProcessInfo { pid, parent, python, free_threaded, command, directory }
    CodeInfo { id, module, origin, code }
    Code {
        filename, name, qualname, first_line, flags, argcount, posonly, kwonly, stacksize, bytecode, names, locals, nlocals,
        ncells, nfrees, consts, line_table, exception_table,
    }
}

impl Field for LockKind {
    fn put(&self, output: &mut Output) {
        let (tag, value) = match self {
            LockKind::Lock => (0, None),
            LockKind::RLock => (1, None),
            LockKind::Semaphore(value) => (2, Some(value)),
            LockKind::AsyncLock => (3, None),
            LockKind::AsyncSemaphore(value) => (4, Some(value)),
            LockKind::File => (5, None),
        };
        output.byte(tag);
        if let Some(value) = value {
            value.put(output);
        }
    }

    fn get(input: &mut Input) -> Option<Self> {
        Some(match input.byte()? {
            0 => LockKind::Lock,
            1 => LockKind::RLock,
            2 => LockKind::Semaphore(Field::get(input)?),
            3 => LockKind::AsyncLock,
            4 => LockKind::AsyncSemaphore(Field::get(input)?),
            5 => LockKind::File,
            _ => return None,
        })
    }
}

impl Field for Awaited {
    fn put(&self, output: &mut Output) {
        match self {
            Awaited::Thread(token) => {
                output.byte(0);
                token.put(output);
            }
            Awaited::Threads => output.byte(1),
            Awaited::Channel(channel) => {
                output.byte(2);
                channel.put(output);
            }
        }
    }

    fn get(input: &mut Input) -> Option<Self> {
        Some(match input.byte()? {
            0 => Awaited::Thread(Field::get(input)?),
            1 => Awaited::Threads,
            2 => Awaited::Channel(Field::get(input)?),
            _ => return None,
        })
    }
}

impl Field for Value {
    #[inline]
    fn put(&self, output: &mut Output) {
        match self {
            Value::Unknown => output.byte(0),
            Value::None => output.byte(1),
            Value::Bool(false) => output.byte(2),
            Value::Bool(true) => output.byte(3),
            Value::Int(number) => {
                output.byte(4);
                output.number(fold(*number));
            }
            Value::Float(number) => {
                output.byte(5);
                output.bytes.extend_from_slice(&number.to_bits().to_le_bytes());
            }
            Value::Text(text) => {
                output.byte(6);
                text.put(output);
            }
            Value::Object(identity, type_name) => {
                output.byte(7);
                output.number(fold(identity.wrapping_sub(output.last.identity) as i64));
                output.last.identity = *identity;
                type_name.put(output);
            }
        }
    }

    #[inline]
    fn get(input: &mut Input) -> Option<Self> {
        Some(match input.byte()? {
            0 => Value::Unknown,
            1 => Value::None,
            2 => Value::Bool(false),
            3 => Value::Bool(true),
            4 => Value::Int(unfold(input.number()?)),
            5 => {
                let (bits, rest) = input.bytes.split_first_chunk::<8>()?;
                input.bytes = rest;
                Value::Float(f64::from_bits(u64::from_le_bytes(*bits)))
            }
            6 => Value::Text(Field::get(input)?),
            7 => {
                input.last.identity = input.last.identity.wrapping_add(unfold(input.number()?) as u64);
                Value::Object(input.last.identity, Field::get(input)?)
            }
            _ => return None,
        })
    }
}

impl Field for u8 {
    fn put(&self, output: &mut Output) {
        output.byte(*self);
    }
    fn get(input: &mut Input) -> Option<Self> {
        input.byte()
    }
}

impl Field for bool {
    fn put(&self, output: &mut Output) {
        output.byte(u8::from(*self));
    }
    fn get(input: &mut Input) -> Option<Self> {
        match input.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl Field for u32 {
    fn put(&self, output: &mut Output) {
        output.number(u64::from(*self));
    }
    fn get(input: &mut Input) -> Option<Self> {
        u32::try_from(input.number()?).ok()
    }
}

impl Field for u64 {
    fn put(&self, output: &mut Output) {
        output.number(*self);
    }
    fn get(input: &mut Input) -> Option<Self> {
        input.number()
    }
}

impl Field for i64 {
    fn put(&self, output: &mut Output) {
        output.number(fold(*self));
    }
    fn get(input: &mut Input) -> Option<Self> {
        Some(unfold(input.number()?))
    }
}

impl Field for i32 {
    fn put(&self, output: &mut Output) {
        i64::from(*self).put(output);
    }
    fn get(input: &mut Input) -> Option<Self> {
        i32::try_from(i64::get(input)?).ok()
    }
}

impl Field for String {
    fn put(&self, output: &mut Output) {
        output.blob(self.as_bytes());
    }
    fn get(input: &mut Input) -> Option<Self> {
        Some(String::from_utf8_lossy(input.blob()?).into_owned())
    }
}

impl Field for (u8, u8, u8) {
    fn put(&self, output: &mut Output) {
        output.bytes.extend_from_slice(&[self.0, self.1, self.2]);
    }
    fn get(input: &mut Input) -> Option<Self> {
        Some((input.byte()?, input.byte()?, input.byte()?))
    }
}

impl<T: Field> Field for Option<T> {
    fn put(&self, output: &mut Output) {
        output.byte(u8::from(self.is_some()));
        if let Some(value) = self {
            value.put(output);
        }
    }
    fn get(input: &mut Input) -> Option<Self> {
        if bool::get(input)? { Some(Some(T::get(input)?)) } else { Some(None) }
    }
}

impl<T: Field> Field for Vec<T> {
    fn put(&self, output: &mut Output) {
        output.number(self.len() as u64);
        self.iter().for_each(|item| item.put(output));
    }
    fn get(input: &mut Input) -> Option<Self> {
        // Grows with what is really there, so that a lie about the count costs nothing.
        let mut items = Vec::new();
        for _ in 0..input.count()? {
            items.push(T::get(input)?);
        }
        Some(items)
    }
}

impl<T: Field> Field for Box<T> {
    fn put(&self, output: &mut Output) {
        T::put(self, output);
    }
    fn get(input: &mut Input) -> Option<Self> {
        T::get(input).map(Box::new)
    }
}

impl Field for Const {
    fn put(&self, output: &mut Output) {
        match self {
            Const::None => output.byte(0),
            Const::Bool(false) => output.byte(1),
            Const::Bool(true) => output.byte(2),
            Const::Int(number) => {
                output.byte(3);
                number.put(output);
            }
            Const::Text(text) => {
                output.byte(4);
                text.put(output);
            }
            Const::Tuple(items) => {
                output.byte(5);
                items.put(output);
            }
            Const::Other => output.byte(6),
        }
    }

    fn get(input: &mut Input) -> Option<Self> {
        constant(input, MAX_NESTING)
    }
}

/// Tuples within tuples, so that a hostile file cannot exhaust the stack. Deeper ones of our own are read as a fault.
const MAX_NESTING: u32 = 32;

fn constant(input: &mut Input, depth: u32) -> Option<Const> {
    Some(match input.byte()? {
        0 => Const::None,
        1 => Const::Bool(false),
        2 => Const::Bool(true),
        3 => Const::Int(Field::get(input)?),
        4 => Const::Text(Field::get(input)?),
        5 if depth > 0 => {
            let mut items = Vec::new();
            for _ in 0..input.count()? {
                items.push(constant(input, depth - 1)?);
            }
            Const::Tuple(items)
        }
        6 => Const::Other,
        _ => return None,
    })
}

/// Samples are few and large, and describe themselves.
impl Field for Sample {
    fn put(&self, output: &mut Output) {
        output.blob(&serde_json::to_vec(self).unwrap_or_default());
    }
    fn get(input: &mut Input) -> Option<Self> {
        serde_json::from_slice(input.blob()?).ok()
    }
}

//! Turns what was seen into events: numbers texts, code, stacks and objects, and defines each before its first use.

use std::rc::Rc;

use racetrace_probes::wire::Origin;
use rustc_hash::FxHashMap;

use crate::cpython::object::Shown;
use crate::cpython::python::Python;
use crate::event::{CodeId, CodeInfo, Event, KeyId, ObjectId, ProcessId, Record, Shape, StackId, TextId, Tid, Value};
use crate::target::address::RemoteAddr;
use crate::target::memory::Memory;

use super::codes::KnownCode;
use super::strand::Activation;

/// The one process of a sampled session.
pub const PROCESS: ProcessId = ProcessId(0);

/// Collects the records of one sample and remembers what has been defined.
#[derive(Debug, Default)]
pub struct Emitter {
    records: Vec<Record>,
    time: u64,
    standard: Option<String>,
    texts: FxHashMap<String, TextId>,
    codes: FxHashMap<u32, CodeId>,
    stacks: FxHashMap<(StackId, CodeId, u32), StackId>,
    /// Objects by address, with what they were called when they were defined.
    objects: FxHashMap<RemoteAddr, (Shape, Option<String>)>,
    keys: FxHashMap<String, KeyId>,
}

const LONGEST_SHOWN: usize = 80;

impl Emitter {
    pub fn set_time(&mut self, nanoseconds: u64) {
        self.time = nanoseconds;
    }

    /// The directory of the standard library, as the target names it.
    pub fn set_standard(&mut self, directory: Option<String>) {
        self.standard = directory;
    }

    /// Is it code of the program's own files?
    pub fn is_users(&self, code: &KnownCode) -> bool {
        *code.origin.get_or_init(|| self.origin(&code.remote.code.filename)) == Origin::User
    }

    fn origin(&self, file: &str) -> Origin {
        let in_packages = file.contains("/site-packages/") || file.contains("/dist-packages/");
        let standard = self.standard.as_deref().is_some_and(|directory| file.starts_with(directory));
        match (in_packages, standard || file.starts_with('<')) {
            (true, _) => Origin::Library,
            (false, true) => Origin::Standard,
            (false, false) => Origin::User,
        }
    }

    pub fn push(&mut self, thread: Tid, event: Event) {
        self.records.push(Record { time: self.time, process: PROCESS, thread, event });
    }

    pub fn take(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.records)
    }

    pub fn text(&mut self, text: &str) -> TextId {
        if let Some(id) = self.texts.get(text) {
            return *id;
        }
        let id = TextId(next(self.texts.len()));
        self.texts.insert(text.to_owned(), id);
        self.push(Tid(0), Event::Text { id, text: text.to_owned() });
        id
    }

    pub fn code<M: Memory>(&mut self, python: &Python<M>, code: &Rc<KnownCode>, globals: RemoteAddr) -> CodeId {
        if let Some(id) = self.codes.get(&code.id) {
            return *id;
        }
        let id = CodeId(code.id);
        self.codes.insert(code.id, id);
        let module = python.module_name(globals).unwrap_or_default();
        let origin = self.origin(&code.remote.code.filename);
        self.push(Tid(0), Event::Code(Box::new(CodeInfo { id: code.id, module, origin, code: code.remote.code.clone() })));
        id
    }

    /// The stack from `frames[from]` (inwards) to the outermost.
    pub fn stack<M: Memory>(&mut self, python: &Python<M>, frames: &[Activation], from: usize) -> StackId {
        let mut stack = StackId::default();
        for activation in frames.get(from..).unwrap_or_default().iter().rev() {
            stack = self.called(python, stack, &activation.code, activation.frame.globals, activation.offset);
        }
        stack
    }

    /// `caller` with another frame on top.
    pub fn called<M: Memory>(
        &mut self,
        python: &Python<M>,
        caller: StackId,
        code: &Rc<KnownCode>,
        globals: RemoteAddr,
        offset: u32,
    ) -> StackId {
        let code = self.code(python, code, globals);
        let key = (caller, code, offset);
        if let Some(known) = self.stacks.get(&key) {
            return *known;
        }
        let id = StackId(next(self.stacks.len()));
        self.stacks.insert(key, id);
        self.push(Tid(0), Event::Stack { id, parent: caller, code, offset });
        id
    }

    /// The same with the innermost of these frames at another instruction.
    pub fn stack_at<M: Memory>(&mut self, python: &Python<M>, frames: &[Activation], from: usize, offset: u32) -> StackId {
        let caller = self.stack(python, frames, from + 1);
        let Some(innermost) = frames.get(from) else { return caller };
        self.called(python, caller, &innermost.code, innermost.frame.globals, offset)
    }

    /// Defines an object, again if its name became known (or it is another one by now).
    pub fn object(&mut self, at: RemoteAddr, shape: Shape, type_name: &str, label: Option<&str>) -> ObjectId {
        let id = ObjectId(at.0);
        let known =
            self.objects.get(&at).is_some_and(|(kind, name)| *kind == shape && (label.is_none() || name.as_deref() == label));
        if !known {
            self.objects.insert(at, (shape, label.map(str::to_owned)));
            let type_name = self.text(type_name);
            let label = label.map(|label| self.text(label));
            self.push(Tid(0), Event::Object { id, shape, type_name, label });
        }
        id
    }

    /// A name or key within an object.
    pub fn key(&mut self, label: &str) -> KeyId {
        if let Some(id) = self.keys.get(label) {
            return *id;
        }
        // Key 0 is the whole object.
        let id = KeyId(self.keys.len() as u64 + 1);
        self.keys.insert(label.to_owned(), id);
        let label = self.text(label);
        self.push(Tid(0), Event::Key { id, label });
        id
    }

    pub fn value(&mut self, at: RemoteAddr, shown: Option<Shown>) -> Value {
        match shown {
            None => Value::Unknown,
            Some(Shown::None) => Value::None,
            Some(Shown::Bool(value)) => Value::Bool(value),
            Some(Shown::Int(value)) => Value::Int(value),
            Some(Shown::Float(value)) => Value::Float(value),
            Some(Shown::Text(text)) => Value::Text(self.text(&text.chars().take(LONGEST_SHOWN).collect::<String>())),
            Some(Shown::Object(name)) => Value::Object(at.0, self.text(&name)),
        }
    }
}

/// Ids start at 1: 0 means "none" for stacks and is skipped for texts alike.
fn next(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX - 1) + 1
}

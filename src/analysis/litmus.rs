//! A small language for litmus tests: threads, tasks, locks and accesses become records, one after the other, in the
//! order in which they are written down. The plans are written by hand; no bytecode is read.

use std::collections::BTreeMap;

use racetrace_probes::code::Code;
use racetrace_probes::plan::{Flows, Operation, Place, Plan, Poll, Shared, Span, Switch, SwitchWhy, Watch, Window, WindowKind};

use super::{Analysis, Options, Origin};
use crate::event::*;
use crate::finding::{Finding, Report};

pub const PROCESS: ProcessId = ProcessId(0);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Who {
    pub tid: Tid,
    pub token: Option<ThreadToken>,
    pub task: Option<TaskId>,
    pub future: Option<ChannelId>,
}

/// A subject: a part of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Var {
    pub object: ObjectId,
    pub key: KeyId,
}

pub struct Litmus {
    pub analysis: Analysis,
    time: u64,
    next: u64,
    texts: BTreeMap<String, TextId>,
    stacks: BTreeMap<(StackId, CodeId, u32), StackId>,
    running: BTreeMap<Tid, Option<TaskId>>,
}

impl Litmus {
    pub fn new() -> Litmus {
        Litmus::on((3, 13, 0), false)
    }

    pub fn on(python: (u8, u8, u8), free_threaded: bool) -> Litmus {
        let mut litmus = Litmus {
            analysis: Analysis::new(Options::default()),
            time: 0,
            next: 1,
            texts: BTreeMap::new(),
            stacks: BTreeMap::new(),
            running: BTreeMap::new(),
        };
        let info = ProcessInfo { pid: 100, python, free_threaded, ..ProcessInfo::default() };
        litmus.say(Tid(1), Event::Process(info));
        litmus
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub fn say(&mut self, thread: Tid, event: Event) {
        self.time += 10;
        self.analysis.record(&Record { time: self.time, process: PROCESS, thread, event });
    }

    /// Lets time go by.
    pub fn pause(&mut self, nanoseconds: u64) {
        self.time += nanoseconds;
    }

    /// Says it as that strand: a task is switched to first.
    pub fn by(&mut self, who: Who, event: Event) {
        if who.task.is_some() && self.running.get(&who.tid).copied().flatten() != who.task {
            self.say(who.tid, Event::TaskSwitch { task: who.task });
            self.running.insert(who.tid, who.task);
        } else if who.task.is_none() && self.running.insert(who.tid, None).flatten().is_some() {
            self.say(who.tid, Event::TaskSwitch { task: None });
        }
        self.say(who.tid, event);
    }

    pub fn text(&mut self, text: &str) -> TextId {
        if let Some(id) = self.texts.get(text) {
            return *id;
        }
        let id = TextId(self.number() as u32);
        self.texts.insert(text.to_owned(), id);
        self.say(Tid(1), Event::Text { id, text: text.to_owned() });
        id
    }

    // ---- code

    /// `name` is the qualified name of a function of the module `app`.
    pub fn code(&mut self, name: &str, plan: Plan) -> CodeId {
        self.code_in("app.py", name, plan)
    }

    pub fn code_in(&mut self, file: &str, name: &str, plan: Plan) -> CodeId {
        let id = CodeId(self.number() as u32);
        self.analysis.set_plan(PROCESS, id, plan);
        let code = Code {
            filename: file.to_owned(),
            name: name.rsplit('.').next().unwrap_or(name).to_owned(),
            qualname: name.to_owned(),
            first_line: id.0,
            locals: vec!["self".to_owned(), "local".to_owned()],
            argcount: 1,
            ..Code::default()
        };
        let origin = if file.contains("site-packages") { Origin::Library } else { Origin::User };
        self.say(Tid(1), Event::Code(Box::new(CodeInfo { id: id.0, module: "app".to_owned(), origin, code })));
        id
    }

    pub fn stack(&mut self, code: CodeId, offset: u32) -> StackId {
        self.stack_over(StackId(0), code, offset)
    }

    pub fn stack_over(&mut self, parent: StackId, code: CodeId, offset: u32) -> StackId {
        if let Some(id) = self.stacks.get(&(parent, code, offset)) {
            return *id;
        }
        let id = StackId(self.number() as u32);
        self.stacks.insert((parent, code, offset), id);
        self.say(Tid(1), Event::Stack { id, parent, code, offset });
        id
    }

    // ---- strands

    pub fn main(&mut self) -> Who {
        let name = self.text("MainThread");
        self.say(Tid(1), Event::ThreadBegin { token: None, name });
        Who { tid: Tid(1), token: None, task: None, future: None }
    }

    pub fn start(&mut self, parent: Who, name: &str) -> Who {
        let (token, tid) = (ThreadToken(self.number()), Tid(self.number() as u32));
        self.by(parent, Event::ThreadStart { token, stack: StackId(0) });
        let name = self.text(name);
        self.say(tid, Event::ThreadBegin { token: Some(token), name });
        Who { tid, token: Some(token), task: None, future: None }
    }

    pub fn end(&mut self, who: Who) {
        match who.task {
            Some(task) => self.by(who, Event::TaskEnd { task }),
            None => self.say(who.tid, Event::ThreadEnd),
        }
    }

    pub fn join(&mut self, parent: Who, child: Who) {
        match (child.token, child.future) {
            (_, Some(channel)) => self.by(parent, Event::Observe { channel }),
            (Some(token), None) => self.by(parent, Event::ThreadJoin { token }),
            (None, None) => {}
        }
    }

    pub fn task(&mut self, parent: Who, name: &str) -> Who {
        let (task, future) = (TaskId(self.number()), ChannelId(self.number()));
        let name = self.text(name);
        self.by(parent, Event::TaskNew { task, future, name, stack: StackId(0) });
        Who { tid: parent.tid, token: None, task: Some(task), future: Some(future) }
    }

    pub fn suspend(&mut self, who: Who) {
        self.by(who, Event::Suspend { stack: StackId(0) });
    }

    pub fn signal(&mut self, who: Who, channel: u64) {
        self.by(who, Event::Signal { channel: ChannelId(channel) });
    }

    pub fn put(&mut self, who: Who, channel: u64, item: u64) {
        self.by(who, Event::Put { channel: ChannelId(channel), item });
    }

    pub fn got(&mut self, who: Who, channel: u64, item: u64) {
        self.by(who, Event::Got { channel: ChannelId(channel), item });
    }

    pub fn observe(&mut self, who: Who, channel: u64) {
        self.by(who, Event::Observe { channel: ChannelId(channel) });
    }

    // ---- locks

    pub fn lock(&mut self) -> ObjectId {
        self.lock_of(LockKind::Lock)
    }

    pub fn lock_of(&mut self, kind: LockKind) -> ObjectId {
        let lock = ObjectId(self.number());
        self.say(Tid(1), Event::LockNew { lock, kind, stack: StackId(0) });
        lock
    }

    pub fn acquire(&mut self, who: Who, lock: ObjectId) {
        self.by(who, Event::LockAcquired { lock, stack: StackId(0), patience: Patience::Forever });
    }

    pub fn release(&mut self, who: Who, lock: ObjectId) {
        self.by(who, Event::LockReleased { lock, stack: StackId(0) });
    }

    // ---- subjects

    pub fn object(&mut self, shape: Shape, type_name: &str, label: Option<&str>) -> ObjectId {
        let id = ObjectId(self.number());
        let type_name = self.text(type_name);
        let label = label.map(|label| self.text(label));
        self.say(Tid(1), Event::Object { id, shape, type_name, label });
        id
    }

    pub fn part(&mut self, object: ObjectId, label: &str) -> Var {
        let id = KeyId(self.number());
        let label = self.text(label);
        self.say(Tid(1), Event::Key { id, label });
        Var { object, key: id }
    }

    pub fn global(&mut self, name: &str) -> Var {
        let module = self.object(Shape::Module, "module", Some("app"));
        self.part(module, name)
    }

    pub fn attribute(&mut self, class: &str, name: &str) -> Var {
        let object = self.object(Shape::Instance, class, None);
        self.part(object, name)
    }

    pub fn container(&mut self, shape: Shape) -> Var {
        Var { object: self.object(shape, "container", None), key: KeyId::WHOLE }
    }

    // ---- accesses

    pub fn access(&mut self, who: Who, stack: StackId, action: Action, var: Var, value: Value) {
        let frame = FrameId(u64::from(who.tid.0) << 32 | who.task.map_or(0, |task| task.0));
        self.by(who, Event::Access(Access { stack, frame, action, object: var.object, key: var.key, value }));
    }

    pub fn at(&mut self, who: Who, code: CodeId, offset: u32, action: Action, var: Var, value: Value) {
        let stack = self.stack(code, offset);
        self.access(who, stack, action, var, value);
    }

    pub fn read(&mut self, who: Who, code: CodeId, var: Var) {
        self.at(who, code, READ, Action::Read, var, Value::Unknown);
    }

    pub fn write(&mut self, who: Who, code: CodeId, var: Var, value: i64) {
        self.at(who, code, WRITE, Action::Write, var, Value::Int(value));
    }

    /// Read and write of one window, unsplit.
    pub fn both(&mut self, who: Who, code: CodeId, var: Var, value: i64) {
        self.read(who, code, var);
        self.write(who, code, var, value);
    }

    // ---- verdicts

    pub fn report(&mut self) -> Report {
        self.analysis.report()
    }

    pub fn findings(&mut self) -> Vec<Finding> {
        self.report().findings
    }

    /// Each finding as "kind subject evidence severity".
    pub fn verdicts(&mut self) -> Vec<String> {
        let word = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let words = |finding: Finding| {
            let kind = word(serde_json::json!(finding.kind));
            let (evidence, severity) = (word(serde_json::json!(finding.evidence)), word(serde_json::json!(finding.severity)));
            format!("{kind} {} {evidence} {severity}", finding.subject.name)
        };
        self.findings().into_iter().map(words).collect()
    }

    #[track_caller]
    pub fn is(&mut self, verdicts: &[&str]) {
        assert_eq!(self.verdicts(), verdicts);
    }

    #[track_caller]
    pub fn is_silent(&mut self) {
        self.is(&[]);
    }
}

// ---- plans

/// Offsets that the plans below use.
pub const READ: u32 = 10;
pub const WRITE: u32 = 20;
/// A plain store without a window.
pub const STORE: u32 = 30;
/// A switch point between READ and WRITE.
pub const CALL: u32 = 16;

pub fn watch(offset: u32, path: &str, into_branch: bool) -> Watch {
    let flows = Flows { into_branch, ..Flows::default() };
    Watch { offset, depth: 0, operation: Operation::GlobalRead { name: 0 }, flows, path: path.to_owned() }
}

pub fn method(offset: u32, path: &str, method: &'static str) -> Watch {
    let operation = Operation::MethodCall {
        method,
        callable: Place::Stack(1),
        receiver: Place::Stack(2),
        first: None,
        arguments: 0,
        keywords: 0,
    };
    Watch { operation, ..watch(offset, path, false) }
}

fn window(kind: WindowKind, path: &str, switch: Option<SwitchWhy>) -> Plan {
    let window = Window {
        kind,
        reads: vec![READ],
        write: WRITE,
        path: path.to_owned(),
        dominated: true,
        switch: switch.map(|why| Switch { offset: CALL, why }),
        suspends: switch == Some(SwitchWhy::Suspension),
        waits: false,
        shared: Shared::No,
    };
    let check = kind == WindowKind::CheckThenAct;
    let watches = vec![watch(READ, path, check), watch(WRITE, path, false), watch(STORE, path, false)];
    Plan { watches, windows: vec![window], ..Plan::default() }
}

/// `x = x + f()`: a call between read and write.
pub fn rmw(path: &str) -> Plan {
    window(WindowKind::ReadModifyWrite, path, Some(SwitchWhy::Call))
}

/// `x += 1`: no switch point.
pub fn latent_rmw(path: &str) -> Plan {
    window(WindowKind::ReadModifyWrite, path, None)
}

/// `if x …: f(); x = …`.
pub fn cta(path: &str) -> Plan {
    window(WindowKind::CheckThenAct, path, Some(SwitchWhy::Call))
}

/// `if x …: x = …`, nothing in between.
pub fn latent_cta(path: &str) -> Plan {
    window(WindowKind::CheckThenAct, path, None)
}

/// `x = x + await f()`.
pub fn awaiting_rmw(path: &str) -> Plan {
    window(WindowKind::ReadModifyWrite, path, Some(SwitchWhy::Suspension))
}

/// The act of a check-then-act is a method call.
pub fn cta_by(path: &str, name: &'static str) -> Plan {
    let mut plan = cta(path);
    plan.watches.retain(|watch| watch.offset != WRITE);
    plan.watches.push(method(WRITE, path, name));
    plan
}

/// Plain checks and stores, no window.
pub fn plain(path: &str) -> Plan {
    Plan { windows: Vec::new(), ..cta(path) }
}

/// `while not x: …`: the loop is left by what is read at READ, and goes on up to WRITE.
pub fn polling(path: &str) -> Plan {
    Plan { polls: vec![Poll { read: READ, inside: vec![(READ, WRITE)] }], ..plain(path) }
}

/// A function whose calls at READ and WRITE belong together.
pub fn span(kind: WindowKind) -> Plan {
    let span = Span { kind, read: READ, write: WRITE, read_path: String::new(), write_path: String::new(), computed: false };
    Plan { spans: vec![span], ..Plan::default() }
}

/// A getter: its read at READ flows into the result.
pub fn getter(path: &str) -> Plan {
    let mut read = watch(READ, path, false);
    read.flows.into_return = true;
    Plan { watches: vec![read], ..Plan::default() }
}

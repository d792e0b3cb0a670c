//! A small language for litmus tests of the hazard detectors: threads 2, 3 … are started by thread 1, functions of
//! `app.py` are named by the tests, and each step is one record, a millisecond after the last.

use std::collections::HashMap;

use racetrace_probes::code::Code;
use racetrace_probes::plan::{Flows, Operation, Place, Plan, Watch, Window, WindowKind};
use racetrace_probes::wire::Origin;

use super::{Analysis, Options};
use crate::event::{
    Access, Action, Awaited, ChannelId, CodeId, CodeInfo, Event, FrameId, KeyId, LockKind, ObjectId, OpenMode, PathEffect,
    Patience, ProcessId, ProcessInfo, Record, Shape, StackId, TaskId, TextId, ThreadToken, Tid, Value, WriteLevel,
};
use crate::finding::Finding;

pub const MAIN: u32 = 1;

pub struct Story {
    pub analysis: Analysis,
    pub process: u32,
    pub time: u64,
    next: u32,
    texts: HashMap<(u32, String), TextId>,
    codes: HashMap<(u32, String), CodeId>,
    stacks: HashMap<(u32, StackId, CodeId, u32), StackId>,
    /// What functions are known to do, other than nothing.
    plans: HashMap<String, Plan>,
}

/// A story of one program with these threads besides the main one.
pub fn threads(tids: &[u32]) -> Story {
    let mut story = Story {
        analysis: Analysis::new(Options::default()),
        process: 0,
        time: 0,
        next: 0,
        texts: HashMap::new(),
        codes: HashMap::new(),
        stacks: HashMap::new(),
        plans: HashMap::new(),
    };
    story.begin_process(0);
    for tid in tids {
        story.start(*tid);
    }
    story
}

/// An open file. Handles on one path have one inode, and descriptors of their own.
#[derive(Debug, Clone, Copy)]
pub struct File {
    pub path: &'static str,
    pub inode: u64,
    pub fd: i32,
    pub append: bool,
}

impl File {
    pub fn new(path: &'static str, fd: i32) -> File {
        File { path, inode: path.len() as u64 + 1000, fd, append: false }
    }

    pub fn appending(path: &'static str, fd: i32) -> File {
        File { append: true, ..File::new(path, fd) }
    }

    fn object(&self) -> ObjectId {
        ObjectId(1_000_000 + self.fd as u64)
    }
}

impl Story {
    pub fn begin_process(&mut self, process: u32) {
        self.begin_child(None, process);
    }

    /// A process that another of the story started.
    pub fn begin_child(&mut self, parent: Option<u32>, process: u32) {
        self.process = process;
        let parent = parent.map(|parent| 100 + parent);
        let info = ProcessInfo { pid: 100 + process, parent, python: (3, 13, 0), ..ProcessInfo::default() };
        self.on(MAIN, Event::Process(info));
        let name = self.text("MainThread");
        self.on(MAIN, Event::ThreadBegin { token: None, name });
    }

    pub fn on(&mut self, tid: u32, event: Event) {
        self.time += 1_000_000;
        let record = Record { time: self.time, process: ProcessId(self.process), thread: Tid(tid), event };
        self.analysis.record(&record);
    }

    /// Time goes by, in milliseconds.
    pub fn sleep(&mut self, milliseconds: u64) {
        self.time += milliseconds * 1_000_000;
    }

    fn number(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    pub fn text(&mut self, text: &str) -> TextId {
        let key = (self.process, text.to_owned());
        if let Some(id) = self.texts.get(&key) {
            return *id;
        }
        let id = TextId(self.number());
        self.texts.insert(key, id);
        self.on(MAIN, Event::Text { id, text: text.to_owned() });
        id
    }

    // ---- places

    /// The call of a method at this place; to be said before the place is first used.
    pub fn calls(&mut self, function: &str, offset: u32, method: &'static str) {
        let operation = Operation::MethodCall {
            method,
            callable: Place::Stack(1),
            receiver: Place::Stack(1),
            first: None,
            arguments: 0,
            keywords: Default::default(),
        };
        let watch = Watch { offset, depth: 0, operation, flows: Flows::default(), path: String::new() };
        self.plans.entry(function.to_owned()).or_default().watches.push(watch);
    }

    /// What was read decides whether the lock is taken at this place; to be said before the place is first used.
    pub fn decides(&mut self, function: &str, offset: u32) {
        self.plans.entry(function.to_owned()).or_default().decided.push(offset);
    }

    /// The function reads and then writes at these places; to be said before it is first used.
    pub fn has_window(&mut self, function: &str, kind: WindowKind, [read, write]: [u32; 2], path: &str) {
        let window = Window {
            kind,
            reads: vec![read],
            write,
            path: path.to_owned(),
            dominated: true,
            switch: None,
            suspends: false,
            waits: false,
            shared: Default::default(),
        };
        let watches = [read, write].map(|offset| {
            let operation = Operation::AttributeRead { object: Place::Stack(1), name: 0 };
            Watch { offset, depth: 0, operation, flows: Flows::default(), path: path.to_owned() }
        });
        let plan = self.plans.entry(function.to_owned()).or_default();
        plan.windows.push(window);
        plan.watches.extend(watches);
    }

    /// An instruction of a function of the program (`module:function` for another module), called by nobody.
    pub fn at(&mut self, function: &str, offset: u32) -> StackId {
        self.under(StackId(0), function, offset)
    }

    /// The same, called from a place.
    pub fn under(&mut self, parent: StackId, function: &str, offset: u32) -> StackId {
        let code = self.code(function);
        let key = (self.process, parent, code, offset);
        if let Some(id) = self.stacks.get(&key) {
            return *id;
        }
        let id = StackId(self.number());
        self.stacks.insert(key, id);
        self.on(MAIN, Event::Stack { id, parent, code, offset });
        id
    }

    fn code(&mut self, function: &str) -> CodeId {
        let key = (self.process, function.to_owned());
        if let Some(id) = self.codes.get(&key) {
            return *id;
        }
        let id = CodeId(self.number());
        self.codes.insert(key, id);
        let (module, name) = function.split_once(':').unwrap_or(("app", function));
        let standard = matches!(module, "threading" | "queue" | "logging" | "json" | "pathlib");
        let filename = if standard { format!("/usr/lib/python3.13/{module}.py") } else { format!("{module}.py") };
        let code = Code {
            filename,
            name: name.rsplit('.').next().unwrap_or(name).to_owned(),
            qualname: name.to_owned(),
            first_line: 1,
            ..Code::default()
        };
        let origin = if standard { Origin::Standard } else { Origin::User };
        let plan = self.plans.get(function).cloned().unwrap_or_default();
        self.analysis.set_plan(ProcessId(self.process), id, plan);
        self.on(MAIN, Event::Code(Box::new(CodeInfo { id: id.0, module: module.to_owned(), origin, code })));
        id
    }

    // ---- strands

    pub fn start(&mut self, tid: u32) {
        self.start_from(MAIN, tid);
    }

    pub fn start_from(&mut self, parent: u32, tid: u32) {
        let stack = self.at("main", 2);
        let name = self.text(&format!("T{tid}"));
        self.on(parent, Event::ThreadStart { token: ThreadToken(u64::from(tid)), stack });
        self.on(tid, Event::ThreadBegin { token: Some(ThreadToken(u64::from(tid))), name });
    }

    pub fn end(&mut self, tid: u32) {
        self.on(tid, Event::ThreadEnd);
    }

    pub fn join(&mut self, by: u32, tid: u32) {
        self.on(by, Event::ThreadJoin { token: ThreadToken(u64::from(tid)) });
    }

    /// What the first has done is before what the second does from here on.
    pub fn hand_over(&mut self, from: u32, to: u32) {
        let channel = ChannelId(u64::from(self.number()));
        self.on(from, Event::Signal { channel });
        self.on(to, Event::Observe { channel });
    }

    /// A task of the loop that runs in this thread.
    pub fn task(&mut self, tid: u32, task: u64) {
        let (name, stack) = (self.text(&format!("task{task}")), self.at("main", 4));
        self.on(tid, Event::TaskNew { task: TaskId(task), future: ChannelId(1_000_000 + task), name, stack });
    }

    pub fn run(&mut self, tid: u32, task: u64) {
        self.on(tid, Event::TaskSwitch { task: Some(TaskId(task)) });
    }

    /// The running task gives way to its loop.
    pub fn gives_way(&mut self, tid: u32, stack: StackId) {
        self.on(tid, Event::Suspend { stack });
        self.on(tid, Event::TaskSwitch { task: None });
    }

    /// A thread waits without limit for the end of another.
    pub fn joins(&mut self, by: u32, tid: u32, stack: StackId) {
        self.on(by, Event::Block { on: Awaited::Thread(ThreadToken(u64::from(tid))), stack });
    }

    // ---- locks

    pub fn lock(&mut self, name: &str, kind: LockKind) -> ObjectId {
        let made = self.at("main", 6);
        self.lock_at(name, kind, MAIN, made)
    }

    pub fn lock_at(&mut self, name: &str, kind: LockKind, tid: u32, made: StackId) -> ObjectId {
        let lock = self.object(name, Shape::Lock);
        self.on(tid, Event::LockNew { lock, kind, stack: made });
        lock
    }

    pub fn wait(&mut self, tid: u32, lock: ObjectId, stack: StackId) {
        self.on(tid, Event::LockWait { lock, stack, patience: Patience::Forever });
    }

    pub fn acquire(&mut self, tid: u32, lock: ObjectId, stack: StackId) {
        self.acquire_with(tid, lock, stack, Patience::Forever);
    }

    pub fn acquire_with(&mut self, tid: u32, lock: ObjectId, stack: StackId, patience: Patience) {
        self.on(tid, Event::LockAcquired { lock, stack, patience });
    }

    pub fn release(&mut self, tid: u32, lock: ObjectId) {
        let stack = self.at("main", 8);
        self.on(tid, Event::LockReleased { lock, stack });
    }

    /// Takes the locks one inside the other, and gives them back.
    pub fn nest(&mut self, tid: u32, function: &str, locks: &[ObjectId]) {
        for (offset, lock) in (10..).step_by(2).zip(locks) {
            let stack = self.at(function, offset);
            self.acquire(tid, *lock, stack);
        }
        for lock in locks.iter().rev() {
            self.release(tid, *lock);
        }
    }

    // ---- containers

    pub fn object(&mut self, name: &str, shape: Shape) -> ObjectId {
        let id = ObjectId(u64::from(self.number()));
        let (type_name, label) = (self.text("object"), self.text(name));
        self.on(MAIN, Event::Object { id, shape, type_name, label: Some(label) });
        id
    }

    pub fn touch(&mut self, tid: u32, action: Action, object: ObjectId, key: u64, stack: StackId) {
        let access = Access { stack, frame: FrameId(u64::from(tid)), action, object, key: KeyId(key), value: Value::Unknown };
        self.on(tid, Event::Access(access));
    }

    // ---- files

    pub fn opens(&mut self, tid: u32, file: &File, mode: OpenMode, stack: StackId) {
        let path = self.text(file.path);
        self.on(tid, Event::FileOpen { file: file.object(), path, inode: file.inode, fd: file.fd, mode, stack });
    }

    /// A write at one layer; the text's length and its last character matter.
    pub fn writes_at(&mut self, tid: u32, file: &File, level: WriteLevel, text: &str, stack: StackId) {
        let event = Event::FileWrite {
            file: file.object(),
            inode: file.inode,
            fd: file.fd,
            length: text.len() as u64,
            level,
            append: file.append,
            ends_line: text.ends_with('\n'),
            stack,
            frame: FrameId(u64::from(tid)),
        };
        self.on(tid, event);
    }

    /// `file.write(text)` in a function, of a text file that is buffered.
    pub fn writes(&mut self, tid: u32, file: &File, text: &str, offset: u32) {
        let stack = self.at("log", offset);
        self.writes_at(tid, file, WriteLevel::Text, text, stack);
    }

    /// The same, and at once to the system.
    pub fn writes_through(&mut self, tid: u32, file: &File, text: &str, offset: u32) {
        let stack = self.at("log", offset);
        for level in [WriteLevel::Text, WriteLevel::Buffered, WriteLevel::System] {
            self.writes_at(tid, file, level, text, stack);
        }
    }

    pub fn closes(&mut self, tid: u32, file: &File) {
        self.on(tid, Event::FileClose { file: file.object() });
    }

    pub fn asks(&mut self, tid: u32, path: &str, stack: StackId) {
        let path = self.text(path);
        self.on(tid, Event::PathCheck { path, stack, frame: FrameId(u64::from(tid)) });
    }

    pub fn acts(&mut self, tid: u32, path: &str, effect: PathEffect, stack: StackId) {
        let path = self.text(path);
        self.on(tid, Event::PathUse { path, effect, tolerant: false, stack, frame: FrameId(u64::from(tid)) });
    }

    // ---- findings

    pub fn findings(&mut self) -> Vec<Finding> {
        self.analysis.report().findings
    }

    /// Each finding as `kind severity evidence subject`.
    pub fn verdicts(&mut self) -> Vec<String> {
        let shown = |finding: &Finding| {
            format!("{} {:?} {:?} {}", finding.kind.name(), finding.severity, finding.evidence, finding.subject.name)
                .to_lowercase()
        };
        self.findings().iter().map(shown).collect()
    }
}

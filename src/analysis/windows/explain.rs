//! Findings in words: who did what to which subject where, what was seen, and why it can happen. It decides nothing.

use super::activation::{Closed, Which};
use super::help;
use super::shadow::Past;
use crate::analysis::Origin;
use crate::analysis::describe::fingerprint_at;
use crate::analysis::world::World;
use crate::analysis::{interleaving, naming, picture};
use crate::event::{Action, KeyId, ObjectId, ProcessId, Value};
use crate::finding::{AccessReport, Basis, Evidence, Finding, Frame, Kind, Moment, Severity, Subject, Turn};
use racetrace_probes::plan::{Switch, SwitchWhy};

/// A window, and the access of another strand that nothing keeps out of it.
pub struct Race<'a> {
    pub world: &'a World,
    pub process: ProcessId,
    pub object: ObjectId,
    pub key: KeyId,
    pub kind: Kind,
    pub window: &'a Closed,
    pub access: &'a Past,
    pub evidence: Evidence,
    pub idempotent: bool,
    /// Writes by others between the window's read and write.
    pub others: u64,
}

impl Race<'_> {
    pub fn outside_user_code(&self) -> bool {
        outside_user_code(self.world, self.process, &self.window.write, self.access)
    }

    pub fn finding(&self) -> Finding {
        let (read, write) = (&self.window.read, &self.window.write);
        let sites = [write.site, read.site, self.access.site];
        let subject = naming::subject(self.world, self.process, self.object, self.key, &sites);
        let (first, second) = if self.kind == Kind::CheckThenAct { ("check", "act") } else { ("read", "write") };
        let accesses = vec![
            self.access_report(first, read, self.read_words()),
            self.access_report(second, write, written(self.world, self.process, write)),
            self.access_report("conflict", self.access, words(self.world, self.process, self.access)),
        ];
        Finding {
            fingerprint: fingerprint_at(
                self.world,
                self.process,
                self.kind,
                &subject,
                [write.site, self.window.site_of(self.access)],
            ),
            kind: self.kind,
            severity: self.severity(),
            evidence: self.evidence,
            basis: Basis::Traced,
            message: self.message(&subject),
            why: self.why(),
            switch: self.switch_named(),
            observed: self.observed(),
            count: 1,
            help: help::for_window(self, &subject),
            timeline: self.timeline(),
            interleaving: self.interleaving(),
            accesses,
            subject,
            tests: Vec::new(),
            processes: pid(self.world, self.process),
        }
    }

    fn severity(&self) -> Severity {
        match self.evidence {
            _ if self.idempotent => Severity::Note,
            Evidence::Latent => Severity::Warning,
            _ => Severity::Error,
        }
    }

    /// It ends with everything being thrown away.
    pub(super) fn empties(&self) -> bool {
        let definitions = self.world.definitions(self.process);
        definitions.and_then(|definitions| definitions.method_at(self.window.write.site)) == Some("clear")
    }

    fn message(&self, subject: &Subject) -> String {
        let (name, mine, other) = (&subject.name, self.who(&self.window.write), self.other());
        match (self.kind, self.evidence) {
            _ if self.idempotent => {
                format!("{name} can be set twice: {mine} and {other} both find it unset, and store the same object")
            }
            (Kind::CheckThenAct, Evidence::Observed) => format!(
                "{name} changed between check and act: {mine} checked it, {other} changed it, then {mine} acted on the outdated check"
            ),
            (Kind::CheckThenAct, _) if self.access.action == Action::Read => format!(
                "{name} can be acted on twice: {mine} checks it and then acts, {other} makes the same check, and nothing keeps \
                 it from doing so in between"
            ),
            (Kind::CheckThenAct, _) => format!(
                "{name} can change between check and act: {mine} acts on a check that {other} can make outdated in between"
            ),
            (_, Evidence::Observed) if self.empties() => {
                format!("{name} lost what was added: {mine} read all of it, {other} changed it, then {mine} emptied it")
            }
            (_, _) if self.empties() => format!(
                "{name} can lose what is added: {mine} reads all of it and then empties it, {other} can change it in between"
            ),
            (_, Evidence::Observed) => format!(
                "{name} lost an update: {mine} read it, {other} changed it, then {mine} stored a value worked out from the old one"
            ),
            _ => format!(
                "{name} can lose updates: {mine} reads it and stores a value worked out from that, {other} can change it in between"
            ),
        }
    }

    /// Who comes in between: of two pieces of a pool's work that one thread did, the other one.
    fn other(&self) -> String {
        if self.is_one_thread() { "another job of the pool".to_owned() } else { self.who(self.access) }
    }

    fn is_one_thread(&self) -> bool {
        self.window.write.strand == self.access.strand
    }

    fn who(&self, past: &Past) -> String {
        who(self.world, past)
    }

    fn read_words(&self) -> Option<String> {
        let seen = shown(self.world, self.process, self.window.seen?)?;
        Some(format!("reads {seen}"))
    }

    /// "read 41, wrote 42 over 57".
    fn observed(&self) -> Option<String> {
        if self.evidence != Evidence::Observed {
            return None;
        }
        let show = |value| shown(self.world, self.process, value);
        let over = show(self.access.value);
        let seen = self.window.seen.and_then(show);
        let stored = show(self.window.write.value);
        let mut words = match (seen, stored, over) {
            (Some(seen), Some(stored), Some(over)) => format!("read {seen}, wrote {stored} over {over}"),
            (Some(seen), None, Some(over)) => format!("saw {seen}, acted when it was {over}"),
            (None, Some(stored), Some(over)) => format!("wrote {stored} over {over}, stored in the meantime"),
            _ => "another change landed between the two".to_owned(),
        };
        if self.others > 1 {
            words.push_str(&format!("; {} changes in between", self.others));
        }
        Some(words)
    }

    /// The instruction inside the window that lets others run, or that there is none.
    fn why(&self) -> Option<String> {
        if let Which::Span(..) = self.window.which {
            return Some("read and write are made by two calls; other threads can run between them".to_owned());
        }
        let switch = self.switch();
        let line = |switch: &Switch| self.switch_frame(switch).map_or(0, |frame| frame.line);
        if self.gives_way() {
            return Some(match switch {
                Some(switch) => format!("the task gives way to others at its suspension on line {}", line(switch)),
                None => "the task gives way to others in between".to_owned(),
            });
        }
        if self.world.free_threaded(self.process) {
            return Some("without a GIL, threads run at the same time anywhere".to_owned());
        }
        Some(match switch {
            Some(switch) if switch.why != SwitchWhy::Operator => {
                format!("{} on line {} lets other threads run inside the window", switch_words(switch.why), line(switch))
            }
            _ => self.latent_words(),
        })
    }

    /// Both are tasks of one loop, and it is the loop that switches.
    fn gives_way(&self) -> bool {
        self.window.split && self.world.same_loop(self.window.write.strand, self.access.strand)
    }

    fn switch(&self) -> Option<&Switch> {
        let Which::Window(code, index) = self.window.which else { return None };
        self.world.definitions(self.process)?.window(code, index)?.switch.as_ref()
    }

    /// Where the call or suspension stands that [`Race::why`] speaks of.
    fn switch_named(&self) -> Option<Frame> {
        let switch = self.switch()?;
        let named = match switch.why {
            SwitchWhy::Suspension => self.gives_way() || !self.world.free_threaded(self.process),
            SwitchWhy::Call => !self.gives_way() && !self.world.free_threaded(self.process),
            _ => false,
        };
        self.switch_frame(switch).filter(|_| named)
    }

    fn switch_frame(&self, switch: &Switch) -> Option<Frame> {
        let Which::Window(code, _) = self.window.which else { return None };
        let definitions = self.world.definitions(self.process)?;
        let (line, columns) = definitions.position(code, switch.offset);
        let code = &definitions.code(code)?.info.code;
        Some(Frame { file: code.filename.clone(), line, function: code.qualname.clone(), columns })
    }

    /// The split that nothing forbids.
    fn interleaving(&self) -> Vec<Turn> {
        if self.evidence == Evidence::Observed || self.is_one_thread() {
            return Vec::new();
        }
        let (mine, other) = (self.window.write.strand, self.access.strand);
        let steps = match self.kind {
            Kind::CheckThenAct if self.access.action == Action::Read => {
                vec![
                    (0, mine, "checks it"),
                    (2, other, "makes the same check"),
                    (1, mine, "acts"),
                    (1, other, "acts a second time"),
                ]
            }
            Kind::CheckThenAct => {
                vec![(0, mine, "checks it"), (2, other, "changes it"), (1, mine, "acts on the outdated check")]
            }
            _ => vec![(0, mine, "reads it"), (2, other, "changes it"), (1, mine, "writes over the change, which is lost")],
        };
        interleaving::turns(self.world, &steps)
    }

    fn latent_words(&self) -> String {
        let minor = self.world.definitions(self.process).map_or(0, |definitions| definitions.version().minor);
        format!(
            "CPython 3.{minor} with a GIL does not switch threads between the two, so this run was safe; \
             a free-threaded build, or one before 3.10, does"
        )
    }

    fn timeline(&self) -> Vec<Moment> {
        if self.evidence != Evidence::Observed {
            return Vec::new();
        }
        let (first, second) = if self.kind == Kind::CheckThenAct { ("check", "act") } else { ("read", "write") };
        let mut scenes = [
            (self.window.read.sequence, self.window.read.scene(0, first)),
            (self.window.write.sequence, self.window.write.scene(1, second)),
            (self.access.sequence, self.access.scene(2, "write")),
        ];
        scenes.sort_by_key(|(sequence, _)| *sequence);
        picture::timeline(self.world, &scenes.map(|(_, scene)| scene))
    }

    fn access_report(&self, role: &str, past: &Past, what: Option<String>) -> AccessReport {
        access_report(self.world, self.process, role, past, what)
    }
}

fn switch_words(why: SwitchWhy) -> &'static str {
    match why {
        SwitchWhy::Call => "the call",
        SwitchWhy::BackwardJump => "the loop",
        SwitchWhy::ForwardJump => "the jump",
        SwitchWhy::Suspension => "the suspension",
        SwitchWhy::Operator => "the operator",
        SwitchWhy::Anywhere => "any instruction, such as the one",
    }
}

/// Two plain accesses without order.
pub struct Pair<'a> {
    pub world: &'a World,
    pub process: ProcessId,
    pub object: ObjectId,
    pub key: KeyId,
    pub earlier: &'a Past,
    pub later: &'a Past,
}

impl Pair<'_> {
    pub fn finding(&self) -> Finding {
        let sites = [self.earlier.site, self.later.site];
        let subject = naming::subject(self.world, self.process, self.object, self.key, &sites);
        let report = |past: &Past| {
            let role = if past.action == Action::Read { "read" } else { "write" };
            access_report(self.world, self.process, role, past, words(self.world, self.process, past))
        };
        Finding {
            fingerprint: fingerprint_at(self.world, self.process, Kind::UnorderedAccess, &subject, sites),
            kind: Kind::UnorderedAccess,
            severity: Severity::Note,
            evidence: Evidence::Possible,
            basis: Basis::Traced,
            message: format!(
                "{} is used by {} and {} without any order between them",
                subject.name,
                who(self.world, self.earlier),
                who(self.world, self.later)
            ),
            accesses: vec![report(self.earlier), report(self.later)],
            why: None,
            switch: None,
            observed: None,
            count: 1,
            help: help::for_pair(&subject),
            timeline: Vec::new(),
            interleaving: Vec::new(),
            subject,
            tests: Vec::new(),
            processes: pid(self.world, self.process),
        }
    }
}

fn pid(world: &World, process: ProcessId) -> Vec<u32> {
    world.process(process).map(|process| vec![process.info.pid]).unwrap_or_default()
}

/// Neither side's innermost frame is the user's own.
pub fn outside_user_code(world: &World, process: ProcessId, a: &Past, b: &Past) -> bool {
    let foreign = |past: &Past| {
        let site = world.definitions(process).and_then(|definitions| definitions.site(past.site));
        site.is_none_or(|site| site.origin != Origin::User)
    };
    foreign(a) && foreign(b)
}

fn who(world: &World, past: &Past) -> String {
    let report = world.strand_report(past.strand);
    if report.kind == "task" { format!("task {}", report.name) } else { report.name }
}

fn access_report(world: &World, process: ProcessId, role: &str, past: &Past, what: Option<String>) -> AccessReport {
    let held = &*past.locks;
    AccessReport {
        role: role.to_owned(),
        what,
        strand: world.strand_report(past.strand),
        stack: world.frames(process, past.stack),
        locks: held.iter().map(|held| naming::lock_report(world, held.lock, process, held.stack)).collect(),
    }
}

fn words(world: &World, process: ProcessId, past: &Past) -> Option<String> {
    match past.action {
        Action::Read => shown(world, process, past.value).map(|value| format!("reads {value}")),
        _ => written(world, process, past),
    }
}

fn written(world: &World, process: ProcessId, past: &Past) -> Option<String> {
    let value = shown(world, process, past.value);
    match (past.action, value) {
        (Action::Write, Some(value)) => Some(format!("stores {value}")),
        (Action::Insert, Some(value)) => Some(format!("adds {value}")),
        (Action::Insert, None) => Some("adds it".to_owned()),
        (Action::Delete, _) => Some("removes it".to_owned()),
        (Action::Replace, _) => Some("changes the whole container".to_owned()),
        _ => None,
    }
}

/// A value in the notation of the source, if it is small enough to show.
pub fn shown(world: &World, process: ProcessId, value: Value) -> Option<String> {
    let text = |id| world.text(process, id);
    Some(match value {
        Value::Unknown => return None,
        Value::None => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => format!("{value:?}"),
        Value::Text(id) => format!("'{}'", text(id).chars().take(40).collect::<String>()),
        Value::Object(_, type_name) => format!("a {} object", text(type_name)),
    })
}

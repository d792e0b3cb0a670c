//! What a process has defined: texts, code with its plan, stacks, and the sites in them. It resolves ids and offsets to
//! what the other parts ask for; what an access means is not known here.

mod stacks;
mod texts;

use std::sync::{Arc, OnceLock};

use racetrace_probes::lines::Lines;
use racetrace_probes::method::{self, Touch};
use racetrace_probes::plan::{Operation, Plan, Span, Window, WindowKind, plan};
use racetrace_probes::version::Version;
use rustc_hash::FxHashMap;

use self::stacks::Stacks;
use self::texts::Texts;
use super::Origin;
use super::naming;
use super::strand::Strand;
use crate::event::{CodeId, CodeInfo, KeyId, StackId, TextId};
use crate::finding::{Frame, Place};

/// An instruction of a code object, with what the plan says about it.
#[derive(Debug, Clone)]
pub struct Site {
    pub code: CodeId,
    pub offset: u32,
    pub origin: Origin,
    /// The subject as the source names it, if the instruction is watched.
    pub path: Option<Arc<str>>,
    /// The value read is tested by a branch.
    pub checks: bool,
    /// The value read is returned.
    pub returns: bool,
    /// How well the path names its object: see [`super::naming`].
    pub rank: u8,
    /// The path is an attribute of the first argument, whose type is not known yet.
    pub of_self: bool,
    /// A method called here adds elements, or takes some away (as far as its name says).
    pub grows: bool,
    pub shrinks: bool,
    /// It opens some window of its code.
    pub opens: bool,
    /// The window is a check and what follows from it.
    pub opens_check: bool,
    /// It writes only where something is still what its function was told.
    pub confirmed: bool,
    /// It takes a lock only if something that was read allows it.
    pub decided: bool,
    /// Windows that it closes, as indexes into the plan's.
    pub closes: Vec<u16>,
    /// The path is `self.…` (the first argument) in a function that makes the object.
    pub constructs: bool,
    /// The poll of the plan that it is, by its index.
    pub polls: Option<u16>,
    /// Takes the lock that a thread holds as long as it lives (CPython up to 3.12), for others to wait for.
    pub says_alive: bool,
    /// Spans that it is one end of, as indexes into the plan's.
    pub span_reads: Vec<u16>,
    pub span_writes: Vec<u16>,
}

#[derive(Debug)]
pub struct CodeEntry {
    pub info: CodeInfo,
    pub origin: Origin,
    pub plan: Plan,
    /// Type of the first argument's object, learnt from accesses to its attributes.
    pub self_type: Option<TextId>,
    lines: OnceLock<Lines>,
}

#[derive(Debug, Clone, Copy)]
pub struct StackEntry {
    pub parent: StackId,
    /// Index of the innermost frame's site.
    pub site: u32,
    /// A span of the plan begins or ends here or at one of the nearest callers.
    pub in_span: bool,
    /// What is read here may decide that a loop is left, here or in one of the nearest callers.
    pub in_poll: bool,
}

/// A number of a site within its process.
pub type SiteId = u32;

#[derive(Debug, Default)]
pub struct Definitions {
    pub(super) texts: Texts,
    codes: FxHashMap<CodeId, CodeEntry>,
    stacks: Stacks,
    sites: Vec<Site>,
    site_ids: FxHashMap<(CodeId, u32), SiteId>,
    injected: FxHashMap<CodeId, Plan>,
    version: Option<Version>,
    /// Code objects whose bytecode was not understood.
    pub unplanned: u64,
}

/// How many calls below the function that makes both calls of a span the accesses may be.
pub const SPAN_DEPTH: usize = 2;

impl Site {
    fn ends_span(&self) -> bool {
        !self.span_reads.is_empty() || !self.span_writes.is_empty()
    }
}

/// Frames of a stack that a report shows.
const SHOWN_FRAMES: usize = 40;

impl Definitions {
    pub fn set_version(&mut self, python: (u8, u8, u8), free_threaded: bool) {
        self.version = Some(Version { minor: python.1, free_threaded });
    }

    pub fn version(&self) -> Version {
        self.version.unwrap_or(Version { minor: 12, free_threaded: false })
    }

    /// A strand is forgotten. The text that names a thread is its own; so is the name that asyncio gives a task (`Task-7`).
    pub fn forget_name_of(&mut self, strand: &Strand) {
        let number = self.texts.get(strand.name).and_then(|name| name.strip_prefix("Task-"));
        if strand.task.is_none() || number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit())) {
            self.texts.forget(strand.name);
        }
    }

    /// Takes this plan instead of the one that the bytecode gives. For tests.
    pub fn inject_plan(&mut self, code: CodeId, plan: Plan) {
        self.injected.insert(code, plan);
    }

    pub fn define_code(&mut self, info: &CodeInfo) {
        let id = CodeId(info.id);
        let made = match self.injected.remove(&id) {
            Some(plan) => plan,
            None => plan(&info.code, self.version()).unwrap_or_else(|_| {
                self.unplanned += 1;
                Plan::default()
            }),
        };
        self.codes.insert(
            id,
            CodeEntry { info: info.clone(), origin: info.origin, plan: made, self_type: None, lines: OnceLock::new() },
        );
    }

    pub fn define_stack(&mut self, id: StackId, parent: StackId, code: CodeId, offset: u32) {
        let site = self.site_at(code, offset);
        let mut entry = StackEntry { parent, site, in_span: false, in_poll: false };
        let callers = || self.walk(parent).take(SPAN_DEPTH).map(|(_, caller)| caller.site);
        let sites = || std::iter::once(site).chain(callers()).filter_map(|site| self.site(site));
        entry.in_span = sites().any(Site::ends_span);
        entry.in_poll = sites().any(|site| site.polls.is_some());
        self.stacks.define(id, entry);
    }

    pub fn text(&self, id: TextId) -> &str {
        self.texts.get(id).unwrap_or("?")
    }

    pub fn key(&self, id: KeyId) -> Option<&str> {
        self.texts.key(id)
    }

    pub fn code(&self, id: CodeId) -> Option<&CodeEntry> {
        self.codes.get(&id)
    }

    pub fn stack(&self, id: StackId) -> Option<StackEntry> {
        self.stacks.get(id)
    }

    /// The site of the stack's innermost frame.
    pub fn site_id(&self, stack: StackId) -> Option<SiteId> {
        self.stack(stack).map(|entry| entry.site)
    }

    pub fn site(&self, id: SiteId) -> Option<&Site> {
        self.sites.get(id as usize)
    }

    /// What is watched there.
    pub fn operations_at(&self, site: SiteId) -> impl Iterator<Item = &Operation> {
        let site = self.site(site).and_then(|site| Some((site.offset, self.codes.get(&site.code)?)));
        let watches = site.into_iter().flat_map(|(offset, entry)| entry.plan.watches.iter().map(move |watch| (offset, watch)));
        watches.filter(|(offset, watch)| watch.offset == *offset).map(|(_, watch)| &watch.operation)
    }

    /// The method of a container that is called there.
    pub fn method_at(&self, site: SiteId) -> Option<&'static str> {
        self.operations_at(site).find_map(|operation| match operation {
            Operation::MethodCall { method, .. } => Some(*method),
            _ => None,
        })
    }

    /// Is it (also) a test of a container's truth?
    pub fn tests_truth(&self, site: SiteId) -> bool {
        self.operations_at(site).any(|operation| matches!(operation, Operation::Truth { .. }))
    }

    pub fn site_of(&self, stack: StackId) -> Option<&Site> {
        self.site(self.site_id(stack)?)
    }

    pub fn window(&self, code: CodeId, index: u16) -> Option<&Window> {
        self.codes.get(&code)?.plan.windows.get(usize::from(index))
    }

    pub fn span(&self, code: CodeId, index: u16) -> Option<&Span> {
        self.codes.get(&code)?.plan.spans.get(usize::from(index))
    }

    /// An object of that type was seen to be the first argument of the site's function. The site has nothing more to tell.
    pub(super) fn learn_self_type(&mut self, site: SiteId, type_name: TextId) {
        let Some(site) = self.sites.get_mut(site as usize) else { return };
        site.of_self = false;
        if let Some(entry) = self.codes.get_mut(&site.code) {
            entry.self_type.get_or_insert(type_name);
        }
    }

    /// The stack's entries, innermost first, as (stack, entry).
    pub fn walk(&self, stack: StackId) -> impl Iterator<Item = (StackId, StackEntry)> + '_ {
        let mut next = stack;
        std::iter::from_fn(move || {
            let here = next;
            let entry = self.stack(here)?;
            next = if entry.parent == here { StackId(0) } else { entry.parent };
            Some((here, entry))
        })
        .take(10_000)
    }

    pub fn frames(&self, stack: StackId) -> Vec<Frame> {
        self.walk(stack).take(SHOWN_FRAMES).filter_map(|(_, entry)| self.frame(entry.site)).collect()
    }

    /// The stack from the innermost frame on that is not in the standard library; all of it if there is none.
    pub fn frames_of_user(&self, stack: StackId) -> Vec<Frame> {
        let standard = |site| self.site(site).is_some_and(|site| site.origin == Origin::Standard);
        let users = self.walk(stack).find(|(_, entry)| !standard(entry.site)).map(|(id, _)| id);
        self.frames(users.unwrap_or(stack))
    }

    pub fn frame(&self, site: SiteId) -> Option<Frame> {
        let site = self.site(site)?;
        let (line, columns) = self.position(site.code, site.offset);
        let code = &self.codes.get(&site.code)?.info.code;
        Some(Frame { file: code.filename.clone(), line, function: code.qualname.clone(), columns })
    }

    /// Line and columns of an instruction.
    pub fn position(&self, code: CodeId, offset: u32) -> (u32, Option<(u32, u32)>) {
        let Some(entry) = self.codes.get(&code) else { return (0, None) };
        let lines = entry.lines.get_or_init(|| Lines::new(&entry.info.code, self.version()));
        match lines.position(offset) {
            Some(position) => (position.line, position.columns.filter(|_| position.line == position.end_line)),
            None => (entry.info.code.first_line, None),
        }
    }

    /// Where the innermost frame stands that is not in the standard library; else the innermost.
    pub fn place(&self, stack: StackId) -> Option<Place> {
        let site = self.outside_stdlib(stack).or_else(|| self.site_id(stack))?;
        let frame = self.frame(site)?;
        Some(Place { file: frame.file, line: frame.line })
    }

    /// The innermost site that is not in the standard library.
    pub fn outside_stdlib(&self, stack: StackId) -> Option<SiteId> {
        let mut sites = self.walk(stack).map(|(_, entry)| entry.site);
        sites.find(|site| self.site(*site).is_some_and(|site| site.origin != Origin::Standard))
    }

    fn site_at(&mut self, code: CodeId, offset: u32) -> SiteId {
        if let Some(id) = self.site_ids.get(&(code, offset)) {
            return *id;
        }
        let id = u32::try_from(self.sites.len()).unwrap_or(u32::MAX);
        self.sites.push(self.describe(code, offset));
        self.site_ids.insert((code, offset), id);
        id
    }

    fn describe(&self, code: CodeId, offset: u32) -> Site {
        let mut site = Site {
            code,
            offset,
            origin: Origin::User,
            path: None,
            checks: false,
            returns: false,
            rank: 0,
            of_self: false,
            grows: false,
            shrinks: false,
            opens: false,
            opens_check: false,
            confirmed: false,
            decided: false,
            closes: Vec::new(),
            constructs: false,
            polls: None,
            says_alive: false,
            span_reads: Vec::new(),
            span_writes: Vec::new(),
        };
        let Some(entry) = self.codes.get(&code) else { return site };
        site.origin = entry.origin;
        site.says_alive = entry.info.module == "threading" && entry.info.code.name == "_set_tstate_lock";
        for watch in entry.plan.watches.iter().filter(|watch| watch.offset == offset) {
            site.checks |= watch.flows.into_branch;
            site.returns |= watch.flows.into_return;
            if let Operation::MethodCall { method, .. } = watch.operation {
                let touches = || method::methods(method).iter().map(|row| row.touch);
                site.grows |= touches().any(|touch| matches!(touch, Touch::Insert | Touch::Update | Touch::Replace));
                site.shrinks |= touches().any(|touch| matches!(touch, Touch::Remove | Touch::Update | Touch::Replace));
            }
            if site.path.is_none() && !watch.path.is_empty() {
                site.path = Some(Arc::from(watch.path.as_str()));
            }
        }
        if site.path.is_none() {
            let lock = entry.plan.paths.iter().find(|(at, _)| *at == offset);
            site.path = lock.map(|(_, path)| Arc::from(path.as_str()));
        }
        let windows = || entry.plan.windows.iter().zip(0u16..);
        site.opens = windows().any(|(window, _)| window.reads.contains(&offset));
        site.decided = entry.plan.decided.contains(&offset);
        site.confirmed = entry.plan.confirmed.contains(&offset);
        let checks = |window: &Window| window.kind == WindowKind::CheckThenAct && window.reads.contains(&offset);
        site.opens_check = windows().any(|(window, _)| checks(window));
        site.closes = windows().filter(|(window, _)| window.write == offset).map(|(_, index)| index).collect();
        site.polls = entry.plan.polls.iter().zip(0u16..).find(|(poll, _)| poll.read == offset).map(|(_, index)| index);
        let spans = || entry.plan.spans.iter().zip(0u16..);
        site.span_reads = spans().filter(|(span, _)| span.read == offset).map(|(_, index)| index).collect();
        site.span_writes = spans().filter(|(span, _)| span.write == offset).map(|(_, index)| index).collect();
        if let Some(path) = site.path.as_deref() {
            site.rank = naming::rank(&entry.info, path);
            site.of_self = naming::is_attribute_of_self(&entry.info.code, path);
            let maker = matches!(entry.info.code.name.as_str(), "__init__" | "__new__" | "__post_init__");
            site.constructs = maker && naming::begins_with_self(&entry.info.code, path);
        }
        site
    }
}

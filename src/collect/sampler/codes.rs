//! Code objects that were seen, read once each. An entry is dropped when the object at its address has changed.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use racetrace_probes::flow::Flow;
use racetrace_probes::plan::{Plan, plan};
use racetrace_probes::wire::Origin;
use rustc_hash::FxHashMap;

use crate::cpython::code::{IDENTITY, RemoteCode, Specialisation};
use crate::cpython::line::line_at;
use crate::cpython::python::Python;
use crate::target::address::RemoteAddr;
use crate::target::memory::{Memory, Piece};

use super::abandoned;
use super::approach::Approach;
use super::behind::Behind;
use super::course::Course;
use super::files::WriteSite;
use super::nesting::{self, Entry};
use super::paths::PathSite;
use super::site::Site;
use super::ways::{Standing, Ways};

/// By instruction, and how the frame stands at it.
type ByStanding<T> = RefCell<FxHashMap<(u32, Standing), Rc<T>>>;

/// Where control comes from: an instruction, or the function's beginning.
pub type From = Option<(u32, Standing)>;

/// A code object with what is known about it.
#[derive(Debug)]
pub struct KnownCode {
    pub remote: RemoteCode,
    /// Number in the order of appearance.
    pub id: u32,
    /// Whose file it is in, once that was asked.
    pub(super) origin: OnceCell<Origin>,
    identity: Vec<u8>,
    minor: u8,
    /// Byte offset → offset of the instruction that owns it.
    owners: Vec<u32>,
    flow: Option<Flow>,
    plan: Option<Plan>,
    sites: RefCell<FxHashMap<u32, Rc<Site>>>,
    approaches: ByStanding<Approach>,
    behinds: ByStanding<Behind>,
    courses: RefCell<FxHashMap<From, Rc<Course>>>,
    unread: RefCell<FxHashMap<u32, Rc<[u32]>>>,
    entries: ByStanding<[Entry]>,
    path_sites: ByStanding<PathSite>,
    write_sites: RefCell<FxHashMap<u32, Rc<WriteSite>>>,
}

impl KnownCode {
    /// The instruction at a position that may be within an inline cache.
    pub fn instruction(&self, offset: usize) -> u32 {
        self.owners.get(offset / 2).copied().unwrap_or(0)
    }

    /// The flow of values through it; none for code that cannot be analysed.
    pub fn flow(&self) -> Option<&Flow> {
        self.flow.as_ref()
    }

    pub fn plan(&self) -> Option<&Plan> {
        self.plan.as_ref()
    }

    /// What is certain at an instruction.
    pub fn site(&self, offset: u32) -> Rc<Site> {
        if let Some(site) = self.sites.borrow().get(&offset) {
            return Rc::clone(site);
        }
        let site = Rc::new(self.flow.as_ref().map_or_else(Site::default, |flow| Site::new(flow, self.plan.as_ref(), offset)));
        self.sites.borrow_mut().insert(offset, Rc::clone(&site));
        site
    }

    /// What lies ahead of an instruction.
    pub fn approach(&self, offset: u32, standing: Standing) -> Rc<Approach> {
        let known = self.approaches.borrow().get(&(offset, standing)).cloned();
        known.unwrap_or_else(|| {
            let made =
                self.flow.as_ref().zip(self.plan.as_ref()).map(|(flow, plan)| {
                    Approach::new(&self.remote.code, flow, plan, offset, standing, &self.site(offset).windows)
                });
            let made = Rc::new(made.unwrap_or_default());
            self.approaches.borrow_mut().insert((offset, standing), Rc::clone(&made));
            made
        })
    }

    /// What control is bound to come to.
    pub(super) fn course(&self, from: From) -> Rc<Course> {
        if let Some(course) = self.courses.borrow().get(&from) {
            return Rc::clone(course);
        }
        let made = self.flow.as_ref().zip(self.plan.as_ref()).and_then(|(flow, plan)| {
            let code = &self.remote.code;
            let (ways, inside) = match from {
                Some((offset, standing)) => (Ways::from(code, flow, offset, standing)?, self.site(offset).windows.clone()),
                None => (Ways::through(code, flow), Vec::new()),
            };
            Some(Course::new(code, flow, plan, &ways, &inside))
        });
        let made = Rc::new(made.unwrap_or_default());
        self.courses.borrow_mut().insert(from, Rc::clone(&made));
        made
    }

    /// What lies behind an instruction.
    pub fn behind(&self, offset: u32, standing: Standing) -> Rc<Behind> {
        let known = self.behinds.borrow().get(&(offset, standing)).cloned();
        known.unwrap_or_else(|| {
            let made = self.flow.as_ref().zip(self.plan.as_ref());
            let made = made.map(|(flow, plan)| Behind::new(&self.remote.code, flow, plan, offset, standing));
            let made = Rc::new(made.unwrap_or_default());
            self.behinds.borrow_mut().insert((offset, standing), Rc::clone(&made));
            made
        })
    }

    /// The local variables that nothing reads any more behind an instruction.
    pub fn unread(&self, offset: u32) -> Rc<[u32]> {
        if let Some(unread) = self.unread.borrow().get(&offset) {
            return Rc::clone(unread);
        }
        let made: Rc<[u32]> =
            self.flow.as_ref().map_or_else(Vec::new, |flow| abandoned::unread(&self.remote.code, flow, offset)).into();
        self.unread.borrow_mut().insert(offset, Rc::clone(&made));
        made
    }

    /// The `with` statements that lie ahead of an instruction.
    pub(super) fn entries(&self, offset: u32, standing: Standing) -> Rc<[Entry]> {
        if let Some(entries) = self.entries.borrow().get(&(offset, standing)) {
            return Rc::clone(entries);
        }
        let made: Rc<[Entry]> =
            self.flow.as_ref().map_or_else(Vec::new, |flow| nesting::entries(&self.remote.code, flow, offset, standing)).into();
        self.entries.borrow_mut().insert((offset, standing), Rc::clone(&made));
        made
    }

    /// What is done to paths around an instruction.
    pub(super) fn path_site(&self, offset: u32, standing: Standing) -> Rc<PathSite> {
        if let Some(site) = self.path_sites.borrow().get(&(offset, standing)) {
            return Rc::clone(site);
        }
        let made = self.flow.as_ref().map(|flow| PathSite::new(&self.remote.code, flow, offset, standing));
        let made = Rc::new(made.unwrap_or_default());
        self.path_sites.borrow_mut().insert((offset, standing), Rc::clone(&made));
        made
    }

    /// What is written to files around an instruction.
    pub(super) fn write_site(&self, offset: u32) -> Rc<WriteSite> {
        if let Some(site) = self.write_sites.borrow().get(&offset) {
            return Rc::clone(site);
        }
        let made = Rc::new(self.flow.as_ref().map(|flow| WriteSite::new(&self.remote.code, flow, offset)).unwrap_or_default());
        self.write_sites.borrow_mut().insert(offset, Rc::clone(&made));
        made
    }

    pub fn line(&self, offset: u32) -> u32 {
        line_at(&self.remote.code, self.minor, offset)
    }
}

/// Reads code objects on demand.
#[derive(Debug)]
pub struct Codes {
    specialisation: Specialisation,
    known: FxHashMap<RemoteAddr, Option<Rc<KnownCode>>>,
    next: u32,
}

const MOST_CODES: usize = 1 << 16;

impl Codes {
    pub fn new(specialisation: Specialisation) -> Codes {
        Codes { specialisation, known: FxHashMap::default(), next: 0 }
    }

    /// The code object at `at`; `None` for what is none.
    pub fn get<M: Memory>(&mut self, python: &Python<M>, at: RemoteAddr) -> Option<Rc<KnownCode>> {
        if let Some(known) = self.known.get(&at) {
            return known.clone();
        }
        if self.known.len() >= MOST_CODES {
            self.known.clear();
        }
        let code = self.read(python, at).map(Rc::new);
        self.known.insert(at, code.clone());
        code
    }

    fn read<M: Memory>(&mut self, python: &Python<M>, at: RemoteAddr) -> Option<KnownCode> {
        let identity = identity(python, at)?;
        let remote = python.code(at, &self.specialisation).ok()?;
        let owners = owners(&self.specialisation, &remote.code.bytecode);
        let flow = Flow::new(&remote.code, python.version).ok();
        let mut plan = plan(&remote.code, python.version).ok();
        if let Some(plan) = &mut plan {
            // A thread that spins is inside all the time, and whoever ends that is expected. They come last.
            plan.windows.retain(|window| !window.waits);
        }
        self.next += 1;
        Some(KnownCode {
            remote,
            id: self.next,
            origin: OnceCell::new(),
            identity,
            minor: python.version.minor,
            owners,
            flow,
            plan,
            sites: RefCell::default(),
            approaches: RefCell::default(),
            behinds: RefCell::default(),
            courses: RefCell::default(),
            unread: RefCell::default(),
            entries: RefCell::default(),
            path_sites: RefCell::default(),
            write_sites: RefCell::default(),
        })
    }

    /// Drops the entries whose objects are gone, and the failures, which may succeed now. For every second or so. A memory
    /// that keeps what it reads reads them all at once.
    pub fn refresh<M: Memory>(&mut self, python: &Python<M>) {
        let from = python.layout.object.header;
        let pieces: Vec<Piece> = self.known.keys().map(|at| Piece { at: at.plus(from), len: IDENTITY }).collect();
        python.memory.prepare(&pieces);
        self.known.retain(|&at, known| known.as_ref().is_some_and(|code| identity(python, at).as_ref() == Some(&code.identity)));
    }
}

/// The pointers and numbers at the start of a code object, without its reference count and what it counts down.
fn identity<M: Memory>(python: &Python<M>, at: RemoteAddr) -> Option<Vec<u8>> {
    let from = python.layout.object.header;
    let mut bytes = python.memory.bytes(at.plus(from), IDENTITY).ok()?;
    // 3.11 counts down to specialisation between `co_flags` and `co_argcount`.
    let flags = usize::try_from(python.layout.code.flags - from).ok()?;
    if let Some(counter) = bytes.get_mut(flags + 4..flags + 8)
        && python.layout.code.argcount == python.layout.code.flags + 8
    {
        counter.fill(0);
    }
    Some(bytes)
}

fn owners(specialisation: &Specialisation, bytecode: &[u8]) -> Vec<u32> {
    let mut owners = Vec::with_capacity(bytecode.len() / 2);
    while owners.len() < bytecode.len() / 2 {
        let start = owners.len() * 2;
        let length = specialisation.length(bytecode.get(start).copied().unwrap_or(0));
        owners.extend(std::iter::repeat_n(u32::try_from(start).unwrap_or(u32::MAX), length / 2));
    }
    owners
}

//! Windows that span functions: what one call gave flows into another call, or decides about it; calls that attributes and
//! items hide included. Whether the two touch the same subject shows only when the program runs.

use crate::access::{Access, Space, called_name};
use crate::call::{Call, calls};
use crate::depend::{self, Dependence};
use crate::flow::{Definition, Value};
use crate::ident::{Ident, NOTHING, Thing, name_text};
use crate::oneself;
use crate::path::Paths;
use crate::plan::{Operation, Span, WindowKind};
use crate::window::Facts;

/// More than these of one function are not of interest.
const MOST_SPANS: usize = 64;
/// Functions with more calls than this are not searched to the end.
const MOST_CALLS: usize = 400;

/// One end of a span: a call, or a direct access to something that calls may touch too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct End {
    instruction: u32,
    /// What the method is called on, or the attribute is of; nothing for plain functions and variables.
    base: Ident,
    direct: bool,
    /// The callee, or the subject.
    named: Ident,
}

/// The spans of a function, by offset.
#[must_use]
pub fn find(facts: &Facts<'_>, dependence: &mut Dependence<'_>) -> Vec<Span> {
    let mut ends: Vec<End> = Vec::new();
    for (index, instruction) in facts.flow.list().iter().enumerate() {
        if facts.flow.reached(index) && calls(instruction.op) {
            ends.extend(call_end(facts, index));
        }
    }
    let calls = ends.len();
    if calls > MOST_CALLS {
        return Vec::new();
    }
    let read_too = computed_reads(facts);
    let direct = facts.accesses.iter().filter(|access| access.writes()).filter_map(|access| direct_end(facts, access));
    let of_interest = |end: &End| calls > 0 || (end.base != NOTHING && read_too.binary_search(&end.named).is_ok());
    ends.extend(direct.filter(of_interest).take(MOST_CALLS));
    let callee = |end: &End| Call::at(facts.flow, facts.code, end.instruction as usize).map(|call| call.callee);
    let mut callees: Vec<Value> = ends.iter().filter_map(callee).collect();
    callees.sort_unstable();
    let calls = ends.iter().filter(|end| !end.direct).copied().collect();
    let mut search = Search { facts, dependence, calls, callees, found: Vec::new() };
    ends.iter().for_each(|act| search.act(act));
    search.spans()
}

struct Search<'a, 'b, 'c> {
    facts: &'a Facts<'a>,
    dependence: &'b mut Dependence<'c>,
    calls: Vec<End>,
    /// Values that are called: functions, read for no other reason. Sorted.
    callees: Vec<Value>,
    /// Kind, read, act; those on one object first.
    found: Vec<(bool, WindowKind, End, End)>,
}

impl Search<'_, '_, '_> {
    fn act(&mut self, act: &End) {
        let flow = self.facts.flow;
        let index = act.instruction as usize;
        let values = if act.direct {
            let from = self.facts.accesses.partition_point(|access| access.instruction < act.instruction);
            let here = self.facts.accesses.iter().skip(from).take_while(|access| access.instruction == act.instruction);
            let access = here.into_iter().find(|access| access.writes());
            access.map(|access| depend::stored(flow, access)).unwrap_or_default()
        } else {
            Call::at(flow, self.facts.code, index)
                .map(|call| (0..call.arguments).filter_map(|at| call.argument(flow, at)).collect())
                .unwrap_or_default()
        };
        self.sources(WindowKind::ReadModifyWrite, values, act);
        let block = flow.block(index);
        let Facts { code, idents, .. } = *self.facts;
        let ancestors = self.facts.control.ancestors(block).into_iter();
        let deciding = ancestors.filter(|(side, around)| !around && !oneself::is_asked(code, flow, idents, side.block));
        let conditions = deciding.filter_map(|(side, _)| flow.condition(side.block)).collect();
        self.sources(WindowKind::CheckThenAct, conditions, act);
    }

    fn sources(&mut self, kind: WindowKind, values: Vec<u32>, act: &End) {
        if values.is_empty() || self.found.len() > 4 * MOST_SPANS {
            return;
        }
        let (mut accesses, mut makers) = (Vec::new(), Vec::new());
        self.dependence.follow(values, &mut accesses, &mut makers);
        makers.sort_unstable();
        for read in self.calls.iter().filter(|read| makers.binary_search(&read.instruction).is_ok()) {
            let pair = fits(read, act) && read.instruction != act.instruction;
            if pair && !self.found.iter().any(|(_, known, from, to)| (*known, from, to) == (kind, read, act)) {
                self.found.push((read.base != act.base, kind, *read, *act));
            }
        }
        for source in accesses {
            let Some(access) = self.facts.accesses.get(source.access as usize) else { continue };
            let value = self.facts.flow.output(access.instruction as usize, 0);
            if self.facts.own.get(source.access as usize) == Some(&true) || self.callees.binary_search(&value).is_ok() {
                continue;
            }
            let Some(read) = direct_end(self.facts, access) else { continue };
            let fits = if act.direct { may_be_computed(&read, act) } else { fits(&read, act) };
            if fits && !self.found.iter().any(|(_, known, from, to)| (*known, from, to) == (kind, &read, act)) {
                self.found.push((read.base != act.base, kind, read, *act));
            }
        }
    }

    fn spans(mut self) -> Vec<Span> {
        self.found.sort_by_key(|(elsewhere, ..)| *elsewhere);
        self.found.truncate(MOST_SPANS);
        let Facts { code, flow, idents, .. } = *self.facts;
        let paths = Paths { code, flow, idents };
        let offset = |end: &End| flow.list().get(end.instruction as usize).map_or(0, |instruction| instruction.offset);
        let path = |end: &End| if end.base == NOTHING { paths.ident(end.named) } else { paths.ident(end.base) };
        let mut spans: Vec<Span> = self
            .found
            .iter()
            .map(|(_, kind, read, act)| Span {
                kind: *kind,
                read: offset(read),
                write: offset(act),
                read_path: path(read),
                write_path: path(act),
                computed: read.direct && act.direct,
            })
            .collect();
        spans.sort_by_key(|span| (span.write, span.read, span.kind));
        spans.dedup_by_key(|span| (span.write, span.read, span.kind));
        spans
    }
}

/// Can the two ends be about one subject? Methods of one object, plain functions with each other and with variables, and
/// calls of both sorts.
fn fits(read: &End, act: &End) -> bool {
    let mixed = (read.base == NOTHING || act.base == NOTHING) && !read.direct && !act.direct;
    (read.base == act.base || mixed) && !(read.direct && act.direct)
}

/// A read and a write of one attribute or item.
fn may_be_computed(read: &End, act: &End) -> bool {
    read.base == act.base && read.base != NOTHING && read.named == act.named && read.instruction != act.instruction
}

/// Names of the attributes and items that are read. Sorted.
fn computed_reads(facts: &Facts<'_>) -> Vec<Ident> {
    let reads = facts.accesses.iter().filter(|access| !access.writes()).filter_map(|access| direct_end(facts, access));
    let mut named: Vec<Ident> = reads.filter(|end| end.base != NOTHING).map(|end| end.named).collect();
    named.sort_unstable();
    named
}

fn call_end(facts: &Facts<'_>, index: usize) -> Option<End> {
    let call = Call::at(facts.flow, facts.code, index)?;
    let name = called_name(facts.code, facts.idents, &call);
    // Constructors (exceptions among them) make something new.
    let makes_new = |name: &str| name.trim_start_matches('_').starts_with(char::is_uppercase);
    let named = facts.idents.of(call.callee);
    let is_method = matches!(facts.idents.thing(named), Some(Thing::Attribute(..)));
    let quiet = |name: &str| name == "sleep" || (!is_method && QUIET.contains(&name));
    if name.is_some_and(|name| quiet(name) || makes_new(name)) {
        return None;
    }
    let base = match facts.idents.thing(named)? {
        Thing::Attribute(base, _) => base,
        Thing::Global(_) | Thing::Cell(_) => NOTHING,
        // A function that was passed in; not what the interpreter calls by itself.
        Thing::Value(value) if matches!(facts.flow.definition(value), Definition::Slot(_) | Definition::Phi(_)) => NOTHING,
        _ => return None,
    };
    Some(End { instruction: index as u32, base, direct: false, named })
}

/// An access to a variable, an attribute or a container, which functions and methods may touch too.
fn direct_end(facts: &Facts<'_>, access: &Access) -> Option<End> {
    let base = match (access.space, &access.operation) {
        (_, Operation::Truth { .. } | Operation::IterNext { .. } | Operation::Consume { .. } | Operation::MethodCall { .. }) => {
            return None;
        }
        (Space::Container, _) => access.subject,
        (Space::Variable, _) => match facts.idents.thing(access.subject)? {
            Thing::Attribute(base, _) | Thing::Named(base, _) => base,
            Thing::Global(name) if name_text(facts.code, name).is_none_or(|name| name.starts_with("__")) => return None,
            _ => NOTHING,
        },
    };
    Some(End { instruction: access.instruction, base, direct: true, named: access.named })
}

/// Functions that touch nothing shared, or only look at what they are given.
pub const QUIET: &[&str] = &[
    "abs",
    "all",
    "any",
    "bool",
    "bytes",
    "callable",
    "chr",
    "dict",
    "enumerate",
    "float",
    "format",
    "frozenset",
    "getattr",
    "globals",
    "hasattr",
    "hash",
    "hex",
    "id",
    "int",
    "isinstance",
    "issubclass",
    "iter",
    "len",
    "list",
    "locals",
    "max",
    "min",
    "next",
    "ord",
    "print",
    "range",
    "repr",
    "reversed",
    "round",
    "set",
    "sleep",
    "sorted",
    "str",
    "sum",
    "super",
    "tuple",
    "type",
    "vars",
    "zip",
];

//! Loops: by statements, by `next` and `yield from`, and inside C functions that take all elements; and those that change
//! what they walk, as far as the code shows (by the same value). Which object is walked shows only at run time.

use super::{Finder, Source, called_name};
use crate::call::Call;
use crate::flow::Value;
use crate::ident::{Idents, NOTHING};
use crate::instruction::NOWHERE;
use crate::method::{self, Touch};
use crate::opcode::Op;
use crate::plan::{Operation, Place};

/// Is something taken out of, or put anywhere but at the end of, this container in the body of the loop at `index`?
fn changes_in_body(source: &Source<'_>, idents: &Idents, index: usize, container: Value) -> bool {
    let flow = source.flow;
    let Some(end) = flow.list().get(index).map(|next| next.target).filter(|end| *end != NOWHERE) else { return false };
    (index + 1..end as usize).filter(|at| flow.reached(*at)).any(|at| {
        let Some(instruction) = flow.list().get(at) else { return false };
        match instruction.op {
            Op::DeleteSubscr => flow.operand(at, 2) == container,
            _ => Call::at(flow, source.code, at).is_some_and(|call| {
                call.receiver.is_some_and(|(receiver, _)| receiver == container)
                    && called_name(source.code, idents, &call).is_some_and(changes)
            }),
        }
    })
}

/// A list that grows at its end is walked to its new end.
fn changes(method: &str) -> bool {
    let rows = method::methods(method);
    !matches!(method, "append" | "extend" | "sort" | "reverse")
        && rows.iter().any(|row| matches!(row.touch, Touch::Insert | Touch::Remove | Touch::Replace))
}

/// Functions that make an iterator which calls a function for each element, or hands on one that does.
const LAZY: &[&str] = &[
    "accumulate",
    "chain",
    "dropwhile",
    "enumerate",
    "filter",
    "filterfalse",
    "islice",
    "map",
    "pairwise",
    "starmap",
    "takewhile",
    "zip",
];

/// Functions and methods that take all elements of their first argument at once, besides those of [`method::FUNCTIONS`].
const TAKERS: &[&str] = &[
    "Counter",
    "OrderedDict",
    "deque",
    "difference_update",
    "extend",
    "extendleft",
    "fromkeys",
    "intersection_update",
    "update",
    "writelines",
    "writerows",
];

impl Finder<'_, '_> {
    pub(super) fn iterate(&mut self, index: usize) {
        let iterable = self.source.flow.operand(index, 1);
        if !self.is_literal(iterable) && !self.is_own(iterable) {
            let container = self.underlying(iterable);
            self.whole(index, container, Touch::Walk, Operation::IterBegin { iterable: Place::Stack(1) });
        }
    }

    /// FOR_ITER.
    pub(super) fn next(&mut self, index: usize, place: u32) {
        let iterable = match self.source.flow.maker(self.source.flow.operand(index, place as usize)) {
            Some((at, maker)) if maker.op == Op::GetIter => Some(self.source.flow.operand(at, 1)),
            _ => None,
        };
        self.step(index, place, iterable);
    }

    /// SEND, to an iterator that is no coroutine.
    pub(super) fn yields_from(&mut self, index: usize) {
        let flow = self.source.flow;
        let place = if flow.minor >= 15 { 3 } else { 2 };
        if let Some((at, _)) =
            flow.maker(flow.operand(index, place as usize)).filter(|(_, maker)| maker.op == Op::GetYieldFromIter)
        {
            self.step(index, place, Some(flow.operand(at, 1)));
        }
    }

    /// `next(iterator)`, `next(iterator, default)`.
    pub(super) fn calls_next(&mut self, index: usize, call: &Call) {
        if let (1 | 2, Some(place), Some(iterator)) =
            (call.positional(), call.argument_place(0), call.argument(self.source.flow, 0))
        {
            self.step(index, place, Some(iterator));
        }
    }

    /// The iterator at `place` is asked for the next element; `iterable` is what it walks, if that is known.
    fn step(&mut self, index: usize, place: u32, iterable: Option<Value>) {
        let iterator = self.source.flow.operand(index, place as usize);
        let own = iterable.is_some_and(|iterable| self.is_own(iterable) && !self.joins_others(iterable));
        let quiet = iterable.is_some_and(|iterable| {
            self.is_literal(iterable) || (own && !changes_in_body(self.source, self.idents, index, self.underlying(iterable)))
        });
        if quiet {
            return;
        }
        let named = iterable.map(|iterable| self.idents.of(self.underlying(iterable)));
        self.whole(index, iterator, Touch::View, Operation::IterNext { iterator: Place::Stack(place) });
        if let (Some(access), Some(named)) = (self.found.last_mut().filter(|last| last.instruction == index as u32), named)
            && named != NOTHING
        {
            (access.named, access.own_walk) = (named, own);
        }
    }

    /// All elements are taken from what lies at `place`: worth a look where that may run Python code for each.
    pub(super) fn consume(&mut self, index: usize, place: u32) {
        let iterable = self.source.flow.operand(index, place as usize);
        let made = self.source.flow.maker(iterable).and_then(|(at, _)| Call::at(self.source.flow, self.source.code, at));
        let lazy = made.is_some_and(|call| self.called(&call).is_some_and(|name| LAZY.contains(&name)));
        if lazy {
            let container = self.underlying(iterable);
            self.whole(index, container, Touch::View, Operation::Consume { iterable: Place::Stack(place) });
        }
    }

    /// The same for the first argument of a call.
    pub(super) fn call_consumes(&mut self, index: usize, call: &Call, name: &str) {
        if let Some(place) = call.argument_place(0).filter(|_| TAKERS.contains(&name)) {
            self.consume(index, place);
        }
    }

    /// `zip(…)` or `map(…)` of several things, of which others than the first may be shared.
    fn joins_others(&self, value: Value) -> bool {
        let call = self.source.flow.maker(value).and_then(|(at, _)| Call::at(self.source.flow, self.source.code, at));
        call.is_some_and(|call| match self.called(&call) {
            Some("zip") => call.positional() > 1,
            Some("map") => call.positional() > 2,
            _ => false,
        })
    }
}

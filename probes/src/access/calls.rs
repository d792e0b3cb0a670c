//! Calls that touch containers or attributes: which of them do is in the tables of [`crate::method`].

use super::{Access, Finder, Space, called_name, owner_bit};
use crate::call::Call;
use crate::code::Const;
use crate::ident::{Ident, Thing, name_text};
use crate::instruction::Instruction;
use crate::method::{self, Owner, Part, Touch};
use crate::opcode::Op;
use crate::plan::{Operation, Place};

impl Finder<'_, '_> {
    pub(super) fn call(&mut self, index: usize) {
        let Some(call) = Call::at(self.source.flow, self.source.code, index) else { return };
        match self.idents.thing(self.idents.of(call.callee)) {
            Some(Thing::Global(_) | Thing::Common(_)) => self.function(index, &call),
            Some(Thing::Attribute(base, name)) => self.method(index, &call, base, name),
            _ => self.generator(index, &call),
        }
    }

    /// From 3.15 on a generator expression is given the iterable itself and asks it for an iterator later.
    fn generator(&mut self, index: usize, call: &Call) {
        let flow = self.source.flow;
        let made = |(_, maker): (usize, Instruction)| matches!(maker.op, Op::MakeFunction | Op::SetFunctionAttribute);
        if let (15.., 1, Some(place), Some(iterable)) =
            (flow.minor, call.arguments, call.argument_place(0), call.argument(flow, 0))
            && flow.maker(call.callee).is_some_and(made)
            && !self.is_literal(iterable)
            && !self.is_own(iterable)
        {
            let container = self.underlying(iterable);
            self.whole(index, container, Touch::Walk, Operation::IterBegin { iterable: Place::Stack(place) });
        }
    }

    fn function(&mut self, index: usize, call: &Call) {
        let Some(name) = called_name(self.source.code, self.idents, call) else { return };
        if let Some((name, touch)) = method::ATTRIBUTE_FUNCTIONS.iter().find(|(known, _)| *known == name) {
            let Some(thing) = self.idents.attribute_argument(self.source.code, self.source.flow, call) else { return };
            let subject = self.idents.number(thing, call.callee);
            self.push(index, function_call(name, call), Space::Variable, subject, *touch);
        } else if name == "next" {
            self.calls_next(index, call);
        } else if let Some(known) = method::function_named(name).filter(|known| known.name != "join") {
            let takes_many = matches!(name, "max" | "min" | "iter" | "bool") && call.positional() != 1;
            if !takes_many {
                self.container_function(index, call, known);
            }
        } else {
            let name = name.to_owned();
            self.call_consumes(index, call, &name);
        }
    }

    fn container_function(&mut self, index: usize, call: &Call, known: &'static method::Function) {
        let Some(container) = call.argument(self.source.flow, u32::from(known.container)) else { return };
        if u32::from(known.container) < call.positional() && !self.is_literal(container) && !self.is_own(container) {
            let container = self.underlying(container);
            self.whole(index, container, known.touch, function_call(known.name, call));
        }
    }

    fn method(&mut self, index: usize, call: &Call, base: Ident, name: u32) {
        let Some(name) = name_text(self.source.code, name) else { return };
        self.call_consumes(index, call, name);
        let known = method::function_named(name);
        if let Some(known) = known.filter(|known| known.name == "join" && call.arguments == 1) {
            return self.container_function(index, call, known);
        }
        let of_module = |known: &&method::Function| matches!(known.name.get(..4), Some("heap" | "inso" | "deep" | "redu"));
        if let Some(known) = known.filter(of_module) {
            return self.container_function(index, call, known);
        }
        let rows = method::methods(name).iter().filter(|row| fits(row, call, self.first_is_flag(call)));
        let (mut key, mut whole, mut touch, mut text, mut owners) = (None, false, Touch::View, None, 0);
        for row in rows {
            owners |= owner_bit(row.owner);
            match row.part {
                Part::Key(argument) => key = call.argument(self.source.flow, u32::from(argument)),
                Part::Whole => whole = true,
            }
            touch = if row.touch.writes() || !touch.writes() { row.touch } else { touch };
            text = Some(row.name);
        }
        let Some(method) = text else { return };
        let receiver = call.receiver.map_or(call.callee_place, |(_, place)| place);
        let operation = Operation::MethodCall {
            method,
            callable: Place::Stack(call.callee_place),
            receiver: Place::Stack(receiver),
            first: call.argument_place(0).map(Place::Stack),
            arguments: call.arguments,
            keywords: call.keywords,
        };
        let container = call.receiver.map(|(value, _)| value).or_else(|| self.idents.example(base));
        let Some(container) = container else { return };
        match key {
            Some(key) => {
                let before = self.found.len();
                self.keyed(index, container, key, touch, operation);
                if let Some(access) = self.found.get_mut(before..).and_then(<[Access]>::first_mut) {
                    access.whole |= whole;
                    access.owners = owners;
                    if owners & owner_bit(Owner::Dict) == 0 {
                        // An element is no item of its own.
                        access.named = access.subject;
                    }
                }
            }
            None => {
                let before = self.found.len();
                self.whole(index, container, touch, operation);
                if let Some(access) = self.found.get_mut(before..).and_then(<[Access]>::first_mut) {
                    access.owners = owners;
                }
            }
        }
    }

    /// Is the first argument `True` or `False` (so that `get(True)` is a queue's)?
    fn first_is_flag(&self, call: &Call) -> bool {
        let first = call.argument(self.source.flow, 0).and_then(|first| self.idents.constant(self.source.code, first));
        matches!(first, Some(Const::Bool(_)))
    }
}

fn fits(row: &method::Method, call: &Call, flag: bool) -> bool {
    let count = call.arguments.min(255) as u8;
    if !(row.arguments.0..=row.arguments.1).contains(&count) {
        return false;
    }
    match (row.name, row.owner) {
        // `queue.get(block, timeout)` against `dict.get(key, default)`, which takes no keywords.
        ("get", Owner::Queue) => flag || call.keywords > 0 || call.arguments == 0,
        ("get", Owner::Dict) => !flag && call.keywords == 0,
        _ => true,
    }
}

fn function_call(function: &'static str, call: &Call) -> Operation {
    Operation::FunctionCall {
        function,
        callable: Place::Stack(call.callee_place),
        first: Place::Stack(call.first),
        arguments: call.arguments,
    }
}

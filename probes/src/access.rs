//! Which instructions touch what can be shared: variables, attributes, containers and their items. Whether it is worth
//! watching, and what windows the accesses form, is for others.

use crate::call::Call;
use crate::code::{Code, Const};
use crate::flow::{Definition, Flow, Value};
use crate::ident::{self, Ident, Idents, NOTHING, Thing, name_index, name_text};
use crate::instruction::Instruction;
use crate::method::{self, Owner, Part, Touch};
use crate::opcode::Op;
use crate::plan::{Operation, Place};

/// What is touched: the variable itself, or the inside of the container that it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Space {
    Variable,
    Container,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    pub instruction: u32,
    pub operation: Operation,
    pub space: Space,
    /// The variable, or the container.
    pub subject: Ident,
    /// The item's key, where only one item is touched.
    pub key: Ident,
    /// What a report should name: the variable, the container or its item.
    pub named: Ident,
    pub touch: Touch,
    /// Touches, or may touch, more than one item: size, order, all elements.
    pub whole: bool,
    /// The container as a value.
    pub container: Option<Value>,
    /// The types that the container can have, as far as the access tells: a set of [`owner_bit`]s.
    pub owners: u8,
}

impl Access {
    #[must_use]
    pub fn reads(&self) -> bool {
        match self.operation {
            Operation::InPlace { .. } => false,
            _ => match self.touch {
                Touch::Read | Touch::Walk | Touch::View => true,
                // `setdefault`, `pop(key)`: their result tells what was there.
                Touch::Update | Touch::Remove => self.key != NOTHING && matches!(self.operation, Operation::MethodCall { .. }),
                Touch::Insert | Touch::Replace => false,
            },
        }
    }

    #[must_use]
    pub fn writes(&self) -> bool {
        self.touch.writes()
    }
}

/// Everything that finding accesses needs to look at.
pub struct Source<'a> {
    pub code: &'a Code,
    pub flow: &'a Flow,
    /// A module's own code: its local names are global.
    pub module: bool,
}

/// All accesses, in the order of the code.
#[must_use]
pub fn find(source: &Source<'_>, idents: &mut Idents) -> Vec<Access> {
    let mut finder = Finder { source, idents, found: Vec::new() };
    for (index, instruction) in source.flow.list().iter().enumerate() {
        if source.flow.reached(index) {
            finder.instruction(index, instruction);
        }
    }
    finder.found
}

struct Finder<'a, 'b> {
    source: &'a Source<'a>,
    idents: &'b mut Idents,
    found: Vec<Access>,
}

const TOP: Place = Place::Stack(1);
const SECOND: Place = Place::Stack(2);

impl Finder<'_, '_> {
    fn instruction(&mut self, index: usize, instruction: &Instruction) {
        let name = name_index(instruction, self.source.flow.minor);
        match instruction.op {
            Op::LoadGlobal => self.global(index, name, Touch::Read, Operation::GlobalRead { name }),
            Op::StoreGlobal => self.global(index, name, Touch::Update, Operation::GlobalWrite { name, value: TOP }),
            Op::DeleteGlobal => self.global(index, name, Touch::Remove, Operation::GlobalDelete { name }),
            Op::LoadName if self.source.module => self.global(index, name, Touch::Read, Operation::GlobalRead { name }),
            Op::StoreName if self.source.module => {
                self.global(index, name, Touch::Update, Operation::GlobalWrite { name, value: TOP });
            }
            Op::DeleteName if self.source.module => self.global(index, name, Touch::Remove, Operation::GlobalDelete { name }),
            Op::LoadDeref | Op::StoreDeref | Op::DeleteDeref => self.cell(index, instruction),
            Op::LoadAttr if self.source.flow.output(index + 1, 0) - self.source.flow.output(index, 0) == 1 => {
                self.attribute(index, name, 1, Touch::Read, Operation::AttributeRead { object: TOP, name });
            }
            Op::StoreAttr => {
                let operation = Operation::AttributeWrite { object: TOP, name, value: SECOND };
                self.attribute(index, name, 1, Touch::Update, operation);
            }
            Op::DeleteAttr => self.attribute(index, name, 1, Touch::Remove, Operation::AttributeDelete { object: TOP, name }),
            Op::BinarySubscr => self.item(index, Touch::Read, Operation::ItemRead { container: SECOND, key: TOP }),
            Op::BinaryOp if instruction.arg == ident::SUBSCRIPT => {
                self.item(index, Touch::Read, Operation::ItemRead { container: SECOND, key: TOP });
            }
            Op::StoreSubscr => {
                let operation = Operation::ItemWrite { container: SECOND, key: TOP, value: Place::Stack(3) };
                self.item(index, Touch::Update, operation);
            }
            Op::DeleteSubscr => self.item(index, Touch::Remove, Operation::ItemDelete { container: SECOND, key: TOP }),
            Op::BinarySlice => {
                let operation = Operation::SliceRead { container: Place::Stack(3) };
                self.whole(index, self.source.flow.operand(index, 3), Touch::Walk, operation);
            }
            Op::StoreSlice => {
                let operation = Operation::SliceWrite { container: Place::Stack(3), value: Place::Stack(4) };
                self.whole(index, self.source.flow.operand(index, 3), Touch::Replace, operation);
            }
            Op::ContainsOp => self.contains(index),
            // 3.8: `in` and `not in` are comparisons.
            Op::CompareOp if self.source.flow.minor == 8 && matches!(instruction.arg, 6 | 7) => self.contains(index),
            Op::GetIter => self.iterate(index),
            Op::ForIter => {
                let place = if self.source.flow.minor >= 15 { 2 } else { 1 };
                self.next(index, place);
            }
            op if in_place(op, instruction.arg).is_some() => self.in_place(index, in_place(op, instruction.arg)),
            op if tests_truth(op) => self.truth(index),
            _ => self.call(index),
        }
    }

    fn push(&mut self, index: usize, operation: Operation, space: Space, subject: Ident, touch: Touch) -> Option<&mut Access> {
        if subject == NOTHING {
            return None;
        }
        let whole = space == Space::Container;
        let instruction = index as u32;
        let owners = owners(&operation);
        let (key, named) = (NOTHING, subject);
        let access = Access { instruction, operation, space, subject, key, named, touch, whole, container: None, owners };
        self.found.push(access);
        self.found.last_mut()
    }

    fn global(&mut self, index: usize, name: u32, touch: Touch, operation: Operation) {
        let subject = self.idents.number(Thing::Global(name), self.source.flow.output(index, 0));
        self.push(index, operation, Space::Variable, subject, touch);
    }

    fn cell(&mut self, index: usize, instruction: &Instruction) {
        let slot = ident::cell_slot(self.source.code, instruction, self.source.flow.minor);
        let (touch, operation) = match instruction.op {
            Op::LoadDeref => (Touch::Read, Operation::CellRead { slot }),
            Op::StoreDeref => (Touch::Update, Operation::CellWrite { slot, value: TOP }),
            _ => (Touch::Remove, Operation::CellDelete { slot }),
        };
        let subject = self.idents.number(Thing::Cell(slot), self.source.flow.output(index, 0));
        self.push(index, operation, Space::Variable, subject, touch);
    }

    fn attribute(&mut self, index: usize, name: u32, place: usize, touch: Touch, operation: Operation) {
        let object = self.source.flow.operand(index, place);
        let base = self.idents.of(object);
        let subject = self.idents.number(Thing::Attribute(base, name), object);
        self.push(index, operation, Space::Variable, subject, touch);
    }

    fn item(&mut self, index: usize, touch: Touch, operation: Operation) {
        let (container, key) = (self.source.flow.operand(index, 2), self.source.flow.operand(index, 1));
        self.keyed(index, container, key, touch, operation);
    }

    /// One item of a container.
    fn keyed(&mut self, index: usize, container: Value, key: Value, touch: Touch, operation: Operation) {
        let container = self.underlying(container);
        if self.is_literal(container) {
            return;
        }
        if self.is_slice(key) {
            let touch = match touch {
                Touch::Read => Touch::Walk,
                Touch::Update => Touch::Replace,
                other => other,
            };
            return self.whole(index, container, touch, operation);
        }
        let (of, key) = (self.idents.of(container), self.idents.of(key));
        match self.idents.item_thing(self.source.code, of, key) {
            Some(thing @ Thing::Item(..)) => {
                let named = self.idents.number(thing, container);
                if let Some(access) = self.push(index, operation, Space::Container, of, touch) {
                    (access.key, access.named, access.whole, access.container) = (key, named, false, Some(container));
                }
            }
            Some(thing) => {
                let subject = self.idents.number(thing, container);
                self.push(index, operation, Space::Variable, subject, touch);
            }
            None => self.whole(index, container, touch, operation),
        }
    }

    /// The container as such.
    fn whole(&mut self, index: usize, container: Value, touch: Touch, operation: Operation) {
        let subject = self.idents.of(container);
        if let Some(access) = self.push(index, operation, Space::Container, subject, touch) {
            access.container = Some(container);
        }
    }

    fn contains(&mut self, index: usize) {
        let (container, key) = (self.source.flow.operand(index, 1), self.source.flow.operand(index, 2));
        self.keyed(index, container, key, Touch::Read, Operation::Contains { container: TOP, key: SECOND });
    }

    fn iterate(&mut self, index: usize) {
        let iterable = self.source.flow.operand(index, 1);
        if !self.is_literal(iterable) && !self.is_own(iterable) {
            let container = self.underlying(iterable);
            self.whole(index, container, Touch::Walk, Operation::IterBegin { iterable: TOP });
        }
    }

    fn next(&mut self, index: usize, place: u32) {
        let iterator = self.source.flow.operand(index, place as usize);
        let iterable = match self.source.flow.maker(iterator) {
            Some((at, maker)) if maker.op == Op::GetIter => Some(self.source.flow.operand(at, 1)),
            _ => None,
        };
        if iterable.is_some_and(|iterable| self.is_literal(iterable) || self.is_own(iterable)) {
            return;
        }
        self.whole(index, iterator, Touch::View, Operation::IterNext { iterator: Place::Stack(place) });
    }

    fn in_place(&mut self, index: usize, only_containers: Option<bool>) {
        let (left, right) = (self.source.flow.operand(index, 2), self.source.flow.operand(index, 1));
        let container = makes_own(self.source.code, self.source.flow, self.idents, right);
        if container || (only_containers == Some(true) && !self.is_number(right) && !self.is_number(left)) {
            self.whole(index, left, Touch::Update, Operation::InPlace { container: SECOND });
        }
    }

    fn truth(&mut self, index: usize) {
        let value = self.source.flow.operand(index, 1);
        let tested_before = self.source.flow.maker(value).is_some_and(|(_, maker)| makes_bool(maker.op));
        if ident::is_known(value) && !tested_before && !self.is_literal(value) {
            self.whole(index, value, Touch::Read, Operation::Truth { container: TOP });
        }
    }

    fn call(&mut self, index: usize) {
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
        } else if let Some(known) = method::function_named(name).filter(|known| known.name != "join") {
            let takes_many = matches!(name, "max" | "min" | "iter" | "bool") && call.positional() != 1;
            if !takes_many {
                self.container_function(index, call, known);
            }
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
        let known = method::function_named(name);
        if let Some(known) = known.filter(|known| known.name == "join" && call.arguments == 1) {
            return self.container_function(index, call, known);
        }
        let of_module = |known: &&method::Function| matches!(known.name.get(..4), Some("heap" | "inso" | "deep"));
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

    /// The container that a view, or an iterator over it, is of.
    fn underlying(&self, value: Value) -> Value {
        let mut value = value;
        for _ in 0..4 {
            let Some((at, _)) = self.source.flow.maker(value) else { break };
            let Some(call) = Call::at(self.source.flow, self.source.code, at) else { break };
            let inner = match (self.called(&call), call.receiver) {
                (Some(name), Some((receiver, _))) => {
                    method::methods(name).iter().any(|row| row.touch == Touch::View && call.arguments == 0).then_some(receiver)
                }
                (Some(name), None) => method::function_named(name)
                    .filter(|function| function.touch == Touch::View)
                    .and_then(|function| call.argument(self.source.flow, u32::from(function.container))),
                _ => None,
            };
            let Some(inner) = inner else { break };
            value = inner;
        }
        value
    }

    /// Was the value made here, by an expression that makes a new object no one else can have?
    fn is_own(&self, value: Value) -> bool {
        makes_own(self.source.code, self.source.flow, self.idents, self.underlying(value))
    }

    fn is_literal(&self, value: Value) -> bool {
        self.idents.is_constant(value) || self.source.flow.maker(value).is_some_and(|(_, maker)| maker.op == Op::BuildTuple)
    }

    /// `a:b`, as an object; a constant of a kind that is not known may be one.
    fn is_slice(&self, key: Value) -> bool {
        self.idents.constant(self.source.code, key) == Some(&Const::Other)
            || self.source.flow.maker(key).is_some_and(|(_, maker)| maker.op == Op::BuildSlice)
    }

    fn is_number(&self, value: Value) -> bool {
        is_number(self.source.code, self.idents, value)
    }

    fn called(&self, call: &Call) -> Option<&str> {
        called_name(self.source.code, self.idents, call)
    }
}

#[must_use]
pub fn owner_bit(owner: Owner) -> u8 {
    1 << owner as u8
}

fn owners(operation: &Operation) -> u8 {
    let any = |owners: &[Owner]| owners.iter().fold(0, |bits, owner| bits | owner_bit(*owner));
    match operation {
        Operation::ItemRead { .. } | Operation::ItemWrite { .. } | Operation::ItemDelete { .. } => {
            any(&[Owner::Dict, Owner::List, Owner::Deque])
        }
        Operation::SliceRead { .. } | Operation::SliceWrite { .. } => any(&[Owner::List]),
        Operation::Contains { .. } => any(&[Owner::Dict, Owner::List, Owner::Set, Owner::Deque]),
        _ => u8::MAX,
    }
}

/// A number or a text, by its constant.
#[must_use]
pub fn is_number(code: &Code, idents: &Idents, value: Value) -> bool {
    match idents.thing(idents.of(value)) {
        Some(Thing::Small(_)) => true,
        _ => idents.constant(code, value).is_some_and(|constant| !matches!(constant, Const::Tuple(_))),
    }
}

/// The bare name of the function or method that is called, as far as the source tells.
#[must_use]
pub fn called_name<'a>(code: &'a Code, idents: &Idents, call: &Call) -> Option<&'a str> {
    match idents.thing(idents.of(call.callee))? {
        Thing::Global(name) | Thing::Attribute(_, name) => name_text(code, name),
        Thing::Common(index) => match ident::COMMON.get(index as usize)? {
            ident::Common::Builtin(name) => Some(name),
            ident::Common::Constant(_) => None,
        },
        _ => None,
    }
}

/// Does the instruction that makes `value` make a new container (or a range, a generator)?
#[must_use]
pub fn makes_own(code: &Code, flow: &Flow, idents: &Idents, value: Value) -> bool {
    let Definition::Output { instruction, .. } = flow.definition(value) else { return false };
    let Some(maker) = flow.list().get(instruction as usize) else { return false };
    if builds(maker.op) {
        return true;
    }
    let Some(call) = Call::at(flow, code, instruction as usize) else { return false };
    if flow.maker(call.callee).is_some_and(|(_, maker)| matches!(maker.op, Op::MakeFunction | Op::SetFunctionAttribute)) {
        return true;
    }
    let Some(name) = called_name(code, idents, &call) else { return false };
    let method = call.receiver.is_some();
    match name {
        "range" | "defaultdict" | "deque" | "OrderedDict" | "Counter" => true,
        "copy" => method && call.arguments == 0,
        _ => !method && method::function_named(name).is_some_and(|function| function.fresh),
    }
}

fn builds(op: Op) -> bool {
    matches!(
        op,
        Op::BuildList
            | Op::BuildMap
            | Op::BuildSet
            | Op::BuildConstKeyMap
            | Op::ListAppend
            | Op::SetAdd
            | Op::MapAdd
            | Op::ListExtend
            | Op::SetUpdate
            | Op::DictUpdate
            | Op::DictMerge
            | Op::BuildListUnpack
            | Op::BuildMapUnpack
            | Op::BuildSetUnpack
    )
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

/// Does an instruction's result only ever say yes or no?
fn makes_bool(op: Op) -> bool {
    matches!(
        op,
        Op::ToBool
            | Op::CompareOp
            | Op::ContainsOp
            | Op::IsOp
            | Op::UnaryNot
            | Op::CheckExcMatch
            | Op::CheckEgMatch
            | Op::WithExceptStart
            | Op::MatchMapping
            | Op::MatchSequence
            | Op::MatchKeys
            | Op::MatchClass
    )
}

fn tests_truth(op: Op) -> bool {
    matches!(
        op,
        Op::ToBool
            | Op::UnaryNot
            | Op::PopJumpIfFalse
            | Op::PopJumpIfTrue
            | Op::PopJumpForwardIfFalse
            | Op::PopJumpForwardIfTrue
            | Op::PopJumpBackwardIfFalse
            | Op::PopJumpBackwardIfTrue
            | Op::JumpIfFalseOrPop
            | Op::JumpIfTrueOrPop
    )
}

/// Augmented assignment by an operator that changes some containers in place: is that what it mostly does? Of `+=` and
/// `-=` only the right operand tells.
fn in_place(op: Op, arg: u32) -> Option<bool> {
    match (op, arg) {
        (Op::InplaceAdd | Op::InplaceSubtract, _) | (Op::BinaryOp, 13 | 23) => Some(false),
        (Op::InplaceAnd | Op::InplaceOr | Op::InplaceXor, _) | (Op::BinaryOp, 14 | 20 | 25) => Some(true),
        _ => None,
    }
}

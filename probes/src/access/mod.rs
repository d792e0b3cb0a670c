//! Which instructions touch what can be shared: variables, attributes, containers and their items. Whether it is worth
//! watching, and what windows the accesses form, is for others.

use crate::call::Call;
use crate::code::{Code, Const};
use crate::flow::{Flow, Value};
use crate::ident::{self, Ident, Idents, NOTHING, Thing, name_index};
use crate::instruction::Instruction;
use crate::method::{self, Owner, Touch};
use crate::opcode::Op;
use crate::plan::{Operation, Place};

mod calls;
mod made;
mod walk;

pub use made::{called_name, is_number, makes_own};

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
    /// A loop over a container that the function has made itself, and that it changes in the loop's body.
    pub own_walk: bool,
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
    let asked = finder.was_asked();
    for (index, instruction) in source.flow.list().iter().enumerate() {
        if asked == Some(index) {
            finder.missing(index);
        }
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
            Op::Send => self.yields_from(index),
            Op::ListExtend | Op::SetUpdate | Op::UnpackSequence | Op::UnpackEx => self.consume(index, 1),
            Op::CallFunctionEx => {
                let keywords = self.source.flow.minor >= 14 || instruction.arg & 1 != 0;
                self.consume(index, if keywords { 2 } else { 1 });
                self.call(index);
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
        let access =
            Access { instruction, operation, space, subject, key, named, touch, whole, container: None, owners, own_walk: false };
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

    /// `__missing__` is called because its key was not there: what follows from that begins with its first instruction.
    fn was_asked(&self) -> Option<usize> {
        let Source { code, flow, .. } = *self.source;
        let first = flow.list().iter().position(|instruction| instruction.op == Op::Resume)? + 1;
        let is_target = flow.block(first) != flow.block(first - 1);
        (code.name == "__missing__" && code.argcount == 2 && flow.reached(first) && !is_target).then_some(first)
    }

    fn missing(&mut self, index: usize) {
        let operation = Operation::Contains { container: Place::Local(0), key: Place::Local(1) };
        self.keyed(index, Flow::slot_value(0), Flow::slot_value(1), Touch::Read, operation);
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

//! Which values are the same thing as far as the source tells: two loads of one name, of one attribute of the same
//! thing, of the item under the same key. Whether they are the same object is for the running program to say.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::call::Call;
use crate::code::{Code, Const};
use crate::flow::{Definition, Flow, NULL, UNKNOWN, Value};
use crate::instruction::Instruction;
use crate::opcode::Op;

/// A thing, by number. Equal numbers: the same thing.
pub type Ident = u32;

/// Nothing is known about it; never the same as another.
pub const NOTHING: Ident = u32::MAX;

/// What a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Thing {
    /// One value, known only by where it comes from.
    Value(Value),
    /// Index into `co_consts`.
    Const(u32),
    Small(u32),
    /// Index into [`COMMON`].
    Common(u32),
    /// A global variable, by its [`Name`].
    Global(Name),
    /// A closure's cell, by frame slot.
    Cell(u32),
    Attribute(Ident, Name),
    /// An attribute whose name is computed: object, name.
    Named(Ident, Ident),
    Item(Ident, Ident),
    /// The result of an operator or a call, of the same operands: operation, operand, operand. More operands nest.
    Operation(u32, Ident, Ident),
    Called(Ident, Ident),
}

/// What LOAD_COMMON_CONSTANT loads.
#[derive(Debug)]
pub enum Common {
    Builtin(&'static str),
    Constant(Const),
}

/// By the instruction's argument; CPython only ever adds to them (`dis._common_constants`).
pub static COMMON: [Common; 12] = [
    Common::Builtin("AssertionError"),
    Common::Builtin("NotImplementedError"),
    Common::Builtin("tuple"),
    Common::Builtin("all"),
    Common::Builtin("any"),
    Common::Builtin("list"),
    Common::Builtin("set"),
    Common::Constant(Const::None),
    Common::Constant(Const::Text(String::new())),
    Common::Constant(Const::Bool(true)),
    Common::Constant(Const::Bool(false)),
    Common::Constant(Const::Int(-1)),
];

/// A name: an index into `co_names`, or behind those an index into `co_consts`.
pub type Name = u32;

#[derive(Debug, Clone, Default)]
pub struct Idents {
    things: Vec<Thing>,
    /// A value that is that thing, for naming it.
    examples: Vec<Value>,
    numbers: HashMap<Thing, Ident, BuildHasherDefault<Mixer>>,
    by_value: Vec<Ident>,
}

/// More arguments than this, and a call is only known as a value.
const MOST_OPERANDS: u32 = 6;

impl Idents {
    #[must_use]
    pub fn new(code: &Code, flow: &Flow) -> Idents {
        let mut idents = Idents { by_value: vec![NOTHING; flow.values()], ..Idents::default() };
        for slot in 0..flow.slots {
            idents.set(Flow::slot_value(slot), Thing::Value(Flow::slot_value(slot)));
        }
        for (index, instruction) in flow.list().iter().enumerate() {
            if let (Some(phis), true) = (flow.phis_before(index), flow.reached(index)) {
                for phi in phis {
                    idents.join(flow, phi);
                }
            }
            if flow.reached(index) {
                idents.outputs(code, flow, index, instruction);
            }
        }
        idents
    }

    #[must_use]
    pub fn of(&self, value: Value) -> Ident {
        self.by_value.get(value as usize).copied().unwrap_or(NOTHING)
    }

    #[must_use]
    pub fn thing(&self, ident: Ident) -> Option<Thing> {
        self.things.get(ident as usize).copied()
    }

    /// The constant that a value is.
    #[must_use]
    pub fn constant<'a>(&self, code: &'a Code, value: Value) -> Option<&'a Const> {
        match self.thing(self.of(value))? {
            Thing::Const(index) => code.consts.get(index as usize),
            Thing::Common(index) => match COMMON.get(index as usize)? {
                Common::Constant(constant) => Some(constant),
                Common::Builtin(_) => None,
            },
            _ => None,
        }
    }

    #[must_use]
    pub fn is_constant(&self, value: Value) -> bool {
        matches!(self.thing(self.of(value)), Some(Thing::Const(_) | Thing::Small(_) | Thing::Common(_)))
    }

    #[must_use]
    pub fn example(&self, ident: Ident) -> Option<Value> {
        self.examples.get(ident as usize).copied()
    }

    /// The number of a thing that need not be any instruction's value (the attribute that is only stored).
    pub fn number(&mut self, thing: Thing, example: Value) -> Ident {
        if let Thing::Attribute(NOTHING, _) | Thing::Named(NOTHING, _) | Thing::Item(NOTHING, _) | Thing::Item(_, NOTHING) = thing
        {
            return NOTHING;
        }
        let next = self.things.len() as Ident;
        let number = *self.numbers.entry(thing).or_insert(next);
        if number == next {
            self.things.push(thing);
            self.examples.push(example);
        }
        number
    }

    fn set(&mut self, value: Value, thing: Thing) {
        let number = self.number(thing, value);
        if let Some(ident) = self.by_value.get_mut(value as usize) {
            *ident = number;
        }
    }

    fn set_ident(&mut self, value: Value, number: Ident) {
        if let Some(ident) = self.by_value.get_mut(value as usize) {
            *ident = number;
        }
    }

    /// A phi is the thing that all its operands are, if they are; what comes around a loop is not known yet.
    fn join(&mut self, flow: &Flow, phi: usize) {
        let value = flow.phi_value(phi);
        let operands = flow.phis.get(phi).map_or(&[][..], |phi| phi.operands.as_slice());
        let first = operands.first().map_or(NOTHING, |first| self.of(*first));
        if first != NOTHING && operands.iter().all(|operand| self.of(*operand) == first) {
            self.set_ident(value, first);
        } else {
            self.set(value, Thing::Value(value));
        }
    }

    fn outputs(&mut self, code: &Code, flow: &Flow, index: usize, instruction: &Instruction) {
        let value = flow.output(index, 0);
        if flow.definition(value) != (Definition::Output { instruction: index as u32, index: 0 }) {
            return;
        }
        let name = name_index(instruction, flow.minor);
        let operand = |place| flow.operand(index, place);
        match instruction.op {
            Op::LoadConst => self.set(value, Thing::Const(instruction.arg)),
            Op::LoadSmallInt => self.set(value, Thing::Small(instruction.arg)),
            Op::LoadCommonConstant => self.set(value, Thing::Common(instruction.arg)),
            Op::LoadGlobal | Op::LoadName => self.set(value, Thing::Global(name)),
            Op::LoadDeref => self.set(value, Thing::Cell(cell_slot(code, instruction, flow.minor))),
            Op::LoadAttr | Op::LoadMethod => {
                let base = self.of(operand(1));
                self.attribute(value, base, name);
                if Self::outputs_of(flow, index) == 2 {
                    // The receiver beside its method.
                    self.set_ident(flow.output(index, 1), base);
                }
            }
            Op::LoadSpecial => self.entered(flow, index, 0, instruction.arg),
            Op::BeforeWith => self.entered(flow, index, 1, 0),
            Op::BeforeAsyncWith | Op::SetupWith | Op::GetIter => self.unknown(flow, index),
            Op::BinarySubscr => self.item(code, value, operand(2), operand(1)),
            Op::BinaryOp if instruction.arg == SUBSCRIPT => self.item(code, value, operand(2), operand(1)),
            Op::Call | Op::CallMethod | Op::CallFunction => self.call(code, flow, index, value),
            op if is_operator(op) => self.operator(flow, index, value, instruction),
            // What an awaitable's result is: known by the awaitable, so that a second await is another value.
            _ => self.unknown(flow, index),
        }
    }

    fn unknown(&mut self, flow: &Flow, index: usize) {
        (0..Self::outputs_of(flow, index)).for_each(|output| {
            let value = flow.output(index, output);
            self.set(value, Thing::Value(value));
        });
    }

    /// What `with` gets from the same thing, like what a function called with the same arguments gives. `output` is what
    /// comes of the entering, or the method that is called for it.
    fn entered(&mut self, flow: &Flow, index: usize, output: u32, method: u32) {
        self.unknown(flow, index);
        let entered = self.of(flow.operand(index, 1));
        if entered != NOTHING {
            let method = self.number(Thing::Small(method), flow.output(index, output));
            self.set(flow.output(index, output), Thing::Operation(ENTER, entered, method));
        }
    }

    fn outputs_of(flow: &Flow, index: usize) -> u32 {
        flow.output(index + 1, 0).saturating_sub(flow.output(index, 0)).min(1 << 16)
    }

    fn attribute(&mut self, value: Value, base: Ident, name: Name) {
        if base == NOTHING {
            self.set(value, Thing::Value(value));
        } else {
            self.set(value, Thing::Attribute(base, name));
        }
    }

    fn item(&mut self, code: &Code, value: Value, container: Value, key: Value) {
        let thing = self.item_thing(code, self.of(container), self.of(key));
        self.set(value, thing.unwrap_or(Thing::Value(value)));
    }

    /// `globals()['n']` is the global `n`; any other item is that of its container.
    #[must_use]
    pub fn item_thing(&self, code: &Code, container: Ident, key: Ident) -> Option<Thing> {
        if let (Some(Thing::Called(callee, NOTHING)), Some(Thing::Const(key))) = (self.thing(container), self.thing(key))
            && let Some(Thing::Global(function)) = self.thing(callee)
            && name_text(code, function) == Some("globals")
        {
            return Some(Thing::Global(text_name(code, key)?));
        }
        (container != NOTHING && key != NOTHING).then_some(Thing::Item(container, key))
    }

    fn call(&mut self, code: &Code, flow: &Flow, index: usize, value: Value) {
        let known = Call::at(flow, code, index).filter(|call| call.arguments <= MOST_OPERANDS && call.keywords == 0);
        let Some(call) = known else { return self.set(value, Thing::Value(value)) };
        let callee = self.of(call.callee);
        if let Some(thing) = self.getattr(code, flow, callee, &call) {
            return self.set(value, thing);
        }
        let mut ident = callee;
        for argument in 0..call.arguments {
            let argument = call.argument(flow, argument).map_or(NOTHING, |argument| self.of(argument));
            if ident == NOTHING || argument == NOTHING {
                return self.set(value, Thing::Value(value));
            }
            ident = self.number(Thing::Operation(APPLY, ident, argument), value);
        }
        let thing = if ident == NOTHING { Thing::Value(value) } else { Thing::Called(ident, NOTHING) };
        self.set(value, thing);
    }

    /// `getattr(x, 'n')` is `x.n`.
    fn getattr(&self, code: &Code, flow: &Flow, callee: Ident, call: &Call) -> Option<Thing> {
        let Some(Thing::Global(function)) = self.thing(callee) else { return None };
        if name_text(code, function) != Some("getattr") {
            return None;
        }
        self.attribute_argument(code, flow, call)
    }

    /// The attribute that `getattr(x, 'n')` and its kin are about.
    #[must_use]
    pub fn attribute_argument(&self, code: &Code, flow: &Flow, call: &Call) -> Option<Thing> {
        let base = self.of(call.argument(flow, 0)?);
        let name = self.of(call.argument(flow, 1)?);
        match self.thing(name)? {
            Thing::Const(name) => (base != NOTHING).then_some(Thing::Attribute(base, text_name(code, name)?)),
            _ => (base != NOTHING).then_some(Thing::Named(base, name)),
        }
    }

    fn operator(&mut self, flow: &Flow, index: usize, value: Value, instruction: &Instruction) {
        let operation = (instruction.op as u32) << 16 | (instruction.arg & 0xFFFF);
        let mut ident = NOTHING;
        for (number, operand) in flow.uses(index).iter().enumerate() {
            let operand = self.of(*operand);
            if operand == NOTHING || number as u32 >= MOST_OPERANDS {
                return self.set(value, Thing::Value(value));
            }
            ident = self.number(Thing::Operation(operation, ident, operand), value);
        }
        if ident == NOTHING {
            self.set(value, Thing::Value(value));
        } else {
            self.set_ident(value, ident);
        }
    }
}

/// BINARY_OP's argument for subscripts (3.14+).
pub const SUBSCRIPT: u32 = 26;
const APPLY: u32 = u32::MAX;
const ENTER: u32 = u32::MAX - 1;

fn is_operator(op: Op) -> bool {
    matches!(
        op,
        Op::BinaryOp
            | Op::CompareOp
            | Op::ContainsOp
            | Op::IsOp
            | Op::UnaryNot
            | Op::UnaryNegative
            | Op::UnaryInvert
            | Op::ToBool
            | Op::BuildTuple
            | Op::BuildString
            | Op::BuildSlice
            | Op::FormatValue
            | Op::FormatSimple
            | Op::FormatWithSpec
            | Op::ConvertValue
            | Op::BinaryAdd
            | Op::BinarySubtract
            | Op::BinaryMultiply
            | Op::BinaryModulo
            | Op::BinaryFloorDivide
            | Op::BinaryTrueDivide
            | Op::BinaryAnd
            | Op::BinaryOr
            | Op::BinaryXor
    )
}

/// Index into `co_names` of the name that an instruction carries.
#[must_use]
pub fn name_index(instruction: &Instruction, minor: u8) -> Name {
    let shift = match instruction.op {
        Op::LoadGlobal if minor >= 11 => 1,
        Op::LoadAttr if minor >= 12 => 1,
        Op::LoadSuperAttr => 2,
        _ => 0,
    };
    instruction.arg >> shift
}

/// Frame slot of the cell that an instruction names.
#[must_use]
pub fn cell_slot(code: &Code, instruction: &Instruction, minor: u8) -> u32 {
    if minor >= 11 { instruction.arg } else { code.nlocals.saturating_add(instruction.arg) }
}

#[must_use]
pub fn name_text(code: &Code, name: Name) -> Option<&str> {
    let name = name as usize;
    match code.names.get(name) {
        Some(text) => Some(text),
        None => match code.consts.get(name - code.names.len())? {
            Const::Text(text) => Some(text),
            _ => None,
        },
    }
}

/// The name that a constant text is.
fn text_name(code: &Code, constant: u32) -> Option<Name> {
    let Const::Text(text) = code.consts.get(constant as usize)? else { return None };
    let named = code.names.iter().position(|name| name == text);
    Some(named.unwrap_or(code.names.len() + constant as usize) as Name)
}

/// A quick hash for small keys that no adversary gains by.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mixer(u64);

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 29)
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn write_isize(&mut self, word: isize) {
        self.write_u64(word as u64);
    }
}

/// Is there anything to say about the value?
#[must_use]
pub fn is_known(value: Value) -> bool {
    value != UNKNOWN && value != NULL
}

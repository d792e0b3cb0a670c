//! Calls of all versions in one shape: callee, receiver, arguments, and where they lie. It does not say what is called.

use crate::code::{Code, Const};
use crate::effect::effect;
use crate::flow::{Definition, Flow, NULL, Value};
use crate::instruction::Instruction;
use crate::opcode::Op;

/// A call with its operands as values, and their places counted from the top of the stack (1 is the top).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    pub callee: Value,
    pub callee_place: u32,
    /// What an unbound method is called on.
    pub receiver: Option<(Value, u32)>,
    /// Place of the first argument; the next is one place above (one less).
    pub first: u32,
    /// Keyword arguments included.
    pub arguments: u32,
    pub keywords: u32,
    instruction: usize,
}

impl Call {
    /// The call at that instruction, unless its arguments are only known as a tuple (`f(*a)`).
    #[must_use]
    pub fn at(flow: &Flow, code: &Code, index: usize) -> Option<Call> {
        let instruction = flow.list().get(index)?;
        let count = instruction.arg;
        let (above, pair) = match instruction.op {
            Op::Call => (0, true),
            Op::CallKw => (1, true),
            Op::CallMethod => (0, true),
            Op::CallFunction => (0, false),
            Op::CallFunctionKw => (1, false),
            _ => return None,
        };
        let keywords = keywords(flow, code, index).map_or(0, |names| names.len() as u32);
        let first = count + above;
        let operand = |place: u32| flow.operand(index, place as usize);
        let call = |callee_place: u32, receiver, first, arguments| Call {
            callee: operand(callee_place),
            callee_place,
            receiver,
            first,
            arguments,
            keywords: keywords.min(arguments),
            instruction: index,
        };
        if !pair {
            return Some(call(first + 1, None, first, count));
        }
        let (lower, upper) = (first + 2, first + 1);
        if operand(lower) == NULL {
            // Up to 3.12: NULL, then the callee.
            return Some(call(upper, None, first, count));
        }
        if operand(upper) == NULL {
            return Some(call(lower, None, first, count));
        }
        if is_method(flow, operand(lower)) {
            return Some(call(lower, Some((receiver(flow, operand(upper)), upper)), first, count));
        }
        // The upper of the two is simply the first argument: decorators, comprehensions, `__exit__`.
        Some(call(lower, None, upper, count + 1))
    }

    /// The `index`-th argument.
    #[must_use]
    pub fn argument(&self, flow: &Flow, index: u32) -> Option<Value> {
        let place = self.argument_place(index)?;
        Some(flow.operand(self.instruction, place as usize))
    }

    #[must_use]
    pub fn argument_place(&self, index: u32) -> Option<u32> {
        (index < self.arguments).then(|| self.first - index)
    }

    /// The first of its positional arguments, and so on.
    #[must_use]
    pub fn positional(&self) -> u32 {
        self.arguments - self.keywords
    }

    /// The argument that is given by this name.
    #[must_use]
    pub fn keyword(&self, flow: &Flow, code: &Code, name: &str) -> Option<Value> {
        let names = keywords(flow, code, self.instruction)?;
        let index = names.iter().position(|known| matches!(known, Const::Text(text) if text == name))?;
        self.argument(flow, self.positional() + u32::try_from(index).ok()?)
    }
}

/// Is it a call of any kind, whatever its arguments?
#[must_use]
pub fn calls(op: Op) -> bool {
    matches!(op, Op::Call | Op::CallKw | Op::CallMethod | Op::CallFunction | Op::CallFunctionKw | Op::CallFunctionEx)
}

/// Is it the unbound method that an instruction pushed together with its receiver?
fn is_method(flow: &Flow, value: Value) -> bool {
    let Definition::Output { instruction, index: 0 } = flow.definition(value) else { return false };
    let Some(maker) = flow.list().get(instruction as usize) else { return false };
    match maker.op {
        Op::LoadMethod | Op::LoadSpecial => true,
        Op::LoadAttr | Op::LoadSuperAttr => effect(maker.op, maker.arg, flow.minor).pushes == 2,
        _ => false,
    }
}

/// The object that a method was looked up on: its load gives it out again, beside the method.
fn receiver(flow: &Flow, value: Value) -> Value {
    match flow.definition(value) {
        Definition::Output { instruction, index: 1 } => flow.operand(instruction as usize, 1),
        _ => value,
    }
}

/// The names of the last arguments.
fn keywords<'a>(flow: &Flow, code: &'a Code, index: usize) -> Option<&'a [Const]> {
    let instruction = flow.list().get(index)?;
    let names = match instruction.op {
        Op::CallKw | Op::CallFunctionKw => flow.maker(flow.operand(index, 1)).and_then(|(_, maker)| constant(code, &maker)),
        _ => {
            let before = flow.list().get(index.saturating_sub(2)..index).unwrap_or(&[]);
            let named = before.iter().rev().find(|before| before.op == Op::KwNames);
            named.and_then(|named| code.consts.get(named.arg as usize))
        }
    };
    match names {
        Some(Const::Tuple(names)) => Some(names),
        _ => None,
    }
}

/// The constant that an instruction loads from `co_consts`.
#[must_use]
pub fn constant<'a>(code: &'a Code, instruction: &Instruction) -> Option<&'a Const> {
    match instruction.op {
        Op::LoadConst | Op::ReturnConst => code.consts.get(instruction.arg as usize),
        _ => None,
    }
}

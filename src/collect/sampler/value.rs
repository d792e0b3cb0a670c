//! Which object a value of the analysis is, in a frame that stands somewhere in its code, or in a call that has not begun:
//! from the slot that holds it, else the way the code makes it, if that has no effects. Nothing is run in the target.

use racetrace_probes::call::Call;
use racetrace_probes::code::Code;
use racetrace_probes::flow::{Definition, Flow, Value};
use racetrace_probes::ident::{SUBSCRIPT, cell_slot, name_index};
use racetrace_probes::instruction::Instruction;
use racetrace_probes::opcode::Op;
use racetrace_probes::plan::Place;

use crate::cpython::code::RemoteCode;
use crate::cpython::dict::Key;
use crate::cpython::object::{Shown, flags};
use crate::cpython::python::Python;
use crate::target::address::RemoteAddr;
use crate::target::memory::Memory;

use super::codes::KnownCode;
use super::strand::Activation;

/// Code with the objects around it.
pub struct Scope<'a, M> {
    pub python: &'a Python<M>,
    pub flow: &'a Flow,
    code: &'a RemoteCode,
    globals: RemoteAddr,
    slots: Slots<'a>,
}

/// Where locals and the value stack are.
#[derive(Clone, Copy)]
enum Slots<'a> {
    Frame(&'a Activation),
    /// A call that has not begun: all that is known is what it is called on.
    Receiver(Option<RemoteAddr>),
    /// The same with its parameters and the cells of enclosing functions, as far as they are known, by slot.
    Given(&'a [RemoteAddr]),
}

impl<M> Clone for Scope<'_, M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M> Copy for Scope<'_, M> {}

/// How far back a value is followed.
const LONGEST_WAY: usize = 6;

impl<'a, M: Memory> Scope<'a, M> {
    pub fn of_frame(python: &'a Python<M>, activation: &'a Activation) -> Option<Scope<'a, M>> {
        let flow = activation.code.flow()?;
        let globals = activation.frame.globals;
        Some(Scope { python, flow, code: &activation.code.remote, globals, slots: Slots::Frame(activation) })
    }

    pub fn of_call(
        python: &'a Python<M>,
        code: &'a KnownCode,
        globals: RemoteAddr,
        receiver: Option<RemoteAddr>,
    ) -> Option<Scope<'a, M>> {
        Some(Scope { python, flow: code.flow()?, code: &code.remote, globals, slots: Slots::Receiver(receiver) })
    }

    pub fn of_callee(
        python: &'a Python<M>,
        code: &'a KnownCode,
        globals: RemoteAddr,
        given: &'a [RemoteAddr],
    ) -> Option<Scope<'a, M>> {
        Some(Scope { python, flow: code.flow()?, code: &code.remote, globals, slots: Slots::Given(given) })
    }

    pub fn code(&self) -> &'a Code {
        &self.code.code
    }

    pub fn globals(&self) -> RemoteAddr {
        self.globals
    }

    pub fn name(&self, index: u32) -> Option<&'a str> {
        self.code.code.names.get(index as usize).map(String::as_str)
    }

    /// The module's variable of that name.
    pub fn global(&self, name: &str) -> Option<RemoteAddr> {
        self.python.dict_get(self.globals, Key::Text(name)).ok()?
    }

    /// The name that an instruction carries.
    pub fn name_of(&self, instruction: &Instruction) -> Option<&'a str> {
        self.name(name_index(instruction, self.flow.minor))
    }

    /// The name of a frame slot.
    pub fn local(&self, slot: u32) -> Option<&'a str> {
        self.code.code.locals.get(slot as usize).map(String::as_str)
    }

    /// The object at an operand's place before the instruction with index `at`.
    pub fn place(&self, at: usize, place: Place) -> Option<RemoteAddr> {
        match place {
            Place::Const(index) => self.constant(index),
            _ => self.value(self.value_at(at, place)?),
        }
    }

    /// The operand there as a key: also one that is computed of plain values.
    pub fn key(&self, at: usize, place: Place) -> Option<(String, Option<RemoteAddr>)> {
        if let Some(object) = self.place(at, place) {
            return Some((self.key_text(object, 2)?, Some(object)));
        }
        Some((literal(&self.computed(self.value_at(at, place)?, LONGEST_WAY)?), None))
    }

    /// All that a `for` loop puts there in turn, if it walks what is the same for whoever runs the code: `range(3)`, a
    /// constant, a module's list. `steps`: the loops that come there with each element.
    pub fn each_of(&self, at: usize, place: Place, steps: &[usize]) -> Option<String> {
        let (step, _) = self.flow.maker(self.value_at(at, place)?).filter(|(_, maker)| maker.op == Op::ForIter)?;
        if !steps.contains(&step) {
            return None;
        }
        let (begin, _) = self.flow.maker(*self.flow.uses(step).first()?).filter(|(_, maker)| maker.op == Op::GetIter)?;
        let (made, maker) = self.flow.maker(self.flow.operand(begin, 1))?;
        let walked = match maker.op {
            Op::LoadConst => self.key_text(self.constant(maker.arg)?, 2)?,
            Op::LoadGlobal | Op::LoadName => {
                let name = self.name_of(&maker)?;
                self.python.dict_get(self.globals, Key::Text(name)).ok()??;
                format!("{}.{name}", self.python.module_name(self.globals)?)
            }
            _ => self.range(made)?,
        };
        Some(format!("each of {walked}"))
    }

    /// A call of the builtin `range`, with its numbers.
    fn range(&self, at: usize) -> Option<String> {
        let call = Call::at(self.flow, self.code(), at).filter(|call| call.keywords == 0)?;
        let (_, maker) = self.flow.maker(call.callee).filter(|(_, maker)| maker.op == Op::LoadGlobal)?;
        let is_own = matches!(self.python.dict_get(self.globals, Key::Text("range")), Ok(Some(_)) | Err(_));
        if self.name_of(&maker) != Some("range") || is_own {
            return None;
        }
        let numbers = (0..call.arguments).map(|index| match self.common(call.argument(self.flow, index)?)? {
            Shown::Int(number) => Some(number.to_string()),
            _ => None,
        });
        Some(format!("range({})", numbers.collect::<Option<Vec<String>>>()?.join(", ")))
    }

    /// A constant or a module's variable.
    fn common(&self, value: Value) -> Option<Shown> {
        let (_, maker) = self.flow.maker(value)?;
        let is_common = matches!(maker.op, Op::LoadConst | Op::LoadGlobal | Op::LoadSmallInt);
        is_common.then(|| self.computed(value, LONGEST_WAY))?
    }

    /// The operand there, as far as it is a number or a text.
    pub fn shown(&self, at: usize, place: Place) -> Option<Shown> {
        self.computed(self.value_at(at, place)?, LONGEST_WAY)
    }

    /// A value, as far as it is a number or a text.
    pub fn shown_value(&self, value: Value) -> Option<Shown> {
        self.computed(value, LONGEST_WAY)
    }

    /// The value at an operand's place before an instruction.
    pub fn value_at(&self, at: usize, place: Place) -> Option<Value> {
        let before = self.flow.before(at)?;
        let index = match place {
            Place::Stack(from_top) => before.values.len().checked_sub(from_top as usize)?,
            Place::Local(slot) => slot as usize,
            Place::Const(_) | Place::Name(_) => return None,
        };
        before.values.get(index).copied()
    }

    /// The object that a value is.
    pub fn value(&self, value: Value) -> Option<RemoteAddr> {
        self.resolve(value, LONGEST_WAY)
    }

    /// The object that a method was loaded from.
    pub fn owner_of(&self, callee: Value) -> Option<RemoteAddr> {
        let (at, maker) = self.flow.maker(callee)?;
        let loads = matches!(maker.op, Op::LoadAttr | Op::LoadMethod);
        loads.then(|| self.value(self.flow.operand(at, 1)))?
    }

    /// What lies in a frame slot now.
    pub fn slot(&self, slot: u32) -> Option<RemoteAddr> {
        let found = match self.slots {
            Slots::Frame(activation) => self.python.slots_at(activation.frame.at, slot, 1).ok()?.first().copied(),
            // Its own cells are yet to be made.
            Slots::Given(given) => {
                let enclosing = given.len().saturating_sub(self.code.code.nfrees as usize);
                given.get(slot as usize).copied().filter(|_| slot as usize >= enclosing)
            }
            Slots::Receiver(_) => None,
        };
        found.filter(|at| !at.is_null())
    }

    fn resolve(&self, value: Value, further: usize) -> Option<RemoteAddr> {
        let further = further.checked_sub(1)?;
        match self.slots {
            Slots::Frame(activation) => {
                if let Some(slot) = activation.code.site(activation.offset).slot_of(value) {
                    return self.slot(slot);
                }
            }
            Slots::Receiver(receiver) => {
                if self.flow.definition(value) == Definition::Slot(0) {
                    return receiver;
                }
            }
            Slots::Given(given) => {
                if let Definition::Slot(slot) = self.flow.definition(value) {
                    return given.get(slot as usize).copied().filter(|at| !at.is_null());
                }
            }
        }
        let Definition::Output { instruction, index } = self.flow.definition(value) else { return None };
        let at = instruction as usize;
        let made = self.flow.list().get(at)?;
        match made.op {
            Op::LoadConst => self.constant(made.arg),
            Op::LoadGlobal | Op::LoadName => self.python.dict_get(self.globals, Key::Text(self.name_of(made)?)).ok()?,
            Op::LoadAttr | Op::LoadMethod => {
                let object = self.resolve(*self.flow.uses(at).last()?, further)?;
                // Loading a method leaves the method and its receiver.
                if index == 1 { Some(object) } else { self.python.attribute(object, self.name_of(made)?).ok()? }
            }
            Op::LoadDeref | Op::LoadClosure => {
                let cell = self.slot(cell_slot(&self.code.code, made, self.flow.minor))?;
                let value = self.python.memory.pointer(cell.plus(self.python.layout.object.header)).ok()?;
                Some(value).filter(|value| !value.is_null())
            }
            Op::BinarySubscr => self.item(at, further),
            Op::BinaryOp if made.arg == SUBSCRIPT => self.item(at, further),
            _ => None,
        }
    }

    /// The item that a subscript at `at` gives, of a builtin container.
    fn item(&self, at: usize, further: usize) -> Option<RemoteAddr> {
        let container = self.resolve(self.flow.operand(at, 2), further)?;
        let key = self.computed(self.flow.operand(at, 1), further)?;
        let class = self.python.type_of(container).ok()?;
        match key {
            Shown::Text(text) if class.has(flags::DICT) => self.python.dict_get(container, Key::Text(&text)).ok()?,
            Shown::Int(number) if class.has(flags::DICT) => self.python.dict_get(container, Key::Int(number)).ok()?,
            Shown::Int(number) if class.has(flags::TUPLE) => {
                let items = self.python.tuple(container).ok()?;
                items.get(index_in(number, items.len() as i64)?).copied()
            }
            Shown::Int(number) if class.has(flags::LIST) => {
                let size = self.python.memory.u64(container.plus(self.python.layout.object.size)).ok()?;
                let items = self.python.memory.pointer(container.plus(self.python.layout.list.items)).ok()?;
                let at = index_in(number, size.cast_signed())?;
                self.python.memory.pointer(items.plus(8 * at as u64)).ok().filter(|item| !item.is_null())
            }
            _ => None,
        }
    }

    /// A value as far as it is a number or a text, also if it is still to be computed of such.
    fn computed(&self, value: Value, further: usize) -> Option<Shown> {
        let further = further.checked_sub(1)?;
        if let Some(object) = self.resolve(value, LONGEST_WAY) {
            return self.python.show(object).ok().filter(|shown| !matches!(shown, Shown::Object(_)));
        }
        let (at, maker) = self.flow.maker(value)?;
        let operand = |place: usize| self.computed(self.flow.operand(at, place), further);
        match maker.op {
            Op::LoadSmallInt => Some(Shown::Int(i64::from(maker.arg))),
            Op::BuildString => {
                let parts = self.flow.uses(at).iter().map(|part| match self.computed(*part, further)? {
                    Shown::Text(text) => Some(text),
                    _ => None,
                });
                parts.collect::<Option<String>>().map(Shown::Text)
            }
            Op::FormatSimple => Some(Shown::Text(plain_text(&operand(1)?)?)),
            Op::FormatValue if maker.arg == 0 => Some(Shown::Text(plain_text(&operand(1)?)?)),
            op => arithmetic(operator(op, maker.arg)?, &operand(2)?, &operand(1)?),
        }
    }

    fn constant(&self, index: u32) -> Option<RemoteAddr> {
        let tuple = self.code.at.plus(self.python.layout.code.consts);
        let items = self.python.memory.pointer(tuple).ok()?.plus(self.python.layout.tuple.items);
        self.python.memory.pointer(items.plus(u64::from(index) * 8)).ok().filter(|at| !at.is_null())
    }

    /// A key as the source would write it; equal keys have equal texts.
    fn key_text(&self, key: RemoteAddr, depth: usize) -> Option<String> {
        match self.python.show(key).ok()? {
            Shown::Object(name) if name == "tuple" && depth > 0 => {
                let items = self.python.tuple(key).ok()?;
                let texts: Option<Vec<String>> = items.iter().take(16).map(|item| self.key_text(*item, depth - 1)).collect();
                Some(format!("({})", texts?.join(", ")))
            }
            Shown::Object(name) => Some(format!("<{name} {key:x}>")),
            shown => Some(literal(&shown)),
        }
    }
}

fn index_in(number: i64, size: i64) -> Option<usize> {
    let index = if number < 0 { number.checked_add(size)? } else { number };
    (0..size).contains(&index).then(|| usize::try_from(index).ok())?
}

fn literal(shown: &Shown) -> String {
    match shown {
        Shown::Text(text) => format!("{text:?}").replace('"', "'"),
        Shown::Int(value) => value.to_string(),
        Shown::Bool(value) => if *value { "True" } else { "False" }.to_owned(),
        Shown::None => "None".to_owned(),
        Shown::Float(value) => value.to_string(),
        Shown::Object(name) => name.clone(),
    }
}

fn plain_text(shown: &Shown) -> Option<String> {
    match shown {
        Shown::Text(text) => Some(text.clone()),
        Shown::Int(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Operators by the argument that BINARY_OP has for them (`NB_*` of opcode.h, without the in-place ones).
fn operator(op: Op, arg: u32) -> Option<u32> {
    Some(match op {
        Op::BinaryOp if arg < SUBSCRIPT => arg % 13,
        Op::BinaryAdd | Op::InplaceAdd => 0,
        Op::BinaryFloorDivide | Op::InplaceFloorDivide => 2,
        Op::BinaryMultiply | Op::InplaceMultiply => 5,
        Op::BinaryModulo | Op::InplaceModulo => 6,
        Op::BinarySubtract | Op::InplaceSubtract => 10,
        _ => return None,
    })
}

fn arithmetic(operator: u32, left: &Shown, right: &Shown) -> Option<Shown> {
    match (left, right) {
        (Shown::Text(left), Shown::Text(right)) if operator == 0 => Some(Shown::Text(format!("{left}{right}"))),
        (Shown::Int(left), Shown::Int(right)) => {
            let (left, right) = (*left, *right);
            let rest = |rest: i64| if rest != 0 && (rest < 0) != (right < 0) { rest + right } else { rest };
            Some(Shown::Int(match operator {
                0 => left.checked_add(right)?,
                1 => left & right,
                2 => left.checked_sub(rest(left.checked_rem(right)?))?.checked_div(right)?,
                5 => left.checked_mul(right)?,
                6 => rest(left.checked_rem(right)?),
                7 => left | right,
                10 => left.checked_sub(right)?,
                12 => left ^ right,
                _ => return None,
            }))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_computed_as_python_does() {
        let int = |operator, left, right| arithmetic(operator, &Shown::Int(left), &Shown::Int(right));
        assert_eq!(int(6, 7, 2), Some(Shown::Int(1)));
        assert_eq!(int(6, -7, 2), Some(Shown::Int(1)));
        assert_eq!(int(6, 7, -2), Some(Shown::Int(-1)));
        assert_eq!(int(2, -7, 2), Some(Shown::Int(-4)));
        assert_eq!(int(6, 7, 0), None);
        assert_eq!(int(0, i64::MAX, 1), None);
        let text = arithmetic(0, &Shown::Text("a".into()), &Shown::Text("b".into()));
        assert_eq!(text, Some(Shown::Text("ab".into())));
    }

    #[test]
    fn keys_that_are_equal_read_alike() {
        assert_eq!(literal(&Shown::Text("it's".into())), "'it's'");
        assert_eq!(literal(&Shown::Int(-3)), "-3");
        assert_eq!(index_in(-1, 3), Some(2));
        assert_eq!(index_in(3, 3), None);
    }
}

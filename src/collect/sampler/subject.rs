//! What a window is about, in a frame that stands inside it: the object, the part of it, and the slot in which its value
//! lies now. Values that are no longer in a slot are found again the way the code found them, if that has no effects.

use racetrace_probes::flow::{Definition, Flow, Value};
use racetrace_probes::opcode::Op;
use racetrace_probes::plan::{Operation, Place, Watch};

use crate::cpython::dict::Key;
use crate::cpython::object::{Shown, flags};
use crate::cpython::python::Python;
use crate::event::Shape;
use crate::target::address::RemoteAddr;
use crate::target::memory::Memory;

use super::strand::Activation;

/// The subject of a window in one activation.
#[derive(Debug, Clone, PartialEq)]
pub struct Subject {
    pub object: RemoteAddr,
    pub shape: Shape,
    pub type_name: String,
    /// The module's name, the variable's.
    pub label: Option<String>,
    /// What of the object; `None` for the whole.
    pub part: Option<String>,
    /// Where the value's pointer lies now.
    pub slot: Option<RemoteAddr>,
    /// The frame slot that holds the very value that was read.
    pub carried: Option<u32>,
    /// A word on which `slot` depends (a dict's keys, a list's items): where it is, and what it was.
    pub anchor: Option<(RemoteAddr, RemoteAddr)>,
}

/// How far back a value is followed.
const LONGEST_WAY: usize = 6;

/// What the window's read is about, if it can be told.
pub fn of<M: Memory>(python: &Python<M>, activation: &Activation, watch: &Watch) -> Option<Subject> {
    let flow = activation.code.flow()?;
    let site = activation.code.site(activation.offset);
    let at = flow.instructions.at(watch.offset)?;
    let resolver = Resolver { python, activation, flow };
    let mut subject = resolver.subject(at, &watch.operation)?;
    // What the reading instruction put on the stack, and is still in a slot, is the value that was read.
    let outputs =
        (0..2).map(|index| flow.output(at, index)).filter(|value| flow.maker(*value).is_some_and(|(maker, _)| maker == at));
    subject.carried = outputs.into_iter().rev().find_map(|value| site.slot_of(value));
    if !reads_a_value(&watch.operation) {
        subject.carried = None;
    }
    Some(subject)
}

/// Does the instruction push the subject's own value (not a length, a truth or a membership)?
fn reads_a_value(operation: &Operation) -> bool {
    matches!(
        operation,
        Operation::GlobalRead { .. } | Operation::CellRead { .. } | Operation::AttributeRead { .. } | Operation::ItemRead { .. }
    ) || matches!(operation, Operation::MethodCall { method: "get", .. })
}

struct Resolver<'a, M> {
    python: &'a Python<M>,
    activation: &'a Activation,
    flow: &'a Flow,
}

impl<M: Memory> Resolver<'_, M> {
    fn subject(&self, at: usize, operation: &Operation) -> Option<Subject> {
        match operation {
            Operation::GlobalRead { name } | Operation::GlobalWrite { name, .. } | Operation::GlobalDelete { name } => {
                let globals = self.activation.frame.globals;
                let name = self.name(*name)?;
                Some(Subject {
                    object: globals,
                    shape: Shape::Module,
                    type_name: "module".into(),
                    label: self.python.module_name(globals),
                    slot: self.python.dict_slot(globals, Key::Text(&name)).ok()?,
                    part: Some(name),
                    carried: None,
                    anchor: None,
                })
            }
            Operation::CellRead { slot } | Operation::CellWrite { slot, .. } | Operation::CellDelete { slot } => {
                let cell = *self.python.slots_at(self.activation.frame.at, *slot, 1).ok()?.first()?;
                let is_cell = self.python.type_of(cell).ok()?.is_builtin("cell");
                is_cell.then(|| Subject {
                    object: cell,
                    shape: Shape::Cell,
                    type_name: "cell".into(),
                    label: self.activation.code.remote.code.locals.get(*slot as usize).cloned(),
                    part: None,
                    slot: Some(cell.plus(self.python.layout.object.header)),
                    carried: None,
                    anchor: None,
                })
            }
            Operation::AttributeRead { object, name }
            | Operation::AttributeWrite { object, name, .. }
            | Operation::AttributeDelete { object, name } => {
                let object = self.place(at, *object)?;
                let name = self.name(*name)?;
                self.attribute(object, name)
            }
            Operation::ItemRead { container, key }
            | Operation::ItemWrite { container, key, .. }
            | Operation::ItemDelete { container, key }
            | Operation::Contains { container, key } => self.item(self.place(at, *container)?, self.place(at, *key)),
            Operation::Truth { container } | Operation::SliceRead { container } | Operation::InPlace { container } => {
                self.whole(self.place(at, *container)?)
            }
            Operation::MethodCall { receiver, callable, first, method, .. } => {
                let receiver = self.place(at, *receiver).or_else(|| self.place(at, *callable))?;
                let keyed = ["get", "setdefault", "pop", "add", "discard", "remove", "__contains__"].contains(method);
                match first.filter(|_| keyed) {
                    Some(first) => self.item(receiver, self.place(at, first)),
                    None => self.whole(receiver),
                }
            }
            Operation::FunctionCall { function: "getattr" | "hasattr", first: Place::Stack(top), .. } => {
                let object = self.place(at, Place::Stack(*top))?;
                let name = self.place(at, Place::Stack(top.checked_sub(1)?))?;
                self.attribute(object, self.python.text(name).ok()?)
            }
            Operation::FunctionCall { first, .. } => self.whole(self.place(at, *first)?),
            _ => None,
        }
    }

    fn attribute(&self, object: RemoteAddr, name: String) -> Option<Subject> {
        let class = self.python.type_of(object).ok()?;
        if class.name == "module" {
            let globals = self.python.memory.pointer(object.plus(self.python.layout.object.header)).ok()?;
            return Some(Subject {
                object: globals,
                shape: Shape::Module,
                type_name: "module".into(),
                label: self.python.module_name(globals),
                slot: self.python.dict_slot(globals, Key::Text(&name)).ok()?,
                part: Some(name),
                carried: None,
                anchor: None,
            });
        }
        // Each thread has its own attributes of a `threading.local`.
        if self.python.derives_from(class.at, "_thread._local") {
            return None;
        }
        let slot = self.python.attribute_slot(object, &name).ok()?;
        let is_class = class.has(flags::TYPE);
        // An attribute that only the class has is the class's until the instance gets its own.
        let label = if is_class { self.python.type_info(object).ok().map(|info| info.name.clone()) } else { None };
        let shape = if is_class { Shape::Class } else { Shape::Instance };
        Some(Subject { object, shape, type_name: class.name.clone(), label, part: Some(name), slot, carried: None, anchor: None })
    }

    fn whole(&self, object: RemoteAddr) -> Option<Subject> {
        let (shape, type_name) = self.container(object)?;
        Some(Subject { object, shape, type_name, label: None, part: None, slot: None, carried: None, anchor: None })
    }

    fn item(&self, object: RemoteAddr, key: Option<RemoteAddr>) -> Option<Subject> {
        let mut subject = self.whole(object)?;
        if subject.shape == Shape::Deque || subject.shape == Shape::Queue {
            return Some(subject);
        }
        let key = key?;
        subject.part = Some(match self.python.show(key).ok()? {
            Shown::Text(text) => format!("{text:?}").replace('"', "'"),
            Shown::Int(value) => value.to_string(),
            Shown::Bool(value) => if value { "True" } else { "False" }.to_owned(),
            Shown::None => "None".to_owned(),
            Shown::Float(value) => value.to_string(),
            Shown::Object(name) => format!("<{name} {key:x}>"),
        });
        let anchor = match subject.shape {
            Shape::Dict => Some(object.plus(self.python.layout.dict.keys)),
            Shape::List => Some(object.plus(self.python.layout.list.items)),
            _ => None,
        };
        subject.anchor = anchor.and_then(|at| Some((at, self.python.memory.pointer(at).ok()?)));
        if subject.shape == Shape::Dict {
            let key = match (self.python.text(key), self.python.int(key)) {
                (Ok(text), _) => self.python.dict_slot(object, Key::Text(&text)),
                (_, Ok(value)) => self.python.dict_slot(object, Key::Int(value)),
                _ => self.python.dict_slot(object, Key::Identity(key)),
            };
            subject.slot = key.ok()?;
        } else if subject.shape == Shape::List {
            // `x in list` looks for a value, which has no slot of its own.
            let Ok(index) = self.python.int(key) else { return Some(subject) };
            let items = self.python.memory.pointer(object.plus(self.python.layout.list.items)).ok()?;
            let size = self.python.memory.u64(object.plus(self.python.layout.object.size)).ok()?.cast_signed();
            let index = if index < 0 { index.saturating_add(size) } else { index };
            subject.slot = (0..size).contains(&index).then(|| items.offset(index.wrapping_mul(8)));
        }
        Some(subject)
    }

    /// Only containers whose methods are C code: what a class of the program does is seen in its own methods.
    fn container(&self, object: RemoteAddr) -> Option<(Shape, String)> {
        let class = self.python.type_of(object).ok()?;
        let shape = match class.name.as_str() {
            _ if class.has(flags::DICT) => Shape::Dict,
            _ if class.has(flags::LIST) => Shape::List,
            "set" => Shape::Set,
            "collections.deque" => Shape::Deque,
            "Queue" | "SimpleQueue" | "LifoQueue" | "PriorityQueue" | "_queue.SimpleQueue" => Shape::Queue,
            _ => return None,
        };
        Some((shape, class.name.clone()))
    }

    fn name(&self, index: u32) -> Option<String> {
        self.activation.code.remote.code.names.get(index as usize).cloned()
    }

    fn place(&self, at: usize, place: Place) -> Option<RemoteAddr> {
        match place {
            Place::Stack(from_top) => {
                let before = self.flow.before(at)?;
                let index = before.values.len().checked_sub(from_top as usize)?;
                self.value(*before.values.get(index)?, LONGEST_WAY)
            }
            Place::Local(slot) => self.value(*self.flow.before(at)?.values.get(slot as usize)?, LONGEST_WAY),
            Place::Const(index) => self.constant(index),
            Place::Name(_) => None,
        }
    }

    /// The object that a value of the analysis is: from a slot that holds it still, else the way it was made.
    fn value(&self, value: Value, further: usize) -> Option<RemoteAddr> {
        let further = further.checked_sub(1)?;
        let site = self.activation.code.site(self.activation.offset);
        if let Some(slot) = site.slot_of(value) {
            return self.python.slots_at(self.activation.frame.at, slot, 1).ok()?.first().copied().filter(|at| !at.is_null());
        }
        let Definition::Output { instruction, index } = self.flow.definition(value) else { return None };
        let at = instruction as usize;
        let made = self.flow.list().get(at)?;
        match made.op {
            Op::LoadConst => self.constant(made.arg),
            Op::LoadGlobal | Op::LoadName => {
                let index = if made.op == Op::LoadGlobal && self.python.version.minor >= 11 { made.arg >> 1 } else { made.arg };
                self.python.dict_get(self.activation.frame.globals, Key::Text(&self.name(index)?)).ok()?
            }
            Op::LoadAttr | Op::LoadMethod => {
                let method_bit = made.op == Op::LoadAttr && self.python.version.minor >= 12;
                let object = self.value(*self.flow.uses(at).last()?, further)?;
                // Loading a method leaves the method and its receiver.
                if index == 1 {
                    return Some(object);
                }
                let slot = self.python.attribute(object, &self.name(if method_bit { made.arg >> 1 } else { made.arg })?);
                slot.ok()?
            }
            Op::LoadDeref | Op::LoadClosure => {
                let cell = *self.python.slots_at(self.activation.frame.at, self.cell_slot(made.arg), 1).ok()?.first()?;
                let value = self.python.memory.pointer(cell.plus(self.python.layout.object.header)).ok()?;
                Some(value).filter(|value| !value.is_null())
            }
            _ => None,
        }
    }

    /// Before 3.11 cells are counted from the first cell on.
    fn cell_slot(&self, arg: u32) -> u32 {
        if self.python.version.minor >= 11 { arg } else { arg + self.activation.code.remote.code.nlocals }
    }

    fn constant(&self, index: u32) -> Option<RemoteAddr> {
        let tuple = self.activation.code.remote.at.plus(self.python.layout.code.consts);
        let items = self.python.memory.pointer(tuple).ok()?.plus(self.python.layout.tuple.items);
        self.python.memory.pointer(items.plus(u64::from(index) * 8)).ok().filter(|at| !at.is_null())
    }
}

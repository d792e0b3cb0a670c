//! What an access is about, in a frame that stands before or behind it: the object, the part of it, and the slot in which
//! its value lies now. It does not say whether that is a race.

use racetrace_probes::plan::{Operation, Place, Watch};

use crate::cpython::dict::Key;
use crate::cpython::object::{Shown, flags};
use crate::cpython::python::Python;
use crate::event::Shape;
use crate::target::address::RemoteAddr;
use crate::target::memory::Memory;

use super::strand::Activation;
use super::value::Scope;

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

impl Subject {
    fn whole(object: RemoteAddr, shape: Shape, type_name: &str, label: Option<String>) -> Subject {
        let type_name = type_name.to_owned();
        Subject { object, shape, type_name, label, part: None, slot: None, carried: None, anchor: None }
    }
}

/// What an access is about, if it can be told.
pub fn of<M: Memory>(python: &Python<M>, activation: &Activation, watch: &Watch) -> Option<Subject> {
    let scope = Scope::of_frame(python, activation)?;
    let at = scope.flow.instructions.at(watch.offset)?;
    in_scope(python, scope, at, &watch.operation, |_| None)
}

/// The same in any scope; `key` tells keys that the scope itself does not know.
pub fn in_scope<M: Memory>(
    python: &Python<M>,
    scope: Scope<'_, M>,
    at: usize,
    operation: &Operation,
    key: impl Fn(Place) -> Option<KeyObject>,
) -> Option<Subject> {
    Resolver { python, scope, key: &key }.subject(at, operation)
}

/// A key as text, and the object if there is one already.
type KeyObject = (String, Option<RemoteAddr>);

/// What a window's read is about, with the slot that carries the value which was read.
pub fn of_read<M: Memory>(python: &Python<M>, activation: &Activation, watch: &Watch) -> Option<Subject> {
    let mut subject = of(python, activation, watch)?;
    let flow = activation.code.flow()?;
    let at = flow.instructions.at(watch.offset)?;
    let site = activation.code.site(activation.offset);
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
    scope: Scope<'a, M>,
    key: &'a dyn Fn(Place) -> Option<KeyObject>,
}

impl<M: Memory> Resolver<'_, M> {
    fn subject(&self, at: usize, operation: &Operation) -> Option<Subject> {
        match operation {
            Operation::GlobalRead { name } | Operation::GlobalWrite { name, .. } | Operation::GlobalDelete { name } => {
                self.global(self.scope.globals(), self.scope.name(*name)?)
            }
            Operation::CellRead { slot } | Operation::CellWrite { slot, .. } | Operation::CellDelete { slot } => {
                let cell = self.scope.slot(*slot)?;
                let is_cell = self.python.type_of(cell).ok()?.is_builtin("cell");
                is_cell.then(|| Subject {
                    slot: Some(cell.plus(self.python.layout.object.header)),
                    ..Subject::whole(cell, Shape::Cell, "cell", self.scope.local(*slot).map(str::to_owned))
                })
            }
            Operation::AttributeRead { object, name }
            | Operation::AttributeWrite { object, name, .. }
            | Operation::AttributeDelete { object, name } => {
                self.attribute(self.scope.place(at, *object)?, self.scope.name(*name)?)
            }
            Operation::ItemRead { container, key }
            | Operation::ItemWrite { container, key, .. }
            | Operation::ItemDelete { container, key }
            | Operation::Contains { container, key } => self.item(at, self.scope.place(at, *container)?, *key),
            Operation::Truth { container } | Operation::SliceRead { container } | Operation::InPlace { container } => {
                self.whole(self.scope.place(at, *container)?)
            }
            Operation::MethodCall { receiver, callable, first, method, .. } => {
                let receiver = self.scope.place(at, *receiver).or_else(|| self.scope.place(at, *callable))?;
                let keyed = ["get", "setdefault", "pop", "add", "discard", "remove", "__contains__"].contains(method);
                let whole = self.whole(receiver)?;
                // What is taken out of a list moves the rest.
                match first.filter(|_| keyed && whole.shape != Shape::List) {
                    Some(first) => self.item(at, receiver, first),
                    None => Some(whole),
                }
            }
            Operation::FunctionCall { function: "getattr" | "hasattr", first: Place::Stack(top), .. } => {
                let object = self.scope.place(at, Place::Stack(*top))?;
                let name = self.scope.place(at, Place::Stack(top.checked_sub(1)?))?;
                self.attribute(object, &self.python.text(name).ok()?)
            }
            Operation::FunctionCall { first, .. } => self.whole(self.scope.place(at, *first)?),
            _ => None,
        }
    }

    fn global(&self, globals: RemoteAddr, name: &str) -> Option<Subject> {
        Some(Subject {
            slot: self.python.dict_slot(globals, Key::Text(name)).ok()?,
            part: Some(name.to_owned()),
            ..Subject::whole(globals, Shape::Module, "module", self.python.module_name(globals))
        })
    }

    fn attribute(&self, object: RemoteAddr, name: &str) -> Option<Subject> {
        let class = self.python.type_of(object).ok()?;
        if class.name == "module" {
            let globals = self.python.memory.pointer(object.plus(self.python.layout.object.header)).ok()?;
            return self.global(globals, name);
        }
        // Each thread has its own attributes of a `threading.local`.
        if self.python.derives_from(class.at, "_thread._local") {
            return None;
        }
        let slot = self.python.attribute_slot(object, name).ok()?;
        let is_class = class.has(flags::TYPE);
        // What a property gives is not the object's own.
        if slot.is_none() && !is_class && self.python.is_computed(object, name) {
            return None;
        }
        // An attribute that only the class has is the class's until the instance gets its own.
        let label = if is_class { self.python.type_info(object).ok().map(|info| info.name.clone()) } else { None };
        let shape = if is_class { Shape::Class } else { Shape::Instance };
        Some(Subject { part: Some(name.to_owned()), slot, ..Subject::whole(object, shape, &class.name, label) })
    }

    fn whole(&self, object: RemoteAddr) -> Option<Subject> {
        let (shape, type_name) = self.container(object)?;
        Some(Subject::whole(object, shape, &type_name, None))
    }

    fn item(&self, at: usize, object: RemoteAddr, key: Place) -> Option<Subject> {
        let mut subject = self.whole(object)?;
        if subject.shape == Shape::Deque || subject.shape == Shape::Queue {
            return Some(subject);
        }
        let (text, key_object) = (self.key)(key).or_else(|| self.scope.key(at, key))?;
        subject.part = Some(text);
        let anchor = match subject.shape {
            Shape::Dict => Some(object.plus(self.python.layout.dict.keys)),
            Shape::List => Some(object.plus(self.python.layout.list.items)),
            _ => None,
        };
        subject.anchor = anchor.and_then(|at| Some((at, self.python.memory.pointer(at).ok()?)));
        let shown = self.scope.shown(at, key);
        subject.slot = match (subject.shape, shown) {
            (Shape::Dict, Some(Shown::Text(text))) => self.python.dict_slot(object, Key::Text(&text)).ok()?,
            (Shape::Dict, Some(Shown::Int(value))) => self.python.dict_slot(object, Key::Int(value)).ok()?,
            (Shape::Dict, _) => key_object.and_then(|key| self.python.dict_slot(object, Key::Identity(key)).ok()?),
            // `x in list` looks for a value, which has no slot of its own.
            (Shape::List, Some(Shown::Int(index))) => self.python.list_slot(object, index),
            _ => None,
        };
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
}

//! Whether a call can make its strand wait for another one, or hand something to it: a lock, a queue, an event, anything
//! that nobody knows. What is plain cannot keep two strands apart. It follows calls of Python functions, by reading.

use std::collections::{HashMap, HashSet};

use racetrace_probes::call::{Call, calls};
use racetrace_probes::flow::Value;
use racetrace_probes::opcode::Op;
use racetrace_probes::span::QUIET;

use crate::cpython::object::{TypeInfo, flags};
use crate::cpython::python::Python;
use crate::target::address::RemoteAddr;
use crate::target::memory::Memory;

use super::codes::Codes;
use super::strand::Activation;
use super::value::Scope;
use super::ways::{Waits, waits};

/// Answers, and remembers them until the next refresh.
#[derive(Debug, Default)]
pub struct Plainness {
    functions: HashMap<(Asked, RemoteAddr, RemoteAddr), bool>,
    /// Code that is not plain, whoever runs it.
    never: HashSet<RemoteAddr>,
}

/// What is asked about a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Asked {
    /// Whether it can make its strand wait. Giving a lock back cannot.
    Waits,
    /// Whether it can wait, or another strand can notice that it has been done: a lock that was given back.
    Tells,
}

impl Plainness {
    pub fn forget(&mut self) {
        self.functions.clear();
        self.never.clear();
    }
}

/// One question.
pub struct Plain<'a, M> {
    pub python: &'a Python<M>,
    pub codes: &'a mut Codes,
    pub known: &'a mut Plainness,
    pub asked: Asked,
}

/// Calls within calls are followed this far.
const DEEPEST: usize = 4;
/// `CO_GENERATOR`, `CO_COROUTINE`, `CO_ASYNC_GENERATOR`: a call makes an object and runs nothing.
pub(super) const MAKES_GENERATOR: u32 = 0x20 | 0x80 | 0x200;

/// Types whose methods, written in C, wait for nobody.
const PLAIN_TYPES: &[&str] = &[
    "NoneType",
    "bool",
    "bytearray",
    "bytes",
    "collections.OrderedDict",
    "collections.defaultdict",
    "collections.deque",
    "complex",
    "datetime.date",
    "datetime.datetime",
    "datetime.timedelta",
    "decimal.Decimal",
    "dict",
    "dict_items",
    "dict_keys",
    "dict_values",
    "float",
    "frozenset",
    "int",
    "list",
    "object",
    "range",
    "re.Match",
    "re.Pattern",
    "set",
    "slice",
    "str",
    "tuple",
    "type",
    "Random",
    "_random.Random",
];
/// Modules, in C or in Python, whose functions wait for nobody.
const PLAIN_MODULES: &[&str] = &[
    "_bisect",
    "_collections",
    "_datetime",
    "_heapq",
    "_json",
    "_operator",
    "_random",
    "_struct",
    "binascii",
    "bisect",
    "cmath",
    "copy",
    "datetime",
    "decimal",
    "fractions",
    "heapq",
    "itertools",
    "json",
    "json.decoder",
    "json.encoder",
    "math",
    "operator",
    "random",
    "statistics",
    "string",
    "textwrap",
    "time",
    "zlib",
];
/// Builtin functions that do, or may.
const UNQUIET: &[&str] = &["next", "iter"];
const MORE_QUIET: &[&str] = &["bytearray", "divmod", "hasattr", "ord", "pow", "setattr", "delattr", "Exception", "object"];
/// What a loop can walk without waiting for what comes next. From 3.15 on lists and tuples stand there themselves.
const PLAIN_ITERATORS: &[&str] = &[
    "bytes_iterator",
    "dict_itemiterator",
    "dict_keyiterator",
    "dict_valueiterator",
    "enumerate",
    "list",
    "list_iterator",
    "longrange_iterator",
    "range_iterator",
    "reversed",
    "list_reverseiterator",
    "set_iterator",
    "str_ascii_iterator",
    "str_iterator",
    "tuple",
    "tuple_iterator",
    "zip",
    "_collections._deque_iterator",
    "itertools.count",
    "itertools.cycle",
    "itertools.repeat",
];

impl<M: Memory> Plain<'_, M> {
    /// Is the call or step at the instruction with index `at` plain?
    pub fn is_plain(&mut self, scope: &Scope<'_, M>, at: usize) -> bool {
        self.step(scope, at, DEEPEST)
    }

    /// Is everything in the function that a frame is of?
    pub fn is_whole_plain(&mut self, scope: &Scope<'_, M>, frame: &Activation) -> bool {
        let code = frame.code.remote.at;
        let plain = !self.known.never.contains(&code) && self.everything(scope, DEEPEST);
        if !plain {
            self.known.never.insert(code);
        }
        plain
    }

    fn step(&mut self, scope: &Scope<'_, M>, at: usize, further: usize) -> bool {
        let Some(instruction) = scope.flow.list().get(at) else { return false };
        match instruction.op {
            Op::ForIter => self.walks(scope, at, further),
            Op::WithCleanupStart | Op::WithExceptStart => self.leaves(scope, at),
            op if calls(op) => self.call(scope, at, further),
            _ => true,
        }
    }

    /// A loop's step: over what, as far as it is there already, else as the code makes it.
    fn walks(&mut self, scope: &Scope<'_, M>, at: usize, further: usize) -> bool {
        let iterator = scope.flow.uses(at).first().copied().unwrap_or(0);
        if let Some(object) = scope.value(iterator) {
            return self.is_type(object, PLAIN_ITERATORS);
        }
        let Some((begin, Op::GetIter)) = scope.flow.maker(iterator).map(|(begin, maker)| (begin, maker.op)) else { return false };
        let iterable = scope.flow.operand(begin, 1);
        if let Some(object) = scope.value(iterable) {
            return self.is_type(object, PLAIN_TYPES);
        }
        let Some((made, maker)) = scope.flow.maker(iterable) else { return false };
        match maker.op {
            Op::BuildList | Op::BuildTuple | Op::BuildSet | Op::BuildMap | Op::ListExtend => true,
            op if calls(op) => {
                let name = Call::at(scope.flow, scope.code(), made).and_then(|call| self.name(scope, call.callee));
                matches!(name, Some("range" | "list" | "sorted" | "tuple" | "items" | "keys" | "values" | "enumerate" | "zip"))
                    && self.call(scope, made, further)
            }
            _ => false,
        }
    }

    fn is_type(&self, object: RemoteAddr, names: &[&str]) -> bool {
        self.python.type_of(object).is_ok_and(|class| !class.has(flags::HEAP) && names.contains(&class.name.as_str()))
    }

    /// The name by which a value was loaded.
    fn name<'b>(&self, scope: &Scope<'b, M>, value: Value) -> Option<&'b str> {
        let (_, maker) = scope.flow.maker(value)?;
        matches!(maker.op, Op::LoadGlobal | Op::LoadName | Op::LoadAttr | Op::LoadMethod).then(|| scope.name_of(&maker))?
    }

    fn call(&mut self, scope: &Scope<'_, M>, at: usize, further: usize) -> bool {
        let (Some(call), Some(further)) = (Call::at(scope.flow, scope.code(), at), further.checked_sub(1)) else { return false };
        let Some((made, maker)) = scope.flow.maker(call.callee) else {
            return scope.value(call.callee).is_some_and(|callee| self.object(callee, None, further));
        };
        match maker.op {
            Op::LoadAttr | Op::LoadMethod => {
                let (owner, name) = (scope.value(scope.flow.operand(made, 1)), scope.name_of(&maker));
                match (owner, name) {
                    (Some(owner), Some(name)) => self.method(owner, name, further),
                    _ => false,
                }
            }
            Op::LoadGlobal | Op::LoadName => match (scope.value(call.callee), scope.name_of(&maker)) {
                (Some(callee), _) => self.object(callee, None, further),
                (None, Some(name)) => is_quiet_builtin(name),
                (None, None) => false,
            },
            Op::BeforeWith | Op::SetupWith | Op::LoadSpecial => self.releases(scope, at, &call),
            _ => scope.value(call.callee).is_some_and(|callee| self.object(callee, None, further)),
        }
    }

    /// The end of a `with` block that gives a lock back.
    fn releases(&self, scope: &Scope<'_, M>, at: usize, call: &Call) -> bool {
        let above = call.callee_place.checked_sub(1).map(|place| scope.flow.operand(at, place as usize));
        self.gives_back(scope, call.callee, above)
    }

    /// The same where the interpreter itself calls the exit, which lies on the stack.
    fn leaves(&self, scope: &Scope<'_, M>, at: usize) -> bool {
        let values = scope.flow.before(at).map_or_else(Vec::new, |state| state.values);
        let is_exit =
            |value: Value| scope.flow.maker(value).is_some_and(|(_, maker)| matches!(maker.op, Op::BeforeWith | Op::SetupWith));
        let exit = values.iter().rev().copied().find(|value| is_exit(*value));
        exit.is_some_and(|exit| self.gives_back(scope, exit, None))
    }

    fn gives_back(&self, scope: &Scope<'_, M>, exit: Value, above: Option<Value>) -> bool {
        let Some(exit) = scope.value(exit).filter(|_| self.asked == Asked::Waits) else { return false };
        let above = above.and_then(|above| scope.value(above));
        let entered = self.python.entered(exit, above.unwrap_or(RemoteAddr::NULL));
        let lock = entered.ok().flatten().map(|entered| self.python.lock_behind(entered.object));
        matches!(lock, Some(Ok(Some(_))))
    }

    fn method(&mut self, owner: RemoteAddr, name: &str, further: usize) -> bool {
        let Ok(class) = self.python.type_of(owner) else { return false };
        if class.name == "module" {
            let function = self.python.attribute(owner, name).ok().flatten();
            return function.is_some_and(|function| self.object(function, None, further));
        }
        if !class.has(flags::HEAP) && !class.has(flags::TYPE) {
            let gives_back = matches!(class.name.as_str(), "_thread.lock" | "_thread.RLock") && name == "release";
            return (gives_back && self.asked == Asked::Waits) || is_plain_type(&class);
        }
        match self.python.attribute(owner, name) {
            Ok(Some(found)) => self.object(found, Some(owner), further),
            _ => false,
        }
    }

    /// Is a call of this object plain?
    fn object(&mut self, callee: RemoteAddr, receiver: Option<RemoteAddr>, further: usize) -> bool {
        let Ok(class) = self.python.type_of(callee) else { return false };
        let header = self.python.layout.object.header;
        let pointer = |at: RemoteAddr| self.python.memory.pointer(at).ok().filter(|at| !at.is_null());
        match class.name.as_str() {
            "function" => self.function(callee, receiver, further),
            "method" => {
                let function = pointer(callee.plus(self.python.layout.method.function));
                let bound = pointer(callee.plus(self.python.layout.method.receiver));
                function.is_some_and(|function| self.object(function, bound, further))
            }
            // {header, the function, …}
            "staticmethod" => pointer(callee.plus(header)).is_some_and(|function| self.object(function, None, further)),
            "classmethod" => {
                let bound = receiver.and_then(|receiver| self.class_of(receiver));
                pointer(callee.plus(header)).is_some_and(|function| self.object(function, bound, further))
            }
            "builtin_function_or_method" => self.builtin(callee),
            "method_descriptor" | "wrapper_descriptor" => {
                receiver.and_then(|receiver| self.python.type_of(receiver).ok()).is_some_and(|class| is_plain_type(&class))
            }
            _ if class.has(flags::TYPE) => self.constructor(callee, further),
            _ => false,
        }
    }

    fn class_of(&self, object: RemoteAddr) -> Option<RemoteAddr> {
        let class = self.python.type_of(object).ok()?;
        Some(if class.has(flags::TYPE) { object } else { class.at })
    }

    fn builtin(&self, function: RemoteAddr) -> bool {
        let Ok(Some((name, receiver))) = self.python.callable(function) else { return false };
        let Some(receiver) = receiver else { return false };
        let Ok(class) = self.python.type_of(receiver) else { return false };
        if class.name != "module" {
            return is_plain_type(&class);
        }
        let globals = self.python.memory.pointer(receiver.plus(self.python.layout.object.header));
        match globals.ok().and_then(|globals| self.python.module_name(globals)) {
            Some(module) if module == "builtins" => is_quiet_builtin(&name),
            Some(module) => PLAIN_MODULES.contains(&module.as_str()),
            None => false,
        }
    }

    /// A class that is called: its `__init__` runs.
    fn constructor(&mut self, class: RemoteAddr, further: usize) -> bool {
        let Ok(info) = self.python.type_info(class) else { return false };
        if !info.has(flags::HEAP) {
            return is_plain_type(&info) || info.name.ends_with("Error") || info.name.ends_with("Exception");
        }
        ["__new__", "__init__"].into_iter().all(|name| match self.python.class_attribute(class, name) {
            Ok(None) => true,
            Ok(Some(found)) => {
                let own = self
                    .python
                    .type_of(found)
                    .is_ok_and(|found| found.name == "wrapper_descriptor" || found.name == "builtin_function_or_method");
                own || self.object(found, None, further)
            }
            Err(_) => false,
        })
    }

    fn function(&mut self, function: RemoteAddr, receiver: Option<RemoteAddr>, further: usize) -> bool {
        let key = (self.asked, function, receiver.and_then(|receiver| self.class_of(receiver)).unwrap_or(RemoteAddr::NULL));
        if let Some(known) = self.known.functions.get(&key) {
            return *known;
        }
        // A function that calls itself waits only if something else in it does.
        self.known.functions.insert(key, true);
        let plain = self.body(function, receiver, further);
        self.known.functions.insert(key, plain);
        plain
    }

    fn body(&mut self, function: RemoteAddr, receiver: Option<RemoteAddr>, further: usize) -> bool {
        let layout = &self.python.layout.function;
        let (code, globals) =
            (self.python.memory.pointer(function.plus(layout.code)), self.python.memory.pointer(function.plus(layout.globals)));
        let (Ok(code), Ok(globals)) = (code, globals) else { return false };
        let Some(code) = self.codes.get(self.python, code) else { return false };
        if code.remote.code.flags & MAKES_GENERATOR != 0 {
            return true;
        }
        if self.python.module_name(globals).is_some_and(|module| PLAIN_MODULES.contains(&module.as_str())) {
            return true;
        }
        let Some(scope) = Scope::of_call(self.python, &code, globals, receiver) else { return false };
        self.everything(&scope, further)
    }

    fn everything(&mut self, scope: &Scope<'_, M>, further: usize) -> bool {
        let reached = (0..scope.flow.list().len()).filter(|index| scope.flow.reached(*index));
        let mut asked = Vec::new();
        for index in reached {
            match scope.flow.list().get(index).map(waits) {
                Some(Waits::Perhaps) => return false,
                Some(Waits::Depends) => asked.push(index),
                _ => {}
            }
        }
        asked.into_iter().all(|index| self.step(scope, index, further))
    }
}

fn is_plain_type(class: &TypeInfo) -> bool {
    !class.has(flags::HEAP) && PLAIN_TYPES.contains(&class.name.as_str())
        || class.name == "Random"
        || class.name == "_random.Random"
}

fn is_quiet_builtin(name: &str) -> bool {
    (QUIET.contains(&name) && !UNQUIET.contains(&name)) || MORE_QUIET.contains(&name) || name.ends_with("Error")
}

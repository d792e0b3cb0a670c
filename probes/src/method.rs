//! What the methods of containers and queues, and the functions that take a container, do to it: data, by name. Whether
//! a call really is one of these depends on the receiver's type, which only the running program knows.

/// Types that have a method of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Owner {
    Dict,
    List,
    Set,
    Deque,
    /// `queue.Queue`, `SimpleQueue`, `asyncio.Queue` and their kin.
    Queue,
}

/// What one call does, as one step that nothing can split (for exact built-in types).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Touch {
    Read,
    /// Reads all elements, or begins to.
    Walk,
    /// Gives a live view, to be walked or asked later.
    View,
    /// Adds.
    Insert,
    /// Takes away.
    Remove,
    /// Reads and changes.
    Update,
    /// Changes the whole container.
    Replace,
}

impl Touch {
    #[must_use]
    pub fn writes(self) -> bool {
        matches!(self, Touch::Insert | Touch::Remove | Touch::Update | Touch::Replace)
    }
}

/// What of the container it touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    Whole,
    /// The item whose key (or the element which) is this argument: 0 is the first.
    Key(u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Method {
    pub name: &'static str,
    pub owner: Owner,
    pub touch: Touch,
    pub part: Part,
    /// How many arguments it takes at least and at most (keywords included).
    pub arguments: (u8, u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Function {
    pub name: &'static str,
    pub touch: Touch,
    /// Which argument is the container.
    pub container: u8,
    /// Is the result a container of its own, that nothing else refers to?
    pub fresh: bool,
}

const fn row(name: &'static str, owner: Owner, touch: Touch, part: Part, arguments: (u8, u8)) -> Method {
    Method { name, owner, touch, part, arguments }
}

const fn function(name: &'static str, touch: Touch, container: u8, fresh: bool) -> Function {
    Function { name, touch, container, fresh }
}

use Owner::{Deque, Dict, List, Queue, Set};
use Part::{Key, Whole};
use Touch::{Insert, Read, Remove, Replace, Update, View, Walk};

const MANY: u8 = u8::MAX;

/// By name; one row for each owner that has the method.
pub static METHODS: &[Method] = &[
    row("__contains__", Dict, Read, Key(0), (1, 1)),
    row("__contains__", Set, Read, Key(0), (1, 1)),
    row("__delitem__", Dict, Remove, Key(0), (1, 1)),
    row("__getitem__", Dict, Read, Key(0), (1, 1)),
    row("__len__", Dict, Read, Whole, (0, 0)),
    row("__setitem__", Dict, Update, Key(0), (2, 2)),
    row("add", Set, Insert, Key(0), (1, 1)),
    row("append", List, Insert, Whole, (1, 1)),
    row("append", Deque, Insert, Whole, (1, 1)),
    row("appendleft", Deque, Insert, Whole, (1, 1)),
    row("clear", Dict, Replace, Whole, (0, 0)),
    row("clear", List, Replace, Whole, (0, 0)),
    row("clear", Set, Replace, Whole, (0, 0)),
    row("clear", Deque, Replace, Whole, (0, 0)),
    row("copy", Dict, Walk, Whole, (0, 0)),
    row("copy", List, Walk, Whole, (0, 0)),
    row("copy", Set, Walk, Whole, (0, 0)),
    row("copy", Deque, Walk, Whole, (0, 0)),
    row("count", List, Read, Key(0), (1, 1)),
    row("count", Deque, Read, Key(0), (1, 1)),
    row("difference", Set, Walk, Whole, (0, MANY)),
    row("difference_update", Set, Update, Whole, (1, MANY)),
    row("discard", Set, Remove, Key(0), (1, 1)),
    row("elements", Dict, Walk, Whole, (0, 0)),
    row("empty", Queue, Read, Whole, (0, 0)),
    row("extend", List, Insert, Whole, (1, 1)),
    row("extend", Deque, Insert, Whole, (1, 1)),
    row("extendleft", Deque, Insert, Whole, (1, 1)),
    row("full", Queue, Read, Whole, (0, 0)),
    row("get", Dict, Read, Key(0), (1, 2)),
    row("get", Queue, Remove, Whole, (0, 2)),
    row("get_nowait", Queue, Remove, Whole, (0, 0)),
    row("index", List, Read, Key(0), (1, 3)),
    row("index", Deque, Read, Key(0), (1, 3)),
    row("insert", List, Insert, Whole, (2, 2)),
    row("insert", Deque, Insert, Whole, (2, 2)),
    row("intersection", Set, Walk, Whole, (0, MANY)),
    row("intersection_update", Set, Update, Whole, (1, MANY)),
    row("isdisjoint", Set, Walk, Whole, (1, 1)),
    row("issubset", Set, Walk, Whole, (1, 1)),
    row("issuperset", Set, Walk, Whole, (1, 1)),
    row("items", Dict, View, Whole, (0, 0)),
    row("keys", Dict, View, Whole, (0, 0)),
    row("most_common", Dict, Walk, Whole, (0, 1)),
    row("move_to_end", Dict, Update, Key(0), (1, 2)),
    row("pop", Dict, Remove, Key(0), (1, 2)),
    row("pop", List, Remove, Whole, (0, 1)),
    row("pop", Set, Remove, Whole, (0, 0)),
    row("pop", Deque, Remove, Whole, (0, 0)),
    row("popitem", Dict, Remove, Whole, (0, 1)),
    row("popleft", Deque, Remove, Whole, (0, 0)),
    row("put", Queue, Insert, Whole, (1, 3)),
    row("put_nowait", Queue, Insert, Whole, (1, 1)),
    row("qsize", Queue, Read, Whole, (0, 0)),
    row("remove", List, Remove, Key(0), (1, 1)),
    row("remove", Set, Remove, Key(0), (1, 1)),
    row("remove", Deque, Remove, Key(0), (1, 1)),
    row("reverse", List, Replace, Whole, (0, 0)),
    row("reverse", Deque, Replace, Whole, (0, 0)),
    row("rotate", Deque, Replace, Whole, (0, 1)),
    row("setdefault", Dict, Update, Key(0), (1, 2)),
    row("sort", List, Replace, Whole, (0, 2)),
    row("subtract", Dict, Update, Whole, (0, MANY)),
    row("symmetric_difference", Set, Walk, Whole, (1, 1)),
    row("symmetric_difference_update", Set, Update, Whole, (1, 1)),
    row("union", Set, Walk, Whole, (0, MANY)),
    row("update", Dict, Update, Whole, (0, MANY)),
    row("update", Set, Update, Whole, (0, MANY)),
    row("values", Dict, View, Whole, (0, 0)),
];

/// By name. Those of modules (`heapq`, `bisect`, `copy`, `functools`) are called by their bare or their dotted name. `getattr` and
/// its kin are not here: their subject is an attribute; see `Operation::FunctionCall`. Of methods, `str.join` is here,
/// because the container is its argument.
pub static FUNCTIONS: &[Function] = &[
    function("all", Walk, 0, false),
    function("any", Walk, 0, false),
    function("bisect", Read, 0, false),
    function("bisect_left", Read, 0, false),
    function("bisect_right", Read, 0, false),
    function("bool", Read, 0, false),
    function("deepcopy", Walk, 0, true),
    function("dict", Walk, 0, true),
    function("enumerate", View, 0, false),
    function("filter", View, 1, false),
    function("frozenset", Walk, 0, true),
    function("heapify", Replace, 0, false),
    function("heappop", Remove, 0, false),
    function("heappush", Insert, 0, false),
    function("heappushpop", Update, 0, false),
    function("heapreplace", Update, 0, false),
    function("insort", Insert, 0, false),
    function("insort_left", Insert, 0, false),
    function("insort_right", Insert, 0, false),
    function("iter", View, 0, false),
    function("join", Walk, 0, false),
    function("len", Read, 0, false),
    function("list", Walk, 0, true),
    function("map", View, 1, false),
    function("max", Walk, 0, false),
    function("min", Walk, 0, false),
    function("reduce", Walk, 1, false),
    function("reversed", View, 0, false),
    function("set", Walk, 0, true),
    function("sorted", Walk, 0, true),
    function("sum", Walk, 0, false),
    function("tuple", Walk, 0, true),
    function("zip", View, 0, false),
];

/// Functions whose subject is an attribute, named by their second argument.
pub static ATTRIBUTE_FUNCTIONS: &[(&str, Touch)] =
    &[("delattr", Remove), ("getattr", Read), ("hasattr", Read), ("setattr", Update)];

/// All rows of that name.
#[must_use]
pub fn methods(name: &str) -> &'static [Method] {
    let from = METHODS.partition_point(|method| method.name < name);
    let count = METHODS.get(from..).map_or(0, |rest| rest.iter().take_while(|method| method.name == name).count());
    METHODS.get(from..from + count).unwrap_or(&[])
}

/// Can the call only be of a queue, into which something is put, or out of which it is taken?
#[must_use]
pub fn only_fills_queues(name: &str, arguments: u32, keywords: u32) -> bool {
    let takes = |row: &&Method| {
        let count = u32::from(row.arguments.0)..=u32::from(row.arguments.1);
        // `dict.get` takes no keywords.
        count.contains(&arguments) && (keywords == 0 || row.owner != Dict || row.name != "get")
    };
    let mut rows = methods(name).iter().filter(takes).peekable();
    rows.peek().is_some() && rows.all(|row| row.owner == Queue && row.touch.writes())
}

#[must_use]
pub fn function_named(name: &str) -> Option<&'static Function> {
    FUNCTIONS.binary_search_by(|function| function.name.cmp(name)).ok().and_then(|at| FUNCTIONS.get(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_by_name() {
        assert!(METHODS.is_sorted_by_key(|method| method.name));
        assert!(FUNCTIONS.is_sorted_by_key(|function| function.name));
        assert_eq!(methods("pop").len(), 4);
        assert!(methods("nothing").is_empty());
        assert_eq!(function_named("len").map(|found| found.touch), Some(Touch::Read));
    }
}

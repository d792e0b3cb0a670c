//! Names that a reader knows from the source: `shop.cart.TOTAL`, `Order.qty`, `Cache.items['k']`, `Chat._lock`. Never an
//! address. It only reads definitions; which name a finding shows is decided where the finding is made.

use racetrace_probes::code::Code;

use super::definitions::{CodeEntry, Definitions, SiteId};
use super::lock::LockId;
use super::world::World;
use crate::event::{CodeInfo, KeyId, ObjectId, ProcessId, Shape, StackId};
use crate::finding::{LockReport, Subject};

/// How well a path names an object: not at all, by a local variable, by something that outlives the call.
const LOCAL: u8 = 1;
const LASTING: u8 = 2;

/// Rank of a path as the name of the object it leads to.
pub fn rank(info: &CodeInfo, path: &str) -> u8 {
    let path = container_of(path);
    if path.is_empty() {
        0
    } else if path.contains('.') || !is_local(&info.code, root(path)) {
        LASTING
    } else {
        LOCAL
    }
}

pub fn is_attribute_of_self(code: &Code, path: &str) -> bool {
    begins_with_self(code, path) && path.matches('.').count() == 1 && !path.contains('[')
}

/// Does the path begin with the first argument of a method?
pub fn begins_with_self(code: &Code, path: &str) -> bool {
    let root = root(path);
    matches!(root, "self" | "cls")
        || (code.name.starts_with("__") && code.argcount > 0 && code.locals.first().is_some_and(|first| first == root))
}

/// Does the code find there what it accesses by way of a global variable, as everybody can?
pub fn is_reached_by_a_global(world: &World, process: ProcessId, stack: StackId) -> bool {
    let path = || {
        let definitions = world.definitions(process)?;
        let site = definitions.site_of(stack)?;
        Some((&definitions.code(site.code)?.info.code, root(site.path.as_deref()?)))
    };
    path().is_some_and(|(code, root)| {
        let is_name = !root.is_empty() && root.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
        is_name && code.name != "<module>" && !is_local(code, root)
    })
}

/// Is the object that is accessed there the value of a global variable itself, and not of something below it?
pub fn is_held_by_a_global(world: &World, process: ProcessId, stack: StackId) -> bool {
    let parts = || {
        let definitions = world.definitions(process)?;
        let path = definitions.site_of(stack)?.path.as_deref()?;
        Some(path.matches(['.', '[']).count())
    };
    parts().is_some_and(|parts| parts <= 1) && is_reached_by_a_global(world, process, stack)
}

fn is_local(code: &Code, name: &str) -> bool {
    code.locals.iter().any(|local| local == name)
}

fn root(path: &str) -> &str {
    path.split(['.', '[']).next().unwrap_or_default()
}

/// `cache[…]` and `self.items['k']` without their last subscript.
pub fn container_of(path: &str) -> &str {
    if !path.ends_with(']') {
        return path;
    }
    path.rfind('[').and_then(|at| path.get(..at)).unwrap_or(path)
}

/// `pkg.mod`; `__main__` shows as the file's stem.
pub fn module(info: &CodeInfo) -> &str {
    if info.module == "__main__" || info.module.is_empty() { stem(&info.code.filename) } else { &info.module }
}

pub fn stem(file: &str) -> &str {
    let base = file.rsplit(['/', '\\']).next().unwrap_or(file);
    base.strip_suffix(".py").unwrap_or(base)
}

/// The class that `self` stands for in a function: from its qualified name, else as learnt from accesses.
fn class_of<'a>(definitions: &'a Definitions, entry: &'a CodeEntry) -> Option<&'a str> {
    let code = &entry.info.code;
    let outer = code.qualname.strip_suffix(code.name.as_str()).and_then(|outer| outer.strip_suffix('.'));
    match outer.map(|outer| outer.rsplit('.').next().unwrap_or(outer)) {
        Some(class) if !class.is_empty() && class != "<locals>" => Some(class),
        _ => entry.self_type.map(|name| definitions.text(name)),
    }
}

/// A path as it is known outside the function: `self` by its class, globals by their module, locals as they are.
pub fn qualified(definitions: &Definitions, entry: &CodeEntry, path: &str) -> String {
    let root = root(path);
    let rest = path.get(root.len()..).unwrap_or_default();
    let code = &entry.info.code;
    if begins_with_self(code, path) {
        return match class_of(definitions, entry) {
            Some(class) => format!("{class}{rest}"),
            None => path.to_owned(),
        };
    }
    let outermost = code.name == "<module>";
    if !outermost && is_local(code, root) { path.to_owned() } else { format!("{}.{path}", module(&entry.info)) }
}

/// The name of the subject, as seen from the accesses at `sites` (the first that can say wins).
pub fn subject(world: &World, process: ProcessId, object: ObjectId, key: KeyId, sites: &[SiteId]) -> Subject {
    let named = |kind: &str, name: String| Subject { kind: kind.to_owned(), name };
    let Some(definitions) = world.definitions(process) else { return named("container", "?".to_owned()) };
    let seen = world.object(process, object);
    let label = definitions.key(key).unwrap_or("?");
    let Some(seen) = seen else {
        return named("container", local_path(definitions, sites).unwrap_or_else(|| "an object".to_owned()));
    };
    let type_name = definitions.text(seen.type_name);
    match seen.shape {
        Shape::Module => {
            let module = seen.label.map(|label| definitions.text(label)).filter(|module| *module != "__main__");
            let module = module.or_else(|| main_stem(definitions, sites)).unwrap_or("__main__");
            named("global", format!("{module}.{label}"))
        }
        Shape::Instance | Shape::Other if key != KeyId::WHOLE => {
            // A function is known by its name, not by its type.
            let function = type_name == "function" || type_name == "builtin_function_or_method";
            let path = local_path(definitions, sites).filter(|path| function && path.contains('.'));
            named("attribute", path.unwrap_or_else(|| format!("{type_name}.{label}")))
        }
        Shape::Class if key != KeyId::WHOLE => {
            let class = seen.label.map_or(type_name, |label| definitions.text(label));
            named("attribute", format!("{class}.{label}"))
        }
        Shape::Cell => {
            let label = seen.label.map(|label| definitions.text(label).to_owned());
            named("closure", local_path(definitions, sites).or(label).unwrap_or_else(|| "a closure variable".to_owned()))
        }
        Shape::File => named("file", seen.label.map_or("a file", |label| definitions.text(label)).to_owned()),
        _ => {
            let container = container(definitions, seen.named_by, sites).unwrap_or_else(|| format!("a {type_name}"));
            let whole = key == KeyId::WHOLE || seen.shape == Shape::Set;
            if whole { named("container", container) } else { named("item", format!("{container}[{label}]")) }
        }
    }
}

/// The same subject with its key left out: one finding for all keys of a container.
pub fn without_key(name: &str, kind: &str) -> String {
    if kind != "item" {
        return name.to_owned();
    }
    match name.find("[") {
        Some(at) => format!("{}[...]", name.get(..at).unwrap_or(name)),
        None => name.to_owned(),
    }
}

fn container(definitions: &Definitions, named_by: Option<SiteId>, sites: &[SiteId]) -> Option<String> {
    named_by.into_iter().chain(sites.iter().copied()).find_map(|site| {
        let site = definitions.site(site)?;
        let path = container_of(site.path.as_deref()?);
        Some(qualified(definitions, definitions.code(site.code)?, path))
    })
}

fn local_path(definitions: &Definitions, sites: &[SiteId]) -> Option<String> {
    sites.iter().find_map(|site| definitions.site(*site)?.path.as_deref().map(str::to_owned))
}

fn main_stem<'a>(definitions: &'a Definitions, sites: &[SiteId]) -> Option<&'a str> {
    sites.iter().find_map(|site| {
        let info = &definitions.code(definitions.site(*site)?.code)?.info;
        Some(module(info))
    })
}

/// The path of the lock at the place that acquired it, else where it was made.
pub fn lock(world: &World, id: LockId) -> String {
    let Some(lock) = world.lock(id) else { return "a lock".to_owned() };
    let Some(definitions) = world.definitions(lock.process) else { return "a lock".to_owned() };
    let label = world.object(lock.process, lock.object).and_then(|object| Some(definitions.text(object.label?)));
    if let Some(label) = label.filter(|label| !is_made_up(label)) {
        return label.to_owned();
    }
    if let Some(path) = lock.acquired.and_then(|stack| acquired_path(definitions, stack)) {
        return path;
    }
    match lock.created.and_then(|stack| definitions.place(stack)) {
        Some(place) => format!("lock created at {}:{}", base(&place.file), place.line),
        None => "a lock".to_owned(),
    }
}

/// What `multiprocessing` and the system call a semaphore tells a reader nothing.
fn is_made_up(label: &str) -> bool {
    label.starts_with("/mp-") || label.starts_with("semaphore ")
}

/// What the program calls the object whose method it waits in.
pub fn waited_for(world: &World, process: ProcessId, stack: StackId) -> Option<String> {
    acquired_path(world.definitions(process)?, stack).filter(|path| !path.is_empty())
}

fn acquired_path(definitions: &Definitions, stack: StackId) -> Option<String> {
    let site = definitions.site(definitions.outside_stdlib(stack)?)?;
    let entry = definitions.code(site.code)?;
    let path = site.path.as_deref().or_else(|| awaited_path(entry, site.offset))?;
    Some(qualified(definitions, entry, path))
}

/// Bytes of bytecode from the call of `acquire`, or the entering of `async with`, to where its result is awaited.
const AWAITING: u32 = 16;

/// What is entered or called right before, when the frame stands at the await behind it.
fn awaited_path(entry: &CodeEntry, offset: u32) -> Option<&str> {
    let paths = &entry.plan.paths;
    let (at, path) = paths.get(paths.partition_point(|(at, _)| *at <= offset).checked_sub(1)?)?;
    (offset - at <= AWAITING).then_some(path.as_str())
}

pub fn base(file: &str) -> &str {
    file.rsplit(['/', '\\']).next().unwrap_or(file)
}

/// A lock as a finding shows it; `acquired` is where this strand took it.
pub fn lock_report(world: &World, id: LockId, process: ProcessId, acquired: StackId) -> LockReport {
    let created = world.lock(id).and_then(|lock| Some((lock.process, lock.created?)));
    LockReport {
        name: lock(world, id),
        created: created.and_then(|(process, stack)| world.definitions(process)?.place(stack)),
        acquired: world.definitions(process).and_then(|definitions| definitions.place(acquired)),
    }
}

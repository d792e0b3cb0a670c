//! Paths that are asked about and then acted on (`if os.path.exists(p): os.remove(p)`): the windows of that sort that a
//! frame stands in, and the acts on paths that it is bound to come to. By the functions that are called, of `os`,
//! `os.path`, `pathlib`, `shutil` and `open`. What is in the file system is not looked at.

use racetrace_probes::access::called_name;
use racetrace_probes::call::Call;
use racetrace_probes::code::Code;
use racetrace_probes::control::Control;
use racetrace_probes::flow::{Flow, Value};
use racetrace_probes::ident::Idents;
use racetrace_probes::opcode::Op;

use crate::cpython::object::Shown;
use crate::cpython::python::Python;
use crate::event::PathEffect;
use crate::target::address::RemoteAddr;
use crate::target::memory::Memory;

use super::plain::Plain;
use super::site::reaches;
use super::strand::Activation;
use super::value::Scope;
use super::ways::{Standing, Ways};

/// An act on a path that a strand will do: inside a window, or without having asked.
pub(super) struct PathAct {
    pub frame: usize,
    /// Offset of the call that asked.
    pub check: Option<u32>,
    pub act: u32,
    pub effect: PathEffect,
    pub path: String,
    /// The frame's locals: with them unchanged, it is about the same path still.
    pub locals: Vec<RemoteAddr>,
}

/// A call whose name may be about a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Named {
    at: usize,
    sort: Sort,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Check,
    Open,
    Act(PathEffect),
}

fn sort(name: &str) -> Option<Sort> {
    Some(match name {
        "exists" | "lexists" | "isfile" | "isdir" | "islink" | "is_file" | "is_dir" | "is_symlink" => Sort::Check,
        "open" => Sort::Open,
        "remove" | "unlink" | "rmdir" | "rmtree" => Sort::Act(PathEffect::Remove),
        "rename" | "replace" | "renames" => Sort::Act(PathEffect::Rename),
        "mkdir" | "makedirs" => Sort::Act(PathEffect::MakeDirectory),
        "write_text" | "write_bytes" => Sort::Act(PathEffect::Create),
        "read_text" | "read_bytes" => Sort::Act(PathEffect::Open),
        _ => return None,
    })
}

/// What static analysis says about one position.
#[derive(Debug, Clone, Default)]
pub(super) struct PathSite {
    /// Windows that it is inside of: the call that asked, the call that will act.
    inside: Vec<(usize, usize)>,
    /// Acts that are bound to come, with the calls on the way.
    ahead: Vec<(usize, Vec<usize>)>,
}

impl PathSite {
    pub fn new(code: &Code, flow: &Flow, offset: u32, standing: Standing) -> PathSite {
        let mut site = PathSite::default();
        let (Some(at), named) = (flow.instructions.at(offset), named(code, flow)) else { return site };
        let checks: Vec<usize> = named.iter().filter(|named| named.sort == Sort::Check).map(|named| named.at).collect();
        let acts: Vec<usize> = named.iter().filter(|named| named.sort != Sort::Check).map(|named| named.at).collect();
        if !acts.is_empty() && !checks.is_empty() {
            let decided = decided(flow, at, &checks);
            for act in &acts {
                let inside = decided.iter().filter(|check| is_inside(flow, &checks, **check, *act, at));
                site.inside.extend(inside.map(|check| (*check, *act)));
            }
        }
        if let Some(ways) = Ways::from(code, flow, offset, standing).filter(|_| !acts.is_empty()) {
            site.ahead.extend(acts.into_iter().filter_map(|act| Some((act, ways.to(act)?))));
        }
        site
    }

    /// Is the strand bound to come to an act?
    pub fn goes_on(&self) -> bool {
        !self.ahead.is_empty()
    }
}

fn named(code: &Code, flow: &Flow) -> Vec<Named> {
    if !code.names.iter().any(|name| sort(name).is_some()) {
        return Vec::new();
    }
    let idents = Idents::new(code, flow);
    let calls = (0..flow.list().len()).filter(|at| flow.reached(*at));
    let named = calls.filter_map(|at| Some(Named { at, sort: sort(called_name(code, &idents, &Call::at(flow, code, at)?)?)? }));
    named.collect()
}

/// The checks whose answer has led to `at`.
fn decided(flow: &Flow, at: usize, checks: &[usize]) -> Vec<usize> {
    let sides = Control::of(flow).ancestors(flow.block(at));
    let conditions = sides.iter().filter_map(|(side, _)| flow.condition(side.block));
    conditions.filter_map(|condition| asked(flow, condition)).filter(|check| checks.contains(check)).collect()
}

/// The call whose answer a condition is, or the opposite of.
fn asked(flow: &Flow, condition: Value) -> Option<usize> {
    let mut value = condition;
    for _ in 0..4 {
        let (at, maker) = flow.maker(value)?;
        match maker.op {
            Op::UnaryNot | Op::ToBool => value = flow.operand(at, 1),
            _ => return Some(at),
        }
    }
    None
}

/// Behind the check and before the act, with no other check on the way.
fn is_inside(flow: &Flow, checks: &[usize], check: usize, act: usize, at: usize) -> bool {
    let stops: Vec<usize> = checks.iter().copied().chain([act]).collect();
    at != check && at != act && reaches(flow, at, act, checks) && reaches(flow, check, at, &stops)
}

/// The windows that a frame stands in.
pub(super) fn inside<M: Memory>(python: &Python<M>, activation: &Activation, frame: usize) -> Vec<PathAct> {
    let site = activation.code.path_site(activation.offset, Standing::of(frame));
    let Some(scope) = Scope::of_frame(python, activation).filter(|_| !site.inside.is_empty()) else { return Vec::new() };
    let windows = site.inside.iter().filter_map(|(check, act)| {
        let (_, asked) = about(&scope, *check)?;
        let (effect, path) = about(&scope, *act)?;
        let effect = effect.filter(|_| asked == path)?;
        made(python, activation, frame, &scope, Some(*check), *act, effect, path)
    });
    windows.collect()
}

/// The acts that it is bound to come to.
pub(super) fn ahead<M: Memory>(
    plain: &mut Plain<'_, M>,
    scope: &Scope<'_, M>,
    activation: &Activation,
    frame: usize,
) -> Vec<PathAct> {
    let site = activation.code.path_site(activation.offset, Standing::of(frame));
    let mut found = Vec::new();
    for (act, calls) in &site.ahead {
        let Some((Some(effect), path)) = about(scope, *act) else { continue };
        if calls.iter().all(|call| plain.is_plain(scope, *call)) {
            found.extend(made(scope.python, activation, frame, scope, None, *act, effect, path));
        }
    }
    found
}

#[expect(clippy::too_many_arguments, reason = "the parts of what is made")]
fn made<M: Memory>(
    python: &Python<M>,
    activation: &Activation,
    frame: usize,
    scope: &Scope<'_, M>,
    check: Option<usize>,
    act: usize,
    effect: PathEffect,
    path: String,
) -> Option<PathAct> {
    let offset = |at: usize| scope.flow.list().get(at).map(|found| found.offset);
    let locals = python.raw_slots(activation.frame.at, activation.locals()).ok()?;
    Some(PathAct { frame, check: check.and_then(offset), act: offset(act)?, effect, path, locals })
}

/// What the call at `at` does to which path, if it is a call of a function that is known: nothing, for a check.
fn about<M: Memory>(scope: &Scope<'_, M>, at: usize) -> Option<(Option<PathEffect>, String)> {
    let call = Call::at(scope.flow, scope.code(), at)?;
    let (_, maker) = scope.flow.maker(call.callee)?;
    let name = scope.name_of(&maker)?;
    let sort = sort(name)?;
    let argument = |index: u32| call.argument(scope.flow, index).and_then(|value| scope.value(value));
    let of_path = scope.owner_of(call.callee).filter(|owner| is_path(scope.python, *owner));
    let (path, mode) = match of_path {
        Some(path) => (path, 0),
        None if is_known(scope, &call, name) => (argument(0)?, 1),
        None => return None,
    };
    let effect = match sort {
        Sort::Check => None,
        Sort::Open if call.positional() > mode => Some(effect_of(&scope.shown_value(call.argument(scope.flow, mode)?)?)?),
        Sort::Open if call.keywords == 0 => Some(PathEffect::Open),
        // Keywords may allow for what a check would ask about.
        Sort::Act(effect) if call.keywords == 0 => Some(effect),
        _ => return None,
    };
    Some((effect, text_of(scope.python, path)?))
}

/// `None` for modes that let only one through.
fn effect_of(mode: &Shown) -> Option<PathEffect> {
    let Shown::Text(mode) = mode else { return None };
    match mode.as_bytes().first()? {
        b'r' => Some(PathEffect::Open),
        b'w' | b'a' => Some(PathEffect::Create),
        _ => None,
    }
}

/// Modules whose functions of these names do what they say.
const MODULES: &[&str] = &["genericpath", "posixpath", "posix", "os", "shutil", "_io", "io"];

fn is_known<M: Memory>(scope: &Scope<'_, M>, call: &Call, name: &str) -> bool {
    let python = scope.python;
    let Some(callee) = scope.value(call.callee) else {
        // Not among the module's own names: the builtin one.
        return name == "open" && scope.flow.maker(call.callee).is_some_and(|(_, maker)| maker.op == Op::LoadGlobal);
    };
    let Ok(class) = python.type_of(callee) else { return false };
    let globals = match class.name.as_str() {
        "function" => python.memory.pointer(callee.plus(python.layout.function.globals)).ok(),
        "builtin_function_or_method" => python
            .callable(callee)
            .ok()
            .flatten()
            .and_then(|(_, module)| python.memory.pointer(module?.plus(python.layout.object.header)).ok()),
        _ => None,
    };
    globals.and_then(|globals| python.module_name(globals)).is_some_and(|module| MODULES.contains(&module.as_str()))
}

fn is_path<M: Memory>(python: &Python<M>, object: RemoteAddr) -> bool {
    python.type_of(object).is_ok_and(|class| class.name == "PosixPath" && python.derives_from(class.at, "PurePath"))
}

/// A path as text; of `pathlib`'s the one that they remember once they have been used.
fn text_of<M: Memory>(python: &Python<M>, object: RemoteAddr) -> Option<String> {
    let object = if is_path(python, object) { python.member(object, "_str")? } else { object };
    python.text(object).ok().filter(|text| !text.is_empty())
}

/// Keeps what another strand's act can undo.
pub(super) fn keep_shared(strands: &mut [&mut Vec<PathAct>]) {
    let all: Vec<(usize, bool, String)> = strands
        .iter()
        .enumerate()
        .flat_map(|(strand, acts)| acts.iter().map(move |act| (strand, act.check.is_some(), act.path.clone())))
        .collect();
    for (strand, acts) in strands.iter_mut().enumerate() {
        acts.retain(|act| {
            all.iter().any(|(other, checks, path)| *other != strand && *path == act.path && (*checks || act.check.is_some()))
        });
    }
}

//! `racetrace doctor`: may this process be looked into, which interpreter is it, how was it found, and what would be
//! missed. It changes nothing and judges no program.

use std::fmt::Write as _;

use crate::cli::doctor::DoctorArgs;
use crate::collect::sampler::strand::{self, ThreadView, TidMap};
use crate::collect::sampler::target::{AttachError, Target};
use crate::collect::session::joining::Entrance;
use crate::cpython::discovery::{Attempt, DiscoveryError, Outcome};
use crate::cpython::foreign;
use crate::target::{descendants, permission, threads};

/// Writes what there is to say to `out`, also when the answer is no.
///
/// # Errors
/// When a process was named and cannot be looked into.
pub fn run(args: &DoctorArgs, out: &mut String) -> Result<(), AttachError> {
    match args.pid {
        None => machine(out),
        Some(pid) => process(out, pid, args.stacks)?,
    }
    Ok(())
}

fn line(out: &mut String, name: &str, text: impl std::fmt::Display) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{name:<14} {text}");
}

fn machine(out: &mut String) {
    let all = permission::may_trace_anything();
    line(out, "privileges", if all { "may read every process here (CAP_SYS_PTRACE)" } else { "may read own processes only" });
    match permission::yama_scope() {
        None => line(out, "ptrace_scope", "not in this kernel: nothing in the way"),
        Some(0) => line(out, "ptrace_scope", "0: processes of the same user can be read"),
        Some(scope @ 1..=2) if all => line(out, "ptrace_scope", format_args!("{scope}: allowed with these privileges")),
        Some(scope) => line(
            out,
            "ptrace_scope",
            format_args!("{scope}: run racetrace with sudo, or `sudo sysctl kernel.yama.ptrace_scope=0` until the next boot"),
        ),
    }
    line(out, "supported", "CPython 3.8 to 3.15, free-threaded 3.13; Linux, 64 bits");
    line(out, "next", "racetrace doctor PID");
}

fn process(out: &mut String, pid: u32, stacks: bool) -> Result<(), AttachError> {
    let mut log = Vec::new();
    let mut target = match Target::open(pid, &mut log) {
        Ok(target) => target,
        Err(error) => {
            line(out, "process", pid);
            line(out, "may attach", "no");
            attempts(out, &log);
            if stacks && matches!(error, AttachError::Discovery(_, DiscoveryError::Unsupported(_))) {
                foreign_stacks(out, pid);
            }
            return Err(error);
        }
    };
    line(out, "process", format_args!("{pid} {}", target.process.command.join(" ")));
    line(out, "may attach", "yes");
    let version = target.python.version;
    let flavour = if version.free_threaded { " (free-threaded)" } else { "" };
    line(out, "interpreter", format_args!("CPython 3.{}.{}{flavour}", version.minor, target.micro));
    line(out, "file", target.runtime.module.display());
    line(out, "found by", target.runtime.strategy);
    if target.process.own_root {
        line(out, "namespace", "its own root directory; files are read through it");
    }
    if target.process.inner_pid != pid {
        line(out, "namespace", format_args!("its own process ids; it knows itself as {}", target.process.inner_pid));
    }
    attempts(out, &log);
    let interpreters = target.python.interpreters().map_or(0, |all| all.len());
    let tids = TidMap::of(pid);
    let states = target.python.threads().unwrap_or_default();
    let views = strand::threads(&target.python, &mut target.codes, &tids, states).unwrap_or_default();
    let native = threads::list(pid).len();
    line(out, "interpreters", interpreters);
    line(out, "threads", format_args!("{} of Python, {native} in all", views.len()));
    match Entrance::find(&target) {
        Ok(_) => line(out, "probes", "can be loaded, to see every access: racetrace --pid PID --probe"),
        Err(error) => line(out, "probes", format_args!("cannot be loaded: {error}")),
    }
    missed(out, &target, &views);
    if stacks {
        dump(out, &target, &views);
    }
    Ok(())
}

fn attempts(out: &mut String, log: &[Attempt]) {
    for attempt in log {
        let outcome = match &attempt.outcome {
            Outcome::Found => "found".to_owned(),
            Outcome::Nothing => "not there".to_owned(),
            Outcome::Implausible => "there, but not a running interpreter".to_owned(),
            Outcome::Failed(why) => why.clone(),
        };
        let file = attempt.module.file_name().unwrap_or_default().to_string_lossy();
        line(out, "  tried", format_args!("{} in {file}: {outcome}", attempt.strategy));
    }
}

/// What a look at this process would not see.
fn missed(out: &mut String, target: &Target, views: &[ThreadView]) {
    let mut missed = |text: &dyn std::fmt::Display| line(out, "missed", text);
    if target.python.version.free_threaded {
        missed(&"no GIL parks a thread here: evidence comes only from threads that wait, and from suspended coroutines");
    } else {
        missed(&"windows of a few instructions: a look sees those that last (a sleep, a call, an await, a wait)");
    }
    let unmatched = views.iter().filter(|view| view.tid.is_none()).count();
    if unmatched > 0 {
        missed(&format_args!("{unmatched} threads have no id that the kernel knows: what they wait for is unknown"));
    }
    let foreign = threads::list(target.process.pid).len().saturating_sub(views.len());
    if foreign > 0 {
        missed(&format_args!("{foreign} threads run no Python: what they do is not seen"));
    }
    if target.process.is_stopped() {
        missed(&"everything while the process is stopped, as it is now: `kill -CONT` lets it go on");
    }
    for child in descendants::running(target.process.pid, "python") {
        missed(&format_args!("its child {} ({}): `racetrace --pid {0}`", child.pid, child.command.join(" ")));
    }
}

/// An interpreter without a layout here is still shown, by other means.
fn foreign_stacks(out: &mut String, pid: u32) {
    let stacks = match foreign::stacks(pid) {
        Ok(stacks) => stacks,
        Err(why) => return line(out, "stacks", format_args!("not to be had: {why}")),
    };
    line(out, "interpreter", format_args!("CPython {}", stacks.version));
    for thread in stacks.threads {
        let tid = thread.native.map_or("?".to_owned(), |tid| tid.to_string());
        let holds = if thread.holds_gil { ", holds the GIL" } else { "" };
        let _ = writeln!(out, "\nthread {tid} {}{holds}", thread.name.as_deref().unwrap_or("(unnamed)"));
        for frame in thread.frames {
            let _ = writeln!(out, "    {}:{} {}", frame.file, frame.line, frame.function);
        }
    }
}

fn dump(out: &mut String, target: &Target, views: &[ThreadView]) {
    let mut names = std::collections::HashMap::new();
    for interpreter in target.python.interpreters().unwrap_or_default() {
        names.extend(target.python.thread_names(interpreter.at).unwrap_or_default());
    }
    for view in views {
        let name = names.get(&view.state.ident).map_or("(unnamed)", String::as_str);
        let tid = view.tid.map_or("?".to_owned(), |tid| tid.to_string());
        let native = view.tid.and_then(|tid| threads::name(target.process.pid, tid)).unwrap_or_default();
        let _ = writeln!(out, "\nthread {tid} {name} [{native}]");
        for activation in &view.frames {
            let code = &activation.code.remote.code;
            let _ = writeln!(out, "    {}:{} {}", code.filename, activation.line(), code.qualname);
        }
    }
}

//! Names of what lies on the value stack, of callees and awaited things, on every interpreter on this machine.

mod interpreters;

use racetrace_probes::code::Code;
use racetrace_probes::lines::Lines;
use racetrace_probes::plan::plan;
use racetrace_probes::study::Study;
use racetrace_probes::version::Version;
use racetrace_probes::within::with_blocks;

const SOURCE: &str = "
def locked(self):
    with self.lock:
        work(self.items, 1)
    self.cond.acquire()
async def waiting(self):
    await self.price(1)
    async with self.gate:
        pass
def window(self):
    seen = self.n
    work()
    self.n = seen + 1
";

fn each(mut check: impl FnMut(&str, &Code, Version)) {
    for interpreter in interpreters::all() {
        for dumped in interpreters::compile(interpreter, SOURCE) {
            check(&dumped.code.name, &dumped.code, interpreter.version);
        }
    }
}

/// The offsets of the instructions on one line.
fn on_line(code: &Code, version: Version, line: u32) -> Vec<u32> {
    let lines = Lines::new(code, version);
    (0..code.bytecode.len() as u32).step_by(2).filter(|offset| lines.line(*offset) == Some(line)).collect()
}

#[test]
fn exits_of_with_blocks_lie_on_the_stack_by_name() {
    each(|name, code, version| {
        let study = Study::new(code, version).expect("a study");
        if name == "locked" {
            let inside = on_line(code, version, 4);
            let stack = study.stack_before(inside[0]);
            let exits: Vec<_> = stack.iter().filter_map(|entry| entry.exit_of.as_deref()).collect();
            assert_eq!(exits, ["self.lock"], "{version:?}");
            assert_eq!(study.depth_at(inside[0]), Some(stack.len() as u32));
        }
    });
}

#[test]
fn inside_of_a_with_block_is_what_its_manager_is_told_of() {
    each(|name, code, version| {
        if name == "locked" && version.minor >= 11 {
            let inside = with_blocks(code, version).expect("it can be decoded");
            let is_inside = |line| on_line(code, version, line).iter().all(|offset| inside[*offset as usize / 2]);
            let is_outside = |line| on_line(code, version, line).iter().all(|offset| !inside[*offset as usize / 2]);
            assert!(is_inside(4) && is_outside(5), "{version:?} {inside:?}");
        }
    });
}

#[test]
fn callees_and_locks_have_names() {
    each(|name, code, version| {
        let study = Study::new(code, version).expect("a study");
        if name == "locked" {
            let callees = |line| on_line(code, version, line).into_iter().filter_map(|at| study.callee(at)).collect::<Vec<_>>();
            assert!(callees(3).iter().any(|callee| callee == "self.lock"), "{version:?} {:?}", callees(3));
            assert_eq!(callees(4).first().map(String::as_str), Some("work"), "{version:?}");
            assert!(callees(5).iter().all(|callee| callee == "self.cond.acquire"), "{version:?} {:?}", callees(5));
            let paths: Vec<String> = plan(code, version).expect("a plan").paths.into_iter().map(|(_, path)| path).collect();
            assert!(paths.contains(&"self.lock".to_owned()) && paths.contains(&"self.cond".to_owned()), "{version:?} {paths:?}");
        }
    });
}

#[test]
fn awaited_things_have_names() {
    each(|name, code, version| {
        let study = Study::new(code, version).expect("a study");
        if name == "waiting" {
            let mut awaited: Vec<_> = (0..code.bytecode.len() as u32).step_by(2).filter_map(|at| study.awaited(at)).collect();
            awaited.dedup();
            assert!(awaited.starts_with(&["self.price()".to_owned(), "self.gate".to_owned()]), "{version:?} {awaited:?}");
        }
    });
}

#[test]
fn the_inside_of_a_window_is_between_its_read_and_its_write() {
    each(|name, code, version| {
        if name == "window" {
            let study = Study::new(code, version).expect("a study");
            let plan = plan(code, version).expect("a plan");
            let [window] = plan.windows.as_slice() else { panic!("{version:?} {:?}", plan.windows) };
            let call = on_line(code, version, 12);
            assert!(call.iter().any(|at| study.is_inside(window, *at)), "{version:?}");
            assert!(!study.is_inside(window, window.reads[0]) && !study.is_inside(window, window.write));
            assert!(!study.is_inside(window, 0));
        }
    });
}

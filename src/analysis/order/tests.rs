//! What is kept of strands that come and go, and that forgetting some of it takes no order away.

use crate::analysis::litmus::*;
use crate::event::{Event, TextId};

/// More than are remembered.
const MANY: u64 = 20_000;

/// Threads and tasks that begin and end; the names of the first ones.
fn come_and_go(t: &mut Litmus, main: Who) -> [TextId; 2] {
    let mut first = None;
    for number in 0..MANY {
        let thread = t.start(main, &format!("Thread-{number}"));
        t.end(thread);
        t.join(main, thread);
        let task = t.task(main, &format!("Task-{number}"));
        t.suspend(task);
        t.end(task);
        t.join(main, task);
        first.get_or_insert_with(|| [t.text("Thread-0"), t.text("Task-0")]);
    }
    t.by(main, Event::Hear);
    first.unwrap_or([TextId(0); 2])
}

#[test]
fn strands_that_come_and_go_leave_nothing_behind() {
    let mut t = Litmus::new();
    let main = t.main();
    let names = come_and_go(&mut t, main);
    let world = t.analysis.world();
    let process = world.process(PROCESS).expect("it was heard of");
    assert!(process.idle_line.len() < 64, "{} ends in line", process.idle_line.len());
    assert!(process.tokens.len() < MANY as usize, "{} tokens", process.tokens.len());
    assert!(world.strands().count() < MANY as usize, "{} strands", world.strands().count());
    assert_eq!(names.map(|name| world.text(PROCESS, name)), ["?", "?"]);
}

#[test]
fn who_joins_a_thread_that_was_forgotten_knows_what_it_did() {
    let mut t = Litmus::new();
    let main = t.main();
    let (other, early) = (t.start(main, "other"), t.start(main, "early"));
    let (code, var) = (t.code("work", rmw("n")), t.global("n"));
    t.both(other, code, var, 1);
    t.signal(other, 1);
    t.observe(early, 1);
    t.end(early);
    come_and_go(&mut t, main);
    t.join(main, early);
    t.both(main, code, var, 2);
    t.is_silent();
}

#[test]
fn who_joins_another_thread_does_not() {
    let mut t = Litmus::new();
    let main = t.main();
    let (other, early) = (t.start(main, "other"), t.start(main, "early"));
    let (code, var) = (t.code("work", rmw("n")), t.global("n"));
    t.both(other, code, var, 1);
    t.signal(other, 1);
    t.end(early);
    come_and_go(&mut t, main);
    t.join(main, early);
    t.both(main, code, var, 2);
    assert_eq!(t.findings().len(), 1);
}

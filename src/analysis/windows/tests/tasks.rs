//! asyncio tasks.

use crate::analysis::litmus::*;
use crate::event::*;

fn scene(plan: racetrace_probes::plan::Plan) -> (Litmus, Who, Who, Who, CodeId, Var) {
    let mut t = Litmus::new();
    let main = t.main();
    let x = t.global("x");
    let code = t.code("work", plan);
    let (a, b) = (t.task(main, "Task-1"), t.task(main, "Task-2"));
    (t, main, a, b, code, x)
}

#[test]
fn another_task_between_read_and_write_is_observed() {
    let (mut t, _, a, b, code, x) = scene(awaiting_rmw("x"));
    t.read(a, code, x);
    t.suspend(a);
    t.read(b, code, x);
    t.suspend(b);
    t.write(a, code, x, 1);
    t.write(b, code, x, 1);
    t.is(&["read-modify-write app.x observed error"]);
    let finding = &t.findings()[0];
    assert_eq!(finding.accesses[0].strand.kind, "task");
    assert!(finding.help.contains("asyncio.Lock"), "{}", finding.help);
}

#[test]
fn tasks_that_do_not_suspend_inside_are_silent() {
    let (mut t, _, a, b, code, x) = scene(latent_rmw("x"));
    for who in [a, b, a, b] {
        t.both(who, code, x, 1);
        t.suspend(who);
    }
    t.is_silent();
}

#[test]
fn a_suspension_inside_is_possible_even_if_nobody_came() {
    let (mut t, _, a, b, code, x) = scene(awaiting_rmw("x"));
    for who in [a, b] {
        t.read(who, code, x);
        t.suspend(who);
        t.write(who, code, x, i64::from(who.tid.0));
    }
    t.is(&["read-modify-write app.x possible error"]);
}

#[test]
fn an_asyncio_lock_over_the_suspension_is_silent() {
    let (mut t, _, a, b, code, x) = scene(awaiting_rmw("x"));
    let lock = t.lock_of(LockKind::AsyncLock);
    for who in [a, b] {
        t.acquire(who, lock);
        t.read(who, code, x);
        t.suspend(who);
        t.write(who, code, x, 1);
        t.release(who, lock);
    }
    t.is_silent();
}

#[test]
fn a_task_races_with_another_thread_without_suspending() {
    let (mut t, main, a, _, code, x) = scene(rmw("x"));
    let thread = t.start(main, "Pool-1");
    t.both(thread, code, x, 1);
    t.both(a, code, x, 2);
    t.is(&["read-modify-write app.x possible error"]);
}

#[test]
fn a_task_that_was_awaited_is_before() {
    let (mut t, main, a, _, code, x) = scene(awaiting_rmw("x"));
    t.read(a, code, x);
    t.suspend(a);
    t.write(a, code, x, 1);
    t.end(a);
    t.join(main, a);
    let c = t.task(main, "Task-3");
    t.read(c, code, x);
    t.suspend(c);
    t.write(c, code, x, 1);
    t.is_silent();
}

#[test]
fn tasks_do_not_note_plain_accesses_to_each_other() {
    let (mut t, _, a, b, code, x) = scene(plain("x"));
    t.write(a, code, x, 1);
    t.suspend(a);
    t.write(b, code, x, 2);
    t.is_silent();
}

#[test]
fn a_hundred_thousand_tasks_keep_clocks_short() {
    let mut t = Litmus::new();
    let main = t.main();
    for _ in 0..1_000 {
        let task = t.task(main, "Task");
        t.end(task);
        t.join(main, task);
    }
    let id = t.analysis.world().thread(PROCESS, main.tid).unwrap();
    assert!(t.analysis.world().strand(id).unwrap().clock.knowledge().hard().len() < 100);
}

//! What orders two threads, and what does not.

use crate::analysis::litmus::*;
use crate::event::*;

struct Scene {
    t: Litmus,
    main: Who,
    code: CodeId,
    x: Var,
}

fn scene() -> Scene {
    let mut t = Litmus::new();
    let main = t.main();
    let x = t.global("x");
    let code = t.code("work", rmw("x"));
    Scene { t, main, code, x }
}

#[test]
fn start_and_join_order() {
    let Scene { mut t, main, code, x } = scene();
    t.both(main, code, x, 1);
    let a = t.start(main, "A");
    t.both(a, code, x, 2);
    t.end(a);
    t.join(main, a);
    t.both(main, code, x, 3);
    let b = t.start(main, "B");
    t.both(b, code, x, 4);
    t.is_silent();
}

#[test]
fn without_a_join_there_is_no_order() {
    let Scene { mut t, main, code, x } = scene();
    let a = t.start(main, "A");
    t.both(a, code, x, 2);
    t.both(main, code, x, 3);
    t.is(&["read-modify-write app.x possible error"]);
}

#[test]
fn a_thread_that_happened_to_end_before_the_next_began_races_all_the_same() {
    let Scene { mut t, main, code, x } = scene();
    let a = t.start(main, "A");
    t.both(a, code, x, 2);
    t.end(a);
    let b = t.start(main, "B");
    t.both(b, code, x, 3);
    t.is(&["read-modify-write app.x possible error"]);
}

#[test]
fn threads_of_unseen_origin_that_never_lived_together_are_silent() {
    let Scene { mut t, code, x, .. } = scene();
    let name = t.text("foreign");
    for (tid, value) in [(Tid(50), 1), (Tid(51), 2)] {
        let who = Who { tid, token: None, task: None, future: None };
        t.say(tid, Event::ThreadBegin { token: None, name });
        t.both(who, code, x, value);
        t.end(who);
    }
    t.is_silent();
}

#[test]
fn a_signal_that_is_observed_orders() {
    let Scene { mut t, main, code, x } = scene();
    let (a, b) = (t.start(main, "A"), t.start(main, "B"));
    t.both(a, code, x, 1);
    t.signal(a, 7);
    t.observe(b, 7);
    t.both(b, code, x, 2);
    t.is_silent();
}

#[test]
fn what_follows_the_signal_is_not_ordered() {
    let Scene { mut t, main, code, x } = scene();
    let (a, b) = (t.start(main, "A"), t.start(main, "B"));
    t.signal(a, 7);
    t.both(a, code, x, 1);
    t.observe(b, 7);
    t.both(b, code, x, 2);
    t.is(&["read-modify-write app.x possible error"]);
}

#[test]
fn the_order_of_critical_sections_alone_is_no_order() {
    let Scene { mut t, main, code, x } = scene();
    let (a, b) = (t.start(main, "A"), t.start(main, "B"));
    let lock = t.lock();
    t.both(a, code, x, 1);
    t.acquire(a, lock);
    t.release(a, lock);
    t.acquire(b, lock);
    t.release(b, lock);
    t.both(b, code, x, 2);
    t.is(&["read-modify-write app.x possible error"]);
}

#[test]
fn a_lock_released_by_another_is_a_signal() {
    let Scene { mut t, main, code, x } = scene();
    let (a, b) = (t.start(main, "A"), t.start(main, "B"));
    let lock = t.lock();
    t.acquire(b, lock);
    t.both(a, code, x, 1);
    t.release(a, lock);
    t.acquire(b, lock);
    t.both(b, code, x, 2);
    t.is_silent();
}

#[test]
fn a_semaphore_of_one_protects_and_one_of_three_does_not() {
    for (places, silent) in [(1, true), (3, false)] {
        let Scene { mut t, main, code, x } = scene();
        let (a, b) = (t.start(main, "A"), t.start(main, "B"));
        let lock = t.lock_of(LockKind::Semaphore(places));
        for who in [a, b] {
            t.acquire(who, lock);
            t.both(who, code, x, 1);
            t.release(who, lock);
        }
        assert_eq!(t.verdicts().is_empty(), silent, "{places} places");
    }
}

#[test]
fn a_semaphore_of_none_is_a_signal() {
    let Scene { mut t, main, code, x } = scene();
    let (a, b) = (t.start(main, "A"), t.start(main, "B"));
    let lock = t.lock_of(LockKind::Semaphore(0));
    t.both(a, code, x, 1);
    t.release(a, lock);
    t.acquire(b, lock);
    t.both(b, code, x, 2);
    t.is_silent();
}

/// B checks, under the lock, a flag that A set under the lock.
fn flag_under_lock(t: &mut Litmus, a: Who, b: Who, flag: Var, lock: ObjectId, between: impl FnOnce(&mut Litmus)) {
    let code = t.code("flag", plain("flag"));
    t.acquire(a, lock);
    t.at(a, code, STORE, Action::Write, flag, Value::Bool(true));
    t.release(a, lock);
    between(t);
    t.acquire(b, lock);
    t.read(b, code, flag);
    t.release(b, lock);
}

#[test]
fn a_flag_checked_under_the_lock_orders_what_it_guards() {
    let Scene { mut t, main, code, x } = scene();
    let (a, b) = (t.start(main, "A"), t.start(main, "B"));
    let (flag, lock) = (t.global("flag"), t.lock());
    t.both(a, code, x, 1);
    flag_under_lock(&mut t, a, b, flag, lock, |_| {});
    t.both(b, code, x, 2);
    t.is_silent();
}

#[test]
fn what_the_writer_does_after_its_section_is_not_ordered() {
    let Scene { mut t, main, code, x } = scene();
    let (a, b) = (t.start(main, "A"), t.start(main, "B"));
    let (flag, lock) = (t.global("flag"), t.lock());
    flag_under_lock(&mut t, a, b, flag, lock, |t| t.both(a, code, x, 1));
    t.both(b, code, x, 2);
    t.is(&["read-modify-write app.x possible error"]);
}

#[test]
fn the_flag_itself_gets_no_order_from_its_own_checks() {
    let mut t = Litmus::new();
    let main = t.main();
    let x = t.global("x");
    let code = t.code("sell", cta("x"));
    let lock = t.lock();
    let (a, b) = (t.start(main, "A"), t.start(main, "B"));
    for who in [a, b] {
        t.acquire(who, lock);
        t.read(who, code, x);
        t.release(who, lock);
        t.acquire(who, lock);
        t.write(who, code, x, 1 + i64::from(who.tid.0));
        t.release(who, lock);
    }
    t.is(&["check-then-act app.x possible error"]);
}

#[test]
fn a_lock_from_before_watching_began_is_taken_for_protection() {
    let Scene { mut t, main, code, x } = scene();
    let (a, b) = (t.start(main, "A"), t.start(main, "B"));
    let lock = ObjectId(9999);
    t.both(a, code, x, 1);
    t.release(a, lock);
    t.acquire(b, lock);
    t.both(b, code, x, 2);
    t.release(b, lock);
    t.is_silent();
}

#[test]
fn a_split_by_a_thread_that_was_started_and_joined_inside_is_meant() {
    let Scene { mut t, main, code, x } = scene();
    t.read(main, code, x);
    let a = t.start(main, "A");
    t.both(a, code, x, 1);
    t.end(a);
    t.join(main, a);
    t.write(main, code, x, 2);
    t.is_silent();
}

#[test]
fn a_tid_used_again_is_another_strand() {
    let Scene { mut t, main, code, x } = scene();
    let a = t.start(main, "A");
    t.both(a, code, x, 1);
    t.end(a);
    let (token, name) = (ThreadToken(900), TextId(0));
    t.by(main, Event::ThreadStart { token, stack: StackId(0) });
    t.say(a.tid, Event::ThreadBegin { token: Some(token), name });
    t.both(a, code, x, 2);
    t.is(&["read-modify-write app.x possible error"]);
    assert_eq!(t.report().coverage.threads, 3);
}

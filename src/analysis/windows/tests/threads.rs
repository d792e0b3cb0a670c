//! Two threads, one variable, locks.

use crate::analysis::litmus::*;
use crate::event::*;

/// Two threads run `x = x + f()` on one global, by `steps`.
fn two(plan: racetrace_probes::plan::Plan, steps: impl FnOnce(&mut Litmus, Who, Who, CodeId, Var)) -> Litmus {
    let mut t = Litmus::new();
    let main = t.main();
    let x = t.global("x");
    let code = t.code("work", plan);
    t.write(main, code, x, 0);
    let (a, b) = (t.start(main, "A"), t.start(main, "B"));
    steps(&mut t, a, b, code, x);
    t
}

#[test]
fn a_write_between_read_and_write_is_an_observed_lost_update() {
    let mut t = two(rmw("x"), |t, a, b, code, x| {
        t.read(a, code, x);
        t.both(b, code, x, 1);
        t.write(a, code, x, 2);
    });
    t.is(&["read-modify-write app.x observed error"]);
    assert_eq!(t.findings()[0].observed.as_deref(), Some("read 0, wrote 2 over 1"));
}

#[test]
fn one_after_the_other_without_order_is_possible() {
    let mut t = two(rmw("x"), |t, a, b, code, x| {
        t.both(a, code, x, 1);
        t.both(b, code, x, 2);
    });
    t.is(&["read-modify-write app.x possible error"]);
}

#[test]
fn without_a_switch_point_it_is_latent_and_a_warning() {
    let mut t = two(latent_rmw("x"), |t, a, b, code, x| {
        t.both(a, code, x, 1);
        t.both(b, code, x, 2);
    });
    t.is(&["read-modify-write app.x latent warning"]);
}

#[test]
fn nothing_is_latent_on_a_free_threaded_build() {
    let mut t = Litmus::on((3, 13, 0), true);
    let main = t.main();
    let x = t.global("x");
    let code = t.code("work", latent_rmw("x"));
    let (a, b) = (t.start(main, "A"), t.start(main, "B"));
    t.both(a, code, x, 1);
    t.both(b, code, x, 2);
    t.is(&["read-modify-write app.x possible error"]);
}

#[test]
fn check_then_act_is_found() {
    let mut t = two(cta("x"), |t, a, b, code, x| {
        t.read(a, code, x);
        t.read(b, code, x);
        t.write(a, code, x, 1);
        t.write(b, code, x, 2);
    });
    t.is(&["check-then-act app.x observed error"]);
}

#[test]
fn the_same_check_by_another_thread_that_came_too_late_to_act_is_possible() {
    let mut t = two(cta("x"), |t, a, b, code, x| {
        t.both(a, code, x, 1);
        t.read(b, code, x);
    });
    t.is(&["check-then-act app.x possible error"]);
}

#[test]
fn the_same_check_under_the_same_lock_is_silent() {
    let mut t = two(cta("x"), |t, a, b, code, x| {
        let lock = t.lock();
        t.acquire(a, lock);
        t.both(a, code, x, 1);
        t.release(a, lock);
        t.acquire(b, lock);
        t.read(b, code, x);
        t.release(b, lock);
    });
    t.is_silent();
}

#[test]
fn a_common_lock_over_the_whole_window_is_silent() {
    let mut t = two(rmw("x"), |t, a, b, code, x| {
        let lock = t.lock();
        for who in [a, b, a, b] {
            t.acquire(who, lock);
            t.both(who, code, x, 1);
            t.release(who, lock);
        }
    });
    t.is_silent();
}

#[test]
fn two_locks_do_not_protect() {
    let mut t = two(rmw("x"), |t, a, b, code, x| {
        for who in [a, b] {
            let lock = t.lock();
            t.acquire(who, lock);
            t.both(who, code, x, 1);
            t.release(who, lock);
        }
    });
    t.is(&["read-modify-write app.x possible error"]);
}

#[test]
fn a_lock_released_between_check_and_act_does_not_protect() {
    let mut t = two(cta("x"), |t, a, b, code, x| {
        let lock = t.lock();
        for who in [a, b] {
            t.acquire(who, lock);
            t.read(who, code, x);
            t.release(who, lock);
            t.acquire(who, lock);
            t.write(who, code, x, i64::from(who.tid.0));
            t.release(who, lock);
        }
    });
    t.is(&["check-then-act app.x possible error"]);
    assert!(t.findings()[0].help.contains("without releasing it"), "{}", t.findings()[0].help);
}

#[test]
fn re_entering_an_rlock_does_not_break_it() {
    let mut t = two(rmw("x"), |t, a, b, code, x| {
        let lock = t.lock_of(LockKind::RLock);
        for who in [a, b] {
            t.acquire(who, lock);
            t.acquire(who, lock);
            t.read(who, code, x);
            t.release(who, lock);
            t.write(who, code, x, 1);
            t.release(who, lock);
        }
    });
    t.is_silent();
}

#[test]
fn one_side_without_the_lock_is_a_race() {
    let mut t = two(rmw("x"), |t, a, b, code, x| {
        let lock = t.lock();
        t.acquire(a, lock);
        t.both(a, code, x, 1);
        t.release(a, lock);
        t.both(b, code, x, 2);
    });
    t.is(&["read-modify-write app.x possible error"]);
    assert!(t.findings()[0].help.contains("here too"), "{}", t.findings()[0].help);
}

#[test]
fn a_blind_store_against_a_window_is_a_lost_reset() {
    let mut t = two(rmw("x"), |t, a, b, code, x| {
        t.both(a, code, x, 1);
        t.at(b, code, STORE, Action::Write, x, Value::Int(0));
    });
    t.is(&["read-modify-write app.x possible error"]);
}

#[test]
fn reading_alone_disturbs_no_window() {
    let mut t = two(rmw("x"), |t, a, b, code, x| {
        t.read(a, code, x);
        t.read(b, code, x);
        t.write(a, code, x, 0);
    });
    t.is_silent();
}

#[test]
fn double_checked_locking_is_silent() {
    let mut t = Litmus::new();
    let main = t.main();
    let x = t.global("x");
    let mut plan = cta("x");
    plan.watches.push(watch(2, "x", true));
    let code = t.code("get", plan);
    let lock = t.lock();
    let (a, b) = (t.start(main, "A"), t.start(main, "B"));
    for who in [a, b] {
        t.at(who, code, 2, Action::Read, x, Value::None);
    }
    t.acquire(a, lock);
    t.both(a, code, x, 1);
    t.release(a, lock);
    t.acquire(b, lock);
    t.read(b, code, x);
    t.release(b, lock);
    assert!(t.findings().iter().all(|finding| finding.severity == crate::finding::Severity::Note));
}

#[test]
fn storing_the_same_object_twice_with_nothing_in_between_is_a_note() {
    for (plan, severity) in [(latent_cta("x"), "latent note"), (cta("x"), "possible error")] {
        let mut t = two(plan, |t, a, b, code, x| {
            for who in [a, b] {
                t.read(who, code, x);
                t.at(who, code, WRITE, Action::Write, x, Value::Object(77, TextId(0)));
            }
        });
        t.is(&[&format!("check-then-act app.x {severity}")]);
    }
}

#[test]
fn storing_two_objects_is_a_race() {
    let mut t = two(cta("x"), |t, a, b, code, x| {
        t.read(a, code, x);
        t.read(b, code, x);
        t.at(a, code, WRITE, Action::Write, x, Value::Object(77, TextId(0)));
        t.at(b, code, WRITE, Action::Write, x, Value::Object(78, TextId(0)));
    });
    t.is(&["check-then-act app.x observed error"]);
}

#[test]
fn raising_one_flag_twice_after_work_is_a_race() {
    let mut t = two(cta("x"), |t, a, b, code, x| {
        t.read(a, code, x);
        t.read(b, code, x);
        t.at(a, code, WRITE, Action::Write, x, Value::Bool(true));
        t.at(b, code, WRITE, Action::Write, x, Value::Bool(true));
    });
    t.is(&["check-then-act app.x observed error"]);
}

#[test]
fn an_activation_that_skips_the_read_is_no_window() {
    let mut t = two(rmw("x"), |t, a, b, code, x| {
        t.read(a, code, x);
        let frame = FrameId(u64::from(a.tid.0) << 32);
        t.by(a, Event::Enter { frame, code });
        t.both(b, code, x, 1);
        t.write(a, code, x, 0);
        t.end(b);
    });
    t.is(&["read-modify-write app.x possible error"]);
}

#[test]
fn a_gap_forgets_what_was_before() {
    let mut t = two(rmw("x"), |t, a, b, code, x| {
        t.read(a, code, x);
        t.both(b, code, x, 1);
        t.say(Tid(1), Event::Gap { lost: 9 });
        t.write(a, code, x, 2);
        t.end(b);
    });
    assert!(t.verdicts().iter().all(|verdict| verdict.starts_with("unordered-access")), "{:?}", t.verdicts());
    assert_eq!(t.report().coverage.dropped, 9);
}

#[test]
fn what_a_thread_touches_that_was_on_its_way_proves_nothing_until_it_is_settled() {
    for settles in [false, true] {
        let mut t = two(rmw("x"), |t, a, b, code, x| {
            t.by(a, Event::Unsettled);
            t.read(a, code, x);
            if settles {
                t.by(a, Event::Settled);
                t.read(a, code, x);
            }
            t.both(b, code, x, 1);
            t.write(a, code, x, 2);
            t.end(b);
        });
        match settles {
            true => t.is(&["read-modify-write app.x observed error"]),
            false => t.is_silent(),
        }
    }
}

#[test]
fn all_is_forgotten_when_a_thread_is_settled() {
    let mut t = two(rmw("x"), |t, a, b, code, x| {
        t.by(b, Event::Unsettled);
        t.read(a, code, x);
        t.by(b, Event::Settled);
        t.write(b, code, x, 1);
        t.write(a, code, x, 2);
    });
    assert!(t.verdicts().iter().all(|verdict| verdict.starts_with("unordered-access")), "{:?}", t.verdicts());
}

#[test]
fn a_lock_that_was_held_before_it_was_met_keeps_apart() {
    let mut t = two(rmw("x"), |t, a, b, code, x| {
        let lock = t.object(Shape::Lock, "_thread.lock", None);
        t.by(a, Event::Unsettled);
        t.by(a, Event::LockNew { lock, kind: LockKind::Lock, stack: StackId(0) });
        t.by(a, Event::Settled);
        t.release(a, lock);
        for who in [b, a, b] {
            t.acquire(who, lock);
            t.both(who, code, x, 1);
            t.release(who, lock);
        }
    });
    t.is_silent();
}

#[test]
fn library_code_alone_is_hidden_and_counted() {
    let mut t = Litmus::new();
    let main = t.main();
    let x = t.global("x");
    let code = t.code_in("/v/lib/python3.13/site-packages/lib.py", "work", rmw("x"));
    let (a, b) = (t.start(main, "A"), t.start(main, "B"));
    t.both(a, code, x, 1);
    t.both(b, code, x, 2);
    t.is_silent();
    assert_eq!(t.report().coverage.hidden.get("library code"), Some(&1));
}

/// Both reserve the place under the lock when they find it empty, and fill it under the lock again: only one can have
/// reserved it.
fn reserve_and_fill(reserves: bool) -> Litmus {
    two(cta("x"), |t, a, b, code, x| {
        let lock = t.lock();
        for who in [a, b] {
            t.acquire(who, lock);
            t.read(who, code, x);
            if reserves {
                t.write(who, code, x, 1);
            }
            t.release(who, lock);
            t.acquire(who, lock);
            t.write(who, code, x, 2);
            t.release(who, lock);
        }
    })
}

#[test]
fn a_place_that_is_reserved_under_the_lock_may_be_filled_later() {
    reserve_and_fill(true).is_silent();
    reserve_and_fill(false).is(&["check-then-act app.x possible error"]);
}

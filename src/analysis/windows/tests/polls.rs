//! Loops that wait until something is stored: what that orders, and what it does not.

use crate::analysis::litmus::*;
use crate::event::*;

struct Scene {
    t: Litmus,
    main: Who,
    /// `total = total + f()`.
    add: CodeId,
    total: Var,
    /// `while not ready: …`, and `ready = …`.
    wait: CodeId,
    ready: Var,
}

fn scene(free_threaded: bool) -> Scene {
    let mut t = Litmus::on((3, 13, 0), free_threaded);
    let main = t.main();
    let (total, ready) = (t.global("total"), t.global("ready"));
    let (add, wait) = (t.code("add", rmw("total")), t.code("wait", polling("ready")));
    Scene { t, main, add, total, wait, ready }
}

impl Scene {
    fn set(&mut self, who: Who) {
        self.t.at(who, self.wait, STORE, Action::Write, self.ready, Value::Bool(true));
    }

    fn look(&mut self, who: Who) {
        self.t.read(who, self.wait, self.ready);
    }

    fn add(&mut self, who: Who, value: i64) {
        self.t.both(who, self.add, self.total, value);
    }
}

const RACE: &str = "read-modify-write app.total possible error";

#[test]
fn who_leaves_the_loop_comes_after_what_was_done_before_the_store() {
    for looks_early in [true, false] {
        let mut scene = scene(false);
        let a = scene.t.start(scene.main, "A");
        if looks_early {
            scene.look(scene.main);
        }
        scene.add(a, 1);
        scene.set(a);
        scene.look(scene.main);
        scene.add(scene.main, 2);
        assert!(!scene.t.verdicts().contains(&RACE.to_owned()));
    }
}

#[test]
fn what_follows_the_store_is_not_before() {
    for looks_early in [true, false] {
        let mut scene = scene(false);
        let a = scene.t.start(scene.main, "A");
        if looks_early {
            scene.look(scene.main);
        }
        scene.set(a);
        if !looks_early {
            scene.look(scene.main);
        }
        scene.add(a, 1);
        scene.look(scene.main);
        scene.add(scene.main, 2);
        assert!(scene.t.verdicts().contains(&RACE.to_owned()));
    }
}

#[test]
fn only_without_a_gil_the_store_may_come_between_the_look_and_the_reading() {
    for free_threaded in [true, false] {
        let mut scene = scene(free_threaded);
        let a = scene.t.start(scene.main, "A");
        scene.add(a, 1);
        scene.look(scene.main);
        scene.set(a);
        scene.add(scene.main, 2);
        assert_eq!(scene.t.verdicts().contains(&RACE.to_owned()), !free_threaded);
    }
}

#[test]
fn two_that_wait_for_one_thing_are_not_ordered() {
    let mut scene = scene(false);
    let (a, b) = (scene.t.start(scene.main, "A"), scene.t.start(scene.main, "B"));
    scene.look(a);
    scene.look(b);
    scene.set(scene.main);
    scene.look(a);
    scene.add(a, 1);
    scene.look(b);
    scene.add(b, 2);
    assert!(scene.t.verdicts().contains(&RACE.to_owned()));
}

#[test]
fn what_is_done_in_the_loop_is_not_ordered() {
    let mut scene = scene(false);
    let a = scene.t.start(scene.main, "A");
    scene.look(scene.main);
    scene.add(a, 1);
    scene.set(a);
    scene.look(scene.main);
    let body = scene.t.stack(scene.wait, CALL);
    for (offset, action) in [(READ, Action::Read), (WRITE, Action::Write)] {
        let stack = scene.t.stack_over(body, scene.add, offset);
        scene.t.access(scene.main, stack, action, scene.total, Value::Int(2));
    }
    assert!(scene.t.verdicts().contains(&RACE.to_owned()));
}

#[test]
fn whoever_sets_a_flag_last_is_the_one_that_is_followed() {
    let mut scene = scene(false);
    let (a, b) = (scene.t.start(scene.main, "A"), scene.t.start(scene.main, "B"));
    scene.look(scene.main);
    scene.add(a, 1);
    scene.set(a);
    scene.set(b);
    scene.look(scene.main);
    scene.add(scene.main, 2);
    assert!(scene.t.verdicts().contains(&RACE.to_owned()));
}

#[test]
fn all_who_counted_on_are_followed() {
    let mut scene = scene(false);
    let many: Vec<Who> = (0..20).map(|number| scene.t.start(scene.main, &format!("T{number}"))).collect();
    for (who, number) in many.iter().zip(1..) {
        let own = scene.t.global("own");
        scene.t.both(*who, scene.add, own, number);
        scene.t.at(*who, scene.wait, STORE, Action::Write, scene.ready, Value::Int(number));
        scene.look(scene.main);
        scene.t.both(scene.main, scene.add, own, -number);
    }
    let verdicts = scene.t.verdicts();
    assert!(!verdicts.iter().any(|verdict| verdict.contains("error")), "{verdicts:?}");
}

#[test]
fn a_look_by_a_function_that_the_loop_calls_is_one() {
    let mut scene = scene(false);
    let is_ready = scene.t.code("is_ready", getter("ready"));
    let a = scene.t.start(scene.main, "A");
    scene.add(a, 1);
    scene.set(a);
    let call = scene.t.stack(scene.wait, READ);
    let look = scene.t.stack_over(call, is_ready, READ);
    scene.t.access(scene.main, look, Action::Read, scene.ready, Value::Unknown);
    scene.add(scene.main, 2);
    assert!(!scene.t.verdicts().contains(&RACE.to_owned()));
}

#[test]
fn what_a_loop_waits_for_is_itself_ordered_by_nothing() {
    let mut t = Litmus::new();
    let main = t.main();
    let busy = t.global("busy");
    let plan = polling("busy");
    let take = t.code("take", racetrace_probes::plan::Plan { polls: plan.polls, ..cta("busy") });
    let (a, b) = (t.start(main, "A"), t.start(main, "B"));
    for who in [a, b] {
        t.read(who, take, busy);
        t.at(who, take, WRITE, Action::Write, busy, Value::Bool(true));
        t.at(who, take, STORE, Action::Write, busy, Value::Bool(false));
    }
    assert!(t.verdicts().iter().any(|verdict| verdict.starts_with("check-then-act app.busy possible")));
}

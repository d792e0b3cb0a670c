//! Windows that span functions: `set(get() + 1)`.

use crate::analysis::litmus::*;
use crate::event::*;
use racetrace_probes::plan::{Plan, WindowKind};

struct Scene {
    t: Litmus,
    a: Who,
    b: Who,
    /// Stacks of the getter's read and the setter's write under the calls of one function.
    get: StackId,
    set: StackId,
    lock: ObjectId,
    x: Var,
}

fn scene(kind: WindowKind, setter: Plan) -> Scene {
    let mut t = Litmus::new();
    let main = t.main();
    let x = t.attribute("Account", "balance");
    let outer = t.code("pay", span(kind));
    let (getter, setter) = (t.code("Account.get", getter("self.balance")), t.code("Account.set", setter));
    let (first, second) = (t.stack(outer, READ), t.stack(outer, WRITE));
    let (get, set) = (t.stack_over(first, getter, READ), t.stack_over(second, setter, WRITE));
    let lock = t.lock();
    let write = t.stack(outer, STORE);
    t.access(main, write, Action::Write, x, Value::Int(0));
    let (a, b) = (t.start(main, "A"), t.start(main, "B"));
    Scene { t, a, b, get, set, lock, x }
}

impl Scene {
    fn locked(&mut self, who: Who, write: Option<i64>) {
        self.t.acquire(who, self.lock);
        match write {
            None => self.t.access(who, self.get, Action::Read, self.x, Value::Unknown),
            Some(value) => self.t.access(who, self.set, Action::Write, self.x, Value::Int(value)),
        }
        self.t.release(who, self.lock);
    }
}

fn store() -> Plan {
    Plan { watches: vec![watch(WRITE, "self.balance", false)], ..Plan::default() }
}

#[test]
fn a_getter_and_a_setter_locked_each_alone_lose_updates() {
    let mut s = scene(WindowKind::ReadModifyWrite, store());
    let (a, b) = (s.a, s.b);
    s.locked(a, None);
    s.locked(b, None);
    s.locked(b, Some(1));
    s.locked(a, Some(2));
    s.t.is(&["read-modify-write Account.balance observed error"]);
}

#[test]
fn two_strands_in_one_span_are_possible_even_if_not_split() {
    let mut s = scene(WindowKind::ReadModifyWrite, store());
    for who in [s.a, s.b] {
        s.locked(who, None);
        s.locked(who, Some(i64::from(who.tid.0)));
    }
    s.t.is(&["read-modify-write Account.balance possible error"]);
}

#[test]
fn a_lock_over_both_calls_is_silent() {
    let mut s = scene(WindowKind::ReadModifyWrite, store());
    let outer = s.t.lock();
    for who in [s.a, s.b] {
        s.t.acquire(who, outer);
        s.locked(who, None);
        s.locked(who, Some(i64::from(who.tid.0)));
        s.t.release(who, outer);
    }
    s.t.is_silent();
}

#[test]
fn a_setter_that_looks_again_is_silent() {
    let mut s = scene(WindowKind::CheckThenAct, cta("self.balance"));
    let again = s.set;
    for who in [s.a, s.b] {
        s.locked(who, None);
    }
    for who in [s.a, s.b] {
        let entry = s.t.analysis.world().definitions(PROCESS).unwrap().stack(again).unwrap();
        let code = s.t.analysis.world().definitions(PROCESS).unwrap().site(entry.site).unwrap().code;
        let check = s.t.stack_over(entry.parent, code, READ);
        s.t.acquire(who, s.lock);
        s.t.access(who, check, Action::Read, s.x, Value::Unknown);
        s.t.access(who, again, Action::Write, s.x, Value::Int(i64::from(who.tid.0)));
        s.t.release(who, s.lock);
    }
    s.t.is_silent();
}

#[test]
fn a_count_that_does_not_leave_the_callee_is_no_span() {
    let mut s = scene(WindowKind::ReadModifyWrite, store());
    let plan = Plan { watches: vec![watch(READ, "self.balance", false)], ..Plan::default() };
    let counting = s.t.code("Account.count", plan);
    let entry = s.t.analysis.world().definitions(PROCESS).unwrap().stack(s.get).unwrap();
    s.get = s.t.stack_over(entry.parent, counting, READ);
    let (a, b) = (s.a, s.b);
    s.locked(a, None);
    s.locked(b, Some(1));
    s.locked(a, Some(2));
    s.t.is_silent();
}

#[test]
fn a_read_of_an_earlier_activation_is_not_paired_with_a_later_write() {
    let mut s = scene(WindowKind::ReadModifyWrite, store());
    let (a, b, balance) = (s.a, s.b, s.x);
    let owner = s.t.part(balance.object, "owner");
    s.locked(a, None);
    s.x = owner;
    s.locked(a, None);
    s.x = balance;
    s.locked(b, Some(1));
    s.locked(a, Some(2));
    assert!(s.t.verdicts().iter().all(|verdict| verdict.ends_with("note")), "{:?}", s.t.verdicts());
}

/// Counts itself in, and asks whether it is the first; later counts itself out. All under the lock, but in two sections.
fn count_in_and_out(who: Who, s: &mut Scene, own_first: bool, act: StackId) {
    let count = s.t.code("Gate.count", store());
    let entry = s.t.analysis.world().definitions(PROCESS).unwrap().stack(s.get).unwrap();
    let step = s.t.stack_over(entry.parent, count, WRITE);
    s.t.acquire(who, s.lock);
    if own_first {
        s.t.access(who, step, Action::Write, s.x, Value::Int(1));
    }
    s.t.access(who, s.get, Action::Read, s.x, Value::Unknown);
    s.t.release(who, s.lock);
    s.t.acquire(who, s.lock);
    let entry = s.t.analysis.world().definitions(PROCESS).unwrap().stack(act).unwrap();
    let code = s.t.analysis.world().definitions(PROCESS).unwrap().site(entry.site).unwrap().code;
    let read = s.t.stack_over(entry.parent, code, READ);
    s.t.access(who, read, Action::Read, s.x, Value::Unknown);
    s.t.access(who, act, Action::Write, s.x, Value::Int(0));
    s.t.release(who, s.lock);
}

#[test]
fn who_counted_himself_in_may_count_himself_out() {
    for own_first in [true, false] {
        let mut s = scene(WindowKind::CheckThenAct, rmw("self.balance"));
        let (a, b, act) = (s.a, s.b, s.set);
        for who in [a, b, a] {
            count_in_and_out(who, &mut s, own_first, act);
        }
        let expected: &[&str] = if own_first { &[] } else { &["check-then-act Account.balance possible error"] };
        s.t.is(expected);
    }
}

#[test]
fn who_looks_again_under_the_lock_has_decided_by_that() {
    for again in [true, false] {
        let mut s = scene(WindowKind::CheckThenAct, store());
        // Two calls of the getter, before the lock and under it, decide about the setter.
        let plan = Plan { spans: vec![span(WindowKind::CheckThenAct).spans[0].clone()], ..Plan::default() };
        let mut twice = plan.clone();
        twice.spans.push(racetrace_probes::plan::Span { read: STORE, ..plan.spans[0].clone() });
        let outer = s.t.code("take", twice);
        let getter = s.t.code("Account.has", getter("self.balance"));
        let setter = s.t.code("Account.take", store());
        let [early, late, act] = [READ, STORE, WRITE].map(|offset| s.t.stack(outer, offset));
        let (early, late) = (s.t.stack_over(early, getter, READ), s.t.stack_over(late, getter, READ));
        let act = s.t.stack_over(act, setter, WRITE);
        for who in [s.a, s.b] {
            s.t.access(who, early, Action::Read, s.x, Value::Unknown);
            s.t.acquire(who, s.lock);
            if again {
                s.t.access(who, late, Action::Read, s.x, Value::Unknown);
            }
            s.t.access(who, act, Action::Write, s.x, Value::Int(i64::from(who.tid.0)));
            s.t.release(who, s.lock);
        }
        let races = s.t.verdicts().iter().filter(|verdict| !verdict.ends_with("note")).count();
        assert_eq!(races, usize::from(!again), "{:?}", s.t.verdicts());
    }
}

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

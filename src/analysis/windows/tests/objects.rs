//! Construction, publication and hand-over of objects; plain accesses.

use crate::analysis::litmus::*;
use crate::event::*;

#[test]
fn what_its_maker_did_before_handing_an_object_over_is_forgiven() {
    let mut t = Litmus::new();
    let main = t.main();
    let (a, b) = (t.start(main, "A"), t.start(main, "B"));
    let x = t.attribute("Order", "qty");
    let code = t.code("Order.add", rmw("self.qty"));
    t.write(a, code, x, 0);
    t.both(a, code, x, 1);
    t.both(b, code, x, 2);
    t.is_silent();
}

#[test]
fn what_its_maker_does_after_handing_it_over_is_not() {
    let mut t = Litmus::new();
    let main = t.main();
    let (a, b) = (t.start(main, "A"), t.start(main, "B"));
    let x = t.attribute("Order", "qty");
    let code = t.code("Order.add", rmw("self.qty"));
    t.write(a, code, x, 0);
    t.both(b, code, x, 2);
    t.both(a, code, x, 1);
    t.is(&["read-modify-write Order.qty possible error"]);
}

/// A thread makes an object, puts it into a queue and changes it, before or after; the other takes it out and changes it.
fn through_a_queue(changed_after_it_was_put: bool) -> Litmus {
    let mut t = Litmus::new();
    let main = t.main();
    let (a, b) = (t.start(main, "A"), t.start(main, "B"));
    let x = t.attribute("Order", "qty");
    let code = t.code("Order.add", rmw("self.qty"));
    t.write(a, code, x, 0);
    if changed_after_it_was_put {
        t.put(a, 7, 1);
    }
    t.both(a, code, x, 1);
    if !changed_after_it_was_put {
        t.put(a, 7, 1);
    }
    t.got(b, 7, 1);
    t.both(b, code, x, 2);
    t
}

#[test]
fn what_its_maker_does_after_putting_it_into_a_queue_is_not_forgiven() {
    through_a_queue(false).is_silent();
    through_a_queue(true).is(&["read-modify-write Order.qty possible error"]);
}

#[test]
fn an_object_that_was_there_before_the_threads_is_not_handed_over() {
    let mut t = Litmus::new();
    let main = t.main();
    let x = t.attribute("Order", "qty");
    let code = t.code("Order.add", rmw("self.qty"));
    t.write(main, code, x, 0);
    let a = t.start(main, "A");
    t.both(main, code, x, 1);
    t.both(a, code, x, 2);
    t.is(&["read-modify-write Order.qty possible error"]);
}

/// One strand uses an object, puts it into a list, and touches it `again` or not; another takes something `out` of that list
/// or not, and uses it.
fn through_a_list(out: bool, again: bool) -> Litmus {
    let mut t = Litmus::new();
    let main = t.main();
    let x = t.attribute("Trolley", "trips");
    let list = t.container(Shape::List);
    let code = t.code("Trolley.roll", rmw("self.trips"));
    let (a, b) = (t.start(main, "A"), t.start(main, "B"));
    t.both(a, code, x, 1);
    t.by(a, Event::Offered { item: x.object, container: list.object });
    if again {
        t.both(a, code, x, 2);
    }
    if out {
        t.by(b, Event::Taken { container: list.object });
    }
    t.both(b, code, x, 3);
    t
}

#[test]
fn what_is_taken_out_of_a_list_comes_after_what_was_done_before_it_was_put_in() {
    through_a_list(true, false).is_silent();
    through_a_list(false, false).is(&["read-modify-write Trolley.trips possible error"]);
    through_a_list(true, true).is(&["read-modify-write Trolley.trips possible error"]);
}

#[test]
fn construction_conflicts_with_nothing_until_the_object_escapes() {
    let mut t = Litmus::new();
    let main = t.main();
    let x = t.attribute("Order", "qty");
    let init = t.code("Order.__init__", plain("self.qty"));
    let code = t.code("Order.add", rmw("self.qty"));
    let a = t.start(main, "A");
    t.at(main, init, STORE, Action::Write, x, Value::Int(0));
    t.both(a, code, x, 2);
    t.is_silent();
}

#[test]
fn a_constructor_run_again_on_a_shared_object_is_no_construction() {
    let mut t = Litmus::new();
    let main = t.main();
    let x = t.attribute("Notebook", "notes");
    let init = t.code("Notebook.__init__", cta("self.notes"));
    let (a, b) = (t.start(main, "A"), t.start(main, "B"));
    for who in [a, b] {
        t.read(who, init, x);
    }
    for who in [a, b] {
        t.write(who, init, x, i64::from(who.tid.0));
    }
    t.is(&["check-then-act Notebook.notes observed error"]);
}

#[test]
fn a_polled_flag_is_a_note() {
    let mut t = Litmus::new();
    let main = t.main();
    let x = t.global("stop");
    let code = t.code("work", plain("stop"));
    t.write(main, code, x, 0);
    let a = t.start(main, "A");
    t.read(a, code, x);
    t.at(main, code, STORE, Action::Write, x, Value::Bool(true));
    t.is(&["unordered-access app.stop possible note"]);
}

#[test]
fn a_note_is_made_once_for_each_subject() {
    let mut t = Litmus::new();
    let main = t.main();
    let x = t.global("stop");
    let first = t.code("one", plain("stop"));
    let second = t.code("two", plain("stop"));
    let (a, b) = (t.start(main, "A"), t.start(main, "B"));
    for code in [first, second, first, second] {
        t.write(a, code, x, 1);
        t.write(b, code, x, 2);
    }
    assert_eq!(t.verdicts().len(), 1);
}

#[test]
fn storing_what_is_there_already_is_no_note() {
    let mut t = Litmus::new();
    let main = t.main();
    let x = t.global("done");
    let code = t.code("work", plain("done"));
    let (a, b) = (t.start(main, "A"), t.start(main, "B"));
    t.write(a, code, x, 1);
    t.write(b, code, x, 1);
    t.is_silent();
}

#[test]
fn a_race_on_the_subject_silences_the_note() {
    let mut t = Litmus::new();
    let main = t.main();
    let x = t.global("x");
    let code = t.code("work", rmw("x"));
    let (a, b) = (t.start(main, "A"), t.start(main, "B"));
    t.at(a, code, STORE, Action::Write, x, Value::Int(5));
    t.both(b, code, x, 2);
    t.both(a, code, x, 3);
    assert!(t.verdicts().iter().all(|verdict| verdict.starts_with("read-modify-write")), "{:?}", t.verdicts());
}

#[test]
fn a_forked_child_is_another_world() {
    let mut t = Litmus::new();
    let main = t.main();
    let x = t.global("x");
    let code = t.code("work", rmw("x"));
    let a = t.start(main, "A");
    t.both(a, code, x, 1);
    let stack = t.stack(code, WRITE);
    let access = Access { stack, frame: FrameId(1), action: Action::Write, object: x.object, key: x.key, value: Value::Int(1) };
    t.analysis.record(&Record { time: 1, process: ProcessId(1), thread: Tid(900), event: Event::Access(access) });
    t.is_silent();
}

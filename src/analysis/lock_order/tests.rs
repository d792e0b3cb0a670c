use crate::analysis::story::{MAIN, Story, threads};
use crate::event::{LockKind, ObjectId, Patience};

const INVERSION: &str = "lock-order-inversion warning possible";

fn locks<const N: usize>(story: &mut Story, names: [&str; N]) -> [ObjectId; N] {
    names.map(|name| story.lock(name, LockKind::Lock))
}

#[test]
fn opposite_orders_of_two_threads_are_an_inversion() {
    let mut story = threads(&[2, 3]);
    let [stock, price] = locks(&mut story, ["stock", "price"]);
    story.nest(2, "restock", &[stock, price]);
    story.nest(3, "reprice", &[price, stock]);
    assert_eq!(story.verdicts(), [format!("{INVERSION} price,stock")]);
    let finding = &story.findings()[0];
    assert_eq!(finding.accesses.len(), 4);
    assert_eq!(finding.accesses[1].locks[0].name, finding.accesses[0].what.as_deref().unwrap().trim_start_matches("acquires "));
}

#[test]
fn a_ring_of_three_is_an_inversion() {
    let mut story = threads(&[2, 3, 4]);
    let [knife, pan, pot] = locks(&mut story, ["knife", "pan", "pot"]);
    story.nest(2, "a", &[knife, pan]);
    story.nest(3, "b", &[pan, pot]);
    story.nest(4, "c", &[pot, knife]);
    assert_eq!(story.verdicts(), [format!("{INVERSION} knife,pan,pot")]);
}

#[test]
fn an_inversion_is_told_once_however_often_it_is_seen() {
    let mut story = threads(&[2, 3]);
    let [a, b] = locks(&mut story, ["a", "b"]);
    for _ in 0..5 {
        story.nest(2, "f", &[a, b]);
        story.nest(3, "g", &[b, a]);
        story.hand_over(2, 3);
        story.hand_over(3, 2);
    }
    assert_eq!(story.verdicts().len(), 1);
}

#[test]
fn one_order_everywhere_is_silent() {
    let mut story = threads(&[2, 3, 4]);
    let [a, b, c] = locks(&mut story, ["a", "b", "c"]);
    story.nest(2, "f", &[a, b]);
    story.nest(3, "g", &[b, c]);
    story.nest(4, "h", &[a, c]);
    assert!(story.verdicts().is_empty());
}

#[test]
fn a_gate_around_both_orders_is_silent() {
    let mut story = threads(&[2, 3]);
    let [gate, a, b] = locks(&mut story, ["gate", "a", "b"]);
    story.nest(2, "f", &[gate, a, b]);
    story.nest(3, "g", &[gate, b, a]);
    assert!(story.verdicts().is_empty());
}

#[test]
fn a_gate_around_one_order_only_is_no_gate() {
    let mut story = threads(&[2, 3]);
    let [gate, a, b] = locks(&mut story, ["gate", "a", "b"]);
    story.nest(2, "f", &[gate, a, b]);
    story.nest(3, "g", &[b, a]);
    assert_eq!(story.verdicts(), [format!("{INVERSION} a,b")]);
}

#[test]
fn both_orders_in_one_thread_are_silent() {
    let mut story = threads(&[2]);
    let [a, b] = locks(&mut story, ["a", "b"]);
    story.nest(2, "f", &[a, b]);
    story.nest(2, "g", &[b, a]);
    assert!(story.verdicts().is_empty());
}

#[test]
fn orders_that_a_join_keeps_apart_are_silent() {
    let mut story = threads(&[2]);
    let [a, b] = locks(&mut story, ["a", "b"]);
    story.nest(2, "f", &[a, b]);
    story.end(2);
    story.join(MAIN, 2);
    story.nest(MAIN, "g", &[b, a]);
    story.start(3);
    story.nest(3, "f", &[b, a]);
    assert!(story.verdicts().is_empty());
}

#[test]
fn orders_that_lock_order_alone_keeps_apart_are_an_inversion() {
    let mut story = threads(&[2, 3]);
    let [a, b, other] = locks(&mut story, ["a", "b", "other"]);
    story.nest(2, "f", &[a, b]);
    story.nest(2, "f2", &[other]);
    story.nest(3, "g2", &[other]);
    story.nest(3, "g", &[b, a]);
    assert_eq!(story.verdicts(), [format!("{INVERSION} a,b")]);
}

#[test]
fn a_try_inside_is_silent_and_a_try_outside_is_not() {
    for (patience, silent) in [(Patience::Never, true), (Patience::Timeout, true), (Patience::Forever, false)] {
        let mut story = threads(&[2, 3]);
        let [a, b] = locks(&mut story, ["a", "b"]);
        story.nest(2, "f", &[a, b]);
        let (outer, inner) = (story.at("g", 2), story.at("g", 4));
        story.acquire_with(3, b, outer, Patience::Never);
        story.acquire_with(3, a, inner, patience);
        assert_eq!(story.verdicts().is_empty(), silent, "{patience:?}");
    }
}

#[test]
fn reentering_an_rlock_is_silent() {
    let mut story = threads(&[2, 3]);
    let a = story.lock("a", LockKind::RLock);
    let b = story.lock("b", LockKind::RLock);
    story.nest(2, "f", &[a, b, a]);
    story.nest(3, "g", &[a, b]);
    assert!(story.verdicts().is_empty());
}

#[test]
fn opposite_orders_of_two_purses_are_an_inversion_and_sorted_ones_are_silent() {
    let mut story = threads(&[2, 3]);
    let [ivy, joe] = locks(&mut story, ["Purse._lock", "Purse._lock"]);
    story.nest(2, "give", &[ivy, joe]);
    story.nest(3, "give", &[ivy, joe]);
    assert!(story.verdicts().is_empty());
    story.nest(3, "give", &[joe, ivy]);
    assert_eq!(story.verdicts(), [format!("{INVERSION} purse._lock,purse._lock")]);
}

#[test]
fn opposite_orders_on_two_objects_of_one_class_are_an_inversion() {
    let mut story = threads(&[2, 3]);
    let object = |story: &mut Story| {
        let (a, b) = (story.at("Door.__init__", 2), story.at("Door.__init__", 4));
        (story.lock_at("Door.a", LockKind::Lock, MAIN, a), story.lock_at("Door.b", LockKind::Lock, MAIN, b))
    };
    let (one, two) = (object(&mut story), object(&mut story));
    story.nest(2, "open", &[one.0, one.1]);
    assert!(story.verdicts().is_empty());
    story.nest(3, "close", &[two.1, two.0]);
    assert_eq!(story.verdicts(), [format!("{INVERSION} door.a,door.b")]);
}

#[test]
fn locks_of_unrelated_objects_are_not_compared() {
    let mut story = threads(&[2, 3]);
    let (a, b) = (story.at("Door.__init__", 2), story.at("Window.__init__", 4));
    let made = [(a, "a1"), (b, "b1"), (a, "a2"), (b, "b2")];
    let [a1, b1, a2, b2] = made.map(|(place, name)| story.lock_at(name, LockKind::Lock, MAIN, place));
    story.nest(2, "f", &[a1, b1]);
    story.nest(3, "g", &[b2, a2]);
    assert!(story.verdicts().is_empty());
}

#[test]
fn a_lock_that_is_a_signal_is_silent() {
    let mut story = threads(&[2, 3]);
    let [a, signal] = locks(&mut story, ["a", "signal"]);
    story.nest(2, "f", &[signal, a]);
    let place = story.at("g", 2);
    story.acquire(3, signal, place);
    story.release(2, signal);
    story.nest(3, "g", &[a, signal]);
    assert!(story.verdicts().is_empty());
}

#[test]
fn an_inversion_with_a_lock_that_turns_out_to_be_a_signal_is_withdrawn() {
    let mut story = threads(&[2, 3]);
    let [a, signal] = locks(&mut story, ["a", "signal"]);
    story.nest(2, "f", &[signal, a]);
    story.nest(3, "g", &[a, signal]);
    assert_eq!(story.verdicts().len(), 1);
    let place = story.at("h", 2);
    story.acquire(3, signal, place);
    story.release(2, signal);
    assert!(story.verdicts().is_empty());
}

/// The first reader takes the lock inside of what counts them, and maybe gives up; then counts himself out.
#[test]
fn what_the_first_took_for_all_with_a_timeout_is_no_order() {
    let mut story = threads(&[2, 3]);
    let [counting, resource] = locks(&mut story, ["counting", "resource"]);
    story.decides("enter", 12);
    let (count, first) = (story.at("enter", 10), story.at("enter", 12));
    for (tid, patience) in [(2, Patience::Timeout), (3, Patience::Forever)] {
        story.acquire(tid, counting, count);
        story.acquire_with(tid, resource, first, patience);
        story.release(tid, counting);
        story.acquire(tid, counting, count);
        story.release(tid, resource);
        story.release(tid, counting);
    }
    assert!(story.verdicts().is_empty(), "{:?}", story.verdicts());
}

#[test]
fn an_order_within_the_standard_library_is_silent() {
    let mut story = threads(&[2, 3]);
    let [a, b] = locks(&mut story, ["a", "b"]);
    story.nest(2, "logging:emit", &[a, b]);
    story.nest(3, "logging:flush", &[b, a]);
    assert!(story.verdicts().is_empty());
}

#[test]
fn tasks_that_never_give_way_between_their_locks_are_silent() {
    let mut story = threads(&[]);
    let a = story.lock("a", LockKind::AsyncLock);
    let b = story.lock("b", LockKind::AsyncLock);
    (1..=2).for_each(|task| story.task(MAIN, task));
    story.run(MAIN, 1);
    story.nest(MAIN, "f", &[a, b]);
    story.run(MAIN, 2);
    story.nest(MAIN, "g", &[b, a]);
    assert!(story.verdicts().is_empty());
}

#[test]
fn tasks_that_give_way_between_their_locks_are_an_inversion() {
    let mut story = threads(&[]);
    let a = story.lock("a", LockKind::AsyncLock);
    let b = story.lock("b", LockKind::AsyncLock);
    (1..=2).for_each(|task| story.task(MAIN, task));
    story.run(MAIN, 1);
    let (outer, pause, inner) = (story.at("f", 2), story.at("f", 4), story.at("f", 6));
    story.acquire(MAIN, a, outer);
    story.gives_way(MAIN, pause);
    story.run(MAIN, 1);
    story.acquire(MAIN, b, inner);
    story.release(MAIN, b);
    story.release(MAIN, a);
    story.run(MAIN, 2);
    story.nest(MAIN, "g", &[b, a]);
    assert_eq!(story.verdicts(), [format!("{INVERSION} a,b")]);
}

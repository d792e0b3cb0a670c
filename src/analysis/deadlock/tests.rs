use crate::analysis::story::{MAIN, Story, threads};
use crate::event::{Event, LockKind, ObjectId, Patience, StackId};

const DEADLOCK: &str = "deadlock error observed";

fn two(story: &mut Story, kind: LockKind) -> (ObjectId, ObjectId) {
    (story.lock("audit", kind), story.lock("ledger", kind))
}

/// What is told while the program still hangs.
fn fresh(story: &mut Story) -> Vec<String> {
    story.analysis.fresh().iter().map(|finding| finding.subject.name.clone()).collect()
}

#[test]
fn two_threads_that_wait_for_each_other_are_told_at_once() {
    let mut story = threads(&[2, 3]);
    let (a, b) = two(&mut story, LockKind::Lock);
    let (outer, inner) = (story.at("f", 2), story.at("f", 4));
    story.acquire(2, a, outer);
    story.acquire(3, b, outer);
    story.wait(2, b, inner);
    assert!(fresh(&mut story).is_empty());
    story.wait(3, a, inner);
    assert_eq!(fresh(&mut story), ["audit,ledger"]);
    let finding = &story.findings()[0];
    let roles: Vec<&str> = finding.accesses.iter().map(|access| access.role.as_str()).collect();
    assert_eq!(roles, ["hold", "acquire", "hold", "acquire"]);
    assert_eq!(story.verdicts(), [format!("{DEADLOCK} audit,ledger")]);
}

#[test]
fn a_ring_of_three_threads_is_a_deadlock() {
    let mut story = threads(&[2, 3, 4]);
    let locks = ["a", "b", "c"].map(|name| story.lock(name, LockKind::Lock));
    let (outer, inner) = (story.at("f", 2), story.at("f", 4));
    for (tid, lock) in (2..).zip(locks) {
        story.acquire(tid, lock, outer);
    }
    story.wait(2, locks[1], inner);
    story.wait(3, locks[2], inner);
    story.wait(4, locks[0], inner);
    assert_eq!(story.verdicts(), [format!("{DEADLOCK} a,b,c")]);
}

#[test]
fn a_wait_with_a_timeout_in_the_cycle_is_silent() {
    let mut story = threads(&[2, 3]);
    let (a, b) = two(&mut story, LockKind::Lock);
    let (outer, inner) = (story.at("f", 2), story.at("f", 4));
    story.acquire(2, a, outer);
    story.acquire(3, b, outer);
    story.on(2, Event::LockWait { lock: b, stack: inner, patience: Patience::Timeout });
    story.wait(3, a, inner);
    assert!(story.verdicts().is_empty());
}

#[test]
fn waiting_for_a_lock_in_use_is_silent() {
    let mut story = threads(&[2, 3]);
    let (a, _) = two(&mut story, LockKind::Lock);
    let place = story.at("f", 2);
    story.acquire(2, a, place);
    story.wait(3, a, place);
    story.sleep(60_000);
    story.analysis.tick(story.time, &|_| false);
    assert!(story.verdicts().is_empty());
}

/// A function takes the lock and calls itself.
fn recursion(story: &mut Story, kind: LockKind) {
    let lock = story.lock("tree", kind);
    let outer = story.at("leaves", 2);
    let call = story.at("leaves", 8);
    let inner = story.under(call, "leaves", 2);
    story.acquire(2, lock, outer);
    story.wait(2, lock, inner);
}

#[test]
fn a_function_that_waits_for_its_callers_lock_is_told_at_once() {
    let mut story = threads(&[2]);
    recursion(&mut story, LockKind::Lock);
    assert_eq!(fresh(&mut story), ["tree"]);
}

#[test]
fn recursion_with_an_rlock_is_silent() {
    let mut story = threads(&[2]);
    recursion(&mut story, LockKind::RLock);
    assert!(story.verdicts().is_empty());
}

#[test]
fn a_lock_taken_twice_and_released_by_another_thread_is_a_signal() {
    let mut story = threads(&[2, 3]);
    let (go, _) = two(&mut story, LockKind::Lock);
    let (first, second) = (story.at("f", 2), story.at("f", 4));
    story.acquire(2, go, first);
    story.wait(2, go, second);
    story.sleep(2_000);
    story.release(3, go);
    story.acquire(2, go, second);
    story.wait(2, go, second);
    story.sleep(60_000);
    story.analysis.tick(story.time, &|_| false);
    assert!(story.verdicts().is_empty());
}

#[test]
fn a_lock_taken_twice_that_nobody_releases_is_told_in_the_end() {
    let mut story = threads(&[2]);
    let (lock, _) = two(&mut story, LockKind::Lock);
    let (first, second) = (story.at("f", 2), story.at("f", 4));
    story.acquire(2, lock, first);
    story.wait(2, lock, second);
    assert!(fresh(&mut story).is_empty());
    story.sleep(2_000);
    story.on(MAIN, Event::ProcessEnd { orderly: false });
    assert_eq!(story.verdicts(), [format!("{DEADLOCK} audit")]);
}

#[test]
fn a_lock_whose_owner_ended_before_or_during_the_wait_is_a_deadlock() {
    for waits_first in [false, true] {
        let mut story = threads(&[2, 3]);
        let till = story.lock("till", LockKind::Lock);
        let place = story.at("pay", 2);
        story.acquire(2, till, place);
        if waits_first {
            story.wait(3, till, place);
        }
        story.end(2);
        if !waits_first {
            story.wait(3, till, place);
        }
        assert!(fresh(&mut story).is_empty());
        story.sleep(1_500);
        story.analysis.tick(story.time, &|_| false);
        assert_eq!(fresh(&mut story), ["till"], "waits first: {waits_first}");
    }
}

/// The first reader has taken the lock in a function that is over; he waits for the writer, who waits for that lock.
fn first_reader_waits(story: &mut Story) -> (ObjectId, ObjectId) {
    let (entry, resource) = two(story, LockKind::Lock);
    story.decides("enter", 4);
    let (first, wait, write) = (story.at("enter", 4), story.at("enter", 2), story.at("write", 4));
    story.acquire(2, resource, first);
    story.acquire(3, entry, write);
    story.wait(3, resource, write);
    story.wait(2, entry, wait);
    (entry, resource)
}

#[test]
fn what_the_first_of_several_took_may_be_given_back_by_the_last() {
    let mut story = threads(&[2, 3, 4]);
    let (entry, resource) = first_reader_waits(&mut story);
    story.sleep(3_000);
    story.analysis.tick(story.time, &|_| false);
    assert!(fresh(&mut story).is_empty());
    story.release(4, resource);
    let write = story.at("write", 4);
    story.acquire(3, resource, write);
    story.release(3, entry);
    assert!(story.verdicts().is_empty());
}

#[test]
fn what_the_first_took_and_nobody_gives_back_is_told_where_all_stand_still_or_it_lasts() {
    for all_stand_still in [true, false] {
        let mut story = threads(&[2, 3]);
        first_reader_waits(&mut story);
        let place = story.at("main", 4);
        story.joins(MAIN, 2, place);
        story.sleep(if all_stand_still { 2_000 } else { 16_000 });
        story.analysis.tick(story.time, &|_| all_stand_still);
        assert_eq!(fresh(&mut story), ["audit,ledger"], "all stand still: {all_stand_still}");
    }
}

#[test]
fn a_wait_that_was_told_and_ended_after_all_is_withdrawn() {
    let mut story = threads(&[2, 3]);
    let till = story.lock("till", LockKind::Lock);
    let place = story.at("pay", 2);
    story.acquire(2, till, place);
    story.wait(3, till, place);
    story.end(2);
    story.sleep(1_500);
    story.analysis.tick(story.time, &|_| false);
    assert_eq!(fresh(&mut story), ["till"]);
    story.release(MAIN, till);
    story.acquire(3, till, place);
    assert!(story.verdicts().is_empty());
}

#[test]
fn a_thread_that_ends_after_its_release_is_silent() {
    let mut story = threads(&[2, 3]);
    let till = story.lock("till", LockKind::Lock);
    let place = story.at("pay", 2);
    story.acquire(2, till, place);
    story.wait(3, till, place);
    story.release(2, till);
    story.acquire(3, till, place);
    story.end(2);
    story.sleep(5_000);
    story.analysis.tick(story.time, &|_| false);
    assert!(story.verdicts().is_empty());
}

#[test]
fn a_loop_blocked_on_a_thread_lock_of_its_own_suspended_task_is_told_at_once() {
    let mut story = threads(&[]);
    let vault = story.lock("vault", LockKind::Lock);
    (1..=2).for_each(|task| story.task(MAIN, task));
    let (take, pause) = (story.at("visit", 2), story.at("visit", 4));
    story.run(MAIN, 1);
    story.acquire(MAIN, vault, take);
    story.gives_way(MAIN, pause);
    story.run(MAIN, 2);
    story.wait(MAIN, vault, take);
    let kinds: Vec<&str> = story.analysis.fresh().iter().map(|finding| finding.kind.name()).collect();
    assert!(kinds.contains(&"deadlock"), "{kinds:?}");
}

/// Two tasks take two locks in opposite orders, and meet.
fn tasks_meet(story: &mut Story, inner: StackId) -> (ObjectId, ObjectId) {
    let (a, b) = two(story, LockKind::AsyncLock);
    (1..=2).for_each(|task| story.task(MAIN, task));
    let outer = story.at("f", 2);
    for (task, lock) in [(1, a), (2, b)] {
        story.run(MAIN, task);
        story.acquire(MAIN, lock, outer);
        story.gives_way(MAIN, outer);
    }
    for (task, lock) in [(1, b), (2, a)] {
        story.run(MAIN, task);
        story.wait(MAIN, lock, inner);
        story.gives_way(MAIN, inner);
    }
    (a, b)
}

#[test]
fn tasks_that_wait_for_each_other_are_a_deadlock_once_it_lasts() {
    let mut story = threads(&[]);
    let inner = story.at("f", 4);
    tasks_meet(&mut story, inner);
    assert!(fresh(&mut story).is_empty());
    story.sleep(11_000);
    story.analysis.tick(story.time, &|_| false);
    assert_eq!(story.verdicts(), [format!("{DEADLOCK} audit,ledger")]);
}

#[test]
fn tasks_whose_wait_is_cancelled_in_time_are_silent() {
    let mut story = threads(&[]);
    let inner = story.at("f", 4);
    let (_, lock) = tasks_meet(&mut story, inner);
    story.run(MAIN, 1);
    story.on(MAIN, Event::LockFailed { lock, stack: inner, patience: Patience::Forever });
    story.sleep(11_000);
    story.analysis.tick(story.time, &|_| false);
    assert!(story.verdicts().is_empty());
}

#[test]
fn the_waiter_lock_of_a_condition_is_silent() {
    let mut story = threads(&[2]);
    let (made, first) = (story.at("threading:Condition.wait", 2), story.at("threading:Condition.wait", 4));
    let waiter = story.lock_at("waiter", LockKind::Lock, 2, made);
    story.acquire(2, waiter, first);
    story.wait(2, waiter, first);
    story.on(MAIN, Event::ProcessEnd { orderly: false });
    assert!(story.verdicts().is_empty());
}

#[test]
fn a_loop_blocked_by_a_thread_that_waits_for_the_loops_result_is_a_deadlock_once_it_lasts() {
    let mut story = threads(&[2]);
    let lock = story.lock("shared", LockKind::Lock);
    let (take, made) = (story.at("worker", 2), story.at("threading:Condition.wait", 2));
    let result = story.under(take, "concurrent.futures._base:Future.result", 6);
    let waiter = story.lock_at("waiter", LockKind::Lock, 2, made);
    story.task(MAIN, 1);
    story.acquire(2, lock, take);
    story.acquire(2, waiter, made);
    story.wait(2, waiter, result);
    story.run(MAIN, 1);
    story.wait(MAIN, lock, take);
    assert!(fresh(&mut story).is_empty());
    story.sleep(11_000);
    story.analysis.tick(story.time, &|_| false);
    assert_eq!(fresh(&mut story), ["shared"]);
}

#[test]
fn after_a_gap_nothing_is_told_of_waits_before_it() {
    let mut story = threads(&[2]);
    let (lock, _) = two(&mut story, LockKind::Lock);
    let (first, second) = (story.at("f", 2), story.at("f", 4));
    story.acquire(2, lock, first);
    story.wait(2, lock, second);
    story.on(2, Event::Gap { lost: 3 });
    story.sleep(60_000);
    story.analysis.tick(story.time, &|_| false);
    assert!(story.verdicts().is_empty());
}

#[test]
fn a_thread_that_joins_another_while_holding_what_it_needs_is_told_at_once() {
    let mut story = threads(&[2]);
    let (audit, _) = two(&mut story, LockKind::Lock);
    let (outer, inner) = (story.at("f", 2), story.at("f", 4));
    story.acquire(MAIN, audit, outer);
    story.joins(MAIN, 2, inner);
    assert!(fresh(&mut story).is_empty());
    story.wait(2, audit, inner);
    assert_eq!(fresh(&mut story), ["audit"]);
    assert!(story.findings()[0].message.contains("waits for the end of thread T2"));
}

#[test]
fn threads_that_join_each_other_are_told_and_one_way_is_silent() {
    let mut story = threads(&[2, 3]);
    let place = story.at("f", 2);
    story.joins(2, 3, place);
    assert!(story.verdicts().is_empty());
    story.joins(3, 2, place);
    assert_eq!(story.verdicts(), [format!("{DEADLOCK} thread t2,thread t3")]);
}

#[test]
fn a_join_that_is_over_is_no_wait() {
    let mut story = threads(&[2]);
    let (audit, _) = two(&mut story, LockKind::Lock);
    let (outer, inner) = (story.at("f", 2), story.at("f", 4));
    story.acquire(MAIN, audit, outer);
    story.joins(MAIN, 2, inner);
    story.join(MAIN, 2);
    story.wait(2, audit, inner);
    assert!(story.verdicts().is_empty());
}

/// Main joins a thread that waits for an event that nobody sets.
fn forgotten_event(story: &mut Story) {
    let (join, wait) = (story.at("main", 30), story.at("worker", 2));
    let inside = story.under(wait, "threading:Event.wait", 4);
    let made = story.under(inside, "threading:Condition.wait", 2);
    let waiter = story.lock_at("waiter", LockKind::Lock, 2, made);
    story.acquire(2, waiter, made);
    story.wait(2, waiter, made);
    story.joins(MAIN, 2, join);
}

#[test]
fn when_all_wait_for_ever_and_the_process_stands_still_that_is_told() {
    let mut story = threads(&[2]);
    forgotten_event(&mut story);
    story.sleep(2000);
    story.analysis.tick(story.time, &|_| false);
    assert!(fresh(&mut story).is_empty());
    story.analysis.tick(story.time, &|_| true);
    assert_eq!(story.verdicts().len(), 1);
    assert!(story.findings()[0].message.contains("waits in Event.wait"), "{}", story.findings()[0].message);
}

#[test]
fn a_thread_that_does_not_wait_can_still_wake_the_others() {
    let mut story = threads(&[2, 3]);
    forgotten_event(&mut story);
    story.sleep(2000);
    story.analysis.tick(story.time, &|_| true);
    assert!(story.verdicts().is_empty());
}

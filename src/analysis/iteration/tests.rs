use crate::analysis::story::{MAIN, Story, threads};
use crate::event::{Action, Event, FrameId, LockKind, ObjectId, Shape};

const OBSERVED: &str = "mutation-during-iteration error observed";
const POSSIBLE: &str = "mutation-during-iteration error possible";
const LOOP: u64 = 77;

fn begins(story: &mut Story, tid: u32, object: ObjectId, length: u64) {
    let stack = story.at("walk", 10);
    story.on(tid, Event::IterBegin { object, iterator: LOOP, frame: FrameId(u64::from(tid)), length: Some(length), stack });
}

fn next(story: &mut Story, tid: u32, length: u64) {
    let stack = story.at("walk", 12);
    story.on(tid, Event::IterNext { iterator: LOOP, length: Some(length), stack });
}

fn ends(story: &mut Story, tid: u32) {
    story.on(tid, Event::IterEnd { iterator: LOOP });
}

fn change(story: &mut Story, tid: u32, action: Action, object: ObjectId, method: &'static str) {
    if !method.is_empty() {
        story.calls(method, 20, method);
    }
    let stack = story.at(if method.is_empty() { "change" } else { method }, 20);
    story.touch(tid, action, object, 0, stack);
}

#[test]
fn another_threads_insertion_during_a_loop_is_observed() {
    let mut story = threads(&[2, 3]);
    let fleet = story.object("fleet", Shape::Dict);
    begins(&mut story, 2, fleet, 5);
    next(&mut story, 2, 5);
    change(&mut story, 3, Action::Insert, fleet, "");
    next(&mut story, 2, 6);
    let verdicts = story.verdicts();
    assert_eq!(verdicts.len(), 1);
    assert!(verdicts[0].starts_with(OBSERVED), "{verdicts:?}");
    let finding = &story.findings()[0];
    assert!(finding.message.contains("RuntimeError"));
    assert_eq!(finding.timeline.len(), 3);
}

#[test]
fn a_change_that_left_the_size_as_it_was_is_silent() {
    let mut story = threads(&[2, 3]);
    let seen = story.object("seen", Shape::Set);
    begins(&mut story, 2, seen, 5);
    next(&mut story, 2, 5);
    change(&mut story, 3, Action::Update, seen, "add");
    next(&mut story, 2, 5);
    ends(&mut story, 2);
    assert!(story.verdicts().is_empty());
}

#[test]
fn an_element_that_is_new_to_a_set_can_come_during_a_loop_that_is_over() {
    let mut story = threads(&[2, 3]);
    let seen = story.object("seen", Shape::Set);
    begins(&mut story, 2, seen, 5);
    next(&mut story, 2, 5);
    ends(&mut story, 2);
    change(&mut story, 3, Action::Insert, seen, "add");
    assert!(story.verdicts()[0].starts_with("mutation-during-iteration error possible"), "{:?}", story.verdicts());
}

#[test]
fn a_set_that_grew_during_a_loop_is_observed() {
    let mut story = threads(&[2, 3]);
    let seen = story.object("seen", Shape::Set);
    begins(&mut story, 2, seen, 5);
    change(&mut story, 3, Action::Insert, seen, "add");
    next(&mut story, 2, 6);
    assert!(story.verdicts()[0].starts_with(OBSERVED));
}

#[test]
fn overwriting_values_during_a_loop_is_silent() {
    let mut story = threads(&[2, 3]);
    let fleet = story.object("fleet", Shape::Dict);
    begins(&mut story, 2, fleet, 5);
    change(&mut story, 3, Action::Write, fleet, "");
    next(&mut story, 2, 5);
    change(&mut story, 2, Action::Write, fleet, "");
    next(&mut story, 2, 5);
    assert!(story.verdicts().is_empty());
}

#[test]
fn a_store_that_turns_out_to_add_a_key_is_observed() {
    let mut story = threads(&[2, 3]);
    let fleet = story.object("fleet", Shape::Dict);
    begins(&mut story, 2, fleet, 5);
    change(&mut story, 3, Action::Write, fleet, "");
    next(&mut story, 2, 6);
    assert!(story.verdicts()[0].starts_with(OBSERVED));
}

#[test]
fn deleting_in_the_own_loop_is_observed_when_it_goes_on() {
    let mut story = threads(&[]);
    let drafts = story.object("drafts", Shape::Dict);
    begins(&mut story, MAIN, drafts, 5);
    next(&mut story, MAIN, 5);
    change(&mut story, MAIN, Action::Delete, drafts, "");
    assert!(story.verdicts().is_empty(), "the loop may still be left");
    next(&mut story, MAIN, 4);
    assert!(story.verdicts()[0].starts_with(OBSERVED));
    assert!(story.findings()[0].message.contains("own body"));
}

#[test]
fn deleting_in_the_own_loop_and_leaving_it_is_silent() {
    let mut story = threads(&[]);
    let drafts = story.object("drafts", Shape::Dict);
    for _ in 0..3 {
        begins(&mut story, MAIN, drafts, 5);
        next(&mut story, MAIN, 5);
        change(&mut story, MAIN, Action::Delete, drafts, "");
    }
    assert!(story.verdicts().is_empty());
}

#[test]
fn removing_from_a_list_in_the_own_loop_skips_elements() {
    let mut story = threads(&[]);
    let guests = story.object("guests", Shape::List);
    begins(&mut story, MAIN, guests, 5);
    next(&mut story, MAIN, 5);
    change(&mut story, MAIN, Action::Update, guests, "remove");
    next(&mut story, MAIN, 4);
    assert!(story.verdicts()[0].starts_with(OBSERVED));
    assert!(story.findings()[0].message.contains("skipped"));
}

#[test]
fn a_work_list_that_grows_in_its_own_loop_is_a_note() {
    let mut story = threads(&[]);
    let work = story.object("work", Shape::List);
    begins(&mut story, MAIN, work, 5);
    next(&mut story, MAIN, 5);
    change(&mut story, MAIN, Action::Update, work, "append");
    next(&mut story, MAIN, 6);
    assert!(story.verdicts()[0].starts_with("mutation-during-iteration note observed"));
}

#[test]
fn a_change_after_the_loop_that_nothing_keeps_out_is_possible() {
    let mut story = threads(&[2, 3]);
    let fleet = story.object("fleet", Shape::Dict);
    begins(&mut story, 2, fleet, 5);
    next(&mut story, 2, 5);
    ends(&mut story, 2);
    change(&mut story, 3, Action::Insert, fleet, "");
    assert!(story.verdicts()[0].starts_with(POSSIBLE));
}

#[test]
fn a_change_before_the_loop_that_nothing_keeps_out_is_possible() {
    let mut story = threads(&[]);
    let fleet = story.object("fleet", Shape::Dict);
    change(&mut story, MAIN, Action::Insert, fleet, "");
    story.start(2);
    story.start(3);
    change(&mut story, 3, Action::Insert, fleet, "");
    begins(&mut story, 2, fleet, 5);
    next(&mut story, 2, 5);
    ends(&mut story, 2);
    assert_eq!(story.verdicts().len(), 1);
    assert!(story.verdicts()[0].starts_with(POSSIBLE));
}

#[test]
fn a_container_that_was_filled_and_then_handed_over_is_silent() {
    let mut story = threads(&[2, 3]);
    let fleet = story.object("fleet", Shape::Dict);
    change(&mut story, 3, Action::Insert, fleet, "");
    begins(&mut story, 2, fleet, 5);
    next(&mut story, 2, 5);
    ends(&mut story, 2);
    assert!(story.verdicts().is_empty());
}

#[test]
fn changes_before_the_start_and_after_the_join_are_silent() {
    let mut story = threads(&[]);
    let fleet = story.object("fleet", Shape::Dict);
    change(&mut story, MAIN, Action::Insert, fleet, "");
    story.start(2);
    begins(&mut story, 2, fleet, 5);
    next(&mut story, 2, 5);
    ends(&mut story, 2);
    story.end(2);
    story.join(MAIN, 2);
    change(&mut story, MAIN, Action::Delete, fleet, "");
    assert!(story.verdicts().is_empty());
}

#[test]
fn one_lock_around_the_loop_and_the_change_is_silent_and_two_are_not() {
    for common in [true, false] {
        let mut story = threads(&[2, 3]);
        let fleet = story.object("fleet", Shape::Dict);
        let [yard, other] = ["yard", "other"].map(|name| story.lock(name, LockKind::Lock));
        let place = story.at("walk", 2);
        story.acquire(2, yard, place);
        begins(&mut story, 2, fleet, 5);
        next(&mut story, 2, 5);
        ends(&mut story, 2);
        story.release(2, yard);
        let lock = if common { yard } else { other };
        story.acquire(3, lock, place);
        change(&mut story, 3, Action::Insert, fleet, "");
        story.release(3, lock);
        assert_eq!(story.verdicts().is_empty(), common);
    }
}

#[test]
fn a_lock_let_go_in_the_loop_does_not_guard_it() {
    let mut story = threads(&[2, 3]);
    let fleet = story.object("fleet", Shape::Dict);
    let yard = story.lock("yard", LockKind::Lock);
    let place = story.at("walk", 2);
    story.acquire(2, yard, place);
    begins(&mut story, 2, fleet, 5);
    next(&mut story, 2, 5);
    story.release(2, yard);
    story.acquire(2, yard, place);
    next(&mut story, 2, 5);
    ends(&mut story, 2);
    story.release(2, yard);
    story.acquire(3, yard, place);
    change(&mut story, 3, Action::Insert, fleet, "");
    assert!(story.verdicts()[0].starts_with(POSSIBLE));
}

#[test]
fn a_loop_without_await_is_not_split_by_tasks_of_its_loop() {
    for awaits in [false, true] {
        let mut story = threads(&[]);
        let rooms = story.object("rooms", Shape::Dict);
        (1..=2).for_each(|task| story.task(MAIN, task));
        let pause = story.at("walk", 14);
        story.run(MAIN, 1);
        begins(&mut story, MAIN, rooms, 3);
        next(&mut story, MAIN, 3);
        if awaits {
            story.gives_way(MAIN, pause);
            story.run(MAIN, 1);
            next(&mut story, MAIN, 3);
        }
        ends(&mut story, MAIN);
        story.run(MAIN, 2);
        change(&mut story, MAIN, Action::Delete, rooms, "");
        assert_eq!(story.verdicts().is_empty(), !awaits);
    }
}

#[test]
fn a_change_by_another_task_during_an_await_in_the_loop_is_observed() {
    let mut story = threads(&[]);
    let rooms = story.object("rooms", Shape::Dict);
    (1..=2).for_each(|task| story.task(MAIN, task));
    let pause = story.at("walk", 14);
    story.run(MAIN, 1);
    begins(&mut story, MAIN, rooms, 3);
    next(&mut story, MAIN, 3);
    story.gives_way(MAIN, pause);
    story.run(MAIN, 2);
    change(&mut story, MAIN, Action::Delete, rooms, "");
    story.run(MAIN, 1);
    next(&mut story, MAIN, 2);
    assert!(story.verdicts()[0].starts_with(OBSERVED));
    assert!(story.findings()[0].message.starts_with("task task2 changes"));
}

#[test]
fn an_object_that_is_gone_is_forgotten() {
    let mut story = threads(&[2, 3]);
    let fleet = story.object("fleet", Shape::Dict);
    begins(&mut story, 2, fleet, 5);
    next(&mut story, 2, 5);
    story.on(2, Event::ObjectEnd { id: fleet });
    change(&mut story, 3, Action::Insert, fleet, "");
    next(&mut story, 2, 6);
    assert!(story.verdicts().is_empty());
}

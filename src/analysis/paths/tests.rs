use crate::analysis::story::{MAIN, Story, threads};
use crate::event::{LockKind, PathEffect};

const OBSERVED: &str = "file-check-then-use error observed lot7.claim";
const POSSIBLE: &str = "file-check-then-use warning possible lot7.claim";
const PATH: &str = "/tmp/room/lot7.claim";

fn asks(story: &mut Story, tid: u32) {
    let stack = story.at("claim", 2);
    story.asks(tid, PATH, stack);
}

fn acts(story: &mut Story, tid: u32, effect: PathEffect) {
    let stack = story.at("claim", 8);
    story.acts(tid, PATH, effect, stack);
}

/// Without asking first.
fn changes(story: &mut Story, tid: u32, effect: PathEffect) {
    let stack = story.at("clean_up", 2);
    story.acts(tid, PATH, effect, stack);
}

#[test]
fn a_removal_between_check_and_open_is_observed() {
    let mut story = threads(&[2, 3]);
    asks(&mut story, 2);
    changes(&mut story, 3, PathEffect::Remove);
    acts(&mut story, 2, PathEffect::Open);
    assert_eq!(story.verdicts(), [OBSERVED]);
    let roles: Vec<String> = story.findings()[0].accesses.iter().map(|access| access.role.clone()).collect();
    assert_eq!(roles, ["check", "act", "conflict"]);
}

#[test]
fn two_that_check_and_create_are_observed_when_they_meet() {
    let mut story = threads(&[2, 3]);
    asks(&mut story, 2);
    asks(&mut story, 3);
    acts(&mut story, 2, PathEffect::Create);
    acts(&mut story, 3, PathEffect::Create);
    assert_eq!(story.verdicts(), [OBSERVED]);
}

#[test]
fn two_that_check_and_create_one_after_the_other_are_possible() {
    let mut story = threads(&[2, 3]);
    for tid in [2, 3] {
        asks(&mut story, tid);
        acts(&mut story, tid, PathEffect::Create);
    }
    assert_eq!(story.verdicts(), [POSSIBLE]);
}

#[test]
fn another_process_between_check_and_act_is_observed() {
    let mut story = threads(&[]);
    asks(&mut story, MAIN);
    story.begin_process(1);
    changes(&mut story, MAIN, PathEffect::Create);
    story.process = 0;
    acts(&mut story, MAIN, PathEffect::Create);
    assert_eq!(story.verdicts(), [OBSERVED]);
}

#[test]
fn a_path_that_nobody_else_touches_is_silent() {
    let mut story = threads(&[2, 3]);
    for _ in 0..3 {
        asks(&mut story, 2);
        acts(&mut story, 2, PathEffect::Create);
    }
    assert!(story.verdicts().is_empty());
}

#[test]
fn others_that_only_read_it_are_silent() {
    let mut story = threads(&[2, 3]);
    asks(&mut story, 2);
    changes(&mut story, 3, PathEffect::Open);
    acts(&mut story, 2, PathEffect::Create);
    assert!(story.verdicts().is_empty());
}

#[test]
fn creating_what_a_reader_asked_for_does_not_harm_him() {
    let mut story = threads(&[2, 3]);
    asks(&mut story, 2);
    changes(&mut story, 3, PathEffect::Create);
    acts(&mut story, 2, PathEffect::Open);
    assert!(story.verdicts().is_empty());
}

#[test]
fn changes_before_the_start_and_after_the_join_are_silent() {
    let mut story = threads(&[]);
    changes(&mut story, MAIN, PathEffect::Create);
    story.start(2);
    asks(&mut story, 2);
    acts(&mut story, 2, PathEffect::Remove);
    story.end(2);
    story.join(MAIN, 2);
    changes(&mut story, MAIN, PathEffect::Remove);
    assert!(story.verdicts().is_empty());
}

#[test]
fn one_lock_around_check_and_act_is_silent() {
    let mut story = threads(&[2, 3]);
    let lock = story.lock("claims", LockKind::Lock);
    let place = story.at("claim", 1);
    for tid in [2, 3] {
        story.acquire(tid, lock, place);
        asks(&mut story, tid);
        acts(&mut story, tid, PathEffect::Create);
        story.release(tid, lock);
    }
    assert!(story.verdicts().is_empty());
}

#[test]
fn asking_and_acting_in_unrelated_functions_is_silent() {
    let mut story = threads(&[2, 3]);
    asks(&mut story, 2);
    changes(&mut story, 3, PathEffect::Remove);
    let elsewhere = story.at("elsewhere", 4);
    story.acts(2, PATH, PathEffect::Open, elsewhere);
    assert!(story.verdicts().is_empty());
}

#[test]
fn a_call_that_asks_and_acts_itself_is_silent() {
    let mut story = threads(&[2, 3]);
    let call = story.at("claim", 2);
    story.asks(2, PATH, call);
    changes(&mut story, 3, PathEffect::Remove);
    story.acts(2, PATH, PathEffect::Remove, call);
    assert!(story.verdicts().is_empty());
}

#[test]
fn tasks_without_an_await_between_check_and_act_are_silent() {
    let mut story = threads(&[]);
    (1..=2).for_each(|task| story.task(MAIN, task));
    for task in [1, 2] {
        story.run(MAIN, task);
        asks(&mut story, MAIN);
        acts(&mut story, MAIN, PathEffect::Create);
    }
    assert!(story.verdicts().is_empty());
}

#[test]
fn who_comes_too_late_to_act_makes_it_possible() {
    for (effect, verdicts) in [(PathEffect::MakeDirectory, vec![POSSIBLE]), (PathEffect::Open, vec![])] {
        let mut story = threads(&[2, 3]);
        asks(&mut story, 2);
        acts(&mut story, 2, effect);
        asks(&mut story, 3);
        assert_eq!(story.verdicts(), verdicts);
    }
}

#[test]
fn who_asks_elsewhere_does_not_make_it_possible() {
    let mut story = threads(&[2, 3]);
    asks(&mut story, 2);
    acts(&mut story, 2, PathEffect::Create);
    let elsewhere = story.at("report", 3);
    story.asks(3, PATH, elsewhere);
    assert!(story.verdicts().is_empty());
}

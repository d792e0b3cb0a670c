use racetrace_probes::plan::WindowKind;

use crate::analysis::story::{MAIN, Story, threads};
use crate::event::{Event, FrameId, LockKind};

const OBSERVED: &str = "read-modify-write error observed app.hits.value";
const POSSIBLE: &str = "read-modify-write error possible app.hits.value";

/// Two children of one process, numbers 1 and 2.
fn family() -> Story {
    let mut story = threads(&[]);
    story.has_window("work", WindowKind::ReadModifyWrite, [2, 8], "hits.value");
    story.has_window("claim", WindowKind::CheckThenAct, [2, 8], "seat.value");
    story.begin_child(Some(0), 1);
    story.begin_child(Some(0), 2);
    story
}

fn touches(story: &mut Story, process: u32, function: &str, writes: bool) {
    story.process = process;
    let (what, stack) = (story.text("/mp-1+0.value"), story.at(function, if writes { 8 } else { 2 }));
    story.on(MAIN, Event::Shared { what, writes, stack, frame: FrameId(u64::from(process)) });
}

fn adds(story: &mut Story, process: u32) {
    touches(story, process, "work", false);
    touches(story, process, "work", true);
}

#[test]
fn a_write_between_read_and_write_of_another_process_is_observed() {
    let mut story = family();
    touches(&mut story, 1, "work", false);
    adds(&mut story, 2);
    touches(&mut story, 1, "work", true);
    assert_eq!(story.verdicts(), [OBSERVED]);
}

#[test]
fn two_processes_that_add_one_after_the_other_are_possible_and_told_apart() {
    let mut story = family();
    adds(&mut story, 1);
    adds(&mut story, 2);
    assert_eq!(story.verdicts(), [POSSIBLE]);
    let message = story.findings()[0].message.clone();
    assert!(message.contains("process 101") && message.contains("process 102"), "{message}");
}

#[test]
fn processes_are_called_what_the_program_calls_them() {
    let mut story = family();
    let name = story.text("Process-2");
    story.on(MAIN, Event::ProcessName { name });
    adds(&mut story, 1);
    adds(&mut story, 2);
    let finding = story.findings().remove(0);
    assert!(finding.message.contains("MainThread of Process-2"), "{}", finding.message);
    assert!(finding.accesses.iter().any(|access| access.strand.process.as_deref() == Some("Process-2")));
}

#[test]
fn what_the_parent_does_before_and_after_is_silent() {
    let mut story = threads(&[]);
    story.has_window("work", WindowKind::ReadModifyWrite, [2, 8], "hits.value");
    adds(&mut story, 0);
    story.begin_child(Some(0), 1);
    adds(&mut story, 1);
    story.process = 0;
    story.on(MAIN, Event::Hear);
    adds(&mut story, 0);
    assert!(story.verdicts().is_empty());
}

#[test]
fn one_lock_around_both_is_silent() {
    let mut story = family();
    for process in [1, 2] {
        story.process = process;
        let (lock, place) = (story.lock("/mp-2", LockKind::File), story.at("main", 4));
        story.acquire(MAIN, lock, place);
        adds(&mut story, process);
        story.release(MAIN, lock);
    }
    assert!(story.verdicts().is_empty());
}

#[test]
fn who_only_looks_follows_who_has_stored() {
    let mut story = family();
    adds(&mut story, 1);
    touches(&mut story, 2, "poll", false);
    adds(&mut story, 2);
    assert!(story.verdicts().is_empty());
}

#[test]
fn the_same_check_by_another_process_is_possible() {
    let mut story = family();
    touches(&mut story, 1, "claim", false);
    touches(&mut story, 1, "claim", true);
    touches(&mut story, 2, "claim", false);
    assert_eq!(story.verdicts(), ["check-then-act error possible app.seat.value"]);
}

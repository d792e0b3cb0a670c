use crate::analysis::story::{File, MAIN, Story, threads};
use crate::event::{Event, LockKind, OpenMode, StackId, WriteLevel};

const OBSERVED: &str = "interleaved-write error observed sensors.log";
const POSSIBLE: &str = "interleaved-write error possible sensors.log";
const NOTE: &str = "unordered-access note possible sensors.log";
const PATH: &str = "/tmp/x/sensors.log";

/// One handle, opened by the main thread before the others start.
fn shared(story: &mut Story) -> File {
    let file = File::new(PATH, 5);
    let stack = story.at("main", 20);
    story.opens(MAIN, &file, OpenMode::Write, stack);
    file
}

fn started(tids: &[u32]) -> (Story, File) {
    let mut story = threads(&[]);
    let file = shared(&mut story);
    tids.iter().for_each(|tid| story.start(*tid));
    (story, file)
}

/// A handle of one's own.
fn opens(story: &mut Story, tid: u32, file: File, mode: OpenMode) -> File {
    let stack = story.at("department", 2);
    story.opens(tid, &file, mode, stack);
    file
}

#[test]
fn a_write_inside_another_threads_record_is_observed() {
    let (mut story, log) = started(&[2, 3]);
    story.writes(2, &log, "s1 ", 2);
    story.writes(3, &log, "s2 ", 2);
    story.writes(2, &log, "s1=ok\n", 4);
    story.writes(3, &log, "s2=ok\n", 4);
    assert_eq!(story.verdicts(), [OBSERVED]);
    assert_eq!(story.findings()[0].timeline.len(), 3);
}

#[test]
fn records_of_two_writes_that_did_not_meet_are_possible() {
    let (mut story, log) = started(&[2, 3]);
    for tid in [2, 3] {
        story.writes(tid, &log, "s ", 2);
        story.writes(tid, &log, "s=ok\n", 4);
    }
    assert!(story.verdicts().contains(&POSSIBLE.to_owned()), "{:?}", story.verdicts());
}

#[test]
fn records_of_one_write_each_are_a_note() {
    let (mut story, log) = started(&[2, 3]);
    for tid in [2, 3, 2, 3] {
        story.writes(tid, &log, "s=ok\n", 2);
    }
    assert_eq!(story.verdicts(), [NOTE]);
}

#[test]
fn a_heading_and_lines_are_records_of_their_own() {
    let (mut story, log) = started(&[2, 3]);
    for tid in [2, 3] {
        story.writes(tid, &log, "heading\n", 2);
        story.writes(tid, &log, "line\n", 4);
        story.writes(tid, &log, "line\n", 4);
    }
    assert_eq!(story.verdicts(), [NOTE]);
}

#[test]
fn one_lock_around_the_record_is_silent() {
    let (mut story, log) = started(&[2, 3]);
    let lock = story.lock("log_lock", LockKind::Lock);
    let place = story.at("log", 30);
    for tid in [2, 3] {
        story.acquire(tid, lock, place);
        story.writes(tid, &log, "s ", 2);
        story.writes(tid, &log, "s=ok\n", 4);
        story.release(tid, lock);
    }
    assert!(story.verdicts().is_empty());
}

#[test]
fn a_lock_of_ones_own_does_not_help() {
    let (mut story, log) = started(&[2, 3]);
    let locks = ["one", "two"].map(|name| story.lock(name, LockKind::Lock));
    let place = story.at("log", 30);
    for (tid, lock) in (2..).zip(locks) {
        story.acquire(tid, lock, place);
        story.writes(tid, &log, "s ", 2);
        story.writes(tid, &log, "s=ok\n", 4);
        story.release(tid, lock);
    }
    assert!(story.verdicts().contains(&POSSIBLE.to_owned()));
}

#[test]
fn a_lock_around_each_write_makes_each_a_record() {
    let (mut story, log) = started(&[2, 3]);
    let lock = story.lock("log_lock", LockKind::Lock);
    let place = story.at("log", 30);
    for _ in 0..2 {
        for tid in [2, 3] {
            for (text, offset) in [("start ", 2), ("stop ", 4)] {
                story.acquire(tid, lock, place);
                story.writes(tid, &log, text, offset);
                story.release(tid, lock);
            }
        }
    }
    assert!(story.verdicts().is_empty());
}

#[test]
fn records_before_the_start_and_after_the_join_are_silent() {
    let (mut story, log) = started(&[]);
    story.writes(MAIN, &log, "head", 2);
    story.start(2);
    story.writes(2, &log, "s ", 4);
    story.writes(2, &log, "s=ok\n", 6);
    story.end(2);
    story.join(MAIN, 2);
    story.writes(MAIN, &log, "foot", 8);
    story.writes(MAIN, &log, "foot\n", 10);
    assert!(story.verdicts().is_empty(), "{:?}", story.verdicts());
}

#[test]
fn binary_records_in_a_loop_are_single_writes() {
    let (mut story, log) = started(&[2, 3]);
    for tid in [2, 3, 2, 2, 3, 3] {
        story.writes(tid, &log, "RECORD", 2);
    }
    assert_eq!(story.verdicts(), [NOTE]);
}

#[test]
fn binary_records_of_head_and_body_are_split() {
    let (mut story, log) = started(&[2, 3]);
    for tid in [2, 3] {
        for _ in 0..2 {
            story.writes(tid, &log, "HEAD", 2);
            story.writes(tid, &log, "BODY", 4);
        }
    }
    assert!(story.verdicts().contains(&POSSIBLE.to_owned()));
}

#[test]
fn a_librarys_loop_over_parts_is_one_record() {
    let (mut story, log) = started(&[2, 3]);
    let user = story.at("save", 2);
    let chunk = story.under(user, "json:dump", 40);
    for tid in [2, 3, 2, 3] {
        story.writes_at(tid, &log, WriteLevel::Text, "{\"a\": ", chunk);
    }
    assert_eq!(story.verdicts(), [OBSERVED]);
}

#[test]
fn layers_of_one_write_are_one_write() {
    let (mut story, log) = started(&[2, 3]);
    for tid in [2, 3, 2, 3] {
        story.writes_through(tid, &log, "s=ok\n", 2);
    }
    assert_eq!(story.verdicts(), [NOTE]);
}

#[test]
fn standard_output_is_cosmetic() {
    let mut story = threads(&[2, 3]);
    let out = File::new("", 1);
    for _ in 0..2 {
        story.writes(2, &out, "a ", 2);
        story.writes(3, &out, "b ", 2);
        story.writes(2, &out, "a\n", 4);
        story.writes(3, &out, "b\n", 4);
    }
    let verdicts = story.verdicts();
    assert!(verdicts.iter().all(|verdict| verdict.contains(" note ")), "{verdicts:?}");
}

#[test]
fn tasks_split_a_record_only_where_they_await() {
    for awaits in [false, true] {
        let (mut story, log) = started(&[]);
        (1..=2).for_each(|task| story.task(MAIN, task));
        let pause = story.at("log", 3);
        for task in [1, 2] {
            story.run(MAIN, task);
            story.writes(MAIN, &log, "s ", 2);
            if awaits {
                story.gives_way(MAIN, pause);
                story.run(MAIN, task);
            }
            story.writes(MAIN, &log, "s=ok\n", 4);
        }
        assert_eq!(story.verdicts().is_empty(), !awaits, "{:?}", story.verdicts());
    }
}

#[test]
fn two_handles_opened_with_w_overwrite_each_other() {
    let mut story = threads(&[2, 3]);
    let north = opens(&mut story, 2, File::new(PATH, 5), OpenMode::Write);
    let south = opens(&mut story, 3, File::new(PATH, 6), OpenMode::Write);
    for (tid, file) in [(2, &north), (3, &south), (2, &north)] {
        story.writes_through(tid, file, "row\n", 2);
    }
    assert_eq!(story.verdicts(), [OBSERVED]);
    let roles: Vec<String> = story.findings()[0].accesses.iter().map(|access| access.role.clone()).collect();
    assert_eq!(roles, ["open", "write", "open", "conflict"]);
}

#[test]
fn two_handles_opened_with_w_one_after_the_other_are_possible_and_under_a_lock_silent() {
    for locked in [false, true] {
        let mut story = threads(&[2, 3]);
        let lock = story.lock("report_lock", LockKind::Lock);
        let place = story.at("log", 30);
        for (tid, fd) in [(2, 5), (3, 6)] {
            if locked {
                story.acquire(tid, lock, place);
            }
            let file = opens(&mut story, tid, File::new(PATH, fd), OpenMode::Write);
            story.writes_through(tid, &file, "row\n", 2);
            story.closes(tid, &file);
            if locked {
                story.release(tid, lock);
            }
        }
        let expected: &[&str] = if locked { &[] } else { &[POSSIBLE] };
        assert_eq!(story.verdicts(), expected);
    }
}

#[test]
fn writing_again_after_the_join_is_silent() {
    let mut story = threads(&[2]);
    let file = opens(&mut story, 2, File::new(PATH, 5), OpenMode::Write);
    story.writes_through(2, &file, "row\n", 2);
    story.closes(2, &file);
    story.end(2);
    story.join(MAIN, 2);
    let file = opens(&mut story, MAIN, File::new(PATH, 5), OpenMode::Write);
    story.writes_through(MAIN, &file, "row\n", 2);
    assert!(story.verdicts().is_empty());
}

#[test]
fn handles_that_update_their_own_parts_are_silent() {
    let mut story = threads(&[2, 3]);
    let one = opens(&mut story, 2, File::new(PATH, 5), OpenMode::Update);
    let two = opens(&mut story, 3, File::new(PATH, 6), OpenMode::Update);
    for (tid, file) in [(2, &one), (3, &two), (2, &one)] {
        story.writes_at(tid, file, WriteLevel::System, "part", StackId(0));
    }
    assert!(story.verdicts().is_empty());
}

#[test]
fn one_append_to_the_system_a_record_is_silent() {
    let mut story = threads(&[2, 3]);
    let one = opens(&mut story, 2, File::appending(PATH, 5), OpenMode::Append);
    let two = opens(&mut story, 3, File::appending(PATH, 6), OpenMode::Append);
    for (tid, file) in [(2, &one), (3, &two), (2, &one), (3, &two)] {
        story.writes_through(tid, file, "bee trip\n", 2);
    }
    assert!(story.verdicts().is_empty());
}

/// Two writes a record, which are buffered and go out together.
#[test]
fn an_appended_record_that_is_flushed_whole_is_silent() {
    let mut story = threads(&[2, 3]);
    let one = opens(&mut story, 2, File::appending(PATH, 5), OpenMode::Append);
    let two = opens(&mut story, 3, File::appending(PATH, 6), OpenMode::Append);
    let flush = story.at("log", 8);
    for (tid, file) in [(2, &one), (3, &two), (2, &one), (3, &two)] {
        story.writes(tid, file, "bee ", 2);
        story.writes(tid, file, "trip\n", 4);
        story.writes_at(tid, file, WriteLevel::System, "bee trip\n", flush);
    }
    assert!(story.verdicts().is_empty());
}

#[test]
fn an_append_buffer_that_goes_out_in_blocks_is_torn() {
    let mut story = threads(&[2, 3]);
    let one = opens(&mut story, 2, File::appending(PATH, 5), OpenMode::Append);
    let two = opens(&mut story, 3, File::appending(PATH, 6), OpenMode::Append);
    let flush = story.at("log", 2);
    let block = |story: &mut Story, tid: u32, file: &File| {
        story.writes(tid, file, "a line of twenty ch\n", 2);
        story.writes_at(tid, file, WriteLevel::System, "a line of ", flush);
    };
    block(&mut story, 2, &one);
    block(&mut story, 3, &two);
    block(&mut story, 2, &one);
    assert!(story.verdicts().contains(&OBSERVED.to_owned()), "{:?}", story.verdicts());
}

/// `f.write(head); f.flush(); …; f.write(rest)`.
#[test]
fn an_appended_record_that_is_flushed_in_the_middle_is_torn() {
    let mut story = threads(&[2, 3]);
    let one = opens(&mut story, 2, File::appending(PATH, 5), OpenMode::Append);
    let two = opens(&mut story, 3, File::appending(PATH, 6), OpenMode::Append);
    for (text, offset) in [("begin ", 2), ("end\n", 4)] {
        for (tid, file) in [(2, &one), (3, &two)] {
            story.writes_through(tid, file, text, offset);
        }
    }
    assert_eq!(story.verdicts(), [OBSERVED]);
}

#[test]
fn appended_records_of_two_system_writes_are_split() {
    let mut story = threads(&[2, 3]);
    let one = opens(&mut story, 2, File::appending(PATH, 5), OpenMode::Append);
    let two = opens(&mut story, 3, File::appending(PATH, 6), OpenMode::Append);
    for (tid, file, text, offset) in [(2, &one, "a ", 2), (3, &two, "b ", 2), (2, &one, "a\n", 4), (3, &two, "b\n", 4)] {
        let stack = story.at("raw", offset);
        story.writes_at(tid, file, WriteLevel::System, text, stack);
    }
    assert_eq!(story.verdicts(), [OBSERVED]);
}

/// Each process opens the file for itself and appends in blocks.
fn two_processes(lock: bool) -> Vec<String> {
    let mut story = threads(&[]);
    story.begin_process(1);
    let file = File::appending(PATH, 5);
    let mut locks = Vec::new();
    for process in [0, 1] {
        story.process = process;
        opens(&mut story, MAIN, file, OpenMode::Append);
        locks.push(story.lock("/tmp/x/sensors.lock", LockKind::File));
    }
    for process in [0, 1, 0, 1] {
        story.process = process;
        let place = story.at("raw", 2);
        if lock {
            let held = locks[process as usize];
            story.acquire(MAIN, held, place);
        }
        story.writes_at(MAIN, &file, WriteLevel::System, "a ", place);
        if lock {
            let rest = story.at("raw", 4);
            story.writes_at(MAIN, &file, WriteLevel::System, "a\n", rest);
            story.release(MAIN, locks[process as usize]);
        }
    }
    if !lock {
        for process in [0, 1] {
            story.process = process;
            let rest = story.at("raw", 4);
            story.writes_at(MAIN, &file, WriteLevel::System, "a\n", rest);
        }
    }
    story.verdicts()
}

#[test]
fn processes_that_split_each_others_records_are_observed_and_file_locks_are_silent() {
    assert_eq!(two_processes(false), [OBSERVED]);
    assert!(two_processes(true).is_empty());
}

/// Two children append a record in two parts, the first before the second is heard of; the parent hears of the first's end
/// before that, though it had started both.
fn children_one_after_the_other(second_began: u64) -> Vec<String> {
    let mut story = threads(&[]);
    let file = File::appending(PATH, 5);
    let writes = |story: &mut Story| {
        opens(story, MAIN, file, OpenMode::Append);
        for offset in [2, 4] {
            let place = story.at("raw", offset);
            story.writes_at(MAIN, &file, WriteLevel::System, if offset == 2 { "a " } else { "a\n" }, place);
        }
    };
    story.begin_child(Some(0), 1);
    writes(&mut story);
    story.time = 900_000_000;
    story.on(MAIN, Event::ProcessEnd { orderly: true });
    story.process = 0;
    story.time = 1_000_000_000;
    story.on(MAIN, Event::Hear);
    story.time = second_began;
    story.begin_child(Some(0), 2);
    story.time = 2_000_000_000;
    writes(&mut story);
    story.verdicts()
}

#[test]
fn a_child_does_not_know_what_its_parent_heard_after_starting_it() {
    assert_eq!(children_one_after_the_other(500_000_000), [POSSIBLE]);
    assert!(children_one_after_the_other(1_500_000_000).is_empty());
}

/// Two processes that nobody watched has started append a record in two parts; the first says something later, or dies.
fn strangers(first_goes_on: bool) -> Vec<String> {
    let mut story = threads(&[]);
    let file = File::appending(PATH, 5);
    let writes = |story: &mut Story| {
        opens(story, MAIN, file, OpenMode::Append);
        for offset in [2, 4] {
            let place = story.at("raw", offset);
            story.writes_at(MAIN, &file, WriteLevel::System, if offset == 2 { "a " } else { "a\n" }, place);
        }
    };
    story.begin_process(1);
    if !first_goes_on {
        writes(&mut story);
    }
    story.begin_process(2);
    if first_goes_on {
        story.process = 1;
        writes(&mut story);
        story.process = 2;
    }
    writes(&mut story);
    story.process = 1;
    story.on(MAIN, Event::ProcessEnd { orderly: false });
    story.verdicts()
}

#[test]
fn strangers_that_were_seen_at_one_time_may_split_each_others_records() {
    assert_eq!(strangers(true), [POSSIBLE]);
    assert!(strangers(false).is_empty());
}

#[test]
fn files_of_ones_own_are_silent() {
    let mut story = threads(&[2, 3]);
    let one = opens(&mut story, 2, File::new("/tmp/x/one.part", 5), OpenMode::Write);
    let two = opens(&mut story, 3, File::new("/tmp/x/second.part", 6), OpenMode::Write);
    for (tid, file) in [(2, &one), (3, &two), (2, &one)] {
        story.writes(tid, file, "a ", 2);
        story.writes_through(tid, file, "b\n", 4);
    }
    assert!(story.verdicts().is_empty());
}

#[test]
fn after_a_gap_nothing_is_told_of_what_was_open() {
    let (mut story, log) = started(&[2, 3]);
    story.writes(2, &log, "s1 ", 2);
    story.writes(3, &log, "s2 ", 2);
    story.on(2, Event::Gap { lost: 1 });
    story.writes(2, &log, "s1=ok\n", 4);
    assert!(story.verdicts().iter().all(|verdict| verdict.contains(" note ")));
}

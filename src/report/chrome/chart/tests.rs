//! Charts of hand-made events.

use super::*;
use crate::event::{Patience, ProcessId, StackId};

const LOCK: ObjectId = ObjectId(1);

/// A chart of one process with the text 1 "Worker", 2 "app.lock", 3 "task-a".
fn chart(events: &[(u64, u32, Event)]) -> Chart {
    let text = |id, text: &str| Event::Text { id: TextId(id), text: text.to_owned() };
    let lock = Event::Object { id: LOCK, shape: crate::event::Shape::Lock, type_name: TextId(1), label: Some(TextId(2)) };
    let told = [text(1, "Worker"), text(2, "app.lock"), text(3, "task-a"), lock].map(|event| (0, 1, event));
    let mut chart = Chart::new();
    for (time, thread, event) in told.iter().chain(events) {
        chart.record(&Record { time: *time, process: ProcessId(0), thread: Tid(*thread), event: event.clone() });
    }
    chart.finished()
}

fn drawn(chart: &Chart) -> Vec<(u32, String, u64, u64)> {
    chart.spans().iter().map(|span| (span.lane.thread, span.name.clone(), span.start, span.end)).collect()
}

fn strand(name: &str, tid: u32) -> StrandReport {
    let (kind, task) = ("thread".to_owned(), None);
    StrandReport { kind, name: name.to_owned(), tid, task, pid: None, process: None, started: Vec::new() }
}

fn begin() -> Event {
    Event::ThreadBegin { token: None, name: TextId(1) }
}

fn acquired() -> Event {
    Event::LockAcquired { lock: LOCK, stack: StackId(0), patience: Patience::Forever }
}

fn released() -> Event {
    Event::LockReleased { lock: LOCK, stack: StackId(0) }
}

fn wait() -> Event {
    Event::LockWait { lock: LOCK, stack: StackId(0), patience: Patience::Forever }
}

#[test]
fn a_lock_is_a_bar_from_acquire_to_the_last_release() {
    let chart = chart(&[(1, 7, begin()), (2, 7, acquired()), (3, 7, acquired()), (4, 7, released()), (9, 7, released())]);
    assert_eq!(drawn(&chart), [(1, "app.lock".to_owned(), 2, 9)]);
}

#[test]
fn waiting_and_a_thread_that_hangs_are_drawn_to_the_end() {
    let chart = chart(&[(1, 7, begin()), (2, 7, acquired()), (3, 8, begin()), (4, 8, wait()), (9, 7, Event::Gap { lost: 2 })]);
    let expected = [(1, "app.lock", 2, 9), (1, "2 records lost", 9, 9), (2, "waits for app.lock", 4, 9)];
    assert_eq!(drawn(&chart), expected.map(|(lane, name, from, to)| (lane, name.to_owned(), from, to)));
}

#[test]
fn a_thread_id_that_is_used_again_is_another_lane() {
    let chart = chart(&[(1, 7, begin()), (2, 7, Event::ThreadEnd), (3, 7, begin()), (4, 7, acquired()), (5, 7, released())]);
    assert_eq!(chart.lanes().count(), 2);
    assert_eq!(drawn(&chart), [(2, "app.lock".to_owned(), 4, 5)]);
    assert_eq!(chart.lane_of(&strand("Worker", 7), 4).map(|lane| lane.thread), Some(2));
}

#[test]
fn threads_with_one_name_are_told_apart_by_their_numbers() {
    let chart = chart(&[(1, 7, begin()), (1, 8, begin()), (9, 7, Event::Gap { lost: 1 })]);
    assert_eq!(chart.lane_of(&strand("Worker", 8), 4).map(|lane| lane.thread), Some(2));
    assert_eq!(chart.lane_of(&strand("Worker", 0), 4), None);
}

#[test]
fn tasks_take_turns_on_their_thread() {
    let new = Event::TaskNew { task: TaskId(5), future: crate::event::ChannelId(1), name: TextId(3), stack: StackId(0) };
    let switch = |task| Event::TaskSwitch { task };
    let chart = chart(&[(1, 7, begin()), (1, 7, new), (2, 7, switch(Some(TaskId(5)))), (6, 7, switch(None))]);
    assert_eq!(drawn(&chart), [(1, "task-a".to_owned(), 2, 6)]);
}

#[test]
fn joined_charts_keep_their_processes_apart() {
    let mut one = chart(&[(1, 7, begin()), (2, 7, acquired()), (3, 7, released())]);
    one.join(chart(&[(1, 7, begin()), (4, 7, acquired()), (5, 7, released())]));
    let lanes: Vec<(u32, u32)> = one.spans().iter().map(|span| (span.lane.process, span.lane.thread)).collect();
    assert_eq!(lanes, [(1, 1), (2, 2)]);
}

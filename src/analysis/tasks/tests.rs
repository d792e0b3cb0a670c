use crate::analysis::story::{MAIN, Story, threads};
use crate::event::{Event, LockKind};

const THREAD_LOCK: &str = "thread-lock-across-await error observed";
const LONG_HOLD: &str = "lock-held-across-await warning observed";

fn kinds(story: &mut Story) -> Vec<String> {
    story.verdicts()
}

/// Task 1 takes the lock, awaits for so many milliseconds, and gives it back; the others ask for it meanwhile.
fn holds_over_await(story: &mut Story, kind: LockKind, milliseconds: u64, waiters: &[u64]) {
    let lock = story.lock("Album.lock", kind);
    let (take, pause) = (story.at("add", 2), story.at("add", 4));
    story.task(MAIN, 1);
    waiters.iter().for_each(|task| story.task(MAIN, *task));
    story.run(MAIN, 1);
    story.acquire(MAIN, lock, take);
    story.gives_way(MAIN, pause);
    for task in waiters {
        story.run(MAIN, *task);
        story.wait(MAIN, lock, take);
        story.gives_way(MAIN, take);
    }
    story.sleep(milliseconds);
    story.run(MAIN, 1);
    story.release(MAIN, lock);
}

#[test]
fn an_asyncio_lock_over_a_long_await_while_others_wait_is_told_with_the_time() {
    let mut story = threads(&[]);
    holds_over_await(&mut story, LockKind::AsyncLock, 150, &[2, 3]);
    assert_eq!(kinds(&mut story), [format!("{LONG_HOLD} album.lock")]);
    let finding = &story.findings()[0];
    assert!(finding.observed.as_deref().unwrap().starts_with("2 tasks wait, the longest 15"), "{:?}", finding.observed);
    let roles: Vec<&str> = finding.accesses.iter().map(|access| access.role.as_str()).collect();
    assert_eq!(roles, ["hold", "await", "acquire", "acquire"]);
}

#[test]
fn a_semaphore_of_one_is_a_lock() {
    let mut story = threads(&[]);
    holds_over_await(&mut story, LockKind::AsyncSemaphore(1), 150, &[2]);
    assert_eq!(kinds(&mut story).len(), 1);
}

#[test]
fn an_asyncio_lock_over_a_long_await_that_nobody_waits_for_is_silent() {
    let mut story = threads(&[]);
    holds_over_await(&mut story, LockKind::AsyncLock, 150, &[]);
    assert!(kinds(&mut story).is_empty());
}

#[test]
fn time_in_which_the_loop_had_something_to_do_is_not_the_awaits() {
    for (waited, told) in [(2_000_000, 0), (140_000_000, 1)] {
        let mut story = threads(&[]);
        story.on(MAIN, Event::LoopWaited { nanoseconds: 0 });
        let lock = story.lock("Album.lock", LockKind::AsyncLock);
        let (take, pause) = (story.at("add", 2), story.at("add", 4));
        story.task(MAIN, 1);
        story.task(MAIN, 2);
        story.run(MAIN, 1);
        story.acquire(MAIN, lock, take);
        story.gives_way(MAIN, pause);
        story.run(MAIN, 2);
        story.wait(MAIN, lock, take);
        story.gives_way(MAIN, take);
        story.sleep(150);
        story.on(MAIN, Event::LoopWaited { nanoseconds: waited });
        story.run(MAIN, 1);
        story.release(MAIN, lock);
        assert_eq!(kinds(&mut story).len(), told, "waited {waited} ns");
    }
}

#[test]
fn an_asyncio_lock_over_a_short_await_is_silent() {
    let mut story = threads(&[]);
    holds_over_await(&mut story, LockKind::AsyncLock, 2, &[2, 3]);
    assert!(kinds(&mut story).is_empty());
}

#[test]
fn a_threading_lock_over_an_await_is_an_error() {
    let mut story = threads(&[]);
    holds_over_await(&mut story, LockKind::Lock, 1, &[]);
    assert_eq!(kinds(&mut story), [format!("{THREAD_LOCK} album.lock")]);
    let roles: Vec<String> = story.findings()[0].accesses.iter().map(|access| access.role.clone()).collect();
    assert_eq!(roles, ["hold", "await"]);
}

#[test]
fn a_threading_lock_released_before_the_await_is_silent() {
    let mut story = threads(&[]);
    let lock = story.lock("feed", LockKind::Lock);
    let (take, pause) = (story.at("add", 2), story.at("add", 4));
    story.task(MAIN, 1);
    story.run(MAIN, 1);
    story.acquire(MAIN, lock, take);
    story.release(MAIN, lock);
    story.gives_way(MAIN, pause);
    assert!(kinds(&mut story).is_empty());
}

/// A task asks for a threading lock that a thread holds for so long.
fn stalls(milliseconds: u64) -> Vec<String> {
    let mut story = threads(&[2]);
    let lock = story.lock("feed", LockKind::Lock);
    let place = story.at("import", 2);
    story.task(MAIN, 1);
    story.acquire(2, lock, place);
    story.run(MAIN, 1);
    story.wait(MAIN, lock, place);
    story.sleep(milliseconds);
    story.release(2, lock);
    story.acquire(MAIN, lock, place);
    story.release(MAIN, lock);
    kinds(&mut story)
}

#[test]
fn a_loop_that_a_threading_lock_stops_for_long_is_told() {
    assert_eq!(stalls(150), [format!("{THREAD_LOCK} feed")]);
    assert!(stalls(10).is_empty());
}

#[test]
fn a_coroutine_that_was_never_run_is_told_where_it_was_made() {
    let mut story = threads(&[]);
    let dropped = story.at("checkout", 2);
    let (name, file) = (story.text("send_receipt"), story.text("app.py"));
    story.on(MAIN, Event::CoroutineDropped { name, made: dropped, file, line: 7 });
    assert_eq!(kinds(&mut story), ["unawaited-coroutine warning observed send_receipt"]);
    assert_eq!(story.findings()[0].accesses[0].stack[0].line, 7);
}

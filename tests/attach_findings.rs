//! What sampling finds beyond two threads in one window, on every interpreter; and that the same programs with their
//! windows protected are not reported. The programs are in `attach/`.

mod harness;

use std::sync::{Mutex, MutexGuard, PoisonError};

use harness::Python;
use harness::target::{Target, everywhere, findings, look};
use serde_json::Value;

/// All that a sampler on a busy machine needs to see each program's threads a few times.
const LOOK: &[&str] = &["--duration", "2500ms", "--rate", "200", "--budget", "100"];

/// Is there a finding of this kind about that subject, with this line among its accesses?
fn has(report: &Value, kind: &str, subject: &str, line: u64) -> bool {
    findings(report).iter().any(|finding| {
        let accesses = finding["accesses"].as_array().map_or(&[][..], Vec::as_slice);
        let lines = accesses.iter().flat_map(|access| access["stack"].as_array().into_iter().flatten());
        finding["kind"] == kind
            && finding["subject"]["name"] == subject
            && finding["basis"] == "sampled"
            && lines.map(|frame| &frame["line"]).any(|found| *found == line)
    })
}

fn expect(python: &Python, report: &Value, kind: &str, subject: &str, line: u64) {
    assert!(has(report, kind, subject, line), "{}: no {kind} of {subject} at {line} in {report:#}", python.name());
}

/// Sampling a few milliseconds needs a core: the tests of this file run one after the other.
static CORE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    CORE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Looks again while `found` says no: sampling promises no completeness.
fn look_until(target: &Target, found: impl Fn(&Value) -> bool) -> Value {
    let mut report = look(target, LOOK).1;
    for _ in 0..5 {
        if found(&report) {
            break;
        }
        report = look(target, LOOK).1;
    }
    report
}

#[test]
fn windows_that_last_are_found() {
    let _alone = alone();
    everywhere(|python| {
        let target = Target::start(python, include_str!("attach/racy.py"));
        let report = look_until(&target, |report| {
            has(report, "read-modify-write", "app.bins[...]", 13)
                && has(report, "mutation-during-iteration", "app.guests", 19)
                && has(report, "check-then-act", "Store._items[...]", 39)
                && has(report, "check-then-act", "app.board[...]", 57)
        });
        // The key is computed of a local variable.
        expect(python, &report, "read-modify-write", "app.bins[...]", 13);
        // Another thread takes elements away.
        expect(python, &report, "mutation-during-iteration", "app.guests", 19);
        // The window spans two methods that take a lock each.
        expect(python, &report, "check-then-act", "Store._items[...]", 39);
        // What another thread does is no window of its own.
        expect(python, &report, "check-then-act", "app.board[...]", 57);
    });
}

#[test]
fn windows_that_are_protected_are_not() {
    let _alone = alone();
    everywhere(|python| {
        let target = Target::start(python, include_str!("attach/safe.py"));
        let (output, report) = look(&target, LOOK);
        assert!(findings(&report).is_empty(), "{}: {report:#}", python.name());
        assert_eq!(output.status.code(), Some(0));
    });
}

#[test]
fn locks_that_two_threads_take_in_either_order_are_found() {
    let _alone = alone();
    everywhere(|python| {
        let target = Target::start(python, include_str!("attach/orders_racy.py"));
        let found = |report: &Value| has(report, "lock-order-inversion", "app.left,app.right", 17);
        let report = look_until(&target, found);
        expect(python, &report, "lock-order-inversion", "app.left,app.right", 9);
        expect(python, &report, "lock-order-inversion", "app.left,app.right", 17);
        assert_eq!(findings(&report).len(), 1, "{}: {report:#}", python.name());
        assert_eq!(findings(&report)[0]["evidence"], "possible");
        let target = Target::start(python, include_str!("attach/orders_safe.py"));
        let (_, report) = look(&target, LOOK);
        assert!(findings(&report).is_empty(), "{}: {report:#}", python.name());
    });
}

#[test]
fn paths_that_are_checked_and_then_used_are_found() {
    let _alone = alone();
    everywhere(|python| {
        let expected = [("lot.claim", 13), ("door.lock", 21), ("note.txt", 31)];
        let target = Target::start(python, include_str!("attach/paths_racy.py"));
        let all = |report: &Value| expected.iter().all(|(name, line)| has(report, "file-check-then-use", name, *line));
        let report = look_until(&target, all);
        for (name, line) in expected {
            expect(python, &report, "file-check-then-use", name, line);
        }
        assert_eq!(findings(&report).len(), 3, "{}: {report:#}", python.name());
        let target = Target::start(python, include_str!("attach/paths_safe.py"));
        let (_, report) = look(&target, LOOK);
        assert!(findings(&report).is_empty(), "{}: {report:#}", python.name());
    });
}

#[test]
fn files_that_two_threads_write_to_in_pieces_are_found() {
    let _alone = alone();
    everywhere(|python| {
        let target = Target::start(python, include_str!("attach/files_racy.py"));
        let found = [("sensors.log", 18), ("report.csv", 27), ("till.txt", 41)];
        let all = |report: &Value| found.iter().all(|(file, line)| has(report, "interleaved-write", file, *line));
        let report = look_until(&target, all);
        for (file, line) in found {
            expect(python, &report, "interleaved-write", file, line);
        }
        assert_eq!(findings(&report).len(), 3, "{}: {report:#}", python.name());
        let target = Target::start(python, include_str!("attach/files_safe.py"));
        let (_, report) = look(&target, LOOK);
        assert!(findings(&report).is_empty(), "{}: {report:#}", python.name());
    });
}

#[test]
fn windows_that_threads_have_just_come_through_are_found() {
    let _alone = alone();
    everywhere(|python| {
        let target = Target::start(python, include_str!("attach/passed_racy.py"));
        let found = [("Desk.calls", 12), ("app.notes[...]", 16), ("board[...]", 22)];
        let all = |report: &Value| found.iter().all(|(subject, line)| has(report, "read-modify-write", subject, *line));
        let report = look_until(&target, all);
        for (subject, line) in found {
            expect(python, &report, "read-modify-write", subject, line);
        }
        assert_eq!(findings(&report).len(), 3, "{}: {report:#}", python.name());
        let target = Target::start(python, include_str!("attach/passed_safe.py"));
        let (_, report) = look(&target, LOOK);
        assert!(findings(&report).is_empty(), "{}: {report:#}", python.name());
    });
}

#[test]
fn threads_that_are_started_without_waiting_for_the_last_race_however_soon_they_end() {
    let _alone = alone();
    everywhere(|python| {
        let target = Target::start(python, include_str!("attach/started_racy.py"));
        let found = [("app.laps", 30), ("Meter.pulses", 14), ("app.posts[...]", 36)];
        let all = |report: &Value| found.iter().all(|(subject, line)| has(report, "read-modify-write", subject, *line));
        let report = look_until(&target, all);
        for (subject, line) in found {
            expect(python, &report, "read-modify-write", subject, line);
        }
        for finding in findings(&report) {
            let latent = python.minor >= 10 && !python.free_threaded;
            assert_eq!(finding["evidence"] == "latent", latent, "{}: {report:#}", python.name());
        }
        let target = Target::start(python, include_str!("attach/started_safe.py"));
        let (_, report) = look(&target, LOOK);
        assert!(findings(&report).is_empty(), "{}: {report:#}", python.name());
    });
}

#[test]
fn coroutines_that_nothing_will_run_are_found() {
    let _alone = alone();
    everywhere(|python| {
        let target = Target::start(python, include_str!("attach/coroutines_racy.py"));
        let (flush, draw) = ("Outbox.flush", "draw");
        let report = look_until(&target, |report| {
            has(report, "unawaited-coroutine", flush, 9) && has(report, "unawaited-coroutine", draw, 31)
        });
        expect(python, &report, "unawaited-coroutine", flush, 9);
        // The function that was given it stands in an await of this line.
        expect(python, &report, "unawaited-coroutine", draw, 31);
        assert_eq!(findings(&report).len(), 2, "{}: {report:#}", python.name());
        let target = Target::start(python, include_str!("attach/coroutines_safe.py"));
        let (_, report) = look(&target, LOOK);
        assert!(findings(&report).is_empty(), "{}: {report:#}", python.name());
    });
}

const COUNT: &str = "
import threading, time
count = 0

def work():
    global count
    for _ in range(10 ** 9):
        count += 1

for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
print('ready', flush=True)
time.sleep(1000)
";

const COUNT_LOCKED: &str = "
import threading, time
count = 0
lock = threading.Lock()

def work():
    global count
    for _ in range(10 ** 9):
        with lock:
            count += 1

for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
print('ready', flush=True)
time.sleep(1000)
";

#[test]
fn a_bare_counter_is_latent_where_the_interpreter_does_not_switch_inside() {
    let _alone = alone();
    everywhere(|python| {
        let target = Target::start(python, COUNT);
        let report = look_until(&target, |report| has(report, "read-modify-write", "app.count", 8));
        expect(python, &report, "read-modify-write", "app.count", 8);
        let latent = findings(&report)[0]["evidence"] == "latent";
        assert_eq!(latent, python.minor >= 10 && !python.free_threaded, "{}: {report:#}", python.name());
        let target = Target::start(python, COUNT_LOCKED);
        let (_, report) = look(&target, LOOK);
        assert!(findings(&report).is_empty(), "{}: {report:#}", python.name());
    });
}

const RING: &str = "
import threading, time
first, second, third = threading.Lock(), threading.RLock(), threading.Lock()
meet = threading.Barrier(4)

def take(one, other):
    with one:
        meet.wait()
        with other:
            pass

for pair in ((first, second), (second, third), (third, first)):
    threading.Thread(target=take, args=pair, daemon=True).start()
meet.wait()
print('ready', flush=True)
time.sleep(1000)
";

const TASKS: &str = "
import asyncio

async def take(one, other, met):
    async with one:
        met.append(one)
        while len(met) < 2:
            await asyncio.sleep(0)
        async with other:
            pass

async def main():
    knife, fork, met = asyncio.Lock(), asyncio.Lock(), []
    jobs = [asyncio.ensure_future(take(knife, fork, met)), asyncio.ensure_future(take(fork, knife, met))]
    while len(met) < 2:
        await asyncio.sleep(0)
    print('ready', flush=True)
    await asyncio.gather(*jobs)

asyncio.run(main())
";

const JOIN: &str = "
import threading, time
lock = threading.Lock()

def work():
    print('ready', flush=True)
    with lock:
        pass

def stop():
    with lock:
        worker = threading.Thread(target=work)
        worker.start()
        worker.join()

threading.Thread(target=stop).start()
while True:
    time.sleep(1)
";

const ABANDONED: &str = "
import threading
till = threading.Lock()

def pay(amount):
    till.acquire()
    int(amount)
    till.release()

def first():
    try:
        pay('ten')
    except ValueError:
        pass

def second():
    print('ready', flush=True)
    pay('10')

for job in (first, second):
    customer = threading.Thread(target=job)
    customer.start()
    customer.join()
";

#[test]
fn deadlocks_name_their_locks_and_lines_within_a_second() {
    let _alone = alone();
    let programs = [
        (RING, "app.first,app.second,app.third", &[7, 9][..]),
        (TASKS, "main.fork,main.knife", &[5, 9]),
        (JOIN, "app.lock", &[7, 14]),
        (ABANDONED, "app.till", &[6]),
    ];
    everywhere(|python| {
        // Where 3.15 keeps its tasks is not known.
        for (program, subject, lines) in programs.into_iter().filter(|(program, ..)| python.minor < 15 || *program != TASKS) {
            let target = Target::start(python, program);
            let (output, report) = look(&target, &["--duration", "1s"]);
            for line in lines {
                expect(python, &report, "deadlock", subject, *line);
            }
            assert_eq!(output.status.code(), Some(66));
        }
    });
}

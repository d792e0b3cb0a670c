//! Sessions of several processes: merged, ended, left behind.

use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel, sync_channel};
use std::thread::JoinHandle;

use racetrace_probes::wire::{Kind, Slot};

use super::super::directory::SessionDirectory;
use super::super::producer::Producer;
use super::*;
use crate::event::{ChannelId, Event};

struct Session {
    directory: SessionDirectory,
    ending: Sender<Ending>,
    batches: Receiver<Vec<Record>>,
    thread: JoinHandle<Outcome>,
}

impl Session {
    fn start() -> Self {
        let directory = SessionDirectory::create().unwrap();
        let (sink, batches) = sync_channel(4);
        let (ending, endings) = channel();
        let collector = Collector::new(directory.rings(), SessionClock::start(), sink, endings);
        let thread = std::thread::spawn(move || collector.run());
        Session { directory, ending, batches, thread }
    }

    /// The records up to the one that `last` recognises.
    fn until(&self, last: impl Fn(&Event) -> bool) -> Vec<Record> {
        let mut seen = Vec::new();
        while !seen.iter().any(|record: &Record| last(&record.event)) {
            seen.extend(self.batches.recv().expect("the collector has ended"));
        }
        seen
    }

    fn end(self, patience: Duration) -> (Vec<Record>, Outcome) {
        self.ending.send(Ending { patience }).unwrap();
        let rest = self.batches.iter().flatten().collect();
        (rest, self.thread.join().unwrap())
    }
}

/// A process that lives until its input is closed.
fn sleeper() -> Child {
    Command::new("cat").stdin(Stdio::piped()).spawn().unwrap()
}

fn end(mut child: Child) {
    drop(child.stdin.take());
    child.wait().unwrap();
}

fn signal(channel: u64) -> Slot {
    Slot { kind: Kind::Signal as u8, a: channel, time: crate::target::ticks::ticks(), ..Slot::default() }
}

fn is(number: u64) -> impl Fn(&Event) -> bool {
    move |event| *event == Event::Signal { channel: ChannelId(number) }
}

#[test]
fn processes_get_numbers_in_the_order_of_their_appearance_and_their_files_go() {
    let session = Session::start();
    let (one, two) = (sleeper(), sleeper());
    let mut first = Producer::create(&session.directory.rings(), one.id(), 0);
    first.push(signal(1));
    assert!(session.until(is(1)).iter().all(|record| record.process == ProcessId(0)));
    let mut second = Producer::create(&session.directory.rings(), two.id(), 0);
    second.push(signal(2));
    assert!(session.until(is(2)).iter().all(|record| record.process == ProcessId(1)));
    assert!(!Producer::path(&session.directory.rings(), one.id(), 0).exists());
    first.say_goodbye();
    end(one);
    end(two);
    let (rest, outcome) = session.end(Duration::ZERO);
    let ends: Vec<&Event> = rest.iter().map(|record| &record.event).collect();
    assert_eq!(ends, [&Event::ProcessEnd { orderly: true }, &Event::ProcessEnd { orderly: false }]);
    assert_eq!((outcome.processes, outcome.left_running), (2, vec![]));
}

#[test]
fn a_process_that_lives_on_is_named_and_told_to_stop() {
    let session = Session::start();
    let child = sleeper();
    let mut producer = Producer::create(&session.directory.rings(), child.id(), 0);
    producer.push(signal(1));
    session.until(is(1));
    let (_, outcome) = session.end(Duration::ZERO);
    assert_eq!(outcome.left_running, [child.id()]);
    assert_eq!(producer.state(), racetrace_probes::wire::STATE_STOP);
    end(child);
}

#[test]
fn a_goodbye_is_enough_even_if_the_process_takes_its_time() {
    let session = Session::start();
    let child = sleeper();
    let mut producer = Producer::create(&session.directory.rings(), child.id(), 0);
    producer.say_goodbye();
    let (rest, outcome) = session.end(Duration::from_secs(3600));
    assert_eq!(rest.len(), 1);
    assert_eq!(outcome.left_running, [0; 0]);
    end(child);
}

#[test]
fn a_second_ring_of_a_process_is_another_program_in_it() {
    let session = Session::start();
    let child = sleeper();
    let mut before = Producer::create(&session.directory.rings(), child.id(), 0);
    before.push(signal(1));
    session.until(is(1));
    let mut after = Producer::create(&session.directory.rings(), child.id(), 1);
    after.push(signal(2));
    let seen = session.until(is(2));
    let ended = Record { event: Event::ProcessEnd { orderly: false }, process: ProcessId(0), ..seen[0].clone() };
    assert!(seen.iter().any(|record| record.event == ended.event && record.process == ended.process), "{seen:?}");
    end(child);
    session.end(Duration::ZERO);
}

#[test]
fn a_file_that_is_no_ring_is_refused_by_name() {
    let session = Session::start();
    std::fs::write(Producer::path(&session.directory.rings(), 77, 0), "x").unwrap();
    let (_, outcome) = session.end(Duration::ZERO);
    assert_eq!(outcome.refused.len(), 1);
    assert_eq!(outcome.refused[0].0, Some(77));
}

#[test]
fn batches_are_merged_by_time_without_changing_the_order_within_a_process() {
    let record = |process, time| Record {
        time,
        process: ProcessId(process),
        thread: crate::event::Tid(1),
        event: Event::Signal { channel: ChannelId(time) },
    };
    let merged = merge(vec![vec![record(0, 5), record(0, 3), record(0, 9)], vec![record(1, 4), record(1, 6)]]);
    let order: Vec<(u32, u64)> = merged.iter().map(|record| (record.process.0, record.time)).collect();
    assert_eq!(order, [(1, 4), (0, 5), (0, 3), (1, 6), (0, 9)]);
}

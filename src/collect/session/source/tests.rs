//! Rings as they come: whole, cut off by a death, overwritten, scribbled over.

use racetrace_probes::wire::{BLOB_BYTES, FILE_BYTES, Kind, SLOTS, Slot};

use super::super::directory::SessionDirectory;
use super::super::producer::Producer;
use super::*;
use crate::event::{ChannelId, TextId};

struct Fixture {
    directory: SessionDirectory,
    producer: Producer,
    pid: u32,
}

/// The pid of a process that has ended.
fn ended() -> u32 {
    let mut child = std::process::Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    child.id()
}

impl Fixture {
    fn new(pid: u32) -> Self {
        let directory = SessionDirectory::create().unwrap();
        let producer = Producer::create(&directory.rings(), pid, 0);
        Fixture { directory, producer, pid }
    }

    fn alive() -> Self {
        Self::new(std::process::id())
    }

    fn source(&self) -> Source {
        let ring = Ring::open(&Producer::path(&self.directory.rings(), self.pid, 0)).unwrap();
        Source::new(ring, ProcessId(3))
    }
}

fn signal(channel: u64) -> Slot {
    Slot { kind: Kind::Signal as u8, a: channel, tid: 5, ..Slot::default() }
}

fn drain(source: &mut Source) -> (Vec<Event>, Outlook) {
    let mut out = Vec::new();
    let outlook = source.drain(&SessionClock::start(), usize::MAX, &mut out);
    assert!(out.iter().all(|record| record.process == ProcessId(3)));
    (out.into_iter().map(|record| record.event).collect(), outlook)
}

fn said(channel: u64) -> Event {
    Event::Signal { channel: ChannelId(channel) }
}

#[test]
fn records_arrive_in_order_and_their_room_is_given_back() {
    let mut fixture = Fixture::alive();
    fixture.producer.text(1, "total");
    fixture.producer.push(signal(7));
    let mut source = fixture.source();
    let text = Event::Text { id: TextId(1), text: "total".into() };
    assert_eq!(drain(&mut source), (vec![text, said(7)], Outlook::Alive));
    assert_eq!((fixture.producer.tail(), fixture.producer.blob_tail()), (2, 5));
    assert_eq!(drain(&mut source), (vec![], Outlook::Alive));
}

#[test]
fn a_ring_goes_round_many_times() {
    let mut fixture = Fixture::alive();
    let mut source = fixture.source();
    let long = "x".repeat(700_000);
    for round in 0..3_u64 {
        for number in 0..SLOTS - 100 {
            fixture.producer.push(signal(round * SLOTS + number));
        }
        for _ in 0..5 {
            fixture.producer.text(1, &long);
        }
        let (events, _) = drain(&mut source);
        assert_eq!(events.len() as u64, SLOTS - 95);
        assert_eq!(events[0], said(round * SLOTS));
        assert!(events.iter().rev().take(5).all(|event| matches!(event, Event::Text { text, .. } if *text == long)));
    }
    assert!(fixture.producer.blob_tail() > 2 * BLOB_BYTES);
}

#[test]
fn a_record_that_is_being_written_is_waited_for() {
    let mut fixture = Fixture::alive();
    fixture.producer.push(signal(1));
    let claimed = fixture.producer.claim();
    fixture.producer.push(signal(3));
    let mut source = fixture.source();
    assert_eq!(drain(&mut source).0, vec![said(1)]);
    fixture.producer.fill(claimed, signal(2));
    assert_eq!(drain(&mut source).0, vec![said(2), said(3)]);
}

#[test]
fn what_a_dead_process_has_written_is_kept_and_its_end_was_not_orderly() {
    let mut fixture = Fixture::new(ended());
    fixture.producer.push(signal(1));
    fixture.producer.claim();
    fixture.producer.push(signal(3));
    fixture.producer.claim();
    let expected = vec![said(1), Event::Gap { lost: 1 }, said(3), Event::ProcessEnd { orderly: false }];
    assert_eq!(drain(&mut fixture.source()), (expected, Outlook::Over));
}

#[test]
fn a_goodbye_is_orderly_and_said_once() {
    let mut fixture = Fixture::new(ended());
    fixture.producer.say_goodbye();
    assert_eq!(drain(&mut fixture.source()), (vec![Event::ProcessEnd { orderly: true }], Outlook::Over));
    let mut fixture = Fixture::alive();
    fixture.producer.say_goodbye();
    assert_eq!(drain(&mut fixture.source()).1, Outlook::Quiet);
}

#[test]
fn dropped_overwritten_and_senseless_records_are_gaps() {
    let mut fixture = Fixture::alive();
    let mut source = fixture.source();
    fixture.producer.push(signal(1));
    fixture.producer.drop_records(4);
    fixture.producer.push(Slot { kind: 255, ..Slot::default() });
    fixture.producer.push(signal(2));
    assert_eq!(drain(&mut source).0, vec![Event::Gap { lost: 4 }, said(1), Event::Gap { lost: 1 }, said(2)]);
    for number in 0..SLOTS + 10 {
        fixture.producer.push(signal(number));
    }
    let (events, _) = drain(&mut source);
    assert_eq!(events[..2], [Event::Gap { lost: 10 }, said(10)]);
    assert_eq!(events.len() as u64, SLOTS + 1);
}

#[test]
fn a_ring_full_of_noise_ends_no_drain_and_no_tool() {
    let mut fixture = Fixture::new(ended());
    let mut source = fixture.source();
    for number in 0..2_000_u64 {
        let noise = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let slot = Slot { kind: noise as u8, a: noise, b: noise >> 20, c: noise, word: noise as u32, ..Slot::default() };
        fixture.producer.push(slot);
    }
    drain(&mut source);
    for head in [u64::MAX, 0, 1 << 63, u64::MAX - 3] {
        fixture.producer.set_head(head);
        fixture.producer.drop_records(u64::MAX - head);
        drain(&mut source);
    }
}

#[test]
fn files_that_are_no_rings_are_refused() {
    let fixture = Fixture::alive();
    let path = fixture.directory.rings().join("1-0.ring");
    std::fs::write(&path, b"short").unwrap();
    assert!(Ring::open(&path).unwrap_err().to_string().contains("too short"));
    std::fs::File::create(&path).unwrap().set_len(FILE_BYTES).unwrap();
    assert!(Ring::open(&path).unwrap_err().to_string().contains("not a ring"));
    assert!(Ring::open(&fixture.directory.rings().join("none")).is_err());
}

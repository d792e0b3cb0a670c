//! Files that nothing happened to, and files that are none.

use std::path::Path;

use super::made::{file, records};
use crate::event::{Event, Record, Value};
use crate::finding::Report;
use crate::trace::{Error, Item, Options, Policy, Reader, SourceLines};

pub fn lines() -> SourceLines {
    SourceLines::from([("app.py".to_owned(), [(3, "n += 1".to_owned())].into())])
}

pub fn report() -> Report {
    let mut report = Report { schema: "racetrace.report/1".into(), ..Report::default() };
    report.coverage.events = 5;
    report
}

/// The items of a file, and what is missing of it.
fn read(bytes: Vec<u8>) -> (Vec<Record>, Vec<Report>, Reader) {
    let mut reader = Reader::from_bytes(bytes).expect("a trace");
    let (mut records, mut reports) = (Vec::new(), Vec::new());
    for item in reader.by_ref() {
        match item {
            Item::Record(record) => records.push(record),
            Item::Report(report) => reports.push(*report),
            Item::Source(found) => assert_eq!(found, lines()),
        }
    }
    (records, reports, reader)
}

#[test]
fn what_was_written_is_read_in_the_same_order() {
    for seed in 0..20 {
        let written = records(seed, 3000);
        let (found, reports, reader) = read(file(&written, Options::default()));
        assert_eq!(reader.missing().sentences(), Vec::<String>::new());
        assert_eq!(found.len(), written.len());
        for (found, written) in found.iter().zip(&written) {
            assert_eq!(found, written, "seed {seed}");
        }
        assert_eq!(reports, [report()]);
    }
}

#[test]
fn a_writer_that_is_dropped_leaves_a_readable_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("run.rt");
    let written = records(1, 500);
    let mut writer = crate::trace::Writer::create(&path, Options::default()).expect("created");
    written.iter().for_each(|record| writer.record(record).expect("recorded"));
    drop(writer);
    let mut reader = Reader::open(&path).expect("a trace");
    assert_eq!(reader.by_ref().filter(|item| matches!(item, Item::Record(_))).count(), 500);
    assert!(reader.missing().no_end);
    assert!(!reader.missing().events());
}

#[test]
fn without_values_and_sources_neither_is_in_the_file() {
    let options = Options { values: Policy::LeaveOut, sources: Policy::LeaveOut, limit: None };
    let mut reader = Reader::from_bytes(file(&records(2, 2000), options)).expect("a trace");
    for item in reader.by_ref() {
        match item {
            Item::Source(_) => panic!("source lines"),
            Item::Record(Record { event: Event::Access(access), .. }) => assert_eq!(access.value, Value::Unknown),
            _ => {}
        }
    }
}

#[test]
fn what_is_no_trace_is_told_apart() {
    let says = |bytes: &'static [u8]| Reader::from_bytes(bytes).err().expect("no trace").to_string();
    assert!(says(b"").contains("is empty"));
    assert!(says(b"\x89racetr").contains("cut off"));
    assert!(says(b"\x89racetrace\r\n\x01").contains("cut off"));
    assert!(says(b"\x89racetrace\n\x01\0\0\0").contains("line ends"));
    assert!(says(b"\x1f\x8b\x08\0").contains("compressed"));
    assert!(says(b" {\"schema\": 1}").contains("JSON"));
    assert!(says(b"#!/usr/bin/env python").contains("not a racetrace trace"));
    assert!(says(b"\x89racetrace\r\n\x09\0\0\0").contains("version 9"));
}

#[test]
fn a_directory_and_a_missing_file_are_told_apart() {
    let directory = tempfile::tempdir().expect("a directory");
    assert!(matches!(Reader::open(directory.path()), Err(Error::Directory(_))));
    assert!(matches!(Reader::open(&directory.path().join("none.rt")), Err(Error::Open(..))));
    assert!(matches!(Reader::open(Path::new("/proc/self/mem")), Err(Error::Open(..))));
}

//! Traces with a limit.

use super::made::records;
use super::whole::{lines, report};
use crate::event::{Event, Record};
use crate::trace::{Item, Options, Reader, Writer};

const LIMIT: u64 = 300 << 10;

#[test]
fn a_trace_keeps_to_its_limit_and_keeps_names_findings_and_the_newest_detail() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("run.rt");
    let mut writer = Writer::create(&path, Options { limit: Some(LIMIT), ..Options::default() }).expect("created");
    let mut first = records(1, 200);
    first.retain(|record| matches!(record.event, Event::Text { .. } | Event::Stack { .. }));
    first.iter().for_each(|record| writer.record(record).expect("recorded"));
    writer.source(&lines()).expect("written");
    writer.findings(&report()).expect("written");
    let mut last = Vec::new();
    for seed in 0..70 {
        last = records(seed, 5000);
        last.retain(|record| matches!(record.event, Event::Access(_) | Event::LockAcquired { .. }));
        for record in &last {
            writer.record(record).expect("recorded");
            assert!(writer.length() <= LIMIT);
        }
    }
    drop(writer);
    let on_disk = std::fs::metadata(&path).expect("there").len();
    assert!(on_disk <= LIMIT && on_disk > LIMIT / 4, "{on_disk}");
    let mut reader = Reader::open(&path).expect("a trace");
    let items: Vec<Item> = reader.by_ref().collect();
    assert!(reader.missing().dropped > 100_000);
    let found: Vec<&Record> =
        items.iter().filter_map(|item| if let Item::Record(record) = item { Some(record) } else { None }).collect();
    assert!(found.iter().zip(&first).all(|(found, first)| *found == first), "names are lost");
    assert!(found.iter().rev().zip(last.iter().rev()).all(|(found, last)| *found == last), "the newest detail is lost");
    assert_eq!(
        found.iter().filter(|record| matches!(record.event, Event::Gap { .. })).count(),
        1,
        "one for the process known by then"
    );
    assert!(items.contains(&Item::Report(Box::new(report()))) && items.contains(&Item::Source(lines())));
}

#[test]
fn names_alone_may_fill_it_and_the_rest_is_counted() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("run.rt");
    let mut writer = Writer::create(&path, Options { limit: Some(LIMIT), ..Options::default() }).expect("created");
    let mut written = 0;
    for seed in 0..100 {
        for record in records(seed, 3000) {
            if !matches!(record.event, Event::Gap { .. }) {
                writer.record(&record).expect("recorded");
                written += 1;
            }
        }
    }
    writer.finish(&report()).expect("finished");
    let mut reader = Reader::open(&path).expect("a trace");
    let not_gap = |item: &Item| matches!(item, Item::Record(record) if !matches!(record.event, Event::Gap { .. }));
    let found = reader.by_ref().filter(not_gap).count() as u64;
    assert_eq!(found + reader.missing().dropped, written);
    assert!(!reader.missing().no_end);
}

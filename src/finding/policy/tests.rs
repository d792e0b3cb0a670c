//! The policy as a whole, on the sample report and made-up sources.

use super::config::Config;
use super::*;
use crate::finding::Kind;
use std::collections::BTreeMap;

#[derive(Default)]
struct Source(BTreeMap<(String, u32), String>);

impl Source {
    fn with(file: &str, line: u32, text: &str) -> Source {
        Source(BTreeMap::from([((file.to_owned(), line), text.to_owned())]))
    }
}

impl Lines for Source {
    fn line(&self, file: &str, number: u32) -> Option<String> {
        self.0.get(&(file.to_owned(), number)).cloned()
    }

    fn known(&self, file: &str) -> Vec<(u32, String)> {
        self.0.iter().filter(|((f, _), _)| f == file).map(|((_, n), text)| (*n, text.clone())).collect()
    }

    fn shown(&self, file: &str) -> String {
        file.trim_start_matches("/srv/").to_owned()
    }
}

fn report() -> Report {
    let mut report: Report = serde_json::from_str(include_str!("../../../tests/golden/shop.report.json")).expect("a report");
    report.notices.clear();
    report.coverage.hidden.clear();
    report
}

fn today() -> Date {
    "2026-11-21".parse().expect("a date")
}

/// What is hidden by these rules, and the notices.
fn with_rules(rules: &str, source: &Source) -> (Vec<Hidden>, Report) {
    let suppressions = Config::parse(rules).expect("valid rules").suppressions;
    let mut report = report();
    let hidden = apply(&Policy { suppressions, baseline: None }, &mut report, source, today());
    assert_eq!(report.coverage.hidden.values().sum::<u64>(), hidden.len() as u64);
    (hidden, report)
}

fn kinds(hidden: &[Hidden]) -> Vec<Kind> {
    hidden.iter().map(|hidden| hidden.finding.kind).collect()
}

#[test]
fn rules_hide_by_kind_subject_file_and_function() {
    let source = Source::default();
    for (rule, expected) in [
        ("kind = 'deadlock'", vec![Kind::Deadlock]),
        ("subject = 'stats.*'\nkind = 'read-modify-write'", vec![Kind::ReadModifyWrite]),
        ("subject = 'stats.*'", vec![Kind::ReadModifyWrite, Kind::UnorderedAccess]),
        ("file = 'shop/stats.py'\nfunction = 'Meter.*'", vec![Kind::ReadModifyWrite]),
        ("file = '**/stats.py'", vec![Kind::ReadModifyWrite, Kind::ReadModifyWrite, Kind::UnorderedAccess]),
        ("file = '*.py'", vec![]),
        ("file = 'shop/cache.py'\nfunction = 'Meter.*'", vec![]),
    ] {
        let (hidden, _) = with_rules(&format!("[[suppress]]\nreason = 'known'\n{rule}\n"), &source);
        assert_eq!(kinds(&hidden), expected, "{rule}");
        assert!(hidden.iter().all(|hidden| hidden.by == Reason::Suppression("known".to_owned())));
    }
}

#[test]
fn stale_rules_are_reported() {
    let rules = "[[suppress]]\nsubject = 'nothing.*'\nreason = 'r'\n\
                 [[suppress]]\nsubject = 'Meter.hits'\nreason = 'r'\nexpires = 2026-11-20\n\
                 [[suppress]]\nkind = 'deadlock'\nreason = 'r'\nexpires = '2026-11-21'\n\
                 [[suppress]]\nsubject = '*'\nfile = '**'\nkind = 'unordered-access'\nreason = 'r'\n";
    let (hidden, report) = with_rules(rules, &Source::default());
    assert_eq!(kinds(&hidden), [Kind::Deadlock, Kind::UnorderedAccess], "the last day counts, the day after does not");
    let notices = report.notices.join("\n");
    for words in [
        "suppression 1 (subject nothing.*) is unused",
        "suppression 2 (subject Meter.hits) expired on 2026-11-20",
        "suppression 3 (kind deadlock) is over-broad",
        "suppression 4 (kind unordered-access, subject *, file **) is over-broad",
    ] {
        assert!(notices.contains(words), "{words} is not in:\n{notices}");
    }
}

#[test]
fn a_comment_on_either_line_hides_its_kind_only() {
    let meter = "/srv/shop/stats.py";
    let comment = "        self.hits += 1  # racetrace: ignore[read-modify-write] approximate";
    let (hidden, report) = with_rules("", &Source::with(meter, 34, comment));
    assert_eq!(kinds(&hidden), [Kind::ReadModifyWrite]);
    assert_eq!(hidden.first().map(|hidden| &hidden.by), Some(&Reason::Comment("approximate".to_owned())));
    assert_eq!(report.notices, Vec::<String>::new());

    // The conflicting access's line, from the line above.
    let above = "        # racetrace: ignore[read-modify-write] the refund may be late";
    assert_eq!(kinds(&with_rules("", &Source::with(meter, 25, above)).0), [Kind::ReadModifyWrite]);

    let other = comment.replace("read-modify-write", "deadlock");
    let (hidden, report) = with_rules("", &Source::with(meter, 34, &other));
    assert!(hidden.is_empty());
    assert_eq!(report.notices, ["comment at shop/stats.py:34 is unused for deadlock"]);
}

#[test]
fn a_comment_without_reason_hides_nothing_and_is_reported() {
    let source = Source::with("/srv/shop/stats.py", 34, "self.hits += 1  # racetrace: ignore[read-modify-write]");
    let (hidden, report) = with_rules("", &source);
    assert!(hidden.is_empty());
    assert!(report.notices.iter().any(|notice| notice.contains("needs a reason")), "{:?}", report.notices);
}

#[test]
fn the_baseline_survives_its_file() {
    let mut report = report();
    let baseline = baseline::Baseline::of(&report.findings);
    let read = baseline::Baseline::parse(&baseline.to_json()).expect("its own file");
    assert_eq!(read, baseline);
    let hidden = apply(&Policy { suppressions: Vec::new(), baseline: Some(read) }, &mut report, &Source::default(), today());
    assert_eq!((hidden.len(), report.findings.len()), (13, 0));
    assert!(baseline::Baseline::parse("{\"schema\": \"other\", \"findings\": []}").is_err());
    assert!(baseline::Baseline::parse("nonsense").is_err());
}

//! Deliveries into a directory of the test's own.

use super::*;
use clap::Parser;
use std::fs;
use std::path::Path;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: OutputArgs,
}

fn args(line: &[&str]) -> OutputArgs {
    Line::try_parse_from(std::iter::once("racetrace").chain(line.iter().copied())).expect("valid arguments").args
}

fn shop() -> Report {
    serde_json::from_str(include_str!("../../../tests/golden/shop.report.json")).expect("a report")
}

/// A configuration that does not depend on where the tests run.
fn empty_config(directory: &Path) -> String {
    let file = directory.join("racetrace.toml");
    fs::write(&file, "").expect("written");
    file.display().to_string()
}

#[test]
fn formats_and_files_pair_up_in_order() {
    let pairs = |line: &[&str]| {
        let jobs = jobs(&args(line)).expect("can be told apart");
        jobs.into_iter().map(|job| (job.format, job.file.map(|file| file.display().to_string()))).collect::<Vec<_>>()
    };
    let some = |name: &str| Some(name.to_owned());
    assert_eq!(pairs(&[]), [(Format::Text, None)]);
    assert_eq!(pairs(&["--format", "json", "--output", "o"]), [(Format::Json, some("o"))]);
    assert_eq!(pairs(&["--output", "r.html"]), [(Format::Html, some("r.html"))]);
    assert_eq!(pairs(&["--html", "r"]), [(Format::Text, None), (Format::Html, some("r"))]);
    assert_eq!(
        pairs(&["--format", "sarif", "--output", "a", "--format", "text"]),
        [(Format::Sarif, some("a")), (Format::Text, None)]
    );
    assert!(matches!(jobs(&args(&["--format", "json", "--format", "text"])), Err(DeliverError::TwoOnOneStream(..))));
    assert_eq!(pairs(&["--format", "text", "--format", "github"]).len(), 2);
}

#[test]
fn a_baseline_hides_what_it_holds_and_fails_on_new() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    let config = empty_config(directory.path());
    let common = ["--config", &config, "--format", "json", "--output", &path("out.json")];
    let run = |more: &[&str], report: Report| {
        let all: Vec<&str> = common.iter().copied().chain(more.iter().copied()).collect();
        let delivery = Delivery::prepare(&args(&all), Stream::Stdout).expect("prepared");
        delivery.deliver(report, &SourceMap::new()).expect("delivered")
    };
    let mut old = shop();
    let new = old.findings.remove(0);

    assert_eq!(run(&[], old.clone()).exit(0), EXIT_RACES);
    assert_eq!(run(&["--write-baseline", &path("b")], old.clone()).exit(3), 3);
    assert_eq!(run(&["--baseline", &path("b")], old.clone()).exit(0), 0);
    let told: Report = serde_json::from_slice(&fs::read(path("out.json")).expect("written")).expect("a report");
    assert!(told.findings.is_empty());
    // Three were hidden before, by another baseline.
    assert_eq!(told.coverage.hidden.get("baseline"), Some(&(3 + old.findings.len() as u64)));

    let mut both = old;
    both.findings.push(new);
    let verdict = run(&["--baseline", &path("b"), "--error-exitcode", "9"], both);
    assert_eq!((verdict.failing, verdict.exit(0)), (1, 9));
}

#[test]
fn fail_on_and_severity_choose_by_level() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = empty_config(directory.path());
    let out = directory.path().join("out.txt").display().to_string();
    let failing = |more: &[&str]| {
        let all: Vec<&str> = ["--config", &config, "--output", &out].into_iter().chain(more.iter().copied()).collect();
        let delivery = Delivery::prepare(&args(&all), Stream::Stdout).expect("prepared");
        delivery.deliver(shop(), &SourceMap::new()).expect("delivered").failing
    };
    assert_eq!([failing(&[]), failing(&["--fail-on", "error"]), failing(&["--fail-on", "note"])], [12, 7, 13]);
    assert_eq!([failing(&["--fail-on", "never"]), failing(&["--severity", "error"])], [0, 7]);
    assert!(fs::read_to_string(&out).expect("written").contains("6 by severity"));
}

#[test]
fn an_output_that_cannot_be_written_is_found_before_the_run() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = empty_config(directory.path());
    for file in [directory.path().join("missing/report.json"), directory.path().to_path_buf()] {
        let file = file.display().to_string();
        let error = Delivery::prepare(&args(&["--config", &config, "--output", &file]), Stream::Stdout).expect_err(&file);
        assert!(matches!(error, DeliverError::Write(..)), "{error}");
        assert!(error.to_string().contains(&file) && error.advice().contains("--output"), "{error}");
    }
    assert_eq!(fs::read_dir(directory.path()).expect("listed").count(), 1, "nothing is left behind");
}

#[test]
fn a_broken_configuration_is_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = directory.path().join("racetrace.toml");
    fs::write(&config, "[[suppress]]\nsubject = 'x'\n").expect("written");
    let error = Delivery::prepare(&args(&["--config", &config.display().to_string()]), Stream::Stdout).expect_err("no reason");
    assert!(error.to_string().contains("racetrace.toml") && error.to_string().contains("reason"), "{error}");
}

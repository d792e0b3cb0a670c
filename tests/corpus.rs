//! The corpus under every interpreter: what its comments say must be reported, and nothing else above a note. It knows no
//! program by name except to choose the few that run by default; see corpus/README.md.

mod harness;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use harness::{Python, Session, each_python};
use serde_json::Value;

/// Run when nothing is asked for: one or two of each way to detect.
const FEW: [&str; 16] = [
    "async_balance_racy.py",
    "async_no_yield_safe.py",
    "cache_double_checked_safe.py",
    "cache_get_or_compute_racy.py",
    "dict_iterate_threads_racy.py",
    "file_two_handles_racy.py",
    "global_call_between_fixed.py",
    "global_call_between_racy.py",
    "global_counter_racy.py",
    "handmade_queue_safe.py",
    "lock_order_gate_safe.py",
    "lock_order_inversion_racy.py",
    "queue_two_producers_safe.py",
    "released_between_racy.py",
    "rwlock_safe.py",
    "wrong_lock_racy.py",
];

/// A program and what its comments say about it.
struct Program {
    path: PathBuf,
    latent: bool,
    requires: u32,
    /// (kind, subject) → lines.
    expected: BTreeMap<(String, String), BTreeSet<u64>>,
    allowed: BTreeMap<(String, String), BTreeSet<u64>>,
}

impl Program {
    fn read(path: PathBuf) -> Self {
        let text = std::fs::read_to_string(&path).unwrap();
        let first = text.lines().next().unwrap_or_default();
        let requires = text.lines().find_map(|line| line.strip_prefix("# requires: 3.")?.trim().parse().ok()).unwrap_or(0);
        let (mut expected, mut allowed) = (BTreeMap::new(), BTreeMap::new());
        for (number, line) in text.lines().enumerate() {
            for (marker, kind, subject) in markers(line) {
                let map = if marker == "also" { &mut allowed } else { &mut expected };
                map.entry((kind, subject)).or_insert_with(BTreeSet::new).insert(number as u64 + 1);
            }
        }
        let latent = first.contains("(latent");
        Program { path, latent, requires, expected, allowed }
    }

    fn name(&self) -> String {
        self.path.file_name().unwrap().to_string_lossy().into_owned()
    }

    /// What is wrong with this report; empty if nothing is.
    fn judge(&self, findings: &[Value], python: &Python) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut met = BTreeSet::new();
        for ((kind, subject), lines) in &self.expected {
            let note = kind == "unordered-access";
            let fits = |finding: &Value| self.is_at(finding, kind, lines) && (finding["severity"] == "note") == note;
            let matching: Vec<usize> =
                findings.iter().enumerate().filter(|(_, finding)| fits(finding)).map(|(at, _)| at).collect();
            if matching.is_empty() {
                wrong.push(format!("missed: {kind} {subject}"));
            }
            let latent = |at: &usize| findings[*at]["evidence"] == "latent";
            if !note && matching.iter().any(|at| latent(at) != (self.latent && !python.free_threaded)) {
                wrong.push(format!("evidence of {kind} {subject}: {}", findings[matching[0]]["evidence"]));
            }
            met.extend(matching);
        }
        for (at, finding) in findings.iter().enumerate() {
            let mut known = self.expected.iter().chain(&self.allowed);
            let named = known.any(|((kind, _), lines)| self.is_at(finding, kind, lines));
            if finding["severity"] != "note" && !met.contains(&at) && !named {
                wrong.push(format!(
                    "false alarm: {} {} at {:?}",
                    finding["kind"],
                    finding["subject"]["name"],
                    self.lines(finding)
                ));
            }
        }
        wrong
    }

    fn is_at(&self, finding: &Value, kind: &str, lines: &BTreeSet<u64>) -> bool {
        finding["kind"] == kind && !self.lines(finding).is_disjoint(lines)
    }

    /// Lines of this program on the finding's stacks.
    fn lines(&self, finding: &Value) -> BTreeSet<u64> {
        let accesses = finding["accesses"].as_array().into_iter().flatten();
        let frames = accesses.flat_map(|access| access["stack"].as_array().into_iter().flatten());
        let here =
            frames.filter(|frame| Path::new(frame["file"].as_str().unwrap_or_default()).file_name() == self.path.file_name());
        here.filter_map(|frame| frame["line"].as_u64()).collect()
    }
}

/// `race: KIND SUBJECT`, `race-read: …`, `race-also: …` in the comment of a line.
fn markers(line: &str) -> Vec<(&str, String, String)> {
    let mut found = Vec::new();
    for piece in line.split('#').skip(1) {
        let Some(rest) = piece.trim_start().strip_prefix("race") else { continue };
        let Some((marker, words)) = rest.split_once(':') else { continue };
        let mut words = words.split_whitespace().map(str::to_owned);
        if let (Some(kind), Some(subject)) = (words.next(), words.next()) {
            found.push((marker.trim_start_matches('-'), kind, subject));
        }
    }
    found
}

fn programs() -> Vec<Program> {
    let wanted = std::env::var("RACETRACE_CORPUS").ok();
    let is_wanted = |name: &str| match wanted.as_deref() {
        None => FEW.contains(&name),
        Some(patterns) => patterns.split(',').any(|pattern| match pattern.split_once('*') {
            Some((start, end)) => name.starts_with(start) && name.ends_with(end),
            None => name == pattern,
        }),
    };
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|end| end == "py")).collect();
    paths.retain(|path| is_wanted(&path.file_name().unwrap().to_string_lossy()));
    paths.sort();
    assert!(!paths.is_empty(), "no program matches RACETRACE_CORPUS");
    paths.into_iter().map(Program::read).collect()
}

fn check(program: &Program, python: &Python) -> Vec<String> {
    let session = Session::new().option("--timeout").option("20s");
    let outcome = session.python(python, &[&program.path.to_string_lossy()]);
    match &outcome.report {
        Some(_) => program.judge(outcome.findings(), python),
        None => vec![format!("no report: exit {}, {}", outcome.code, outcome.stderr)],
    }
}

#[test]
fn every_race_is_reported_and_nothing_else() {
    let programs = programs();
    each_python(|python| {
        let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while let Some(program) = programs.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if program.requires > python.minor {
                            continue;
                        }
                        let errors = check(program, python);
                        let lines = errors.into_iter().map(|error| format!("{} {}: {error}", python.name(), program.name()));
                        wrong.lock().unwrap().extend(lines);
                    }
                });
            }
        });
        let mut wrong = wrong.into_inner().unwrap();
        wrong.sort();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}

#[test]
fn comments_name_what_they_mark() {
    assert_eq!(
        markers("    x += 1  # race: read-modify-write x # race-also: check-then-act y"),
        [("", "read-modify-write".into(), "x".into()), ("also", "check-then-act".into(), "y".into())]
    );
    assert_eq!(markers("print('# no race here')"), []);
    for program in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")).unwrap() {
        let path = program.unwrap().path();
        if path.extension().is_none_or(|end| end != "py") {
            continue;
        }
        let program = Program::read(path);
        assert_eq!(program.name().ends_with("_racy.py"), !program.expected.is_empty(), "{}", program.name());
    }
}

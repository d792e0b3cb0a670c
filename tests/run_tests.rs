//! Test runs under `racetrace`: pytest with workers, pytest on unittest's cases, unittest alone. A finding is told under the
//! tests that it happened in, in every format; a baseline accepts it, and a new race fails again.
//!
//! pytest and its plug-in for workers come from the package index, into a virtual environment below `target/`. Where there
//! is no index the tests that need them say so and pass; with `RACETRACE_NEED_PYTEST=1`, as in CI, they fail instead.

mod harness;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use harness::{Python, Session, each_python, pythons};
use racetrace::report::Format;
use serde_json::Value;

const STOCK: &str = "
    import time

    class Stock:
        def __init__(self):
            self.sold = 0
            self.returned = 0

        def sell(self):
            seen = self.sold
            time.sleep(0.001)
            self.sold = seen + 1

        def take_back(self):
            seen = self.returned
            time.sleep(0.001)
            self.returned = seen + 1
";

const TESTS: &str = "
    import threading

    import pytest
    from stock import Stock

    def both(work):
        threads = [threading.Thread(target=work) for _ in range(2)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]

    def test_alone():
        stock = Stock()
        stock.sell()
        assert stock.sold == 1

    @pytest.mark.parametrize('day', ['monday', 'friday'])
    def test_sell(day):
        both(Stock().sell)
";

const CASES: &str = "
    import threading
    import unittest

    from stock import Stock

    class StockCase(unittest.TestCase):
        def test_sell(self):
            stock = Stock()
            threads = [threading.Thread(target=stock.sell) for _ in range(2)]
            [thread.start() for thread in threads]
            [thread.join() for thread in threads]

        def test_alone(self):
            Stock().sell()
";

/// The tests, by the names that pytest and its JUnit report have for them.
const RACY: [(&str, &str, &str); 3] = [
    ("tests/test_case.py::StockCase::test_sell", "tests.test_case.StockCase", "test_sell"),
    ("tests/test_stock.py::test_sell[friday]", "tests.test_stock", "test_sell[friday]"),
    ("tests/test_stock.py::test_sell[monday]", "tests.test_stock", "test_sell[monday]"),
];

fn project() -> Session {
    Session::new()
        .file("stock.py", STOCK)
        .file("tests/__init__.py", "")
        .file("tests/test_stock.py", TESTS)
        .file("tests/test_case.py", CASES)
        .file("pytest.ini", "[pytest]\npythonpath = .\n")
}

/// A virtual environment with pytest, made once; nothing where the index is out of reach.
fn environment() -> Option<&'static Python> {
    static MADE: OnceLock<Option<Python>> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let python = &pythons::supported()[0];
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("pytest-{}", python.name()));
        let path = home.join("bin/python");
        let ready = |path: &PathBuf| succeeds(Command::new(path).args(["-c", "import pytest, xdist, junitparser"]));
        if !ready(&path) {
            let made = succeeds(Command::new(&python.path).args(["-m", "venv", "--clear"]).arg(&home));
            let install =
                ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "pytest", "pytest-xdist", "junitparser"];
            let installed = made && succeeds(Command::new(&path).args(install));
            if !installed || !ready(&path) {
                let message = "skipped: pytest and pytest-xdist cannot be had from the package index";
                assert!(std::env::var_os("RACETRACE_NEED_PYTEST").is_none(), "{message}");
                eprintln!("{message}");
                return None;
            }
        }
        Some(Python { path, ..python.clone() })
    });
    made.as_ref()
}

fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

fn tests_of(finding: &Value) -> Vec<&str> {
    let mut tests: Vec<&str> = finding["tests"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    tests.sort_unstable();
    tests
}

#[test]
fn a_race_is_told_under_its_tests_in_every_format() {
    let Some(python) = environment() else { return };
    // JSON goes to the session's own report.
    let formats = Format::ALL.into_iter().filter(|format| *format != Format::Json);
    let session = formats.clone().fold(project(), |session, format| {
        session.option("--format").option(format.name()).option("--output").option(format!("report.{format}"))
    });
    let outcome = session.python(python, &["-m", "pytest", "-q", "-n", "2"]);
    assert_eq!(outcome.code, 66, "{}{}", outcome.stdout, outcome.stderr);
    assert!(outcome.stdout.contains("5 passed"), "{}", outcome.stdout);
    assert_eq!(outcome.races(), ["read-modify-write Stock.sold"]);
    let race = outcome.findings().iter().find(|finding| finding["severity"] != "note").expect("the race");
    assert_eq!(tests_of(race), RACY.map(|(id, ..)| id));
    for format in formats.filter(|format| *format != Format::Junit) {
        let text = fs::read_to_string(session.path().join(format!("report.{format}"))).expect("the report is there");
        // Markdown escapes what would be markup, and terminals break lines.
        let plain: String = text.chars().filter(|c| !c.is_whitespace() && *c != '\\').collect();
        assert!(RACY.iter().all(|(id, ..)| plain.contains(id)), "{format}: {text}");
        assert!(!plain.contains("test_alone"), "{format}: {text}");
    }
    assert_eq!(failures(python, &session), RACY.map(|(_, class, name)| format!("{class} {name}")));
}

/// The failing cases of the JUnit report, as a reader from the package index sees them.
fn failures(python: &Python, session: &Session) -> Vec<String> {
    let read = "
import sys
from junitparser import JUnitXml
for suite in JUnitXml.fromfile(sys.argv[1]):
    for case in suite:
        if not case.is_passed:
            print(case.classname, case.name)
";
    let output =
        Command::new(&python.path).args(["-c", read]).arg(session.path().join("report.junit")).output().expect("it runs");
    let mut lines: Vec<String> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    lines.sort();
    lines
}

#[test]
fn a_baseline_accepts_what_is_there_and_nothing_new() {
    let Some(python) = environment() else { return };
    let pytest = ["-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider"];
    let session = project().option("--write-baseline").option("accepted.json");
    let accepted = session.python(python, &pytest);
    assert_eq!(accepted.code, 0, "{}{}", accepted.stdout, accepted.stderr);
    fs::rename(session.path().join("accepted.json"), session.path().join("races.json")).expect("it was written");
    let session = project_at(&session).option("--baseline").option("races.json");
    let known = session.python(python, &pytest);
    assert_eq!((known.code, known.races().len()), (0, 0), "{}{}", known.stdout, known.stderr);
    assert!(known.report()["coverage"]["hidden"]["baseline"].as_u64() >= Some(1), "{}", known.report()["coverage"]);
    let more = "
        from stock import Stock
        from tests.test_stock import both

        def test_take_back():
            both(Stock().take_back)
    ";
    let session = session.file("tests/test_more.py", more);
    let new = session.python(python, &pytest);
    assert_eq!((new.code, new.races()), (66, vec!["read-modify-write Stock.returned".to_owned()]), "{}", new.stderr);
    let race = new.findings().iter().find(|finding| finding["severity"] != "note").expect("the race");
    assert_eq!(tests_of(race), ["tests/test_more.py::test_take_back"]);
}

/// The same project with the baseline that another run of it wrote, elsewhere.
fn project_at(other: &Session) -> Session {
    let session = project();
    fs::copy(other.path().join("races.json"), session.path().join("races.json")).expect("copied");
    session
}

#[test]
fn unittest_names_its_cases_itself() {
    each_python(|python| {
        let session = Session::new().file("stock.py", STOCK).file("tests/__init__.py", "").file("tests/test_case.py", CASES);
        let outcome = session.python(python, &["-m", "unittest", "-q"]);
        assert_eq!(outcome.code, 66, "{}{}", outcome.stdout, outcome.stderr);
        let race = outcome.findings().iter().find(|finding| finding["severity"] != "note").expect("the race");
        assert_eq!(tests_of(race), ["tests.test_case.StockCase.test_sell"]);
    });
}

//! Living with old findings, end to end: suppressions, comments, baselines and `racetrace diff` on runs of a real program.

mod harness;

use std::fs;
use std::process::Output;

use harness::session::{Outcome, racetrace};
use harness::{Python, Session, pythons};
use serde_json::Value;

/// Loses updates of `hits` and, where there is one, of `sales`.
const APP: &str = "import threading, time
hits = 0
sales = 0

def hit():
    global hits
    seen = hits
    time.sleep(0.001)
    hits = seen + 1

def sell():
    global sales
    seen = sales
    time.sleep(0.001)
    sales = seen + 1

def both(work):
    threads = [threading.Thread(target=work) for _ in range(2)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]

both(hit)
";
const SELLS: &str = "both(sell)\n";
const HITS: &str = "read-modify-write app.hits";
const SALES: &str = "read-modify-write app.sales";

fn python() -> &'static Python {
    &pythons::supported()[0]
}

fn run(session: &Session) -> Outcome {
    session.python(python(), &["app.py"])
}

fn notices(outcome: &Outcome) -> String {
    let notices = outcome.report()["notices"].as_array().cloned().unwrap_or_default();
    notices.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
}

fn hidden(outcome: &Outcome) -> u64 {
    let hidden = outcome.report()["coverage"]["hidden"].as_object().cloned().unwrap_or_default();
    hidden.values().filter_map(Value::as_u64).sum()
}

#[test]
fn suppressions_hide_and_stale_ones_are_reported() {
    let rules = "
        [[suppress]]
        subject = 'app.hits'
        reason = 'approximate by design'

        [[suppress]]
        subject = 'app.nothing'
        reason = 'was there once'

        [[suppress]]
        subject = 'app.sales'
        reason = 'to be fixed'
        expires = 2020-01-31

        [[suppress]]
        kind = 'read-modify-write'
        reason = 'all of them'
    ";
    let session = Session::new().file("app.py", &format!("{APP}{SELLS}")).file("racetrace.toml", rules);
    let outcome = run(&session);
    assert_eq!((outcome.code, hidden(&outcome)), (0, 2), "{}", outcome.stderr);
    let said = notices(&outcome);
    for words in ["app.nothing) is unused", "expired on 2020-01-31", "is over-broad"] {
        assert!(said.contains(words), "{words} is not in {said}");
    }
    let rest = rules.split_once("[[suppress]]\n        kind").expect("the last rule").0;
    let outcome = run(&session.file("racetrace.toml", rest));
    assert_eq!(
        (outcome.code, outcome.races(), hidden(&outcome)),
        (66, vec![SALES.to_owned()], 1),
        "an expired rule hides nothing"
    );
}

#[test]
fn the_same_rules_may_stand_in_the_projects_own_file() {
    let project = "
        [project]
        name = 'shop'

        [[tool.racetrace.suppress]]
        function = 'hit'
        file = '*.py'
        reason = 'approximate by design'
    ";
    let outcome = run(&Session::new().file("app.py", APP).file("pyproject.toml", project));
    assert_eq!((outcome.code, hidden(&outcome)), (0, 1), "{}", outcome.stderr);
}

#[test]
fn a_comment_with_a_reason_hides_its_line() {
    let app = APP.replace("    hits = seen + 1", "    hits = seen + 1  # racetrace: ignore[read-modify-write] approximate");
    let outcome = run(&Session::new().file("app.py", &format!("{app}{SELLS}")));
    assert_eq!((outcome.code, outcome.races(), hidden(&outcome)), (66, vec![SALES.to_owned()], 1), "{}", outcome.stderr);
    let bare = app.replace("] approximate", "]");
    let outcome = run(&Session::new().file("app.py", &bare));
    assert_eq!((outcome.code, outcome.races()), (66, vec![HITS.to_owned()]));
    assert!(notices(&outcome).contains("needs a reason"), "{}", notices(&outcome));
}

#[test]
fn a_baseline_survives_shifted_lines_and_another_directory() {
    let first = Session::new().file("app.py", APP).option("--write-baseline").option("races.json");
    assert_eq!(run(&first).code, 0);
    let shifted = APP.replacen("import threading, time\n", &format!("{}import threading, time\n", "# moved\n".repeat(30)), 1);
    let second = Session::new().file("app.py", &format!("{shifted}{SELLS}")).option("--baseline").option("races.json");
    fs::copy(first.path().join("races.json"), second.path().join("races.json")).expect("copied");
    let outcome = run(&second);
    assert_eq!((outcome.code, outcome.races()), (66, vec![SALES.to_owned()]), "{}", outcome.stderr);
    assert_eq!(outcome.report()["coverage"]["hidden"]["baseline"], 1);
}

fn diff(session: &Session, arguments: &[&str]) -> Output {
    racetrace().current_dir(session.path()).arg("diff").args(arguments).output().expect("it runs")
}

#[test]
fn diff_says_what_is_new_and_gone_between_reports_and_traces() {
    let old = Session::new().file("app.py", APP).option("--trace").option("run.rt");
    let new = Session::new().file("app.py", &format!("{APP}{SELLS}")).option("--trace").option("run.rt");
    for (session, name) in [(&old, "old"), (&new, "new")] {
        run(session);
        fs::copy(session.report_path(), new.path().join(format!("{name}.json"))).expect("copied");
        fs::copy(session.path().join("run.rt"), new.path().join(format!("{name}.rt"))).expect("copied");
    }
    for (one, other) in [("old.json", "new.json"), ("old.rt", "new.rt"), ("old.json", "new.rt")] {
        let forth = diff(&new, &[one, other]);
        let said = String::from_utf8_lossy(&forth.stdout).into_owned();
        assert_eq!(forth.status.code(), Some(66), "{said}");
        assert!(said.contains("new: error[read-modify-write]: app.sales"), "{said}");
        assert!(said.contains("same: error[read-modify-write]: app.hits"), "{said}");
        let back = diff(&new, &[other, one]);
        let said = String::from_utf8_lossy(&back.stdout).into_owned();
        assert_eq!(back.status.code(), Some(0), "{said}");
        assert!(said.contains("gone: error[read-modify-write]: app.sales"), "{said}");
    }
    let json: Value = serde_json::from_slice(&diff(&new, &["old.json", "new.json", "--format", "json"]).stdout).expect("JSON");
    assert_eq!(json["schema"], "racetrace.diff/1");
    let subjects = |part: &str| {
        let found = json[part].as_array().expect("a list").iter().filter(|finding| finding["severity"] != "note");
        found.map(|finding| finding["subject"]["name"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        (subjects("new"), subjects("gone"), subjects("same")),
        (vec!["app.sales".into()], vec![], vec!["app.hits".into()])
    );
    assert_eq!(diff(&new, &["app.py", "new.json"]).status.code(), Some(2));
}

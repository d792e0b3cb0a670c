//! What a terminal gets to see while a process is looked into: a line that never wraps, findings that stay, and nothing
//! left behind after Ctrl-C. What the report says is for others to test.

mod harness;

use std::process::Command;

use harness::pythons::supported;
use harness::target::{Target, look};

const RACY: &str = "
import threading, time

total = {'sum': 0}

def wait():
    time.sleep(0.002)
    return 1

def add():
    while True:
        total['sum'] = total['sum'] + wait()

for _ in range(3):
    threading.Thread(target=add, daemon=True).start()
print('ready', flush=True)
threading.Event().wait()
";

const WIPE: &str = "\r\x1b[2K";

/// All that the terminal got, which became `later` columns wide on the way.
fn transcript(columns: usize, later: usize) -> String {
    let python = supported().first().expect("an interpreter");
    let target = Target::start(python, RACY);
    let place = tempfile::tempdir().expect("a directory");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/attach/on_terminal.py");
    let output = Command::new(&python.path)
        .args([script, &columns.to_string(), &later.to_string(), env!("CARGO_BIN_EXE_racetrace"), "--pid", &target.pid()])
        .args(["--rate", "200", "--budget", "100", "--output"])
        .arg(place.path().join("report.txt"))
        .env("NO_COLOR", "1")
        .output()
        .expect("a terminal");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text:?} {}", String::from_utf8_lossy(&output.stderr));
    text
}

/// What was drawn, one after the other, without the findings above.
fn drawn(transcript: &str) -> Vec<&str> {
    let drawn = transcript.split(WIPE).map(|drawn| drawn.rsplit("\r\n").next().unwrap_or(drawn));
    drawn.filter(|line| line.contains("finding") || line.contains("looking into")).collect()
}

#[test]
fn the_line_fits_and_findings_stay_above_it() {
    let text = transcript(100, 30);
    let lines = drawn(&text);
    assert!(lines.iter().any(|line| line.contains(" Hz") && line.contains("missed")), "{text:?}");
    assert!(lines.iter().all(|line| line.chars().count() < 100), "{text:?}");
    // The terminal was narrow by then.
    let last = lines.iter().rev().find(|line| line.contains("finding")).expect("a line");
    assert!(last.trim_end_matches("^C").chars().count() < 30, "{text:?}");
    let told = text.split(WIPE).filter(|drawn| drawn.starts_with("error[read-modify-write]"));
    assert!(told.clone().count() >= 1 && told.clone().all(|told| told.contains("\r\n")), "{text:?}");
    // Nothing of the line is left at the end.
    let (_, rest) = text.rsplit_once(WIPE).expect("it was wiped");
    assert!(!rest.contains("sample") && !rest.contains('\x1b'), "{text:?}");
}

#[test]
fn without_a_terminal_nothing_is_drawn() {
    let target = Target::start(supported().first().expect("an interpreter"), RACY);
    let (output, _) = look(&target, &["--duration", "500ms"]);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

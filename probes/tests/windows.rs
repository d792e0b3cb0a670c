//! Windows of small functions, on every interpreter on this machine. The expectations stand in the snippets:
//!
//! - `# @a` gives the line a name;
//! - `# rmw PATH <- a` or `# cta PATH <- a,b`: a window writes on this line and is opened by reads on those (`.`: this line);
//! - behind it `latent` (no switch inside on a GIL build since 3.10, or only what an operator may do; `quiet`: since 3.11),
//!   `breaks` (a switch inside), `awaits` (a suspension inside), `open` (not on every way to the write there is a read;
//!   `either`: depending on how the version compiles it).
//!
//! The windows found must be exactly those.

mod interpreters;

use interpreters::Interpreter;
use racetrace_probes::lines::Lines;
use racetrace_probes::plan::{SwitchWhy, Window, WindowKind, plan};

#[test]
fn read_modify_write() {
    check_all(include_str!("windows/read_modify_write.py"));
}

#[test]
fn check_then_act() {
    check_all(include_str!("windows/check_then_act.py"));
}

#[test]
fn containers() {
    check_all(include_str!("windows/containers.py"));
}

#[test]
fn no_windows() {
    check_all(include_str!("windows/none.py"));
}

fn check_all(source: &str) {
    let mut wrong = Vec::new();
    for interpreter in interpreters::all() {
        let expected = expectations(source);
        let mut found = Vec::new();
        for dumped in interpreters::compile(interpreter, source) {
            let lines = Lines::new(&dumped.code, interpreter.version);
            let plan = plan(&dumped.code, interpreter.version).expect("a plan");
            found.extend(plan.windows.iter().map(|window| Found::new(window, &lines)));
        }
        found.sort();
        found.dedup();
        let version = interpreter.version;
        let name = format!("3.{}{}", version.minor, if version.free_threaded { "t" } else { "" });
        for one in &expected {
            match found.iter().find(|found| one.is(found)) {
                None => wrong.push(format!("{name}: missing {one:?}")),
                Some(found) => wrong.extend(one.mismatch(found, interpreter).map(|what| format!("{name}: {what}: {found:?}"))),
            }
        }
        let unexpected = found.iter().filter(|found| !expected.iter().any(|expected| expected.is(found)));
        wrong.extend(unexpected.map(|found| format!("{name}: unexpected {found:?}")));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    write: u32,
    kind: &'static str,
    path: String,
    reads: Vec<u32>,
    switch: Option<SwitchWhy>,
    suspends: bool,
    dominated: bool,
}

impl Found {
    fn new(window: &Window, lines: &Lines) -> Found {
        let line = |offset: u32| lines.line(offset).unwrap_or(0);
        let mut reads: Vec<u32> = window.reads.iter().map(|read| line(*read)).collect();
        reads.sort_unstable();
        reads.dedup();
        Found {
            write: line(window.write),
            kind: if window.kind == WindowKind::ReadModifyWrite { "rmw" } else { "cta" },
            path: window.path.clone(),
            reads,
            switch: window.switch.as_ref().map(|switch| switch.why),
            suspends: window.suspends,
            dominated: window.dominated,
        }
    }
}

#[derive(Debug)]
struct Expected {
    write: u32,
    kind: String,
    path: String,
    reads: Vec<u32>,
    flags: Vec<String>,
}

impl Expected {
    fn is(&self, found: &Found) -> bool {
        (self.write, self.kind.as_str(), &self.path, &self.reads) == (found.write, found.kind, &found.path, &found.reads)
    }

    fn mismatch(&self, found: &Found, interpreter: &Interpreter) -> Option<&'static str> {
        let anywhere = interpreter.version.free_threaded || interpreter.version.minor <= 9;
        let breaks = !matches!(found.switch, None | Some(SwitchWhy::Operator));
        let has = |flag: &str| self.flags.iter().any(|known| known == flag);
        if anywhere && !breaks {
            return Some("must be breakable anywhere");
        }
        let jump = interpreter.version.minor == 10 && found.switch == Some(SwitchWhy::ForwardJump);
        let latent = (has("latent") && !jump) || (has("quiet") && interpreter.version.minor > 10);
        if (latent && breaks && !anywhere) || (has("breaks") && !breaks) {
            return Some("wrong switch");
        }
        if has("awaits") != found.suspends {
            return Some("wrong suspension");
        }
        (has("open") == found.dominated && !has("either")).then_some("wrong dominance")
    }
}

fn expectations(source: &str) -> Vec<Expected> {
    let comments: Vec<(u32, &str)> =
        source.lines().enumerate().filter_map(|(at, line)| Some((at as u32 + 1, line.split_once('#')?.1))).collect();
    let parts = || comments.iter().flat_map(|(line, comment)| comment.split(';').map(|part| (*line, part.trim())));
    let labels: Vec<(&str, u32)> = parts().filter_map(|(line, part)| Some((part.strip_prefix('@')?, line))).collect();
    let mut expected = Vec::new();
    for (line, part) in parts() {
        let Some((kind, rest)) = part.split_once(' ').filter(|(kind, _)| matches!(*kind, "rmw" | "cta")) else { continue };
        let (path, rest) = rest.split_once(" <- ").expect("KIND PATH <- LABELS FLAGS");
        let mut words = rest.split_whitespace();
        let resolve = |label: &str| {
            let above = labels.iter().filter(|(name, at)| *name == label && *at <= line).map(|(_, at)| *at);
            if label == "." { line } else { above.max().unwrap_or_else(|| panic!("no @{label}")) }
        };
        let mut reads: Vec<u32> = words.next().expect("labels").split(',').map(resolve).collect();
        reads.sort_unstable();
        reads.dedup();
        expected.push(Expected {
            write: line,
            kind: kind.to_owned(),
            path: path.to_owned(),
            reads,
            flags: words.map(str::to_owned).collect(),
        });
    }
    expected
}

//! The examples do what their first lines say, under every interpreter: the finding that they name, or none.

mod harness;

use std::path::{Path, PathBuf};

use harness::{Session, each_python};

/// The indented line after `reports`: `error[kind]: subject`, or `no races found`.
fn promise(text: &str) -> String {
    let lines = text.lines().skip_while(|line| *line != "reports").skip(1);
    lines.map(str::trim).find(|line| !line.is_empty()).expect("a line that says what is reported").to_owned()
}

fn examples() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|end| end == "py")).collect();
    files.sort();
    files
}

#[test]
fn each_example_reports_what_it_says() {
    each_python(|python| {
        let mut wrong = Vec::new();
        for example in examples() {
            let promised = promise(&std::fs::read_to_string(&example).unwrap());
            let outcome = Session::new().option("--timeout").option("60s").python(python, &[example.to_str().unwrap()]);
            let above = outcome.findings().iter().filter(|finding| finding["severity"] != "note");
            let seen: Vec<String> = above
                .map(|finding| {
                    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
                    let (severity, kind) = (text(&finding["severity"]), text(&finding["kind"]));
                    format!("{severity}[{kind}]: {}", text(&finding["subject"]["name"]))
                })
                .collect();
            let kept = match promised.as_str() {
                "no races found" => seen.is_empty() && outcome.code == 0,
                finding => seen.iter().any(|seen| seen.starts_with(finding) || named(seen, finding)) && outcome.code == 66,
            };
            if !kept {
                wrong.push(format!("{}: promised {promised}, saw {seen:?}, exit {}", example.display(), outcome.code));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}

/// Lock names come in any order, joined by commas.
fn named(seen: &str, promised: &str) -> bool {
    let (Some((head, names)), Some((wanted, name))) = (seen.split_once(": "), promised.split_once(": ")) else { return false };
    head == wanted && names.split(',').any(|each| each.trim().rsplit('.').next() == Some(name))
}

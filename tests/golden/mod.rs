//! Sample reports and golden files. Not a test itself.

use racetrace::finding::Report;
use racetrace::report::source::SourceMap;
use racetrace::report::{self, Format, Options};
use std::fs;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The report `NAME.report.json` and the sources of the shop, as if it lay in `/srv/shop`.
pub fn sample(name: &str) -> (Report, SourceMap) {
    let text = fs::read_to_string(folder().join(format!("{name}.report.json"))).expect("the sample is there");
    let report = serde_json::from_str(&text).expect("the sample is a report");
    let mut sources = SourceMap::new().relative_to("/srv/shop");
    for file in ["app.py", "cache.py", "stats.py"] {
        let text = fs::read_to_string(folder().join("shop").join(file)).expect("the source is there");
        sources.insert_file(&format!("/srv/shop/{file}"), &text);
    }
    (report, sources)
}

pub fn render(format: Format, report: &Report, sources: &SourceMap, options: &Options) -> String {
    let mut bytes = Vec::new();
    report::write(format, report, sources, options, &mut bytes).expect("memory");
    String::from_utf8(bytes).expect("reports are UTF-8")
}

/// Compares with the golden file, or writes it when blessing.
#[allow(dead_code, reason = "not every test binary that shares the samples has golden files")]
pub fn check(name: &str, found: &str) {
    let path = folder().join(name);
    if std::env::var_os("RACETRACE_BLESS").is_some() {
        fs::write(&path, found).expect("the golden file can be written");
        return;
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    if found == expected {
        return;
    }
    let differing = found.lines().zip(expected.lines()).position(|(a, b)| a != b);
    let line = differing.unwrap_or_else(|| found.lines().count().min(expected.lines().count()));
    panic!(
        "{name} differs from its golden file at line {}:\n  found    {:?}\n  expected {:?}\nto accept: RACETRACE_BLESS=1 cargo \
         test --test report_golden",
        line + 1,
        found.lines().nth(line),
        expected.lines().nth(line)
    );
}

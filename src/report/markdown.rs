//! Markdown for a job summary or a comment: a table of all findings, then each one's text folded away. Keeps below the
//! size that job summaries accept, and says what it left out.

use super::source::SourceMap;
use super::text::write_finding;
use super::words;
use super::{Options, harmless::harmless};
use crate::finding::{Finding, Report};
use std::io::{self, Write};

/// Job summaries take 1 MiB (docs.github.com, "Adding a job summary").
const MOST_BYTES: usize = 900_000;
const MOST_ROWS: usize = 1000;

/// # Errors
/// Those of `out`.
pub fn write(report: &Report, sources: &SourceMap, out: &mut dyn Write) -> io::Result<()> {
    let mut text = format!("## racetrace: {}\n\n", escaped(&words::tally(report)));
    table(&mut text, report, sources);
    details(&mut text, report, sources);
    coverage(&mut text, report);
    out.write_all(text.as_bytes())
}

fn table(text: &mut String, report: &Report, sources: &SourceMap) {
    if report.findings.is_empty() {
        return;
    }
    text.push_str("| | Kind | What | Where | Evidence | Seen |\n|---|---|---|---|---|--:|\n");
    for finding in report.findings.iter().take(MOST_ROWS) {
        let site = finding.accesses.first().and_then(|access| access.stack.first());
        let place = site.map_or_else(String::new, |frame| words::frame(sources, frame));
        text.push_str(&format!(
            "| {} | {} | {} | {} | {} | {} |\n",
            finding.severity,
            finding.kind,
            escaped(&words::name(&finding.subject.name)),
            escaped(&place),
            finding.evidence,
            words::thousands(finding.count)
        ));
    }
    let more = report.findings.len().saturating_sub(MOST_ROWS);
    if more > 0 {
        text.push_str(&format!("\n…and {} more.\n", words::thousands(more as u64)));
    }
    text.push('\n');
}

fn details(text: &mut String, report: &Report, sources: &SourceMap) {
    for (index, finding) in report.findings.iter().enumerate() {
        let one = folded(finding, sources);
        if text.len() + one.len() > MOST_BYTES {
            let left = (report.findings.len() - index) as u64;
            text.push_str(&format!("*{} left out here to keep the summary small.*\n\n", words::plural(left, "finding")));
            return;
        }
        text.push_str(&one);
    }
}

fn folded(finding: &Finding, sources: &SourceMap) -> String {
    let mut bytes = Vec::new();
    write_finding(finding, sources, &Options::default(), &mut bytes).expect("writing to memory cannot fail");
    let body = String::from_utf8_lossy(&bytes);
    let fence = fence(&body);
    let title = html(&harmless(&finding.message));
    format!(
        "<details><summary><b>{}[{}]</b>: {title}</summary>\n\n{fence}text\n{body}{fence}\n\n</details>\n\n",
        finding.severity, finding.kind
    )
}

/// Longer than any run of backticks in the text.
fn fence(body: &str) -> String {
    let longest = body.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    "`".repeat(longest.max(2) + 1)
}

fn coverage(text: &mut String, report: &Report) {
    for target in std::iter::once(&report.target).chain(&report.also) {
        text.push_str(&format!("- Watched: {}\n", escaped(&words::target(target))));
    }
    text.push_str(&format!("- Watched: {}\n", escaped(&words::watched(&report.coverage))));
    let missed = words::missed(&report.coverage);
    if missed.is_empty() {
        text.push_str(&format!("- Missed: {}\n", words::NOTHING_KNOWN));
    }
    for sentence in missed {
        text.push_str(&format!("- Missed: {}\n", escaped(&sentence)));
    }
    if let Some(hidden) = words::hidden(&report.coverage) {
        text.push_str(&format!("- {}\n", escaped(&hidden)));
    }
    for notice in &report.notices {
        text.push_str(&format!("- Notice: {}\n", escaped(&harmless(notice))));
    }
}

/// Text that Markdown shows as it is.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            // Mentions of people and links made from bare addresses would act too.
            '@' => escaped.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '#' | '+' | '!' | '|' | '~' | '$' => {
                escaped.push('\\');
                escaped.push(c);
            }
            _ => escaped.push(c),
        }
    }
    escaped.replace("://", ":&#47;/").replace("www.", "www&#46;")
}

/// Text inside an HTML element: Markdown's own signs as references too, whatever the renderer makes of such a block.
fn html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' | '<' | '>' | '"' | '[' | ']' | '`' | '*' | '_' | '@' => escaped.push_str(&format!("&#{};", u32::from(c))),
            _ => escaped.push(c),
        }
    }
    escaped
}

//! The report for people in a terminal, in the manner of a compiler's messages. Says at the end what was watched and
//! what was missed: "no races found" never stands alone.

mod excerpt;
mod paint;

use super::harmless::harmless;
use super::side::{Side, sides};
use super::source::SourceMap;
use super::words;
use super::{Color, Options};
use crate::finding::{Finding, Frame, Report, Severity};
use paint::{Paint, Style};
use std::io::{self, Write};

/// Callers shown of each access.
const MOST_CALLERS: usize = 4;
const NARROWEST: usize = 40;

/// # Errors
/// Those of `out`.
pub fn write(report: &Report, sources: &SourceMap, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    let paint = Paint::new(options.color);
    let width = options.width.max(NARROWEST);
    let page = Page { sources, paint, width, with_process: words::several_processes(report) };
    for finding in &report.findings {
        let mut text = page.finding(finding);
        text.push('\n');
        out.write_all(text.as_bytes())?;
    }
    out.write_all(page.ending(report).as_bytes())
}

/// One finding alone, for lists of findings such as `racetrace diff`.
///
/// # Errors
/// Those of `out`.
pub fn write_finding(finding: &Finding, sources: &SourceMap, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    let width = options.width.max(NARROWEST);
    let page = Page { sources, paint: Paint::new(options.color), width, with_process: finding.processes.len() > 1 };
    out.write_all(page.finding(finding).as_bytes())
}

/// One line: what and where.
#[must_use]
pub fn headline(finding: &Finding, sources: &SourceMap, color: Color) -> String {
    let page = Page { sources, paint: Paint::new(color), width: usize::MAX, with_process: false };
    let site = finding.accesses.first().and_then(|access| access.stack.first());
    let place = site.map(|frame| format!(" at {}", words::frame(sources, frame))).unwrap_or_default();
    format!("{}{place}", page.title(finding))
}

/// What all of a report's text depends on.
struct Page<'a> {
    sources: &'a SourceMap,
    paint: Paint,
    width: usize,
    with_process: bool,
}

impl Page<'_> {
    fn title(&self, finding: &Finding) -> String {
        let style = severity_style(finding.severity);
        let tag = self.paint.paint(style, &format!("{}[{}]", finding.severity, finding.kind));
        let message = self.paint.paint(Style::Strong, &format!(": {}", harmless(&finding.message)));
        format!("{tag}{message}")
    }

    fn finding(&self, finding: &Finding) -> String {
        let mut text = format!("{}\n", self.title(finding));
        let sides = sides(finding);
        let gutter = self.gutter(finding);
        for (index, side) in sides.iter().enumerate() {
            self.side(&mut text, finding, side, index, gutter);
        }
        self.facts(&mut text, finding, gutter);
        text
    }

    /// Digits of the highest line number that will be shown.
    fn gutter(&self, finding: &Finding) -> usize {
        let lines = finding.accesses.iter().filter_map(|access| access.stack.first()).map(|frame| frame.line);
        lines.max().unwrap_or(1).to_string().len()
    }

    fn side(&self, text: &mut String, finding: &Finding, side: &Side<'_>, index: usize, gutter: usize) {
        let Some(first) = side.accesses.first() else { return };
        let pad = " ".repeat(gutter);
        let arrow = if index == 0 { "-->" } else { ":::" };
        let place = match first.stack.first() {
            Some(frame) => place_with_column(self.sources, frame),
            None => "(place unknown)".to_owned(),
        };
        self.line(text, &format!("{pad}{} {place}", self.paint.paint(Style::Frame, arrow)));
        self.noted(text, gutter, "|", &self.who(side));
        if let Some(callers) = self.callers(side) {
            self.noted(text, gutter, "|", &callers);
        }
        self.line(text, &format!("{pad} {}", self.paint.paint(Style::Frame, "|")));
        let marks = excerpt::Marks::of(finding, side);
        text.push_str(&excerpt::draw(&marks, self.sources, &self.paint, gutter, self.width));
    }

    fn who(&self, side: &Side<'_>) -> String {
        let view = words::View::beside(self.sources, side);
        let strand = side.accesses.first().map(|access| view.strand(&access.strand, self.with_process));
        format!("{}; {}", strand.unwrap_or_default(), view.side_locks(side))
    }

    fn callers(&self, side: &Side<'_>) -> Option<String> {
        let callers = words::View::beside(self.sources, side).callers(side.accesses.first()?);
        let shown = callers.get(..MOST_CALLERS).unwrap_or(&callers);
        let more = callers.len() - shown.len();
        let rest = if more > 0 { format!(", and {more} more") } else { String::new() };
        (!callers.is_empty()).then(|| format!("called from {}{rest}", shown.join(", from ")))
    }

    fn facts(&self, text: &mut String, finding: &Finding, gutter: usize) {
        let pad = " ".repeat(gutter);
        self.line(text, &format!("{pad} {}", self.paint.paint(Style::Frame, "|")));
        if let Some(observed) = &finding.observed {
            self.fact(text, gutter, &words::sighting(finding).to_lowercase(), observed);
        }
        if let Some(why) = words::why(self.sources, finding) {
            self.fact(text, gutter, "why", &why);
        }
        if !finding.interleaving.is_empty() {
            let steps = words::turns(finding).into_iter().zip(1..).map(|(turn, number)| format!("{number}. {turn}"));
            self.fact(text, gutter, "how", &steps.collect::<Vec<_>>().join("\n"));
        }
        self.fact(text, gutter, "help", &finding.help);
        if !finding.tests.is_empty() {
            let tests: Vec<String> = finding.tests.iter().map(|test| words::name(test)).collect();
            self.fact(text, gutter, if tests.len() == 1 { "test" } else { "tests" }, &tests.join(", "));
        }
        let note = format!("{}; {}", words::certainty(finding), words::seen(finding));
        self.fact(text, gutter, "note", &note);
        let id = format!("{}, more: racetrace explain {}", words::short_fingerprint(finding), finding.kind);
        self.fact(text, gutter, "fingerprint", &id);
    }

    fn fact(&self, text: &mut String, gutter: usize, label: &str, content: &str) {
        let lead = format!("{label}: ");
        let first = format!("{} {} ", " ".repeat(gutter), self.paint.paint(Style::Frame, "="));
        let indent = gutter + 3 + lead.len();
        let room = self.width.saturating_sub(indent).max(20);
        for (index, line) in wrap(content, room).iter().enumerate() {
            match index {
                0 => self.line(text, &format!("{first}{}{line}", self.paint.paint(Style::Strong, &lead))),
                _ => self.line(text, &format!("{}{line}", " ".repeat(indent))),
            }
        }
    }

    /// A sentence beside the gutter.
    fn noted(&self, text: &mut String, gutter: usize, bar: &str, content: &str) {
        let lead = format!("{} {} ", " ".repeat(gutter), self.paint.paint(Style::Frame, bar));
        for (index, line) in wrap(content, self.width.saturating_sub(gutter + 5).max(20)).iter().enumerate() {
            let indent = if index == 0 { "" } else { "  " };
            self.line(text, &format!("{lead}{indent}{line}"));
        }
    }

    fn ending(&self, report: &Report) -> String {
        let mut text = String::new();
        for target in std::iter::once(&report.target).chain(&report.also) {
            self.ending_fact(&mut text, "watched", &words::target(target));
        }
        self.ending_fact(&mut text, "watched", &words::watched(&report.coverage));
        let missed = words::missed(&report.coverage);
        if missed.is_empty() {
            self.ending_fact(&mut text, "missed", words::NOTHING_KNOWN);
        }
        for sentence in missed {
            self.ending_fact(&mut text, "missed", &sentence);
        }
        for notice in &report.notices {
            self.ending_fact(&mut text, "notice", notice);
        }
        let mut summary = words::tally(report);
        if let Some(hidden) = words::hidden(&report.coverage) {
            summary = format!("{summary}; {hidden}");
        }
        let style = report.findings.iter().map(|finding| finding.severity).max().map_or(Style::Good, severity_style);
        self.line(&mut text, &self.paint.paint(style, &format!("racetrace: {summary}")));
        text
    }

    fn ending_fact(&self, text: &mut String, label: &str, content: &str) {
        let room = self.width.saturating_sub(label.len() + 2).max(20);
        for (index, line) in wrap(content, room).iter().enumerate() {
            let lead = if index == 0 { format!("{label}: ") } else { " ".repeat(label.len() + 2) };
            self.line(text, &format!("{}{line}", self.paint.paint(Style::Faint, &lead)));
        }
    }

    fn line(&self, text: &mut String, line: &str) {
        text.push_str(line.trim_end());
        text.push('\n');
    }
}

fn severity_style(severity: Severity) -> Style {
    match severity {
        Severity::Error => Style::Error,
        Severity::Warning => Style::Warning,
        Severity::Note => Style::Note,
    }
}

fn place_with_column(sources: &SourceMap, frame: &Frame) -> String {
    let column = frame.columns.map(|(start, _)| format!(":{}", u64::from(start) + 1)).unwrap_or_default();
    let place = format!("{}{column}", words::place(sources, &frame.file, frame.line));
    if frame.function.is_empty() { place } else { format!("{place} in {}", words::name(&frame.function)) }
}

/// Lines of at most `room` columns; the text's own line breaks stay.
fn wrap(content: &str, room: usize) -> Vec<String> {
    let options = textwrap::Options::new(room).break_words(false).word_splitter(textwrap::WordSplitter::NoHyphenation);
    let lines = content.lines().flat_map(|line| {
        let line = harmless(line).into_owned();
        textwrap::wrap(&line, &options).into_iter().map(std::borrow::Cow::into_owned).collect::<Vec<_>>()
    });
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() { vec![String::new()] } else { lines }
}

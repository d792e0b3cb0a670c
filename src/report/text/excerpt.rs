//! Source lines of one side of a finding, with the accesses underlined and the window marked by a bar. Decides nothing
//! about the finding; columns that cannot be right are left out.

use super::paint::{Paint, Style};
use crate::finding::Finding;
use crate::finding::policy::Lines;
use crate::report::harmless;
use crate::report::side::{Part, Side, closing, label};
use crate::report::source::SourceMap;
use std::collections::BTreeMap;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Lines between two marked ones that are shown rather than elided.
const MOST_BETWEEN: u32 = 10;
const TAB: usize = 4;
/// Columns that words below a mark get at least.
const LEAST_WORDS: usize = 20;
const INDENT: &str = "    ";

/// What to underline where, in one file.
pub(super) struct Marks<'a> {
    file: &'a str,
    part: Part,
    /// By line: columns (bytes, end exclusive) and words.
    lines: BTreeMap<u32, Vec<Mark>>,
    /// First and last line of the window, when it spans several.
    window: Option<(u32, u32)>,
    /// What the window's bar says at its end.
    closing: String,
}

struct Mark {
    columns: Option<(u32, u32)>,
    words: String,
}

impl<'a> Marks<'a> {
    pub(super) fn of(finding: &Finding, side: &Side<'a>) -> Marks<'a> {
        let mut lines: BTreeMap<u32, Vec<Mark>> = BTreeMap::new();
        let mut file = "";
        for access in &side.accesses {
            let Some(frame) = access.stack.first() else { continue };
            file = &frame.file;
            let marks = lines.entry(frame.line).or_default();
            let words = label(access);
            match marks.iter_mut().find(|mark| mark.columns == frame.columns) {
                Some(mark) => mark.words = format!("{}, then {words}", mark.words),
                None => marks.push(Mark { columns: frame.columns, words }),
            }
        }
        let closing = closing(finding).unwrap_or_default();
        Marks { file, part: side.part, lines, window: side.window(finding), closing }
    }

    fn in_window(&self, line: u32) -> bool {
        self.window.is_some_and(|(first, last)| (first..=last).contains(&line))
    }
}

/// The lines as text, each with its line break.
pub(super) fn draw(marks: &Marks<'_>, sources: &SourceMap, paint: &Paint, gutter: usize, width: usize) -> String {
    let mut drawing = Drawing { marks, paint, gutter, width, text: String::new() };
    let mut previous: Option<u32> = None;
    for (line, here) in &marks.lines {
        if let Some(previous) = previous {
            drawing.between(previous, *line, sources);
        }
        drawing.marked(*line, here, sources.line(marks.file, *line).as_deref());
        previous = Some(*line);
    }
    if marks.window.is_some() {
        for (index, words) in textwrap::wrap(&marks.closing, drawing.room()).iter().enumerate() {
            let lead = if index == 0 { "\\_ " } else { "   " };
            drawing.bare(&paint.paint(Style::Error, &format!("{lead}{words}")));
        }
    }
    drawing.text
}

struct Drawing<'a> {
    marks: &'a Marks<'a>,
    paint: &'a Paint,
    gutter: usize,
    width: usize,
    text: String,
}

impl Drawing<'_> {
    fn between(&mut self, from: u32, to: u32, sources: &SourceMap) {
        if to - from - 1 > MOST_BETWEEN {
            let dots = self.paint.paint(Style::Frame, "...");
            let bar = self.bar(from + 1);
            self.text.push_str(format!("{dots}{}{bar}", " ".repeat(self.gutter)).trim_end());
            self.text.push('\n');
            return;
        }
        for line in from + 1..to {
            if let Some(source) = sources.line(self.marks.file, line) {
                self.source(line, &Shown::of(&source, self.room()));
            }
        }
    }

    fn marked(&mut self, line: u32, marks: &[Mark], source: Option<&str>) {
        let Some(source) = source else {
            let shown = Shown { text: "(source not available)".to_owned(), stops: Vec::new() };
            self.source(line, &shown);
            let words: Vec<&str> = marks.iter().map(|mark| mark.words.as_str()).collect();
            self.below(line, &format!("^ {}", words.join("; ")));
            return;
        };
        let shown = Shown::of(source, self.room());
        self.source(line, &shown);
        for mark in marks {
            let (start, end) = shown.span(source, mark.columns);
            let carets = self.carets(end - start);
            if start + carets.len() + 1 + mark.words.width() <= self.room() {
                self.below(line, &format!("{}{carets} {}", " ".repeat(start), mark.words));
                continue;
            }
            self.below(line, &format!("{}{carets}", " ".repeat(start)));
            let indent = if start + LEAST_WORDS <= self.room() { start } else { 0 };
            for words in textwrap::wrap(&mark.words, self.room() - indent) {
                self.below(line, &format!("{}{words}", " ".repeat(indent)));
            }
        }
    }

    fn carets(&self, length: usize) -> String {
        let caret = if self.marks.part == Part::First { "^" } else { "-" };
        caret.repeat(length.max(1))
    }

    fn room(&self) -> usize {
        self.width.saturating_sub(self.gutter + 3 + INDENT.len()).max(20)
    }

    fn source(&mut self, line: u32, shown: &Shown) {
        let number = self.paint.paint(Style::Frame, &format!("{line:>width$} |", width = self.gutter));
        let bar = self.bar(line);
        self.text.push_str(format!("{number} {bar}{}", shown.text).trim_end());
        self.text.push('\n');
    }

    fn below(&mut self, line: u32, content: &str) {
        let style = if self.marks.part == Part::First { Style::Error } else { Style::Warning };
        // Below the first line the bar has begun, below the last it still runs.
        let bar = if self.marks.in_window(line) { self.paint.paint(Style::Error, "|   ") } else { INDENT.to_owned() };
        let content = self.paint.paint(style, content);
        self.bare(&format!("{bar}{content}"));
    }

    fn bare(&mut self, content: &str) {
        let lead = format!("{} {}", " ".repeat(self.gutter), self.paint.paint(Style::Frame, "|"));
        self.text.push_str(format!("{lead} {content}").trim_end());
        self.text.push('\n');
    }

    fn bar(&self, line: u32) -> String {
        match self.marks.window {
            Some((first, _)) if first == line => self.paint.paint(Style::Error, "/   "),
            Some((first, last)) if (first..=last).contains(&line) => self.paint.paint(Style::Error, "|   "),
            _ => INDENT.to_owned(),
        }
    }
}

/// A source line as it is shown, and where each of its bytes went.
struct Shown {
    text: String,
    /// For each character of the source: its byte offset and its display column.
    stops: Vec<(usize, usize)>,
}

impl Shown {
    fn of(source: &str, room: usize) -> Shown {
        let mut text = String::new();
        let mut stops = Vec::new();
        let mut column = 0;
        for (offset, c) in source.char_indices() {
            stops.push((offset, column));
            if column >= room {
                text.push('…');
                break;
            }
            if c == '\t' {
                let step = TAB - column % TAB;
                text.push_str(&" ".repeat(step));
                column += step;
            } else {
                let before = text.len();
                harmless::push(&mut text, c);
                column += text.get(before..).unwrap_or("").chars().map(|c| c.width().unwrap_or(0)).sum::<usize>();
            }
        }
        stops.push((source.len(), column));
        Shown { text, stops }
    }

    /// Display columns of the byte columns; of the whole statement where they are unknown or do not fit.
    fn span(&self, source: &str, columns: Option<(u32, u32)>) -> (usize, usize) {
        let begin = source.len() - source.trim_start().len();
        let code = source.split(" #").next().unwrap_or(source).trim_end().len().max(begin);
        let (start, end) = match columns.map(|(start, end)| (start as usize, end as usize)) {
            Some((start, end)) if start < end && end <= source.len() => (start, end),
            // An expression that goes on in the next line.
            Some((start, _)) if start < code && start >= begin => (start, code),
            _ => (begin, code),
        };
        let start = self.column(start);
        (start, self.column(end).max(start + 1))
    }

    fn column(&self, offset: usize) -> usize {
        let next = self.stops.partition_point(|(at, _)| *at < offset);
        self.stops.get(next).or(self.stops.last()).map_or(0, |(_, column)| *column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_columns_become_display_columns() {
        let source = "\tsumme_größe += 計数";
        let shown = Shown::of(source, 80);
        let at = |text: &str| source.find(text).map(|start| (start as u32, (start + text.len()) as u32));
        assert_eq!(shown.span(source, at("summe_größe")), (4, 15));
        assert_eq!(shown.span(source, at("計数")), (19, 23));
        assert_eq!(shown.span(source, None), (4, 23));
        assert_eq!(shown.span(source, Some((900, 901))), (4, 23));
    }

    #[test]
    fn a_control_character_in_the_source_is_shown_escaped() {
        assert_eq!(Shown::of("a\x1bb", 80).text, "a\\x1bb");
    }
}

//! Findings in, text out: one file per format. Knows nothing of the analysis, and opens no output itself.
//!
//! | module | holds |
//! |---|---|
//! | [`text`] | for people in a terminal |
//! | [`json`] | for scripts: `racetrace.report/1` |
//! | [`sarif`] | for code scanning and editors: SARIF 2.1.0 |
//! | [`junit`] | for CI systems that show test results |
//! | [`github`] | workflow annotations |
//! | [`markdown`] | for a job summary or a merge request |
//! | [`html`] | one self-contained page |
//! | [`chrome`] | trace-event JSON for Perfetto and `chrome://tracing` |
//! | [`source`] | source lines: those that travel with the trace first, then the disk's |
//! | [`harmless`] | names that cannot act on a terminal or deceive a reader |
//! | [`side`] | accesses grouped by strand, and the window |
//! | [`words`] | phrases that several formats share |

pub mod chrome;
pub mod github;
pub mod harmless;
pub mod html;
pub mod json;
pub mod junit;
pub mod markdown;
pub mod sarif;
pub mod side;
pub mod source;
pub mod text;
pub mod timeline;
pub mod words;

use crate::finding::Report;
use source::SourceMap;
use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::str::FromStr;

/// The format of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    Text,
    Json,
    Sarif,
    Junit,
    Github,
    Markdown,
    Html,
    Chrome,
}

/// How to show it. What to show has been decided before.
#[derive(Debug, Clone)]
pub struct Options {
    pub color: Color,
    /// Columns of the terminal.
    pub width: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    Always,
    Never,
}

impl Default for Options {
    fn default() -> Options {
        Options { color: Color::Never, width: 100 }
    }
}

/// Writes the report in the given format. The output depends on nothing but the arguments. [`Format::Chrome`] shows the
/// findings' own moments only; with the events of a trace it is written by [`chrome::write`].
///
/// # Errors
/// Those of `out`.
pub fn write(format: Format, report: &Report, sources: &SourceMap, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Text => text::write(report, sources, options, out),
        Format::Json => json::write(report, out),
        Format::Sarif => sarif::write(report, sources, out),
        Format::Junit => junit::write(report, sources, out),
        Format::Github => github::write(report, sources, out),
        Format::Markdown => markdown::write(report, sources, out),
        Format::Html => html::write(report, sources, out),
        Format::Chrome => chrome::write(report, &chrome::Chart::new(), out),
    }
}

impl Format {
    pub const ALL: [Format; 8] = [
        Format::Text,
        Format::Json,
        Format::Sarif,
        Format::Junit,
        Format::Github,
        Format::Markdown,
        Format::Html,
        Format::Chrome,
    ];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Format::Text => "text",
            Format::Json => "json",
            Format::Sarif => "sarif",
            Format::Junit => "junit",
            Format::Github => "github",
            Format::Markdown => "markdown",
            Format::Html => "html",
            Format::Chrome => "chrome",
        }
    }

    /// The format that a file of this name is expected to have.
    #[must_use]
    pub fn of_file(path: &Path) -> Option<Format> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "json" => Some(Format::Json),
            "sarif" => Some(Format::Sarif),
            "xml" => Some(Format::Junit),
            "md" => Some(Format::Markdown),
            "html" | "htm" => Some(Format::Html),
            "txt" | "log" => Some(Format::Text),
            _ => None,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Not a format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownFormat(String);

impl fmt::Display for UnknownFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = Format::ALL.map(Format::name).join(", ");
        write!(f, "unknown format '{}', expected one of {known}", self.0.escape_debug())
    }
}

impl std::error::Error for UnknownFormat {}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(given: &str) -> Result<Format, UnknownFormat> {
        Format::ALL.into_iter().find(|format| format.name() == given).ok_or_else(|| UnknownFormat(given.to_owned()))
    }
}

//! What a terminal shows while racetrace looks into a process: one line that is drawn anew, and findings above it as they
//! are found. Where there is no terminal it shows nothing; the report says it all in the end.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use super::deliver::settings::terminal_takes_color;
use crate::collect::sampler::look::Counts;
use crate::finding::Finding;
use crate::report::source::SourceMap;
use crate::report::{Color, text};

/// How often the line is drawn anew.
const EVERY: Duration = Duration::from_millis(200);
/// Of terminals that do not say how wide they are.
const USUAL_WIDTH: usize = 80;
/// To the beginning of the line, which is wiped.
const WIPE: &str = "\r\x1b[2K";

pub struct Status {
    shows: Shows,
    color: Color,
    began: Instant,
    drawn: Instant,
    line: Vec<String>,
    found: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shows {
    Nothing,
    /// A terminal that cannot wipe a line.
    Findings,
    All,
}

impl Status {
    /// `is_quiet`: also a terminal shows nothing.
    pub fn new(is_quiet: bool) -> Status {
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let shows = match (!is_quiet && std::io::stderr().is_terminal(), is_dumb) {
            (false, _) => Shows::Nothing,
            (true, true) => Shows::Findings,
            (true, false) => Shows::All,
        };
        let color = if terminal_takes_color() { Color::Always } else { Color::Never };
        let now = Instant::now();
        Status { shows, color, began: now, drawn: now, line: Vec::new(), found: 0 }
    }

    /// Says that the first look is under way.
    pub fn begin(&mut self, what: &str) {
        self.line = vec![format!("looking into {what}")];
        self.write(None);
    }

    pub fn tell(&mut self, finding: &Finding, sources: &SourceMap) {
        self.found += 1;
        if self.shows != Shows::Nothing {
            self.write(Some(&text::headline(finding, sources, self.color)));
        }
    }

    /// Draws the line if it is time to.
    pub fn draw(&mut self, counts: Counts, rate: u32) {
        if self.shows == Shows::All && self.drawn.elapsed() >= EVERY {
            self.drawn = Instant::now();
            let seconds = self.began.elapsed().as_secs();
            self.line = [vec![format!("{seconds}s")], parts(self.found, counts, rate)].concat();
            self.write(None);
        }
    }

    pub fn end(&mut self) {
        self.line.clear();
        self.write(None);
    }

    /// Puts a finding above the line, and the line where the cursor is; a terminal that is gone is not missed.
    fn write(&self, above: Option<&str>) {
        let (wipe, line) = match self.shows {
            Shows::Nothing => return,
            Shows::Findings => ("", String::new()),
            Shows::All => (WIPE, fitting(&self.line, width())),
        };
        let above = above.map_or_else(String::new, |above| format!("{above}\r\n"));
        let mut terminal = std::io::stderr().lock();
        let _ = write!(terminal, "{wipe}{above}{line}").and_then(|()| terminal.flush());
    }
}

fn width() -> usize {
    let size = terminal_size::terminal_size_of(std::io::stderr());
    size.map(|(terminal_size::Width(columns), _)| usize::from(columns)).filter(|columns| *columns > 0).unwrap_or(USUAL_WIDTH)
}

/// As many of the parts as a line has room for: one that wraps could not be wiped. The last column stays free, because
/// some terminals wrap when it is written to.
fn fitting(parts: &[String], width: usize) -> String {
    let mut line = String::new();
    for part in parts {
        let between = if line.is_empty() { "" } else { "  " };
        if line.chars().count() + between.len() + part.chars().count() >= width {
            break;
        }
        line.push_str(between);
        line.push_str(part);
    }
    line
}

/// What matters most comes first.
fn parts(found: usize, counts: Counts, rate: u32) -> Vec<String> {
    let mut parts = vec![number(found as u64, "finding"), number(counts.samples, "sample"), format!("{rate} Hz")];
    parts.push(number(counts.threads, "thread"));
    if counts.tasks > 0 {
        parts.push(number(counts.tasks, "task"));
    }
    parts.push(format!("{} missed", counts.missed));
    parts
}

fn number(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_what_was_found_first() {
        let counts = Counts { samples: 1, threads: 4, ..Counts::default() };
        assert_eq!(parts(0, counts, 250).join(", "), "0 findings, 1 sample, 250 Hz, 4 threads, 0 missed");
        let counts = Counts { samples: 90, threads: 1, tasks: 12, missed: 3, ..Counts::default() };
        assert_eq!(parts(1, counts, 80).join(", "), "1 finding, 90 samples, 80 Hz, 1 thread, 12 tasks, 3 missed");
    }

    #[test]
    fn a_narrow_terminal_shows_whole_parts_only() {
        let parts = ["3s", "2 findings", "96 samples"].map(str::to_owned);
        assert_eq!(fitting(&parts, 80), "3s  2 findings  96 samples");
        assert_eq!(fitting(&parts, 26), "3s  2 findings");
        assert_eq!(fitting(&parts, 14), "3s");
        assert_eq!(fitting(&parts, 1), "");
    }
}

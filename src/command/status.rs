//! What a terminal shows while racetrace looks into a process: one line that is drawn anew, and findings above it as they
//! are found. Where there is no terminal it shows nothing; the report says it all in the end.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::deliver::settings::terminal_takes_color;
use crate::collect::sampler::look::Counts;
use crate::finding::Finding;
use crate::report::source::SourceMap;
use crate::report::{Color, text};

/// How often the line is drawn anew.
const EVERY: Duration = Duration::from_millis(200);

pub struct Status {
    bar: ProgressBar,
    color: Color,
    drawn: Instant,
    found: usize,
}

impl Status {
    /// `is_quiet`: also a terminal shows nothing.
    pub fn new(is_quiet: bool) -> Status {
        let shows = !is_quiet && std::io::stderr().is_terminal();
        let target = if shows { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        // What does not fit into the width is cut off: a line that wraps cannot be drawn anew.
        if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {wide_msg}") {
            bar.set_style(style);
        }
        let color = if terminal_takes_color() { Color::Always } else { Color::Never };
        Status { bar, color, drawn: Instant::now(), found: 0 }
    }

    /// Says that the first look is under way.
    pub fn begin(&self, what: &str) {
        self.bar.set_message(format!("looking into {what}"));
    }

    pub fn tell(&mut self, finding: &Finding, sources: &SourceMap) {
        self.found += 1;
        if !self.bar.is_hidden() {
            self.bar.println(text::headline(finding, sources, self.color));
        }
    }

    /// Draws the line if it is time to.
    pub fn draw(&mut self, counts: Counts, rate: u32) {
        if self.drawn.elapsed() >= EVERY {
            self.drawn = Instant::now();
            self.bar.set_message(line(self.found, counts, rate));
            self.bar.tick();
        }
    }

    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}

/// What matters most comes first.
fn line(found: usize, counts: Counts, rate: u32) -> String {
    let tasks = if counts.tasks > 0 { format!(", {}", number(counts.tasks, "task")) } else { String::new() };
    format!(
        "{}; {} at {rate} Hz of {}{tasks}; {} missed",
        number(found as u64, "finding"),
        number(counts.samples, "sample"),
        number(counts.threads, "thread"),
        counts.missed
    )
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
        assert_eq!(line(0, counts, 250), "0 findings; 1 sample at 250 Hz of 4 threads; 0 missed");
        let counts = Counts { samples: 90, threads: 1, tasks: 12, missed: 3, ..Counts::default() };
        assert_eq!(line(1, counts, 80), "1 finding; 90 samples at 80 Hz of 1 thread, 12 tasks; 3 missed");
    }
}

//! Colours of the text report. Whether there is colour at all is the caller's choice.

use crate::report::Color;

#[derive(Debug, Clone, Copy)]
pub(super) struct Paint(Color);

#[derive(Debug, Clone, Copy)]
pub(super) enum Style {
    Error,
    Warning,
    Note,
    Good,
    Strong,
    /// Line numbers, arrows and bars.
    Frame,
    Faint,
}

impl Paint {
    pub(super) fn new(color: Color) -> Paint {
        Paint(color)
    }

    pub(super) fn paint(self, style: Style, text: &str) -> String {
        if self.0 == Color::Never || text.is_empty() {
            return text.to_owned();
        }
        // The bright variants read well on dark and light backgrounds alike.
        let code = match style {
            Style::Error => "1;91",
            Style::Warning => "1;33",
            Style::Note => "1;36",
            Style::Good => "1;32",
            Style::Strong => "1",
            Style::Frame => "1;34",
            Style::Faint => "2",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

//! One self-contained page: style, script and data inside, nothing from a network, allowed by its own content security
//! policy to do nothing else. The script builds everything from the data as text, never as markup.

mod data;

use super::source::SourceMap;
use super::text::headline;
use super::{Color, words};
use crate::finding::Report;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use std::io::{self, Write};

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// Findings listed for readers without scripts.
const MOST_PLAIN: usize = 5000;

/// # Errors
/// Those of `out`.
pub fn write(report: &Report, sources: &SourceMap, out: &mut dyn Write) -> io::Result<()> {
    let data = serde_json::to_string(&data::Document::of(report, sources)).map_err(io::Error::from)?;
    // In the template's order; what is filled in is never searched for further places.
    let parts = [
        ("{{policy}}", policy()),
        ("{{title}}", markup(&format!("racetrace: {}", words::tally(report)))),
        ("{{style}}", STYLE.to_owned()),
        ("{{plain}}", plain(report, sources)),
        ("{{data}}", inside_script(&data)),
        ("{{script}}", SCRIPT.to_owned()),
    ];
    let mut rest = PAGE;
    for (place, text) in parts {
        let (before, after) = rest.split_once(place).expect("the template has every place, in this order");
        out.write_all(before.as_bytes())?;
        out.write_all(text.as_bytes())?;
        rest = after;
    }
    out.write_all(rest.as_bytes())
}

/// Only this very style and script may run, and nothing may be loaded.
fn policy() -> String {
    let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
    format!(
        "default-src 'none'; script-src {}; style-src {}; img-src data:; base-uri 'none'; form-action 'none'",
        hash(SCRIPT),
        hash(STYLE)
    )
}

fn plain(report: &Report, sources: &SourceMap) -> String {
    let mut list = String::from("<ul>");
    for finding in report.findings.iter().take(MOST_PLAIN) {
        list.push_str(&format!("<li>{}</li>", markup(&headline(finding, sources, Color::Never))));
    }
    list.push_str("</ul>");
    list
}

/// Text as markup that shows it.
fn markup(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

/// JSON that cannot end the script element it stands in.
fn inside_script(json: &str) -> String {
    json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

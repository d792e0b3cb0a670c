//! `racetrace explain [KIND]`: a page of the catalogue, or the list of kinds. Looks at no program.

use crate::cli::explain::ExplainArgs;
use crate::finding::Kind;
use crate::finding::catalogue::page;
use std::io::{self, Write};

/// # Errors
/// Those of `out`.
pub fn run(args: &ExplainArgs, width: usize, out: &mut dyn Write) -> io::Result<()> {
    match args.kind {
        Some(kind) => out.write_all(wrap(&page(kind).markdown(), width).as_bytes()),
        None => list(out),
    }
}

fn list(out: &mut dyn Write) -> io::Result<()> {
    let longest = Kind::ALL.iter().map(|kind| kind.name().len()).max().unwrap_or(0);
    writeln!(out, "Kinds of findings; `racetrace explain KIND` tells more:\n")?;
    for kind in Kind::ALL {
        writeln!(out, "  {kind:<longest$}  {}", page(kind).title)?;
    }
    Ok(())
}

/// Prose fitted to the terminal; code as it is.
fn wrap(markdown: &str, width: usize) -> String {
    let mut text = String::new();
    let mut in_code = false;
    for line in markdown.lines() {
        in_code ^= line.starts_with("```");
        if in_code || line.starts_with('#') || line.is_empty() {
            text.push_str(line);
        } else {
            text.push_str(&textwrap::fill(line, width.clamp(40, 100)));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_listed_and_has_a_page() {
        let mut listed = Vec::new();
        run(&ExplainArgs { kind: None }, 80, &mut listed).expect("memory");
        let listed = String::from_utf8(listed).expect("text");
        for kind in Kind::ALL {
            assert!(listed.contains(kind.name()), "{kind}");
            let mut page = Vec::new();
            run(&ExplainArgs { kind: Some(kind) }, 60, &mut page).expect("memory");
            let page = String::from_utf8(page).expect("text");
            assert!(page.starts_with(&format!("# {kind}:")), "{page}");
            let prose = page.split("```").step_by(2).flat_map(str::lines).filter(|line| !line.starts_with('#'));
            assert_eq!(prose.filter(|line| line.chars().count() > 60).collect::<Vec<_>>(), Vec::<&str>::new());
        }
    }
}

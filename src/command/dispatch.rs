//! From the parsed command line to the command: one arm each. It does none of the work.

use std::io::{self, IsTerminal, Write as _};
use std::path::Path;

use super::deliver::{EXIT_RACES, width};
use super::failure::Failure;
use super::{attach, diff, doctor, explain, put_back, report, run};
use crate::cli::output::ColorArg;
use crate::cli::{Cli, Command};
use crate::finding::{Report, Severity};
use crate::report::source::SourceMap;
use crate::report::{Color, Options};
use crate::trace;

/// Runs the command; the result is the exit code.
///
/// # Errors
/// The failure to be shown.
pub fn dispatch(cli: &Cli) -> Result<u8, Failure> {
    match &cli.command {
        Command::Run(args) => run::run(args),
        Command::Attach(args) => attach::run(args),
        Command::Report(args) => report::run(args),
        Command::Explain(args) => {
            let columns = width(io::stdout().is_terminal());
            quiet_pipe(explain::run(args, columns, &mut io::stdout().lock()))
        }
        Command::Doctor(args) => {
            let mut text = String::new();
            let answer = doctor::run(args, &mut text);
            let code = quiet_pipe(io::stdout().lock().write_all(text.as_bytes()))?;
            Ok(answer.map(|()| code)?)
        }
        Command::PutBack(args) => put_back::run(args),
        Command::Diff(args) => {
            let reports = (read_report(&args.old)?, read_report(&args.new)?);
            let sources = SourceMap::with_disk().relative_to(std::env::current_dir().unwrap_or_default());
            let options = options(args.color);
            let worst = diff::run((&reports.0, &reports.1), &sources, args.format, &options, &mut io::stdout().lock());
            match worst {
                Ok(worst) if worst >= Some(Severity::Warning) => Ok(EXIT_RACES),
                worst => quiet_pipe(worst.map(drop)),
            }
        }
    }
}

/// Whoever reads from a pipe may leave when he has seen enough.
fn quiet_pipe(result: io::Result<()>) -> Result<u8, Failure> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::new(format!("cannot write: {error}"))),
        _ => Ok(0),
    }
}

fn options(color: Option<ColorArg>) -> Options {
    let terminal = io::stdout().is_terminal();
    let color = match color {
        Some(ColorArg::Always) => Color::Always,
        Some(ColorArg::Never) => Color::Never,
        Some(ColorArg::Auto) | None if terminal => Color::Always,
        _ => Color::Never,
    };
    Options { color, width: width(terminal) }
}

fn read_report(path: &Path) -> Result<Report, Failure> {
    match trace::Reader::open(path) {
        Ok(_) => return Ok(report::analyse(&[path.to_owned()], &crate::analysis::Options::default(), report::Draw::Nothing)?.0),
        Err(trace::Error::Report(_)) => {}
        Err(error) => return Err(error.into()),
    }
    let shown = path.display();
    let bytes = std::fs::read(path).map_err(|error| Failure::new(format!("cannot read {shown}: {error}")))?;
    let report = diff::parse_report(&bytes).map_err(|error| Failure::new(format!("cannot use {shown}: {error}")))?;
    report.ok_or_else(|| Failure::new(format!("{shown} is neither a report in JSON nor a trace")))
}

//! Arguments about the report: formats, files, what fails, what is hidden. Shared by all commands that end in a report.

use crate::report::Format;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Report")]
pub struct OutputArgs {
    /// Format of the report: text, json, sarif, junit, github, markdown, html or chrome (for Perfetto). May be given several times: the first format
    /// goes to the first --output, and so on; one without a file goes to the terminal
    #[arg(long, value_name = "FORMAT")]
    pub format: Vec<Format>,
    /// File for the report; its ending decides the format if --format does not
    #[arg(long, short, value_name = "FILE")]
    pub output: Vec<PathBuf>,
    /// Also write an HTML report
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Also write a SARIF report
    #[arg(long, value_name = "FILE")]
    pub sarif: Option<PathBuf>,
    /// Also write a JUnit report
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Colour of the text report [default: auto, on a terminal]
    #[arg(long, value_name = "WHEN")]
    pub color: Option<ColorArg>,
    /// Lowest severity that is reported [default: note]
    #[arg(long, value_name = "LEVEL")]
    pub severity: Option<LevelArg>,
    /// Lowest severity that makes the exit code 66 [default: warning]
    #[arg(long, value_name = "LEVEL")]
    pub fail_on: Option<FailOnArg>,
    /// Exit code when races were found [default: 66]
    #[arg(long, value_name = "N")]
    pub error_exitcode: Option<u8>,
    /// Accept the findings listed in this file
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// Write all findings to this file, to be accepted from now on, and succeed
    #[arg(long, value_name = "FILE")]
    pub write_baseline: Option<PathBuf>,
    /// Configuration [default: racetrace.toml or pyproject.toml, in this directory or above]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Leave source lines out of the report
    #[arg(long)]
    pub no_source: bool,
    /// How long an asyncio lock may be held over awaits while other tasks wait for it [default: 50ms; 100ms with --pid]
    #[arg(long, value_name = "DURATION", value_parser = super::duration::parse)]
    pub long_hold: Option<std::time::Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColorArg {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LevelArg {
    Error,
    Warning,
    Note,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FailOnArg {
    Error,
    Warning,
    Note,
    Never,
}

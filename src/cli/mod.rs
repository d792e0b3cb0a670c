//! Arguments only; no work.

pub mod attach;
pub mod diff;
pub mod doctor;
pub mod duration;
pub mod explain;
pub mod output;
pub mod put_back;
pub mod report;
pub mod run;
pub mod trace;

use clap::{Parser, Subcommand};

/// Finds race conditions in running CPython programs
///
/// Wrap a command and every shared variable, lock and file that its Python programs touch is watched; what nothing keeps
/// apart is reported, with both sides, the locks held, and how to fix it. Your code is not changed.
#[derive(Debug, Parser)]
#[command(name = "racetrace", version, after_help = EXAMPLES, after_long_help = EXAMPLES, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
To paste:
  racetrace run -- python app.py      watch a program from start to end
  racetrace run -- pytest -q          watch a test run; exits with 66 when it finds races
  racetrace --pid 4242                look into a running process, without touching it
  racetrace explain check-then-act    what a kind of finding means, and how to fix it";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a command and report the races in it
    Run(Box<run::RunArgs>),
    /// Look into a running process: by sampling it is only read, never written to and never stopped; --probe sees more
    Attach(Box<attach::AttachArgs>),
    /// Report on recorded traces
    Report(Box<report::ReportArgs>),
    /// Check whether a process can be looked into, and what would be missed
    Doctor(doctor::DoctorArgs),
    /// Explain a kind of finding: what it is, why it bites, how to fix it
    Explain(explain::ExplainArgs),
    /// Compare two reports: what is new, gone and the same
    Diff(diff::DiffArgs),
    #[command(name = crate::collect::sampler::amplifier::GUARDIAN, hide = true)]
    PutBack(put_back::PutBackArgs),
}

//! Arguments of `racetrace run`.

use std::ffi::OsString;
use std::time::Duration;

use clap::Args;

use super::duration;
use super::output::OutputArgs;
use super::trace::TraceArgs;

#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// End the command after this time (500ms, 4s, 2m) and report; the exit code is then 124 if nothing was found
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub timeout: Option<Duration>,
    /// How long to wait for Python processes that outlive the command [default: 2s]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub wait: Option<Duration>,
    /// Watch the inside of this installed package too, as if it were yours. May be given several times
    #[arg(long, value_name = "PACKAGE")]
    pub watch: Vec<String>,
    /// Say nothing unless races were found
    #[arg(long, short)]
    pub quiet: bool,
    /// Say what is being done
    #[arg(long, short, conflicts_with = "quiet")]
    pub verbose: bool,
    #[command(flatten)]
    pub trace: TraceArgs,
    #[command(flatten)]
    pub report: OutputArgs,
    /// The command and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

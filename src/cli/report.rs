//! Arguments of `racetrace report`.

use std::path::PathBuf;

use clap::Args;

use super::output::OutputArgs;

#[derive(Debug, Clone, Args)]
pub struct ReportArgs {
    /// Traces recorded with --trace. Several (shards, processes, days) become one report
    #[arg(required = true, value_name = "TRACE")]
    pub traces: Vec<PathBuf>,
    /// Say nothing unless there are races
    #[arg(long, short)]
    pub quiet: bool,
    #[command(flatten)]
    pub report: OutputArgs,
}

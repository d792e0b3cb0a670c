//! One file per subcommand, and [`deliver`]: what all of them do with a report at the end.

pub mod attach;
pub mod deliver;
pub mod diff;
pub mod dispatch;
pub mod doctor;
pub mod explain;
pub mod failure;
pub mod join;
pub mod put_back;
pub mod recording;
pub mod report;
pub mod run;
mod status;

/// What the arguments say to the analysis.
pub(crate) fn analysis_options(report: &crate::cli::output::OutputArgs) -> crate::analysis::Options {
    crate::analysis::Options { long_hold: report.long_hold, ..crate::analysis::Options::default() }
}

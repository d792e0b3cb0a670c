//! Arguments of `racetrace attach`, also reached as `racetrace --pid PID`.

use std::ffi::{OsStr, OsString};
use std::time::Duration;

use clap::Args;

use super::duration;
use super::output::OutputArgs;
use super::trace::TraceArgs;

/// Look into a running process: by sampling it is only read, never written to and never stopped; --probe sees more
#[derive(Debug, Clone, Args)]
pub struct AttachArgs {
    /// The process
    #[arg(value_name = "PID", required_unless_present = "pid", conflicts_with = "pid")]
    pub process: Option<u32>,
    /// The same as an option
    #[arg(long, value_name = "PID")]
    pub pid: Option<u32>,
    /// Stop looking after this time (500ms, 4s, 2m) [default: until Ctrl-C, or until the process ends]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub duration: Option<Duration>,
    /// Looks a second, at most; fewer if they would take more than --budget [default: 250]
    #[arg(long, value_name = "HZ", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rate: Option<u32>,
    /// Share of one processor that looking may take, in per cent [default: 10]
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub budget: Option<u32>,
    /// Make the process switch threads this often (1ms) while it is looked at, which shows several times as many races.
    /// All that sampling ever writes to the process; undone at the end
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub switch_interval: Option<Duration>,
    /// Load the probes of `racetrace run` into the process, which see every access, instead of sampling (CPython 3.12 and
    /// later). They are taken out again at the end
    #[arg(long, conflicts_with_all = ["rate", "budget", "switch_interval"])]
    pub probe: bool,
    /// Show no live status
    #[arg(long, short)]
    pub quiet: bool,
    #[command(flatten)]
    pub recording: TraceArgs,
    #[command(flatten)]
    pub report: OutputArgs,
}

impl AttachArgs {
    pub fn pid(&self) -> u32 {
        self.pid.or(self.process).unwrap_or(0)
    }
}

/// `racetrace --pid 42 …` means `racetrace attach --pid 42 …`.
pub fn with_command(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = arguments.collect();
    let names_process = |argument: &OsString| argument == OsStr::new("--pid") || argument.to_string_lossy().starts_with("--pid=");
    let is_option = |argument: &OsString| argument.to_string_lossy().starts_with('-');
    if arguments.get(1).is_some_and(is_option) && arguments.iter().skip(1).any(names_process) {
        arguments.insert(1, "attach".into());
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(words: &[&str]) -> Vec<OsString> {
        with_command(words.iter().map(OsString::from))
    }

    #[test]
    fn a_process_can_be_named_without_a_command() {
        assert_eq!(typed(&["racetrace", "--pid", "4"]), ["racetrace", "attach", "--pid", "4"]);
        assert_eq!(typed(&["racetrace", "--rate", "9", "--pid=4"]), ["racetrace", "attach", "--rate", "9", "--pid=4"]);
        assert_eq!(typed(&["racetrace", "run", "--", "x", "--pid", "4"]), ["racetrace", "run", "--", "x", "--pid", "4"]);
        assert_eq!(typed(&["racetrace"]), ["racetrace"]);
    }
}

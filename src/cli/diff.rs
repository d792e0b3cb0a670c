//! Arguments of `racetrace diff`.

use super::output::ColorArg;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Clone, Args)]
pub struct DiffArgs {
    /// Older report (JSON) or trace
    pub old: PathBuf,
    /// Newer report (JSON) or trace
    pub new: PathBuf,
    /// text or json
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: DiffFormat,
    /// Colour of the text [default: auto, on a terminal]
    #[arg(long, value_name = "WHEN")]
    pub color: Option<ColorArg>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DiffFormat {
    Text,
    Json,
}

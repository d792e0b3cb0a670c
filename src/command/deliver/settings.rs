//! Configuration file, baseline and command line put together; the command line wins.

use super::DeliverError;
use crate::cli::output::{ColorArg, FailOnArg, LevelArg, OutputArgs};
use crate::finding::Severity;
use crate::finding::policy::Policy;
use crate::finding::policy::baseline::Baseline;
use crate::finding::policy::config::{Config, FailOn};
use crate::report::Color;
use std::fs;
use std::path::{Path, PathBuf};

pub(super) struct Settings {
    pub(super) fail_on: FailOn,
    pub(super) policy: Policy,
}

pub(super) fn load(args: &OutputArgs) -> Result<Settings, DeliverError> {
    let (place, config) = configuration(args)?;
    let configured = config.baseline.as_ref().map(|name| place.join(name));
    let baseline = match (&args.baseline, configured) {
        (Some(file), _) => Some(read_baseline(file)?),
        // The one that is about to be written need not exist yet.
        (None, Some(file)) if file.exists() || args.write_baseline.is_none() => Some(read_baseline(&file)?),
        _ => None,
    };
    let fail_on = args.fail_on.map(fail_on).or(config.fail_on).unwrap_or(FailOn::Warning);
    Ok(Settings { fail_on, policy: Policy { suppressions: config.suppressions, baseline } })
}

/// The configuration and the directory that its paths are relative to.
fn configuration(args: &OutputArgs) -> Result<(PathBuf, Config), DeliverError> {
    if let Some(file) = &args.config {
        let config = read_config(file)?.unwrap_or_default();
        return Ok((parent(file), config));
    }
    let Ok(here) = std::env::current_dir() else { return Ok((PathBuf::new(), Config::default())) };
    for directory in here.ancestors() {
        for name in ["racetrace.toml", "pyproject.toml"] {
            let file = directory.join(name);
            if file.is_file()
                && let Some(config) = read_config(&file)?
            {
                return Ok((directory.to_owned(), config));
            }
        }
    }
    Ok((here, Config::default()))
}

fn read_config(file: &Path) -> Result<Option<Config>, DeliverError> {
    let text = read(file)?;
    let config = if file.file_name().is_some_and(|name| name == "pyproject.toml") {
        Config::parse_pyproject(&text)
    } else {
        Config::parse(&text).map(Some)
    };
    config.map_err(|error| DeliverError::Config(file.to_owned(), error))
}

fn read_baseline(file: &Path) -> Result<Baseline, DeliverError> {
    Baseline::parse(&read(file)?).map_err(|error| DeliverError::Baseline(file.to_owned(), error))
}

fn read(file: &Path) -> Result<String, DeliverError> {
    fs::read_to_string(file).map_err(|error| DeliverError::Read(file.to_owned(), error))
}

fn parent(file: &Path) -> PathBuf {
    file.parent().map(Path::to_path_buf).unwrap_or_default()
}

fn fail_on(arg: FailOnArg) -> FailOn {
    match arg {
        FailOnArg::Error => FailOn::Error,
        FailOnArg::Warning => FailOn::Warning,
        FailOnArg::Note => FailOn::Note,
        FailOnArg::Never => FailOn::Never,
    }
}

pub(super) fn lowest(arg: Option<LevelArg>) -> Severity {
    match arg {
        Some(LevelArg::Error) => Severity::Error,
        Some(LevelArg::Warning) => Severity::Warning,
        Some(LevelArg::Note) | None => Severity::Note,
    }
}

pub(super) fn color(arg: Option<ColorArg>) -> Option<Color> {
    match arg {
        Some(ColorArg::Always) => Some(Color::Always),
        Some(ColorArg::Never) => Some(Color::Never),
        Some(ColorArg::Auto) | None => None,
    }
}

/// The habits of <https://no-color.org> and of dumb terminals.
pub fn terminal_takes_color() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

//! The configuration file: `racetrace.toml`, or the table `[tool.racetrace]` of `pyproject.toml`. Parses text; finding
//! and reading the file is the command's work.
//!
//! ```toml
//! fail-on = "error"
//! baseline = "racetrace-baseline.json"
//!
//! [[suppress]]
//! kind = "read-modify-write"
//! subject = "metrics.*"
//! reason = "approximate by design"
//! expires = 2027-01-31
//! ```

use super::suppression::{Rule, RuleError, Suppression};
use crate::finding::Severity;
use serde::Deserialize;
use std::fmt;

#[derive(Debug, Default)]
pub struct Config {
    /// Lowest severity that fails a run; the command line wins.
    pub fail_on: Option<FailOn>,
    /// Path of the baseline, relative to the configuration file; the command line wins.
    pub baseline: Option<String>,
    pub suppressions: Vec<Suppression>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FailOn {
    Error,
    Warning,
    Note,
    Never,
}

impl FailOn {
    /// Does a finding of this severity fail the run?
    #[must_use]
    pub fn fails(self, severity: Severity) -> bool {
        match self {
            FailOn::Error => severity >= Severity::Error,
            FailOn::Warning => severity >= Severity::Warning,
            FailOn::Note => true,
            FailOn::Never => false,
        }
    }
}

#[derive(Debug)]
pub enum ConfigError {
    Toml(toml::de::Error),
    Rule { number: usize, error: RuleError },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Toml(error) => write!(f, "{}", error.to_string().trim_end()),
            ConfigError::Rule { number, error } => write!(f, "suppression {number}: {error}"),
        }
    }
}

impl std::error::Error for ConfigError {}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Table {
    fail_on: Option<FailOn>,
    baseline: Option<String>,
    #[serde(default)]
    suppress: Vec<Rule>,
}

#[derive(Deserialize)]
struct Pyproject {
    tool: Option<Tools>,
}

#[derive(Deserialize)]
struct Tools {
    racetrace: Option<Table>,
}

impl Config {
    /// `racetrace.toml`.
    ///
    /// # Errors
    /// Not TOML, an unknown key, or a rule that cannot be used.
    pub fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::build(toml::from_str(text).map_err(ConfigError::Toml)?)
    }

    /// `pyproject.toml`; `None` where it has no table `[tool.racetrace]`.
    ///
    /// # Errors
    /// As [`Config::parse`].
    pub fn parse_pyproject(text: &str) -> Result<Option<Config>, ConfigError> {
        let file: Pyproject = toml::from_str(text).map_err(ConfigError::Toml)?;
        file.tool.and_then(|tools| tools.racetrace).map(Config::build).transpose()
    }

    fn build(table: Table) -> Result<Config, ConfigError> {
        let mut suppressions = Vec::new();
        for (index, rule) in table.suppress.into_iter().enumerate() {
            let number = index + 1;
            suppressions.push(Suppression::new(number, rule).map_err(|error| ConfigError::Rule { number, error })?);
        }
        Ok(Config { fail_on: table.fail_on, baseline: table.baseline, suppressions })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_files_hold_the_same_table() {
        let plain = Config::parse("fail-on = 'error'\n[[suppress]]\nsubject = 'a.*'\nreason = 'r'\n").expect("valid");
        let python = "[project]\nname = 'x'\n[tool.racetrace]\nfail-on = 'error'\n\
                      [[tool.racetrace.suppress]]\nsubject = 'a.*'\nreason = 'r'\n";
        let python = Config::parse_pyproject(python).expect("valid").expect("has the table");
        assert_eq!(plain.fail_on, Some(FailOn::Error));
        assert_eq!(python.fail_on, plain.fail_on);
        assert_eq!(python.suppressions.len(), plain.suppressions.len());
        assert!(Config::parse_pyproject("[tool.black]\nline-length = 1\n").expect("valid").is_none());
    }

    #[test]
    fn mistakes_are_named() {
        for (text, word) in [
            ("[[suppress]]\nsubject = 'a'\n", "reason"),
            ("[[suppress]]\nsubject = 'a'\nreason = '  '\n", "reason"),
            ("[[suppress]]\nsubjekt = 'a'\nreason = 'r'\n", "subjekt"),
            ("[[suppress]]\nkind = 'race'\nreason = 'r'\n", "race"),
            ("[[suppress]]\nfile = '[a'\nreason = 'r'\n", "[a"),
            ("[[suppress]]\nfile = 'a'\nreason = 'r'\nexpires = 'soon'\n", "soon"),
            ("fail-on = 'sometimes'\n", "sometimes"),
        ] {
            let error = Config::parse(text).expect_err(text).to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}

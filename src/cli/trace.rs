//! Arguments about recording a trace. Shared by all commands that watch a program.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Trace")]
pub struct TraceArgs {
    /// Record everything to this file, for `racetrace report`
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// Size the trace may have (500K, 64M, 2G): the oldest detail goes first, findings never [default: no limit]
    #[arg(long, value_name = "BYTES", value_parser = parse_size, requires = "trace")]
    pub trace_limit: Option<u64>,
    /// Keep the program's values out of the trace: what was stored, keys of items
    #[arg(long, requires = "trace")]
    pub no_values: bool,
}

/// A number of bytes, with or without a unit.
fn parse_size(given: &str) -> Result<u64, String> {
    let digits = given.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = match given.get(digits.len()..).unwrap_or_default().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        other => return Err(format!("unknown unit '{other}', expected K, M or G")),
    };
    let number: u64 = digits.parse().map_err(|_| "expected a number with a unit, such as 64M".to_owned())?;
    number.checked_mul(unit).filter(|bytes| *bytes > 0).ok_or_else(|| "out of range".to_owned())
}

#[cfg(test)]
mod tests {
    use super::parse_size;

    #[test]
    fn sizes_have_units() {
        assert_eq!(parse_size("500"), Ok(500));
        assert_eq!(parse_size("64M"), Ok(64 << 20));
        assert_eq!(parse_size("2GiB"), Ok(2 << 30));
        assert!(parse_size("").is_err());
        assert!(parse_size("0").is_err());
        assert!(parse_size("1T").is_err());
        assert!(parse_size("99999999999G").is_err());
    }
}

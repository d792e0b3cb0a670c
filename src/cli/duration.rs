//! Durations as people type them: `500ms`, `4s`, `2m`, `1h`. It knows no calendar.

use std::time::Duration;

/// Parses a number with a unit. A bare number is refused: seconds and milliseconds are too easily mixed up.
///
/// # Errors
/// A sentence for the user.
pub fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let expected = || format!("'{}' is not a duration: write a number and a unit, such as 500ms, 4s or 2m", text.escape_debug());
    let seconds = match unit.trim() {
        "ms" => 0.001,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(expected()),
    };
    let number: f64 = number.parse().map_err(|_| expected())?;
    Duration::try_from_secs_f64(number * seconds).map_err(|_| expected())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_a_unit() {
        assert_eq!(parse("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse("4s"), Ok(Duration::from_secs(4)));
        assert_eq!(parse("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(parse("2h"), Ok(Duration::from_secs(7200)));
    }

    #[test]
    fn anything_else_is_refused_with_an_example() {
        for text in ["", "5", "s", "-3s", "4 parsecs", "1.2.3s", "99999999999999999999999h", "\u{1b}[2J"] {
            let error = parse(text).unwrap_err();
            assert!(error.contains("500ms"), "{text}: {error}");
            assert!(!error.contains('\u{1b}'));
        }
    }
}

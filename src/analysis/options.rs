//! What the user of the analysis decides. It reads no files: the caller fills it from arguments and configuration.

use racetrace_probes::code::Code;

/// Where code comes from: only findings that touch the user's own code are shown.
pub use racetrace_probes::wire::Origin;

#[derive(Debug, Clone)]
pub struct Options {
    /// How many subjects are remembered at once; beyond that the oldest are forgotten, and races on them missed.
    pub subjects: usize,
    /// Nanoseconds that an asyncio lock may be held over a suspension while others wait.
    pub long_hold: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options { subjects: 200_000, long_hold: 50_000_000 }
    }
}

/// By the file's path, where the source does not say: installed packages are libraries; frozen modules and `lib/pythonX.Y` are the standard library; the rest is the user's.
pub fn origin_by_path(code: &Code) -> Origin {
    let file = code.filename.as_str();
    if file.contains("/site-packages/") || file.contains("/dist-packages/") {
        Origin::Library
    } else if file.starts_with("<frozen ") || in_standard_library(file) {
        Origin::Standard
    } else {
        Origin::User
    }
}

/// `…/lib/python3.12/threading.py`, `…/lib/python3.13t/…`.
fn in_standard_library(file: &str) -> bool {
    file.match_indices("/python3.").any(|(at, found)| {
        let before = file.get(..at).unwrap_or_default();
        let after = file.get(at + found.len()..).unwrap_or_default();
        let version = after.split('/').next().unwrap_or_default();
        let numbered = version.trim_end_matches('t');
        (before.ends_with("/lib") || before.ends_with("/lib64"))
            && !numbered.is_empty()
            && numbered.bytes().all(|byte| byte.is_ascii_digit())
            && after.contains('/')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(file: &str) -> Origin {
        origin_by_path(&Code { filename: file.to_owned(), ..Code::default() })
    }

    #[test]
    fn files_are_told_apart_by_where_they_lie() {
        assert_eq!(origin("/usr/lib/python3.12/threading.py"), Origin::Standard);
        assert_eq!(origin("/opt/py/lib/python3.13t/asyncio/locks.py"), Origin::Standard);
        assert_eq!(origin("<frozen importlib._bootstrap>"), Origin::Standard);
        assert_eq!(origin("/v/lib/python3.12/site-packages/flask/app.py"), Origin::Library);
        assert_eq!(origin("/home/me/lib/python3.x/app.py"), Origin::User);
        assert_eq!(origin("app.py"), Origin::User);
        assert_eq!(origin("/srv/python3.12/app.py"), Origin::User);
    }
}

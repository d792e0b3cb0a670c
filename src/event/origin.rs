//! Whose code a file holds, by where it lies: for sources that do not say. It looks at no disk.

pub use racetrace_probes::wire::Origin;

/// Installed packages are libraries; frozen modules and `lib/pythonX.Y` are Python's own library; the rest is the user's.
#[must_use]
pub fn of_file(file: &str) -> Origin {
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

    #[test]
    fn files_are_told_apart_by_where_they_lie() {
        for (file, origin) in [
            ("/usr/lib/python3.12/threading.py", Origin::Standard),
            ("/opt/py/lib/python3.13t/asyncio/locks.py", Origin::Standard),
            ("<frozen importlib._bootstrap>", Origin::Standard),
            ("/v/lib/python3.12/site-packages/flask/app.py", Origin::Library),
            ("/usr/lib/python3/dist-packages/yaml.py", Origin::Library),
            ("/home/me/lib/python3.x/app.py", Origin::User),
            ("/srv/python3.12/app.py", Origin::User),
            ("/srv/lib/app.py", Origin::User),
            ("app.py", Origin::User),
            ("<stdin>", Origin::User),
        ] {
            assert_eq!(of_file(file), origin, "{file}");
        }
    }
}

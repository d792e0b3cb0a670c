//! Small files below `/proc`, each of which the kernel gives out in one read. It knows nothing of what they say.

use std::fs::File;
use std::io::Read;

/// Larger ones (`maps`, `environ`) are read by other means.
const LARGEST: usize = 8192;

/// What a file holds: asking for its size first, and reading it piece by piece, would cost several times as much.
pub fn read(path: &str) -> Option<String> {
    let mut bytes = [0; LARGEST];
    let count = File::open(path).ok()?.read(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(bytes.get(..count)?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_whole() {
        let path = format!("/proc/{}/status", std::process::id());
        let text = read(&path).expect("it is ours");
        assert!(text.starts_with("Name:"));
        assert!(text.trim_end().lines().last().is_some_and(|last| last.contains("ctxt_switches")));
        assert_eq!(read("/proc/0/status"), None);
    }
}

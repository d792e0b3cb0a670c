//! Which version a runtime is. Sources in order: what it says about itself, the symbol `Py_Version`, the file's name,
//! the text of `sys.version` in its data, and at last which layout fits.

use racetrace_probes::version::Version;

use crate::target::address::RemoteAddr;
use crate::target::memory::Memory;

use super::{DiscoveryError, Place, layout_of, plausible};
use crate::cpython::debug_offsets;
use crate::cpython::layout::Layout;

/// The version of the runtime at `runtime` and its layout, checked against the lists behind it.
///
/// # Errors
/// `Unsupported` for a version that names itself but has no layout, `NotReady` when nothing fits (yet).
pub(super) fn identify<M: Memory>(place: &Place<'_, M>, runtime: RemoteAddr) -> Result<(Version, Layout), DiscoveryError> {
    if let Ok(Some(preamble)) = debug_offsets::preamble(place.memory, runtime) {
        let (major, minor) = split(preamble.version_hex);
        let version = Version { minor, free_threaded: preamble.free_threaded };
        let flavour = if preamble.free_threaded { "t" } else { "" };
        let unsupported = || DiscoveryError::Unsupported(format!("{major}.{minor}{flavour}"));
        let layout = layout_of(place.memory, runtime, version).ok().flatten().ok_or_else(unsupported)?;
        return match plausible(place.memory, runtime, version, &layout) {
            Ok(true) => Ok((version, layout)),
            _ => Err(DiscoveryError::NotReady),
        };
    }
    let named: Vec<(u8, u8)> = [symbol(place), file_name(place), text(place)].into_iter().flatten().collect();
    let guesses = (Version::OLDEST..=12).rev().map(|minor| (3, minor));
    for (major, minor) in named.iter().copied().chain(guesses) {
        let version = Version { minor, free_threaded: false };
        if major != 3 {
            continue;
        }
        if let Ok(Some(layout)) = layout_of(place.memory, runtime, version)
            && plausible(place.memory, runtime, version, &layout) == Ok(true)
        {
            return Ok((version, layout));
        }
        if named.first() == Some(&(major, minor)) && Layout::of(version).is_none() {
            return Err(DiscoveryError::Unsupported(format!("{major}.{minor}")));
        }
    }
    Err(DiscoveryError::NotReady)
}

pub(super) fn split(version_hex: u32) -> (u8, u8) {
    let [major, minor, ..] = version_hex.to_be_bytes();
    (major, minor)
}

/// `Py_Version` is exported since 3.11.
fn symbol<M: Memory>(place: &Place<'_, M>) -> Option<(u8, u8)> {
    let [address] = place.module.symbols(["Py_Version"]);
    let hex = place.memory.u64(address?).ok()?;
    Some(split(u32::try_from(hex).ok()?))
}

fn file_name<M>(place: &Place<'_, M>) -> Option<(u8, u8)> {
    in_file_name(&place.module.path.file_name()?.to_string_lossy())
}

/// `python3.11`, `libpython3.8.so.1.0`, `python2.7-dbg`.
pub(super) fn in_file_name(name: &str) -> Option<(u8, u8)> {
    let rest = name.get(name.find("python")? + "python".len()..)?;
    let (major, rest) = rest.split_once('.')?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    Some((major.parse().ok()?, rest.get(..end)?.parse().ok()?))
}

/// The text of `sys.version` ("3.9.2 (default, …"), which the interpreter keeps in its data segment.
fn text<M: Memory>(place: &Place<'_, M>) -> Option<(u8, u8)> {
    place.data().into_iter().find_map(|mapping| {
        let len = usize::try_from(mapping.len()).ok()?.min(LARGEST_SEGMENT);
        let bytes = place.memory.bytes(mapping.start, len).ok()?;
        let mut from = 0;
        while let Some(at) = bytes.get(from..)?.windows(2).position(|pair| pair == b"3.") {
            let start = from + at;
            if let Some(version) = bytes.get(start..(start + 16).min(bytes.len())).and_then(version_text) {
                return Some(version);
            }
            from = start + 2;
        }
        None
    })
}

const LARGEST_SEGMENT: usize = 8 << 20;

fn version_text(bytes: &[u8]) -> Option<(u8, u8)> {
    let text = std::str::from_utf8(bytes.get(..bytes.iter().position(|&byte| byte == b'(')?)?).ok()?;
    let mut numbers = text.strip_suffix(' ')?.trim_end_matches('+').split('.');
    let major = numbers.next()?.parse().ok()?;
    let minor = numbers.next()?.parse().ok()?;
    let micro = numbers.next()?;
    (micro.starts_with(|c: char| c.is_ascii_digit()) && numbers.next().is_none()).then_some((major, minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_in_file_names() {
        assert_eq!(in_file_name("libpython3.13t.so.1.0"), Some((3, 13)));
        assert_eq!(in_file_name("python3.9.pristine"), Some((3, 9)));
        assert_eq!(in_file_name("python2.7"), Some((2, 7)));
        assert_eq!(in_file_name("python3"), None);
        assert_eq!(in_file_name("uwsgi"), None);
    }

    #[test]
    fn versions_in_text() {
        assert_eq!(version_text(b"3.9.2 (default, "), Some((3, 9)));
        assert_eq!(version_text(b"3.12.0rc1+ (main"), Some((3, 12)));
        assert_eq!(version_text(b"3.1415926535 (  "), None);
    }
}

//! The mappings of a process, from `/proc/PID/maps`. It does not read what is mapped.

use std::io;
use std::path::PathBuf;

use super::address::RemoteAddr;

/// One line of `/proc/PID/maps`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    pub start: RemoteAddr,
    pub end: RemoteAddr,
    pub readable: bool,
    pub writable: bool,
    pub executable: bool,
    pub file_offset: u64,
    pub inode: u64,
    /// As the target sees it; `[heap]` and the like for what is no file.
    pub path: Option<PathBuf>,
}

impl Mapping {
    pub fn len(&self) -> u64 {
        self.end.0.saturating_sub(self.start.0)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// # Errors
/// When the file cannot be read: no such process, or no permission.
pub fn read(pid: u32) -> io::Result<Vec<Mapping>> {
    let text = std::fs::read(format!("/proc/{pid}/maps"))?;
    Ok(String::from_utf8_lossy(&text).lines().filter_map(parse).collect())
}

fn parse(line: &str) -> Option<Mapping> {
    let mut fields = line.splitn(6, ' ');
    let (start, end) = fields.next()?.split_once('-')?;
    let mode = fields.next()?.as_bytes();
    let file_offset = u64::from_str_radix(fields.next()?, 16).ok()?;
    let _device = fields.next()?;
    let inode = fields.next()?.parse().ok()?;
    let path = fields.next().map(str::trim).filter(|path| !path.is_empty());
    Some(Mapping {
        start: RemoteAddr(u64::from_str_radix(start, 16).ok()?),
        end: RemoteAddr(u64::from_str_radix(end, 16).ok()?),
        readable: mode.first() == Some(&b'r'),
        writable: mode.get(1) == Some(&b'w'),
        executable: mode.get(2) == Some(&b'x'),
        file_offset,
        inode,
        path: path.map(PathBuf::from),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_with_spaces_and_without_paths() {
        let line = "7f0-800 rw-p 00001000 fe:01 1234                       /opt/my python/lib (deleted)";
        let mapping = parse(line).expect("a well-formed line");
        assert_eq!(mapping.path.as_deref(), Some(std::path::Path::new("/opt/my python/lib (deleted)")));
        assert_eq!((mapping.start, mapping.file_offset, mapping.inode), (RemoteAddr(0x7f0), 0x1000, 1234));
        assert!(mapping.writable && !mapping.executable);
        assert_eq!(parse("7f0-800 rw-p 00000000 00:00 0 ").expect("anonymous").path, None);
        assert_eq!(parse("nonsense"), None);
    }
}

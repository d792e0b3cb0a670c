//! Opens a trace of any version and gives what it holds. Says in one error each why something is no trace; damage further
//! in is told by [`Reader::missing`]. Analyses nothing.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::{Error, Missing, SourceLines, v1};
use crate::event::Record;
use crate::finding::Report;

/// What a trace holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    Record(Record),
    /// What was found so far while recording. The last one counts.
    Report(Box<Report>),
    /// Source lines. They add up.
    Source(SourceLines),
}

/// Gives the items of one trace, in the order of recording.
pub struct Reader {
    items: Version,
    bytes: Option<u64>,
}

/// One for each version ever released.
enum Version {
    V1(v1::read::Items),
}

const PREFIX: usize = v1::MAGIC.len() + 4;

impl Reader {
    /// # Errors
    /// Something that is no trace, cannot be read, or is of a version yet unknown.
    pub fn open(path: &Path) -> Result<Reader, Error> {
        let meta = std::fs::metadata(path).map_err(|error| Error::Open(path.to_owned(), error))?;
        if meta.is_dir() {
            return Err(Error::Directory(path.to_owned()));
        }
        let file = File::open(path).map_err(|error| Error::Open(path.to_owned(), error))?;
        let reader = Reader::new(file, path)?;
        Ok(Reader { bytes: meta.is_file().then_some(meta.len()), ..reader })
    }

    /// `name` stands for the source in messages.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn new(mut source: impl Read + Send + 'static, name: &Path) -> Result<Reader, Error> {
        let mut prefix = Vec::with_capacity(PREFIX);
        let read = source.by_ref().take(PREFIX as u64).read_to_end(&mut prefix);
        read.map_err(|error| Error::Open(name.to_owned(), error))?;
        let version = version(&prefix, name)?;
        let items = match version {
            v1::VERSION => Version::V1(v1::read::Items::new(Box::new(source), PREFIX as u64)),
            other => return Err(Error::UnknownVersion(name.to_owned(), other)),
        };
        Ok(Reader { items, bytes: None })
    }

    /// # Errors
    /// As [`Reader::open`].
    pub fn from_bytes(bytes: impl AsRef<[u8]> + Send + 'static) -> Result<Reader, Error> {
        Reader::new(io::Cursor::new(bytes), Path::new("(bytes)"))
    }

    /// What is missing of what was read so far; complete once the last item was given.
    #[must_use]
    pub fn missing(&self) -> &Missing {
        match &self.items {
            Version::V1(items) => items.missing(),
        }
    }

    /// Bytes read so far.
    #[must_use]
    pub fn position(&self) -> u64 {
        match &self.items {
            Version::V1(items) => items.position(),
        }
    }

    /// Bytes in all, where that is known beforehand.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.bytes
    }
}

impl Iterator for Reader {
    type Item = Item;

    #[inline]
    fn next(&mut self) -> Option<Item> {
        match &mut self.items {
            Version::V1(items) => items.next(),
        }
    }
}

/// The version that the first bytes state, or what they are instead.
fn version(prefix: &[u8], name: &Path) -> Result<u32, Error> {
    if let Some((magic, version)) = prefix.split_last_chunk::<4>()
        && *magic == v1::MAGIC
    {
        return Ok(u32::from_le_bytes(*version));
    }
    let what: fn(PathBuf) -> Error = match prefix {
        [] => Error::Empty,
        _ if v1::MAGIC.starts_with(prefix) || prefix.starts_with(&v1::MAGIC) => Error::Stub,
        _ if prefix.starts_with(b"\x89racetrace\n") || prefix.starts_with(b"\xef\xbf\xbdracetrace") => Error::Converted,
        [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] | [b'P', b'K', 3, 4, ..] | [0xfd, b'7', b'z', ..] => Error::Compressed,
        _ if prefix.trim_ascii_start().starts_with(b"{") => Error::Report,
        _ => Error::Foreign,
    };
    Err(what(name.to_owned()))
}

//! Why a trace cannot be opened or written, each with advice. Damage further in is no error: see [`super::Missing`].

use std::fmt;
use std::io;
use std::path::PathBuf;

#[derive(Debug)]
pub enum Error {
    Open(PathBuf, io::Error),
    Directory(PathBuf),
    Empty(PathBuf),
    /// Does not begin as a trace does.
    Foreign(PathBuf),
    /// A report in JSON where a trace was expected.
    Report(PathBuf),
    /// Shorter than the first bytes of a trace.
    Stub(PathBuf),
    /// Line ends were converted on the way.
    Converted(PathBuf),
    Compressed(PathBuf),
    UnknownVersion(PathBuf, u32),
    Create(PathBuf, io::Error),
    Write(PathBuf, io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Open(path, error) => write!(f, "cannot open trace {}: {error}", path.display()),
            Error::Directory(path) => write!(f, "cannot read trace {}: it is a directory", path.display()),
            Error::Empty(path) => write!(f, "cannot read trace {}: it is empty", path.display()),
            Error::Foreign(path) => write!(f, "cannot read {}: it is not a racetrace trace", path.display()),
            Error::Report(path) => write!(f, "cannot read {} as a trace: it looks like JSON", path.display()),
            Error::Stub(path) => write!(f, "cannot read trace {}: it is cut off within its first bytes", path.display()),
            Error::Converted(path) => write!(f, "cannot read trace {}: its line ends were converted", path.display()),
            Error::Compressed(path) => write!(f, "cannot read {}: it is compressed", path.display()),
            Error::UnknownVersion(path, version) => {
                let newest = super::v1::VERSION;
                write!(f, "cannot read trace {}: it has format version {version}, known are 1 to {newest}", path.display())
            }
            Error::Create(path, error) => write!(f, "cannot create trace {}: {error}", path.display()),
            Error::Write(path, error) => write!(f, "cannot write trace {}: {error}", path.display()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Open(_, error) | Error::Create(_, error) | Error::Write(_, error) => Some(error),
            _ => None,
        }
    }
}

impl Error {
    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Error::Open(_, error) if error.kind() == io::ErrorKind::NotFound => {
                "check the path; record a trace with: racetrace run --trace FILE -- COMMAND"
            }
            Error::Open(..) => "check that you may read the file",
            Error::Directory(_) => "name the trace files themselves, for example: racetrace report DIRECTORY/*.rt",
            Error::Empty(_) | Error::Stub(_) => "the recording never got to write to it, or it was cut: record it again",
            Error::Foreign(_) => "name a file that was written by: racetrace run --trace FILE -- COMMAND",
            Error::Report(_) => "reports in JSON can be compared with: racetrace diff OLD NEW",
            Error::Converted(_) => "copy the original again, as a binary file",
            Error::Compressed(_) => "unpack it first; traces are compressed by themselves",
            Error::UnknownVersion(..) => "read it with the racetrace that recorded it, or a newer one",
            Error::Create(..) => "name a file in a directory that exists and that you may write to: --trace FILE",
            Error::Write(_, error) if error.kind() == io::ErrorKind::StorageFull => {
                "free some space, or keep the trace small: --trace-limit BYTES"
            }
            Error::Write(..) => "check the file system of the trace, or name a file elsewhere: --trace FILE",
        }
    }
}

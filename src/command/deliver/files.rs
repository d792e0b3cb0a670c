//! Report files: checked before the run, replaced as a whole after it, so that a full disk leaves the old file as it was.

use super::DeliverError;
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Can a report be written here? Changes nothing.
pub(super) fn check(file: &Path) -> Result<(), DeliverError> {
    let problem = |error: io::Error| DeliverError::Write(file.to_owned(), error);
    match fs::metadata(file) {
        Ok(meta) if meta.is_dir() => Err(problem(io::ErrorKind::IsADirectory.into())),
        // Opening a FIFO waits for its reader.
        Ok(meta) if meta.is_file() => OpenOptions::new().append(true).open(file).map(drop).map_err(problem),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            tempfile::Builder::new().prefix(".racetrace-").tempfile_in(directory(file)).map(drop).map_err(problem)
        }
        Err(error) => Err(problem(error)),
    }
}

/// Replaces the file, or writes into what is not a regular file (a pipe, a terminal).
pub(super) fn write(file: &Path, bytes: &[u8]) -> Result<(), DeliverError> {
    let special = fs::symlink_metadata(file).is_ok_and(|meta| !meta.is_file());
    let result = if special { write_into(file, bytes) } else { replace(file, bytes) };
    result.map_err(|error| DeliverError::Write(file.to_owned(), error))
}

fn replace(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let old = fs::metadata(file).ok();
    // The process's umask is applied to a new file's permissions.
    let permissions = Permissions::from_mode(0o666);
    let builder = tempfile::Builder::new().prefix(".racetrace-").permissions(permissions).tempfile_in(directory(file));
    let mut temporary = match builder {
        // A file that may be written in a directory that may not.
        Err(error) if old.is_some() && error.kind() == io::ErrorKind::PermissionDenied => return write_into(file, bytes),
        builder => builder?,
    };
    temporary.write_all(bytes)?;
    if let Some(old) = old {
        fs::set_permissions(temporary.path(), old.permissions())?;
    }
    temporary.persist(file).map(drop).map_err(|error| error.error)
}

fn write_into(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut out = OpenOptions::new().write(true).create(true).truncate(true).open(file)?;
    match out.write_all(bytes) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

fn directory(file: &Path) -> &Path {
    file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

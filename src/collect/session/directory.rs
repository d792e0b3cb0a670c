//! The session's private directory and the environment that leads interpreters to it. It is removed at the end, or by the
//! next session if this one is killed, and nothing in it is meant for the user.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::{env, fs, io};

use nix::sys::statvfs::{FsFlags, statvfs};
use racetrace_probes::wire;

const AGENT: &[u8] = include_bytes!(env!("RACETRACE_AGENT"));
const HOOK: &str =
    concat!(include_str!("../../../probes/agent/loading.py"), "\n\n", include_str!("../../../probes/agent/sitecustomize.py"));
const JOINING: &str =
    concat!(include_str!("../../../probes/agent/loading.py"), "\n\n", include_str!("../../../probes/agent/joining.py"));

/// Names that the start-up hook and the agent know too.
pub const SESSION_VARIABLE: &str = "RACETRACE_SESSION";
const AGENT_FILE: &str = "racetrace_agent.so";
const PREFIX: &str = "racetrace-";
const HOOK_DIRECTORY: &str = "hook";
const RINGS: &str = "rings";
const NOTES: &str = "notes";
/// Locked as long as the session lives.
const LOCK: &str = "lock";
const JOINING_FILE: &str = "join.py";
/// Made by the interpreter that has begun to run [`JOINING_FILE`].
const JOINED: &str = "joined";

/// Room that a file system must have to be used: the agent and rings for several processes.
const WANTED_BYTES: u64 = 8 * wire::FILE_BYTES;

/// A directory that exists as long as this value.
#[derive(Debug)]
pub struct SessionDirectory {
    path: PathBuf,
    /// Closed, and so unlocked, by whatever ends us.
    _lock: File,
}

#[derive(Debug)]
pub enum DirectoryError {
    /// No candidate could be used; what was tried and why not.
    NoPlace(Vec<(PathBuf, String)>),
    Write(PathBuf, io::Error),
}

impl std::fmt::Display for DirectoryError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            DirectoryError::NoPlace(tried) => {
                write!(f, "cannot make a directory for the session")?;
                tried.iter().try_for_each(|(path, why)| write!(f, "; {}: {why}", path.display()))
            }
            DirectoryError::Write(path, error) => write!(f, "cannot write {}: {error}", path.display()),
        }
    }
}

impl std::error::Error for DirectoryError {}

impl SessionDirectory {
    /// Makes the directory at the first place that can hold it, with everything an interpreter needs in it.
    pub fn create() -> Result<Self, DirectoryError> {
        Self::at_first_of(candidates())
    }

    fn at_first_of(candidates: Vec<PathBuf>) -> Result<Self, DirectoryError> {
        let mut tried = Vec::new();
        for base in candidates {
            sweep(&base);
            match usable(&base).and_then(|()| make(&base).map_err(|error| error.to_string())) {
                Ok((path, lock)) => {
                    let directory = SessionDirectory { path, _lock: lock };
                    directory.fill()?;
                    return Ok(directory);
                }
                Err(why) => tried.push((base, why)),
            }
        }
        Err(DirectoryError::NoPlace(tried))
    }

    fn fill(&self) -> Result<(), DirectoryError> {
        for name in [HOOK_DIRECTORY, RINGS, NOTES] {
            let path = self.path.join(name);
            private_directory(&path).map_err(|error| DirectoryError::Write(path, error))?;
        }
        let hook = self.path.join(HOOK_DIRECTORY).join("sitecustomize.py");
        for (path, content) in [(self.path.join(AGENT_FILE), AGENT), (hook, HOOK.as_bytes())] {
            fs::write(&path, content).map_err(|error| DirectoryError::Write(path, error))?;
        }
        Ok(())
    }

    pub fn rings(&self) -> PathBuf {
        self.path.join(RINGS)
    }

    pub fn notes(&self) -> PathBuf {
        self.path.join(NOTES)
    }

    /// Makes the script that an interpreter is asked to run which runs already, and leaves the directory to its user.
    ///
    /// # Errors
    /// It cannot be written, or not be given away.
    pub fn prepare_joining(&self, user: u32, group: u32) -> Result<PathBuf, DirectoryError> {
        let script = self.path.join(JOINING_FILE);
        let session = literal(self.path.as_os_str().as_encoded_bytes());
        let text = format!("_TOOL = {}\n_SESSION = {session}\n{JOINING}", std::process::id());
        let places = [&self.path, &self.rings(), &self.notes(), &self.path.join(AGENT_FILE), &script];
        fs::write(&script, text).map_err(|error| DirectoryError::Write(script.clone(), error))?;
        for place in places {
            let owner = fs::metadata(place).map_err(|error| DirectoryError::Write(place.clone(), error))?;
            if (owner.uid(), owner.gid()) != (user, group) {
                chown(place, Some(user), Some(group)).map_err(|error| DirectoryError::Write(place.clone(), error))?;
            }
        }
        Ok(script)
    }

    /// Has the interpreter begun to do what it was asked?
    pub fn is_joined(&self) -> bool {
        self.path.join(JOINED).exists()
    }

    /// The entry that the environment of every process of this session has, as `NAME=value`.
    pub fn mark(&self) -> String {
        format!("{SESSION_VARIABLE}={}", self.path.display())
    }

    /// What the command's environment needs in addition to ours.
    pub fn environment(&self) -> [(&'static str, OsString); 2] {
        let outer = env::var_os(SESSION_VARIABLE).map(|session| Path::new(&session).join(HOOK_DIRECTORY));
        let hook = self.path.join(HOOK_DIRECTORY);
        let search = search_path(&hook, env::var_os("PYTHONPATH").as_deref(), outer.as_deref());
        [(SESSION_VARIABLE, self.path.clone().into_os_string()), ("PYTHONPATH", search)]
    }
}

impl Drop for SessionDirectory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// The hook first, then what the user has. A session around this one must not start its agent here as well.
fn search_path(hook: &Path, users: Option<&OsStr>, outer: Option<&Path>) -> OsString {
    let mut whole = hook.as_os_str().to_owned();
    let Some(users) = users.filter(|users| !users.is_empty()) else { return whole };
    // Entries are kept as they are, empty ones (the current directory) included.
    let text = users.as_encoded_bytes();
    for entry in text.split(|byte| *byte == b':') {
        if outer.is_some_and(|outer| outer.as_os_str().as_encoded_bytes() == entry) {
            continue;
        }
        whole.push(":");
        whole.push(<OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(entry));
    }
    whole
}

/// A new file that is locked before it has its name.
fn locked(path: &Path) -> io::Result<File> {
    let unnamed = path.with_extension("new");
    let lock = File::options().write(true).create_new(true).mode(0o600).open(&unnamed)?;
    lock.try_lock()?;
    fs::rename(unnamed, path)?;
    Ok(lock)
}

fn candidates() -> Vec<PathBuf> {
    let named = ["XDG_RUNTIME_DIR", "TMPDIR"].into_iter().filter_map(env::var_os).map(PathBuf::from);
    let fixed = ["/tmp", "/dev/shm", "/var/tmp"].into_iter().map(PathBuf::from);
    named.filter(|path| path.is_absolute()).chain(fixed).collect()
}

/// A shared library must be loadable from there, and rings must fit.
fn usable(base: &Path) -> Result<(), String> {
    let state = statvfs(base).map_err(|error| error.desc().to_owned())?;
    if state.flags().contains(FsFlags::ST_NOEXEC) {
        return Err("mounted noexec".to_owned());
    }
    let free = state.blocks_available() as u64 * state.fragment_size() as u64;
    if free < WANTED_BYTES {
        return Err(format!("only {} MiB free", free >> 20));
    }
    Ok(())
}

/// Sessions that were killed have left their directories behind, which nobody else can be in the middle of making: a lock
/// of ours that is there and can be had is that of a session which has ended.
fn sweep(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        if !entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes()) {
            continue;
        }
        let lock = File::options().read(true).custom_flags(nix::libc::O_NOFOLLOW).open(entry.path().join(LOCK));
        let is_ours = |lock: &File| lock.metadata().is_ok_and(|lock| lock.uid() == nix::unistd::geteuid().as_raw());
        if lock.is_ok_and(|lock| is_ours(&lock) && lock.try_lock().is_ok()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// No two sessions of a process have one name, be it one after the other: who still holds the path of an ended one must not
/// meet another there.
fn make(base: &Path) -> io::Result<(PathBuf, File)> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let pid = std::process::id();
    for _ in 0..1000 {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = base.join(format!("{PREFIX}{pid}-{number}"));
        match private_directory(&path) {
            Ok(()) => {
                let lock = locked(&path.join(LOCK))?;
                return Ok((path, lock));
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// A path as Python source.
fn literal(path: &[u8]) -> String {
    let bytes: String = path.iter().map(|byte| format!("\\x{byte:02x}")).collect();
    format!("__import__('os').fsdecode(b'{bytes}')")
}

fn private_directory(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().mode(0o700).create(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// Apart from where other tests make and sweep at the same time.
    fn place() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    fn created_in(base: &Path) -> SessionDirectory {
        SessionDirectory::at_first_of(vec![base.to_owned()]).unwrap()
    }

    #[test]
    fn the_directory_is_private_complete_and_gone_at_the_end() {
        let place = place();
        let directory = created_in(place.path());
        let path = directory.path.clone();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(path.join("hook/sitecustomize.py").is_file());
        assert!(fs::read(path.join(AGENT_FILE)).unwrap().starts_with(b"\x7fELF"));
        assert!(directory.rings().is_dir() && directory.notes().is_dir());
        drop(directory);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_a_killed_session_left_behind_goes_with_the_next_one() {
        let place = place();
        let living = created_in(place.path());
        let dead = place.path().join("racetrace-killed-0");
        private_directory(&dead).unwrap();
        fs::write(dead.join(LOCK), "").unwrap();
        let foreign = place.path().join("racetrace-of-somebody");
        fs::create_dir_all(&foreign).unwrap();
        let next = created_in(place.path());
        assert!(!dead.exists() && foreign.exists() && living.path.is_dir() && next.path.is_dir());
    }

    #[test]
    fn the_users_search_path_is_kept_as_it_is() {
        let hook = Path::new("/s/hook");
        let search = |users: Option<&str>, outer: Option<&str>| {
            search_path(hook, users.map(OsStr::new), outer.map(Path::new)).into_string().unwrap()
        };
        assert_eq!(search(None, None), "/s/hook");
        assert_eq!(search(Some(""), None), "/s/hook", "an empty variable is not the current directory");
        assert_eq!(search(Some("lib::src"), None), "/s/hook:lib::src");
        assert_eq!(search(Some("/o/hook:src"), Some("/o/hook")), "/s/hook:src");
    }
}

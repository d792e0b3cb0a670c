//! Who a process is, whether it is still the same one, and why it cannot be looked into if so. It reads `/proc` only.

use std::fmt;
use std::path::PathBuf;

use super::memory::{Fault, Memory, ProcessMemory};
use super::permission::Refusal;
use super::procfs;

/// A process, identified so that a reused pid is noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    pub pid: u32,
    /// Clock ticks between boot and its start: with the pid, its identity.
    started: u64,
    pub parent: u32,
    pub command: Vec<String>,
    /// Its own view of its executable's path.
    pub executable: PathBuf,
    pub directory: PathBuf,
    /// Its pid as it sees itself (differs in another pid namespace).
    pub inner_pid: u32,
    /// It sees another file tree than we do.
    pub own_root: bool,
}

/// Why a process cannot be looked into at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProcessError {
    NoSuchProcess(u32),
    Zombie(u32),
    KernelThread(u32),
    /// The number names one thread of the process `of`.
    Thread {
        tid: u32,
        of: u32,
    },
    Narrow(u32),
    Ourselves,
    Refused(u32, Refusal),
}

impl fmt::Display for ProcessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchProcess(pid) => write!(f, "there is no process {pid}"),
            Self::Zombie(pid) => write!(f, "process {pid} has ended and only waits to be reaped by its parent"),
            Self::KernelThread(pid) => write!(f, "{pid} is a thread of the kernel, not a program"),
            Self::Thread { tid, of } => write!(f, "{tid} is a thread of process {of}"),
            Self::Narrow(pid) => write!(f, "process {pid} is a 32-bit program, which cannot be read"),
            Self::Ourselves => write!(f, "a process cannot look into itself"),
            Self::Refused(pid, refusal) => write!(f, "cannot read the memory of process {pid}: {refusal}"),
        }
    }
}

impl std::error::Error for ProcessError {}

impl ProcessError {
    /// What to try, where there is something.
    pub fn advice(&self) -> String {
        match self {
            Self::NoSuchProcess(_) => "list the Python processes with `pgrep -a python`".into(),
            Self::Zombie(pid) => {
                format!("name a live process; `ps -o ppid= -p {pid}` shows the parent that has not collected this one")
            }
            Self::KernelThread(_) | Self::Ourselves => "name the process of a Python program, see `pgrep -a python`".into(),
            Self::Thread { of, .. } => format!("name the process: `racetrace --pid {of}`"),
            Self::Narrow(_) => "run the program with a 64-bit Python".into(),
            Self::Refused(_, refusal) => refusal.advice(),
        }
    }
}

/// One line of `/proc/PID/stat`, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    pub state: u8,
    pub parent: u32,
    flags: u64,
    pub started: u64,
}

/// `PF_KTHREAD` of linux/sched.h.
const KERNEL_THREAD: u64 = 0x0020_0000;

pub(super) fn stat(path: &str) -> Option<Stat> {
    let text = procfs::read(path)?;
    // The name in parentheses may itself hold anything, parentheses too.
    let fields: Vec<&str> = text.get(text.rfind(')')? + 2..)?.split_ascii_whitespace().collect();
    Some(Stat {
        state: *fields.first()?.as_bytes().first()?,
        parent: fields.get(1)?.parse().ok()?,
        flags: fields.get(6)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
    })
}

/// A field of `/proc/PID/status`.
pub(super) fn status_field(pid: u32, name: &str) -> Option<String> {
    let text = std::fs::read(format!("/proc/{pid}/status")).ok()?;
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(':')))?;
    Some(line.get(name.len() + 1..)?.trim().to_owned())
}

impl Process {
    /// Identifies `pid` and checks that its memory can be read at all.
    ///
    /// # Errors
    /// Each reason why not, with advice.
    pub fn open(pid: u32) -> Result<Process, ProcessError> {
        let missing = ProcessError::NoSuchProcess(pid);
        if pid == std::process::id() {
            return Err(ProcessError::Ourselves);
        }
        let stat = stat(&format!("/proc/{pid}/stat")).ok_or(missing.clone())?;
        let group = status_field(pid, "Tgid").and_then(|group| group.parse().ok()).unwrap_or(pid);
        if group != pid {
            return Err(ProcessError::Thread { tid: pid, of: group });
        }
        if matches!(stat.state, b'Z' | b'X' | b'x') {
            return Err(ProcessError::Zombie(pid));
        }
        if stat.flags & KERNEL_THREAD != 0 {
            return Err(ProcessError::KernelThread(pid));
        }
        let process = Process {
            pid,
            started: stat.started,
            parent: stat.parent,
            command: command(pid),
            executable: std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default(),
            directory: std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default(),
            inner_pid: inner_pid(pid),
            own_root: own_root(pid),
        };
        process.check_readable()?;
        Ok(process)
    }

    /// Is the process that was opened still there? False once its pid means another process or a corpse.
    pub fn is_alive(&self) -> bool {
        stat(&format!("/proc/{}/stat", self.pid))
            .is_some_and(|now| now.started == self.started && !matches!(now.state, b'Z' | b'X' | b'x'))
    }

    /// Does it run a program at all? A process that is about to end has given its memory back already.
    pub fn has_program(&self) -> bool {
        self.is_alive() && super::maps::read(self.pid).is_ok_and(|maps| !maps.is_empty())
    }

    /// Stopped by a signal or by a debugger.
    pub fn is_stopped(&self) -> bool {
        stat(&format!("/proc/{}/stat", self.pid)).is_some_and(|now| matches!(now.state, b'T' | b't'))
    }

    pub fn memory(&self) -> ProcessMemory {
        ProcessMemory::of(self.pid)
    }

    /// Why it cannot be looked into although it could be identified.
    pub fn refusal(&self) -> ProcessError {
        if self.is_alive() {
            ProcessError::Refused(self.pid, Refusal::explain(self.pid))
        } else {
            ProcessError::NoSuchProcess(self.pid)
        }
    }

    fn check_readable(&self) -> Result<(), ProcessError> {
        let pid = self.pid;
        let refused = || ProcessError::Refused(pid, Refusal::explain(pid));
        let maps = match super::maps::read(pid) {
            Ok(maps) => maps,
            Err(_) if !self.is_alive() => return Err(ProcessError::NoSuchProcess(pid)),
            Err(_) => return Err(refused()),
        };
        let first = maps.iter().find(|mapping| mapping.readable && mapping.path.as_ref().is_some_and(|path| path.is_absolute()));
        let Some(first) = first else { return Err(refused()) };
        match self.memory().u8(first.start.plus(4)) {
            // The class byte of an ELF header; the first file of a process is its executable.
            Ok(1) if self.memory().u32(first.start) == Ok(u32::from_ne_bytes(*b"\x7fELF")) => Err(ProcessError::Narrow(pid)),
            Err(Fault::Denied) => Err(refused()),
            Err(Fault::Gone) => Err(ProcessError::NoSuchProcess(pid)),
            Ok(_) | Err(Fault::Unreadable(_)) => Ok(()),
        }
    }
}

fn command(pid: u32) -> Vec<String> {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    text.trim_end_matches('\0').split('\0').map(str::to_owned).collect()
}

fn inner_pid(pid: u32) -> u32 {
    status_field(pid, "NSpid").and_then(|all| all.split_ascii_whitespace().last()?.parse().ok()).unwrap_or(pid)
}

fn own_root(pid: u32) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |path: String| std::fs::metadata(path).map(|meta| (meta.dev(), meta.ino())).ok();
    match (identity(format!("/proc/{pid}/root/.")), identity("/.".into())) {
        (Some(theirs), Some(ours)) => theirs != ours,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_python_process_is_refused_with_a_reason() {
        assert_eq!(Process::open(std::process::id()), Err(ProcessError::Ourselves));
        assert_eq!(Process::open(u32::MAX / 2), Err(ProcessError::NoSuchProcess(u32::MAX / 2)));
        if stat("/proc/2/stat").is_some_and(|kthreadd| kthreadd.flags & KERNEL_THREAD != 0) {
            assert_eq!(Process::open(2), Err(ProcessError::KernelThread(2)));
        }
    }

    #[test]
    fn a_zombie_is_told_from_a_live_process() {
        use std::io::{Read, Write};
        let mut cat = std::process::Command::new("cat");
        let piped = || std::process::Stdio::piped();
        let mut child = cat.stdin(piped()).stdout(piped()).spawn().expect("cat runs");
        // What it has passed on it has read: the program is up.
        child.stdin.as_mut().expect("piped").write_all(b"x").expect("it reads");
        child.stdout.as_mut().expect("piped").read_exact(&mut [0]).expect("it writes");
        let process = Process::open(child.id()).expect("our own child can be read");
        assert!(process.is_alive());
        drop(child.stdin.take());
        while stat(&format!("/proc/{}/stat", process.pid)).is_some_and(|now| now.state != b'Z') {
            std::thread::yield_now();
        }
        assert!(!process.is_alive());
        assert_eq!(Process::open(process.pid), Err(ProcessError::Zombie(process.pid)));
        child.wait().expect("it ended");
    }
}

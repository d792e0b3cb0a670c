//! Whether a process still lives, without being fooled by a pid that is used again. It never waits for a process and
//! never ends one.

use std::os::fd::{AsFd, FromRawFd, OwnedFd};

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::kill;
use nix::unistd::Pid;

/// One process, from now to its end.
#[derive(Debug)]
pub enum Lifetime {
    /// A descriptor that becomes readable when the process has ended.
    Watched(OwnedFd),
    /// The kernel has no such descriptors (before 5.3): the pid has to do.
    ByPid(u32),
    /// It was gone before it could be watched.
    Over,
}

impl Lifetime {
    pub fn watch(pid: u32) -> Lifetime {
        let Ok(raw) = libc::pid_t::try_from(pid) else { return Lifetime::Over };
        // SAFETY: takes two integers, and returns a new descriptor or an error.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, raw, 0) };
        match i32::try_from(fd) {
            // SAFETY: the kernel has just given this descriptor to us, and nobody else knows it.
            Ok(fd) if fd >= 0 => Lifetime::Watched(unsafe { OwnedFd::from_raw_fd(fd) }),
            _ if nix::errno::Errno::last() == nix::errno::Errno::ESRCH => Lifetime::Over,
            _ => Lifetime::ByPid(pid),
        }
    }

    pub fn is_over(&self) -> bool {
        match self {
            Lifetime::Watched(fd) => {
                let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
                matches!(poll(&mut fds, PollTimeout::ZERO), Ok(count) if count > 0)
            }
            Lifetime::ByPid(pid) => {
                let Ok(raw) = i32::try_from(*pid) else { return true };
                kill(Pid::from_raw(raw), None) == Err(nix::errno::Errno::ESRCH)
            }
            Lifetime::Over => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_lives_until_it_has_ended_even_while_nobody_has_reaped_it() {
        let mut child = std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let lifetime = Lifetime::watch(child.id());
        assert!(!lifetime.is_over());
        drop(child.stdin.take());
        let Lifetime::Watched(fd) = &lifetime else { panic!("no pidfd") };
        let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::NONE).unwrap();
        assert!(lifetime.is_over());
        child.wait().unwrap();
        assert!(lifetime.is_over());
        assert!(matches!(Lifetime::watch(child.id()), Lifetime::Over));
    }
}

//! Starts the user's command so that it finds itself as if nobody were in between: same process group, same terminal,
//! same descriptors, and the signal mask that we were started with. It does not wait for it.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use nix::sys::signal::SigSet;

/// Spawns `command`; `mask` is the signal mask that it starts with.
///
/// # Errors
/// Those of `Command::spawn`: no such program, not executable, no more processes …
pub fn spawn(command: &mut Command, mask: SigSet) -> std::io::Result<Child> {
    // SAFETY: between fork and exec the closure makes one system call on plain data of its own; it allocates nothing.
    unsafe { command.pre_exec(move || mask.thread_set_mask().map_err(std::io::Error::from)) };
    command.spawn()
}

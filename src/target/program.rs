//! Whether a process still runs the program that it ran: the end of the process, another process with its pid and `exec`
//! are all noticed. It does not say which of them it was.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::address::RemoteAddr;

/// One address space. The kernel ties the open file to it, so that no other one is ever taken for it.
#[derive(Debug)]
pub struct Program {
    memory: File,
    /// Something that is mapped as long as the program runs.
    landmark: RemoteAddr,
}

impl Program {
    /// # Errors
    /// No such process, or no permission.
    pub fn of(pid: u32, landmark: RemoteAddr) -> std::io::Result<Program> {
        Ok(Program { memory: File::open(format!("/proc/{pid}/mem"))?, landmark })
    }

    /// Reading from an address space that is gone gives nothing.
    pub fn is_running(&self) -> bool {
        matches!(self.memory.read_at(&mut [0], self.landmark.0), Ok(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Write};
    use std::process::{Command, Stdio};

    #[test]
    fn another_program_in_the_same_process_is_another_program() {
        let script = "echo up; read line; exec cat";
        let mut child = Command::new("sh").args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert_eq!(lines.next().as_deref(), Some("up"));
        let first = crate::target::maps::read(child.id()).unwrap().first().map(|mapping| mapping.start).unwrap();
        let program = Program::of(child.id(), first).unwrap();
        assert!(program.is_running());
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(b"go\nsaid by cat\n").unwrap();
        assert_eq!(lines.next().as_deref(), Some("said by cat"));
        assert!(!program.is_running());
        drop(stdin);
        child.wait().unwrap();
        assert!(!program.is_running());
    }
}

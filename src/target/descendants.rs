//! The processes that a process has started, directly or not: the only module that knows remoteprocess. Which of them are
//! meant by a command is for [`super::family`] to say; nothing is locked or stopped here.

use std::path::Path;

use remoteprocess::Process;

/// A process below another one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Descendant {
    pub pid: u32,
    /// Its executable's file name.
    pub program: String,
    pub command: Vec<String>,
}

/// The descendants of `pid` whose executable has `part` in its name, by pid.
pub fn running(pid: u32, part: &str) -> Vec<Descendant> {
    let Some(process) = i32::try_from(pid).ok().and_then(|pid| Process::new(pid).ok()) else { return Vec::new() };
    let below = process.child_processes().unwrap_or_default();
    let mut found: Vec<Descendant> = below
        .into_iter()
        .filter_map(|(child, _)| described(child))
        .filter(|descendant| descendant.program.contains(part))
        .collect();
    found.sort();
    found
}

fn described(pid: i32) -> Option<Descendant> {
    let process = Process::new(pid).ok()?;
    let executable = process.exe().ok()?;
    let program = Path::new(&executable).file_name()?.to_string_lossy().into_owned();
    Some(Descendant { pid: u32::try_from(pid).ok()?, program, command: process.cmdline().unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    #[test]
    fn grandchildren_are_found_by_the_name_of_their_program() {
        let script = "sh -c 'sleep 600 & echo $!; wait' & wait";
        let mut child = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let sleeper: u32 = lines.next().unwrap().unwrap().parse().unwrap();
        // A program that is just being executed has its name before it has its arguments.
        while std::fs::read(format!("/proc/{sleeper}/cmdline")).unwrap() != b"sleep\x00600\0" {
            std::thread::yield_now();
        }
        let found = running(child.id(), "sleep");
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(sleeper as i32), nix::sys::signal::Signal::SIGKILL).unwrap();
        child.wait().unwrap();
        assert_eq!(found.iter().map(|found| found.pid).collect::<Vec<_>>(), [sleeper]);
        assert_eq!(found[0].command, ["sleep", "600"]);
        assert!(running(std::process::id(), "no such program").is_empty());
    }
}

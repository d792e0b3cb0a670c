//! Which processes belong to a command: its descendants, and those that carry its mark in their environment (they stay
//! recognisable when their parent is gone). It looks only; it sends no signals.

use std::collections::{BTreeSet, HashMap};
use std::fs;

/// Pids of the descendants of `root` and of all processes whose environment has `mark` (`NAME=value`) as an entry.
/// `root` is left out, and so is this process.
pub fn members(root: u32, mark: &str) -> BTreeSet<u32> {
    let parents = parents();
    let mut found: BTreeSet<u32> = parents.keys().copied().filter(|pid| descends(*pid, root, &parents)).collect();
    found.extend(parents.keys().copied().filter(|pid| is_marked(*pid, mark)));
    found.remove(&root);
    found.remove(&std::process::id());
    found
}

/// The program file and the arguments of a process, while it is to be had.
pub fn what_it_runs(pid: u32) -> Option<(String, Vec<String>)> {
    let program = fs::read_link(format!("/proc/{pid}/exe")).ok()?.to_string_lossy().into_owned();
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let arguments: Vec<String> = line.split(|byte| *byte == 0).map(|part| String::from_utf8_lossy(part).into_owned()).collect();
    let count = arguments.len().saturating_sub(1);
    Some((program, arguments.into_iter().take(count).collect()))
}

fn parents() -> HashMap<u32, u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return HashMap::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| Some((pid, parent_of(pid)?))).collect()
}

/// Field 4 of `/proc/PID/stat`; the name before it may contain anything, so that its last parenthesis counts.
fn parent_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn descends(pid: u32, root: u32, parents: &HashMap<u32, u32>) -> bool {
    let mut current = pid;
    for _ in 0..parents.len() {
        match parents.get(&current) {
            Some(parent) if *parent == root => return true,
            Some(parent) => current = *parent,
            None => return false,
        }
    }
    false
}

fn is_marked(pid: u32, mark: &str) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    #[test]
    fn children_and_orphans_that_carry_the_mark_are_members() {
        let mark = format!("RACETRACE_FAMILY_TEST={}", std::process::id());
        let (name, value) = mark.split_once('=').unwrap();
        // The inner shell loses its parent at once: only its mark tells.
        let script = "sh -c 'echo $$; exec sleep 600' & wait_for=$!; echo up; exec sleep 600";
        let mut child = Command::new("sh").args(["-c", script]).env(name, value).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let (first, second) = (lines.next().unwrap(), lines.next().unwrap());
        let inner: u32 = if first == "up" { second } else { first }.parse().unwrap();
        assert!(members(child.id(), "NO=MARK").contains(&inner), "by descent");
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(members(child.id(), &mark).contains(&inner), "by its mark");
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(inner as i32), nix::sys::signal::Signal::SIGKILL).unwrap();
    }
}

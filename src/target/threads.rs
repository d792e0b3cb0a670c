//! The threads of a process as the kernel lists them. What Python calls them is for others to say.

use nix::libc::{SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGINT, SIGSEGV, SYS_futex as FUTEX};

use super::process::stat;
use super::procfs;

/// Where a thread is, seen without stopping it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// On a processor, or ready for one.
    Running,
    /// In a system call: its number, its first four arguments, and the stack pointer.
    Waiting { call: i64, arguments: [u64; 4], stack: u64 },
    /// Stopped by a signal or a debugger.
    Stopped,
    /// Unknown to us: no permission to look, or in transition.
    Unclear,
}

/// The ids of all threads.
pub fn list(pid: u32) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let mut tids: Vec<u32> = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    tids.sort_unstable();
    tids
}

/// Does the process have this thread?
pub fn exists(pid: u32, tid: u32) -> bool {
    std::fs::exists(format!("/proc/{pid}/task/{tid}")).unwrap_or(false)
}

/// The id by which the process itself knows the thread: another one if it lives in a pid namespace of its own.
pub fn inner(pid: u32, tid: u32) -> u32 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/status")).unwrap_or_default();
    let ids = text.lines().find_map(|line| line.strip_prefix("NSpid:"));
    ids.and_then(|ids| ids.split_ascii_whitespace().last()?.parse().ok()).unwrap_or(tid)
}

/// The thread's native name (`pthread_setname_np`), at most 15 bytes.
pub fn name(pid: u32, tid: u32) -> Option<String> {
    let text = std::fs::read(format!("/proc/{pid}/task/{tid}/comm")).ok()?;
    Some(String::from_utf8_lossy(&text).trim_end().to_owned())
}

/// The kernel's count of how often the thread was switched away from, and its state: a thread that is asleep before and
/// after with the same count has not run in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stillness {
    asleep: bool,
    switches: u64,
}

impl Stillness {
    pub fn of(pid: u32, tid: u32) -> Option<Stillness> {
        let text = procfs::read(&format!("/proc/{pid}/task/{tid}/status"))?;
        let mut asleep = false;
        let (mut switches, mut counts) = (0u64, 0);
        for line in text.lines() {
            if let Some(state) = line.strip_prefix("State:") {
                asleep = state.trim_start().starts_with(['S', 'D', 'T', 't']);
            } else if line.contains("voluntary_ctxt_switches:") {
                let count = line.rsplit(':').next().and_then(|count| count.trim().parse::<u64>().ok());
                switches = switches.wrapping_add(count?);
                counts += 1;
            }
        }
        // Voluntary ones and others, at the very end.
        (counts == 2).then_some(Stillness { asleep, switches })
    }

    /// Did the thread sleep without a break from `self` to `later`?
    pub fn unbroken(self, later: Stillness) -> bool {
        self.asleep && self == later
    }
}

/// What the thread is doing now. Needs the same permission as reading memory.
pub fn activity(pid: u32, tid: u32) -> Activity {
    match stat(&format!("/proc/{pid}/task/{tid}/stat")).map(|stat| stat.state) {
        Some(b'T' | b't') => return Activity::Stopped,
        Some(b'R') => return Activity::Running,
        Some(_) => {}
        None => return Activity::Unclear,
    }
    procfs::read(&format!("/proc/{pid}/task/{tid}/syscall")).and_then(|text| parse_syscall(&text)).unwrap_or(Activity::Unclear)
}

/// Does every thread sleep for a lock, without a time limit, and would no signal make the process's own code run?
pub fn stands_still(pid: u32) -> bool {
    let asleep = |tid: &u32| matches!(activity(pid, *tid), Activity::Waiting { call: FUTEX, arguments: [_, _, _, timeout], .. } if timeout == 0);
    let threads = list(pid);
    !threads.is_empty() && threads.iter().all(asleep) && !handles_signals(pid)
}

/// Signals for which programs have handlers of their own, besides SIGINT, which CPython itself handles, and those that tell
/// of a crash. As bits of `SigCgt`.
fn handles_signals(pid: u32) -> bool {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let caught = text.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigCgt:")?.trim(), 16).ok());
    let harmless = [SIGINT, SIGILL, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, 32, 33];
    let mask = harmless.iter().fold(0u64, |mask, signal| mask | 1 << (signal - 1));
    caught.is_none_or(|caught| caught & !mask != 0)
}

fn parse_syscall(text: &str) -> Option<Activity> {
    let mut fields = text.split_ascii_whitespace();
    let call = fields.next()?;
    if call == "running" {
        return Some(Activity::Running);
    }
    let call: i64 = call.parse().ok()?;
    let words: Vec<u64> =
        fields.map(|word| u64::from_str_radix(word.trim_start_matches("0x"), 16)).collect::<Result<_, _>>().ok()?;
    if call < 0 {
        return Some(Activity::Unclear);
    }
    Some(Activity::Waiting { call, arguments: *words.first_chunk()?, stack: *words.get(6)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_futex_wait_is_read_with_its_address() {
        let text = "202 0x7f12 0x189 0x0 0x0 0x0 0xffffffff 0x7ffd0 0x7f99\n";
        assert_eq!(parse_syscall(text), Some(Activity::Waiting { call: 202, arguments: [0x7f12, 0x189, 0, 0], stack: 0x7ffd0 }));
        assert_eq!(parse_syscall("running\n"), Some(Activity::Running));
        assert_eq!(parse_syscall("-1 0x7ffd0 0x7f99\n"), Some(Activity::Unclear));
        assert_eq!(parse_syscall(""), None);
    }

    #[test]
    fn our_own_thread_is_listed_and_running() {
        let pid = std::process::id();
        assert!(list(pid).contains(&pid) && exists(pid, pid) && !exists(pid, 1));
        let still = Stillness::of(pid, pid).expect("the main thread exists");
        assert_eq!(still.unbroken(still), still.asleep);
    }
}

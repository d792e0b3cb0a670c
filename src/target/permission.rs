//! Why the kernel refuses to show one process's memory to another, and the exact command or setting that helps.
//! It changes no setting itself.

use std::fmt;

use super::process::status_field;

/// The reason for an `EPERM`, as far as it can be told from outside; in the order in which the kernel checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Our own system calls are filtered, as containers do.
    Filtered,
    /// The process belongs to another user.
    OtherUser { theirs: u32 },
    /// Yama allows only a process's ancestors to look into it (1), only the administrator (2), or nobody (3).
    Yama(u32),
    /// The program asked not to be looked into (`prctl(PR_SET_DUMPABLE)`), or has more privileges than we have.
    Protected,
}

const PTRACE_CAPABILITY: u64 = 1 << 19;

impl Refusal {
    /// Finds the most likely reason.
    pub fn explain(pid: u32) -> Refusal {
        let yama = yama_scope();
        if yama == Some(3) {
            return Refusal::Yama(3);
        }
        let capable = may_trace_anything();
        let theirs = status_field(pid, "Uid").and_then(|ids| ids.split_ascii_whitespace().next()?.parse().ok());
        let ours = nix::unistd::geteuid().as_raw();
        match theirs {
            Some(theirs) if theirs != ours && !capable => return Refusal::OtherUser { theirs },
            _ => {}
        }
        match yama {
            Some(scope @ 1..) if !capable => return Refusal::Yama(scope),
            _ => {}
        }
        let own = std::process::id();
        if status_field(own, "Seccomp").as_deref() == Some("2") {
            return Refusal::Filtered;
        }
        Refusal::Protected
    }

    pub fn advice(&self) -> String {
        let again = command_line();
        match self {
            Refusal::Filtered => {
                "start the container with `docker run --cap-add SYS_PTRACE …`, or run racetrace on the host and name \
                                  the process's pid there"
                    .into()
            }
            Refusal::OtherUser { .. } => format!("run it as that user or as root: `sudo {again}`"),
            Refusal::Yama(3) => {
                "kernel.yama.ptrace_scope is 3 and stays so until the next boot; set it lower in /etc/sysctl.d".into()
            }
            Refusal::Yama(2) => format!("run it as root: `sudo {again}`"),
            Refusal::Yama(_) => {
                format!(
                    "run it as root: `sudo {again}`, or allow it until the next boot: `sudo sysctl kernel.yama.ptrace_scope=0`"
                )
            }
            Refusal::Protected => format!(
                "run it with more privileges: `sudo {again}`; in a container add `--cap-add SYS_PTRACE`; a program that called \
                 prctl(PR_SET_DUMPABLE, 0) can only be read by root"
            ),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Filtered => write!(f, "a system-call filter (seccomp) is active here"),
            Refusal::OtherUser { theirs } => write!(f, "it belongs to user {theirs}"),
            Refusal::Yama(scope) => write!(f, "kernel.yama.ptrace_scope is {scope}"),
            Refusal::Protected => write!(f, "it is protected, or runs in a namespace in which we have no rights"),
        }
    }
}

/// Does this process have `CAP_SYS_PTRACE`?
pub fn may_trace_anything() -> bool {
    status_field(std::process::id(), "CapEff")
        .and_then(|mask| u64::from_str_radix(&mask, 16).ok())
        .is_some_and(|mask| mask & PTRACE_CAPABILITY != 0)
}

/// `kernel.yama.ptrace_scope`, where the kernel has Yama.
pub fn yama_scope() -> Option<u32> {
    std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").ok()?.trim().parse().ok()
}

/// The command as it was typed, to be shown after `sudo`.
fn command_line() -> String {
    let words: Vec<String> = std::env::args().collect();
    if words.is_empty() { "racetrace".into() } else { words.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_comes_with_what_helps() {
        let cases = [
            (Refusal::Filtered, "a system-call filter (seccomp) is active here", "--cap-add SYS_PTRACE"),
            (Refusal::OtherUser { theirs: 33 }, "it belongs to user 33", "`sudo "),
            (Refusal::Yama(1), "kernel.yama.ptrace_scope is 1", "`sudo sysctl kernel.yama.ptrace_scope=0`"),
            (Refusal::Yama(2), "kernel.yama.ptrace_scope is 2", "`sudo "),
            (Refusal::Yama(3), "kernel.yama.ptrace_scope is 3", "until the next boot"),
            (Refusal::Protected, "it is protected", "PR_SET_DUMPABLE"),
        ];
        for (refusal, sentence, help) in cases {
            assert!(refusal.to_string().contains(sentence), "{refusal}");
            assert!(refusal.advice().contains(help), "{}", refusal.advice());
        }
    }
}

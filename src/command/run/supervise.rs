//! The life of the user's command: it starts in our process group and keeps the terminal, signals find their way to it,
//! and a time limit ends it together with everything it has started. What it did is read elsewhere.

use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;

use crate::command::failure::Failure;
use crate::target::{family, spawn};

/// Between SIGTERM and SIGKILL, for a command that has run out of time.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// How often a command is looked at that has no news.
const LOOK: Duration = Duration::from_millis(100);

/// Signals that somebody may send to us and mean the command.
const PASSED_ON: [Signal; 6] =
    [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGUSR1, Signal::SIGUSR2];

/// How the command ended.
#[derive(Debug, Clone)]
pub struct Ended {
    pub status: ExitStatus,
    pub timed_out: bool,
    /// Program and arguments of the process, as it was last seen: after any shell or launcher replaced itself.
    pub ran: Option<(String, Vec<String>)>,
}

impl Ended {
    /// The code that a shell would show.
    pub fn code(&self) -> u8 {
        let code = self.status.code().unwrap_or_else(|| 128 + self.status.signal().unwrap_or(0));
        u8::try_from(code & 0xff).unwrap_or(u8::MAX)
    }
}

/// Signals, kept from interrupting us while a command runs.
#[derive(Debug)]
pub struct Signals {
    file: SignalFd,
    /// The mask that we were started with, and the command is.
    before: SigSet,
}

impl Signals {
    /// To be called before any other thread exists: threads inherit the mask.
    ///
    /// # Errors
    /// No descriptor to be had.
    pub fn hold() -> Result<Self, Failure> {
        Signals::try_hold().map_err(|error| Failure::new(format!("cannot prepare to receive signals: {error}")))
    }

    fn try_hold() -> nix::Result<Self> {
        let mut held = SigSet::from_iter(PASSED_ON);
        held.add(Signal::SIGCHLD);
        let before = held.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        let file = SignalFd::with_flags(&held, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        Ok(Signals { file, before })
    }

    /// Waits until a signal is there, but not longer than that.
    fn wait(&self, longest: Duration) {
        let timeout = PollTimeout::try_from(longest + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
        let _ = poll(&mut [PollFd::new(self.file.as_fd(), PollFlags::POLLIN)], timeout);
    }

    /// A moment, or less if a signal arrives.
    pub fn pause(&self) {
        self.wait(Duration::from_millis(5));
    }

    /// So long, or less if a signal arrives.
    pub fn pause_for(&self, pause: Duration) {
        let timeout = nix::sys::time::TimeSpec::from_duration(pause);
        let _ = nix::poll::ppoll(&mut [PollFd::new(self.file.as_fd(), PollFlags::POLLIN)], Some(timeout), None);
    }

    fn take(&self) -> Option<Arrived> {
        let info = self.file.read_signal().ok().flatten()?;
        let signal = Signal::try_from(i32::try_from(info.ssi_signo).ok()?).ok()?;
        Some(Arrived { signal, from_terminal: info.ssi_code > 0 })
    }

    /// Did somebody ask us to end, since the last time?
    pub fn asked_to_end(&self) -> bool {
        std::iter::from_fn(|| self.take())
            .any(|arrived| matches!(arrived.signal, Signal::SIGINT | Signal::SIGTERM | Signal::SIGHUP))
    }
}

struct Arrived {
    signal: Signal,
    /// The kernel sent it to the whole foreground group, so that the command has it already.
    from_terminal: bool,
}

/// A running command.
#[derive(Debug)]
pub struct Supervised<'a> {
    child: Child,
    signals: &'a Signals,
    mark: &'a str,
    ran: Option<(String, Vec<String>)>,
}

impl<'a> Supervised<'a> {
    /// Starts the command. `mark` is the entry of its environment that its children inherit.
    ///
    /// # Errors
    /// Those of starting a program.
    pub fn start(command: &mut Command, signals: &'a Signals, mark: &'a str) -> std::io::Result<Self> {
        let child = spawn::spawn(command, signals.before)?;
        Ok(Supervised { child, signals, mark, ran: None })
    }

    /// Waits for the command's end, at most `limit`, then ends it.
    ///
    /// # Errors
    /// The command cannot be waited for.
    pub fn wait(mut self, limit: Option<Duration>) -> std::io::Result<Ended> {
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        let status = self.wait_until(deadline)?;
        let timed_out = status.is_none();
        let status = match status {
            Some(status) => status,
            None => self.end()?,
        };
        Ok(Ended { status, timed_out, ran: self.ran })
    }

    /// `None` when the deadline comes first.
    fn wait_until(&mut self, deadline: Option<Instant>) -> std::io::Result<Option<ExitStatus>> {
        loop {
            self.ran = family::what_it_runs(self.child.id()).filter(|(_, line)| !line.is_empty()).or(self.ran.take());
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(None);
            }
            self.signals.wait(left.unwrap_or(LOOK).min(LOOK));
            while let Some(arrived) = self.signals.take() {
                self.pass_on(&arrived);
            }
        }
    }

    fn pass_on(&self, arrived: &Arrived) {
        // Called with the child not yet waited for, so that its pid is its own.
        if arrived.signal != Signal::SIGCHLD && !arrived.from_terminal {
            send(self.child.id(), arrived.signal);
        }
    }

    /// Ends the command and everything that it started: first asked, then forced.
    fn end(&mut self) -> std::io::Result<ExitStatus> {
        self.send_to_all(Signal::SIGTERM);
        let deadline = Instant::now() + LAST_WORDS;
        let asked = self.wait_until(Some(deadline))?;
        while Instant::now() < deadline && !self.others().is_empty() {
            self.signals.wait(LOOK);
            let _ = self.signals.asked_to_end();
        }
        self.send_to_all(Signal::SIGKILL);
        match asked {
            Some(status) => Ok(status),
            None => self.child.wait(),
        }
    }

    /// Recognised anew each time: a pid may have become somebody else's.
    fn others(&self) -> BTreeSet<u32> {
        family::members(self.child.id(), self.mark)
    }

    fn send_to_all(&mut self, signal: Signal) {
        if let Ok(None) = self.child.try_wait() {
            send(self.child.id(), signal);
        }
        self.others().iter().for_each(|pid| send(*pid, signal));
    }
}

fn send(pid: u32, signal: Signal) {
    if let Ok(pid) = i32::try_from(pid) {
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

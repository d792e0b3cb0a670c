//! Whatever happens to the target or to racetrace while it looks, the target goes on as if nothing had been, and racetrace
//! ends with a report. What is found is not looked at here.

mod harness;

use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use harness::pythons::{Python, all};
use harness::random::Random;
use harness::session::racetrace;
use harness::target::{Target, everywhere, findings, look, report_of};
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use racetrace::collect::sampler::look::Sampler;
use racetrace::collect::sampler::target::Target as Looked;

/// racetrace at work on a process, and known to be.
struct Looking {
    child: Child,
}

impl Looking {
    fn at(pid: &str, options: &[&str]) -> Looking {
        let mut command = racetrace();
        command.args(["--pid", pid, "--format", "json", "--rate", "1000"]).args(options);
        Looking { child: command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("racetrace runs") }
    }

    /// It has the target's memory open.
    fn is_attached(&self, pid: &str) -> bool {
        let mem = format!("/proc/{pid}/mem");
        let Ok(files) = fs::read_dir(format!("/proc/{}/fd", self.child.id())) else { return false };
        files.flatten().any(|file| fs::read_link(file.path()).is_ok_and(|path| path.to_string_lossy() == mem))
    }

    fn wait_until_attached(&mut self, pid: &str) {
        while !self.is_attached(pid) {
            assert!(self.child.try_wait().expect("our child").is_none(), "it ended before it was attached");
            std::thread::yield_now();
        }
    }

    fn signal(&self, signal: Signal) {
        nix::sys::signal::kill(Pid::from_raw(self.child.id() as i32), signal).expect("it runs");
    }

    fn end(self) -> Output {
        let output = self.child.wait_with_output().expect("it ends");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!errors.contains("panicked"), "{errors}");
        output
    }
}

/// Threads that wait, so that nothing changes by itself.
const QUIET: &str = "
import sys, threading
interval = getattr(sys, 'getswitchinterval')()
lock, gate, rest = threading.Lock(), threading.Event(), {'a': 1}

def holds():
    with lock:
        gate.wait()

def wants():
    with lock:
        rest['a'] += 1

for target in (holds, wants, wants):
    threading.Thread(target=target).start()
print('ready', flush=True)
for line in sys.stdin:
    if line == 'interval\\n':
        print(sys.getswitchinterval() == interval, flush=True)
    else:
        break
gate.set()
print('done', flush=True)
";

/// What the kernel tells about a process, without what changes by time passing or by memory being read.
fn traits(pid: u32) -> BTreeMap<String, String> {
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).expect("it lives");
    // SigQ counts the signals of all the user's processes; those of this one are SigPnd and ShdPnd.
    let changing = ["SigQ", "VmHWM", "VmRSS", "RssAnon", "RssFile", "RssShmem", "VmPTE", "VmSwap", "voluntary", "nonvoluntary"];
    let status = read("status");
    let fields = status.lines().filter_map(|line| line.split_once(':'));
    let fields = fields.filter(|(name, _)| !changing.iter().any(|prefix| name.starts_with(prefix)));
    let mut traits: BTreeMap<String, String> = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    for file in ["maps", "limits", "oom_score_adj", "cgroup", "timerslack_ns", "coredump_filter"] {
        traits.insert(file.to_owned(), read(file));
    }
    for directory in ["fd", "task"] {
        let entries = fs::read_dir(format!("/proc/{pid}/{directory}")).expect("it lives");
        let mut names: Vec<String> = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        traits.insert(directory.to_owned(), names.join(" "));
    }
    traits
}

/// Until its main thread reads standard input and all others sleep: before that it still changes by itself.
fn settle(pid: u32) {
    let read = |file: String| fs::read_to_string(file).unwrap_or_default();
    let asleep = |task: fs::DirEntry| {
        let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('S'))
    };
    let settled = || {
        read(format!("/proc/{pid}/syscall")).starts_with("0 0x0 ")
            && fs::read_dir(format!("/proc/{pid}/task")).expect("it lives").flatten().all(asleep)
    };
    while !settled() {
        std::thread::yield_now();
    }
}

fn rounds(otherwise: usize) -> usize {
    std::env::var("RACETRACE_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// `RACETRACE_ROUNDS=10000 cargo test --release --test attach_survival rounds` makes more of them.
#[test]
fn many_rounds_of_attaching_leave_the_process_as_it_was() {
    everywhere(|python| {
        let mut target = Target::start(python, QUIET);
        let pid = target.child.id();
        settle(pid);
        let before = traits(pid);
        for round in 0..rounds(200) {
            let looked = Looked::open(pid, &mut Vec::new()).unwrap_or_else(|error| panic!("round {round}: {error}"));
            let mut sampler = Sampler::new(looked);
            for _ in 0..2 {
                sampler.look().unwrap_or_else(|fault| panic!("round {round}: {fault:?}"));
            }
            assert!(sampler.counts.threads >= 4, "round {round}: {:?}", sampler.counts);
        }
        assert_eq!(traits(pid), before);
        target.say("end\n");
        target.wait_for("done");
    });
}

#[test]
fn no_thread_is_traced_or_stopped_while_it_is_looked_at() {
    everywhere(|python| {
        let mut target = Target::start(python, QUIET);
        let pid = target.child.id();
        settle(pid);
        let before = traits(pid);
        let mut looking = Looking::at(&target.pid(), &["--duration", "400ms"]);
        let mut seen = 0;
        while looking.child.try_wait().expect("our child").is_none() {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
            assert!(
                status.contains("TracerPid:\t0") && !status.contains("State:\tt") && !status.contains("State:\tT"),
                "{status}"
            );
            seen += 1;
        }
        looking.end();
        assert!(seen > 0 && traits(pid) == before, "{seen} {:?}", traits(pid));
        target.say("end\n");
        target.wait_for("done");
    });
}

#[test]
fn the_process_goes_on_when_racetrace_is_killed_at_any_moment() {
    let mut random = Random::new(1);
    let moments: Vec<Duration> = (0..12).map(|_| Duration::from_micros(random.below(120_000))).collect();
    everywhere(|python| {
        let mut target = Target::start(python, QUIET);
        settle(target.child.id());
        let before = traits(target.child.id());
        for moment in &moments {
            let mut looking = Looking::at(&target.pid(), &[]);
            // Not to wait for anything: the moment is what is to vary.
            std::thread::sleep(*moment);
            looking.child.kill().expect("our child");
            looking.child.wait().expect("it ended");
        }
        assert_eq!(traits(target.child.id()), before);
        target.say("end\n");
        target.wait_for("done");
    });
}

/// Ends, forks or becomes another program when it is told so.
const CHANGING: &str = "
import os, subprocess, sys, threading, time, warnings
warnings.simplefilter('ignore')

def works():
    while True:
        time.sleep(0.001)

for _ in range(3):
    threading.Thread(target=works, daemon=True).start()
print('ready', flush=True)
while True:
    word = sys.stdin.readline().strip()
    if word == 'exit':
        sys.exit(0)
    elif word == 'leave':
        os._exit(3)
    elif word == 'abort':
        os.kill(os.getpid(), 9)
    elif word == 'python':
        os.execv(sys.executable, [sys.executable, '-c', 'import sys; print(\"new\", flush=True); sys.stdin.read()'])
    elif word == 'cat':
        print('new', flush=True)
        os.execv('/bin/cat', ['cat'])
    elif word == 'fork':
        for _ in range(30):
            child = os.fork()
            if child == 0:
                os._exit(0)
            os.waitpid(child, 0)
        subprocess.check_call(['true'])
        print('forked', flush=True)
    elif word == 'threads':
        for _ in range(10):
            many = [threading.Thread(target=time.sleep, args=(0.002,)) for _ in range(60)]
            for thread in many:
                thread.start()
            for thread in many:
                thread.join()
        print('joined', flush=True)
";

fn notices(output: &Output) -> String {
    report_of(output)["notices"].to_string()
}

#[test]
fn the_end_of_the_process_ends_in_the_report() {
    everywhere(|python| {
        for way in ["exit", "leave", "abort"] {
            let mut target = Target::start(python, CHANGING);
            let mut looking = Looking::at(&target.pid(), &[]);
            looking.wait_until_attached(&target.pid());
            target.say(&format!("{way}\n"));
            // Nobody has reaped it yet.
            let output = looking.end();
            assert!(notices(&output).contains("the process ended while it was looked at"), "{way}: {}", notices(&output));
            assert_eq!(output.status.code(), Some(0), "{way}");
        }
    });
}

#[test]
fn a_process_that_becomes_another_program_is_not_taken_for_the_old_one() {
    everywhere(|python| {
        for program in ["python", "cat"] {
            let mut target = Target::start(python, CHANGING);
            let mut looking = Looking::at(&target.pid(), &[]);
            looking.wait_until_attached(&target.pid());
            target.say(&format!("{program}\n"));
            let output = looking.end();
            assert!(notices(&output).contains("replaced its program"), "{program}: {}", notices(&output));
            assert!(findings(&report_of(&output)).is_empty());
            target.wait_for("new");
        }
    });
}

#[test]
fn forks_and_hundreds_of_threads_disturb_nothing() {
    everywhere(|python| {
        let mut target = Target::start(python, CHANGING);
        let mut looking = Looking::at(&target.pid(), &["--budget", "100"]);
        looking.wait_until_attached(&target.pid());
        target.say("fork\n");
        target.wait_for("forked");
        target.say("threads\n");
        target.wait_for("joined");
        looking.signal(Signal::SIGINT);
        let output = looking.end();
        let report = report_of(&output);
        assert!(findings(&report).is_empty(), "{}: {report:#}", python.name());
        assert!(report["coverage"]["threads"].as_u64() >= Some(4), "{report:#}");
        target.say("exit\n");
        assert!(target.child.wait().expect("our child").success());
    });
}

#[test]
fn stopping_and_going_on_while_it_is_looked_at() {
    everywhere(|python| {
        let mut target = Target::start(python, CHANGING);
        let mut looking = Looking::at(&target.pid(), &["--duration", "1s"]);
        looking.wait_until_attached(&target.pid());
        for _ in 0..5 {
            target.signal(Signal::SIGSTOP);
            target.signal(Signal::SIGCONT);
        }
        target.signal(Signal::SIGSTOP);
        let output = looking.end();
        assert!(report_of(&output)["coverage"]["samples"].as_u64() >= Some(1));
        target.signal(Signal::SIGCONT);
        target.say("fork\n");
        target.wait_for("forked");
    });
}

#[test]
fn a_debugger_on_the_process_is_not_in_the_way() {
    everywhere(|python| {
        let mut target = Target::start(python, CHANGING);
        let pid = Pid::from_raw(target.child.id() as i32);
        ptrace::seize(pid, ptrace::Options::empty()).expect("nobody else traces it");
        ptrace::interrupt(pid).expect("it is traced");
        waitpid(pid, Some(WaitPidFlag::__WALL)).expect("it stops");
        let (output, report) = look(&target, &["--duration", "300ms"]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(report["coverage"]["samples"].as_u64() >= Some(1), "{report:#}");
        ptrace::detach(pid, None).expect("it is traced by us");
        target.say("fork\n");
        target.wait_for("forked");
    });
}

#[test]
fn another_process_with_the_same_pid_is_another_process() {
    let next = "/proc/sys/kernel/ns_last_pid";
    if fs::OpenOptions::new().write(true).open(next).is_err() {
        eprintln!("skipped: {next} cannot be written here, so that no pid can be chosen");
        return;
    }
    let python: &Python = all().first().expect("an interpreter");
    // Others on the machine take pids too: until it works.
    for _ in 0..200 {
        let target = Target::start(python, QUIET);
        let pid = target.child.id();
        let looked = Looked::open(pid, &mut Vec::new()).expect("it runs");
        drop(target);
        fs::write(next, (pid - 1).to_string()).expect("it could be opened");
        let mut other = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("cat runs");
        let (reused, alive, running) = (other.id() == pid, looked.process.is_alive(), looked.program.is_running());
        other.kill().and_then(|()| other.wait()).expect("our child");
        if reused {
            assert!(!alive && !running, "alive {alive}, running {running}");
            return;
        }
    }
    panic!("no pid could be had twice");
}

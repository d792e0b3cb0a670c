//! How often racetrace looks: never more than its budget allows, so that many threads are looked at less often; and what it
//! could not read is said. What is found is not looked at here.

mod harness;

use std::process::Stdio;

use harness::pythons::all;
use harness::session::racetrace;
use harness::target::{Target, everywhere, report_of};
use serde_json::Value;

fn waiting(threads: usize) -> String {
    format!(
        "
import sys, threading
gate = threading.Event()
for _ in range({threads}):
    threading.Thread(target=gate.wait, daemon=True).start()
print('ready', flush=True)
sys.stdin.read()
"
    )
}

fn samples(target: &Target, budget: &str) -> (u64, Value) {
    let mut command = racetrace();
    command.args(["--pid", &target.pid(), "--format", "json", "--rate", "2000", "--duration", "1s", "--budget", budget]);
    let output = command.stderr(Stdio::null()).output().expect("racetrace runs");
    let report = report_of(&output);
    (report["coverage"]["samples"].as_u64().expect("a number"), report)
}

#[test]
fn hundreds_of_threads_are_looked_at_less_often() {
    everywhere(|python| {
        let (few, many) = (Target::start(python, &waiting(3)), Target::start(python, &waiting(500)));
        let (of_few, _) = samples(&few, "2");
        let (of_many, report) = samples(&many, "2");
        assert!(of_many >= 1 && of_many < of_few, "{}: {of_few} with 4 threads, {of_many} with 501", python.name());
        assert_eq!(report["coverage"]["threads"], 501, "{}", python.name());
    });
}

/// Clock ticks of processor time that a process has used that has ended and has not been reaped.
fn ticks_of_the_dead(pid: u32) -> u64 {
    loop {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("nobody has reaped it");
        let fields: Vec<&str> = stat.rsplit_once(") ").expect("a name").1.split(' ').collect();
        if fields[0] == "Z" {
            return fields[11].parse::<u64>().expect("a number") + fields[12].parse::<u64>().expect("a number");
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_smaller_budget_is_less_work() {
    let python = all().first().expect("an interpreter");
    let target = Target::start(python, &waiting(200));
    let spent = |budget: &str| {
        let mut command = racetrace();
        command.args(["--pid", &target.pid(), "--rate", "2000", "--duration", "3s", "--quiet", "--budget", budget]);
        let mut looking = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("racetrace runs");
        let ticks = ticks_of_the_dead(looking.id());
        looking.wait().expect("our child");
        ticks
    };
    let (free, bound) = (spent("100"), spent("1"));
    assert!(bound * 2 < free, "{bound} ticks with 1 %, {free} with 100 %");
}

#[test]
fn what_could_not_be_read_is_said() {
    let python = all().first().expect("an interpreter");
    let (_, report) = samples(&Target::start(python, &waiting(1)), "10");
    let text = report["coverage"]["not_watched"].to_string();
    for part in ["looks gave nothing", "sightings were discarded", "stacks could not be read"] {
        assert!(text.contains(part), "{text}");
    }
}

const MANY_TASKS: &str = "
import asyncio

async def waits(gate):
    await gate.wait()

async def main():
    gate = asyncio.Event()
    tasks = [asyncio.create_task(waits(gate)) for _ in range(5000)]
    await asyncio.sleep(0)
    print('ready', flush=True)
    await gate.wait()

asyncio.run(main())
";

#[test]
fn thousands_of_tasks_have_their_turns() {
    let python = all().last().expect("an interpreter");
    let (_, report) = samples(&Target::start(python, MANY_TASKS), "100");
    assert!(report["coverage"]["not_watched"].to_string().contains("they were looked at in turns"), "{report:#}");
}

//! Loops that wait for what others store, on every interpreter on this machine that can be traced: the lines with `# polled`
//! hold what decides that such a loop is left, those with `# perhaps` may, depending on the version, and no others do.
//! What `time` gives is nobody's to store.

mod interpreters;

use racetrace_probes::lines::Lines;
use racetrace_probes::plan::plan;

const SOURCE: &str = include_str!("polls.py");

#[test]
fn what_loops_wait_for() {
    let marked = |mark: &str| -> Vec<u32> {
        (1..).zip(SOURCE.lines()).filter(|(_, line)| line.ends_with(mark)).map(|(at, _)| at).collect()
    };
    let (expected, allowed) = (marked("# polled"), marked("# perhaps"));
    let mut wrong = Vec::new();
    for interpreter in interpreters::all().iter().filter(|interpreter| interpreter.version.minor >= 11) {
        let mut found: Vec<u32> = Vec::new();
        for dumped in interpreters::compile(interpreter, SOURCE) {
            let lines = Lines::new(&dumped.code, interpreter.version);
            let plan = plan(&dumped.code, interpreter.version).expect("a plan");
            let polled = plan.polls.iter().filter(|poll| {
                let watched = plan.watches.iter().filter(|watch| watch.offset == poll.read);
                let called = watched.clone().next().is_none();
                called || watched.into_iter().any(|watch| !watch.path.starts_with("time"))
            });
            found.extend(polled.filter_map(|poll| lines.line(poll.read)));
        }
        found.sort_unstable();
        found.dedup();
        found.retain(|line| !allowed.contains(line));
        if found != expected {
            wrong.push(format!("3.{}: {found:?}", interpreter.version.minor));
        }
    }
    assert!(wrong.is_empty(), "expected {expected:?}\n{}", wrong.join("\n"));
}

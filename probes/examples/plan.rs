//! Prints the plan of every function in Python files: `cargo run -p racetrace-probes --example plan -- python3.13 FILE…`
//! (`-v`: its watches too; `-t`: how long it takes instead).
//! For people who work on the plans; the output is for no program.

#[path = "../tests/interpreters/mod.rs"]
mod interpreters;

use racetrace_probes::lines::Lines;
use racetrace_probes::plan::plan;
use racetrace_probes::version::Version;

fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let python = arguments.remove(0);
    let version = interpreters::ask_version(std::path::Path::new(&python)).expect("a CPython");
    let verbose = arguments.iter().any(|argument| argument == "-v");
    let timed = arguments.iter().any(|argument| argument == "-t");
    arguments.retain(|argument| argument != "-v" && argument != "-t");
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let all = interpreters::dump(&interpreters::Interpreter { path: python.into(), version }, &arguments);
    if timed {
        return time(&all, version);
    }
    for dumped in all {
        print(&dumped.code, version, verbose);
    }
}

/// Five rounds; the fastest counts.
fn time(all: &[interpreters::Dumped], version: Version) {
    let mut best = std::time::Duration::MAX;
    let mut slowest = Vec::new();
    for _ in 0..5 {
        let begun = std::time::Instant::now();
        slowest.clear();
        for dumped in all {
            let begun = std::time::Instant::now();
            let _plan = plan(&dumped.code, version);
            slowest.push((begun.elapsed(), dumped.code.bytecode.len(), dumped.code.qualname.as_str()));
        }
        best = best.min(begun.elapsed());
    }
    slowest.sort();
    if all.is_empty() {
        return;
    }
    let bytes: usize = all.iter().map(|dumped| dumped.code.bytecode.len()).sum();
    println!("{} code objects of {} bytes on average: {:?} each", all.len(), bytes / all.len(), best / all.len() as u32);
    slowest.iter().rev().take(8).for_each(|slow| println!("  {slow:?}"));
}

fn print(code: &racetrace_probes::code::Code, version: Version, verbose: bool) {
    let lines = Lines::new(code, version);
    let line = |offset: u32| lines.line(offset).unwrap_or(0);
    let file = code.filename.rsplit('/').next().unwrap_or_default();
    let plan = match plan(code, version) {
        Ok(plan) => plan,
        Err(error) => return println!("{file} {}: {error:?}", code.qualname),
    };
    println!("{file} {}{}", code.qualname, if plan.enter.is_some() { " (enter)" } else { "" });
    for window in &plan.windows {
        let reads: Vec<String> = window.reads.iter().map(|read| format!("{}@{read}", line(*read))).collect();
        let switch = window.switch.as_ref().map(|switch| format!("{:?}@{}", switch.why, line(switch.offset)));
        println!(
            "  {:?} {} {} -> {}@{} switch={} suspends={} dominated={}",
            window.kind,
            window.path,
            reads.join(","),
            line(window.write),
            window.write,
            switch.unwrap_or_default(),
            window.suspends,
            window.dominated
        );
    }
    for span in &plan.spans {
        println!("  span {:?} {} {} -> {} {}", span.kind, line(span.read), span.read_path, line(span.write), span.write_path);
    }
    for poll in &plan.polls {
        println!("  poll {}@{} in {:?}", line(poll.read), poll.read, poll.inside);
    }
    if verbose {
        for watch in &plan.watches {
            println!(
                "  watch {}@{} depth {} {} {:?} {:?}",
                line(watch.offset),
                watch.offset,
                watch.depth,
                watch.path,
                watch.operation,
                watch.flows
            );
        }
        for (offset, path) in &plan.paths {
            println!("  path {}@{offset} {path}", line(*offset));
        }
    }
}

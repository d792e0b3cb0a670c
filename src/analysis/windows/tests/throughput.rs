//! How fast records are judged, and that memory stays with the live. Run it in release:
//! `cargo test --release -p racetrace --lib throughput -- --ignored --nocapture`.

use crate::analysis::litmus::*;
use crate::event::*;

/// Judges the records `times` over, and says how many that were in a second of the processor's time.
fn per_second(name: &str, records: &[Record], times: usize, t: &mut Litmus) {
    let begun = processor_time();
    for _ in 0..times {
        for record in records {
            t.analysis.record(record);
        }
    }
    let rate = (records.len() * times) as f64 / (processor_time() - begun);
    println!("{name}: {:.1} million events/s, {} findings", rate / 1e6, t.findings().len());
}

fn processor_time() -> f64 {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID).expect("this thread has a clock");
    time.tv_sec() as f64 + time.tv_nsec() as f64 / 1e9
}

fn record(thread: Tid, event: Event) -> Record {
    Record { time: 0, process: PROCESS, thread, event }
}

fn access(t: &mut Litmus, code: CodeId, offset: u32, action: Action, var: Var) -> Event {
    let stack = t.stack(code, offset);
    let value = if action == Action::Read { Value::Unknown } else { Value::Int(1) };
    Event::Access(Access { stack, frame: FrameId(1), action, object: var.object, key: var.key, value })
}

#[test]
#[ignore = "a measurement, for release builds"]
fn locked_counters_of_four_threads() {
    let mut t = Litmus::new();
    let main = t.main();
    let code = t.code("Counter.add", rmw("self.n"));
    let lock = t.lock();
    let threads: Vec<Who> = (0..4).map(|_| t.start(main, "T")).collect();
    let vars: Vec<Var> = (0..1000).map(|_| t.attribute("Counter", "n")).collect();
    let mut records = Vec::new();
    for turn in 0..10_000_usize {
        let who = threads[turn / 100 % 4];
        let var = vars[turn % vars.len()];
        let stack = StackId(0);
        records.push(record(who.tid, Event::LockAcquired { lock, stack, patience: Patience::Forever }));
        records.push(record(who.tid, access(&mut t, code, READ, Action::Read, var)));
        records.push(record(who.tid, access(&mut t, code, WRITE, Action::Write, var)));
        records.push(record(who.tid, Event::LockReleased { lock, stack }));
    }
    per_second("locked counters", &records, 100, &mut t);
}

#[test]
#[ignore = "a measurement, for release builds"]
fn a_racy_counter_of_four_threads() {
    let mut t = Litmus::new();
    let main = t.main();
    let code = t.code("work", rmw("n"));
    let threads: Vec<Who> = (0..4).map(|_| t.start(main, "T")).collect();
    let var = t.global("n");
    let mut records = Vec::new();
    for turn in 0..10_000_usize {
        let who = threads[turn % 4];
        records.push(record(who.tid, access(&mut t, code, READ, Action::Read, var)));
        records.push(record(who.tid, access(&mut t, code, WRITE, Action::Write, var)));
    }
    per_second("racy counter", &records, 100, &mut t);
}

#[test]
#[ignore = "a measurement, for release builds"]
fn objects_of_one_thread_that_come_and_go() {
    let mut t = Litmus::new();
    let main = t.main();
    let code = t.code("Order.add", rmw("self.qty"));
    let type_name = t.text("Order");
    let key = t.attribute("Order", "qty").key;
    let mut records = Vec::new();
    for turn in 0..5_000_u64 {
        let id = ObjectId(1 << 40 | turn);
        records.push(record(main.tid, Event::Object { id, shape: Shape::Instance, type_name, label: None }));
        for _ in 0..3 {
            records.push(record(main.tid, access(&mut t, code, READ, Action::Read, Var { object: id, key })));
            records.push(record(main.tid, access(&mut t, code, WRITE, Action::Write, Var { object: id, key })));
        }
        records.push(record(main.tid, Event::ObjectEnd { id }));
    }
    per_second("objects that come and go", &records, 50, &mut t);
}

#[test]
#[ignore = "a measurement, for release builds"]
fn a_hundred_thousand_tasks_alive_at_once() {
    let mut t = Litmus::new();
    let main = t.main();
    let code = t.code("work", awaiting_rmw("n"));
    let name = t.text("Task");
    let var = t.global("n");
    let mut records = Vec::new();
    let tasks: Vec<(TaskId, ChannelId)> = (0..100_000).map(|n| (TaskId(1 << 30 | n), ChannelId(1 << 30 | n))).collect();
    for (task, future) in &tasks {
        records.push(record(main.tid, Event::TaskNew { task: *task, future: *future, name, stack: StackId(0) }));
    }
    let switch = |task| record(main.tid, Event::TaskSwitch { task });
    for (task, _) in &tasks {
        records.push(switch(Some(*task)));
        records.push(record(main.tid, access(&mut t, code, READ, Action::Read, var)));
        records.push(record(main.tid, Event::Suspend { stack: StackId(0) }));
        records.push(switch(None));
    }
    for (task, future) in &tasks {
        records.push(switch(Some(*task)));
        records.push(record(main.tid, access(&mut t, code, WRITE, Action::Write, var)));
        records.push(record(main.tid, Event::TaskEnd { task: *task }));
        records.push(record(main.tid, Event::Observe { channel: *future }));
    }
    per_second("100000 tasks", &records, 1, &mut t);
}

//! What a finding says.

use crate::analysis::litmus::*;

fn lost_update() -> crate::finding::Finding {
    let mut t = Litmus::new();
    let main = t.main();
    let x = t.attribute("Meter", "pulses");
    let code = t.code("Meter.tick", rmw("self.pulses"));
    t.write(main, code, x, 41);
    let (a, b) = (t.start(main, "A"), t.start(main, "B"));
    t.read(a, code, x);
    t.both(b, code, x, 57);
    t.write(a, code, x, 42);
    t.findings().remove(0)
}

#[test]
fn values_roles_and_strands_are_shown() {
    let finding = lost_update();
    assert_eq!(finding.observed.as_deref(), Some("read 41, wrote 42 over 57"));
    let roles: Vec<&str> = finding.accesses.iter().map(|access| access.role.as_str()).collect();
    assert_eq!(roles, ["read", "write", "conflict"]);
    assert_eq!(finding.accesses[0].strand.name, "A");
    assert_eq!(finding.accesses[2].strand.name, "B");
    assert_eq!(finding.accesses[1].what.as_deref(), Some("stores 42"));
    assert_eq!(finding.subject.kind, "attribute");
    let order: Vec<Option<usize>> = finding.timeline.iter().map(|step| step.access).collect();
    assert_eq!(order, [Some(0), Some(2), Some(1)]);
}

#[test]
fn the_fingerprint_is_the_same_in_every_run() {
    assert_eq!(lost_update().fingerprint, lost_update().fingerprint);
}

#[test]
fn occurrences_are_counted() {
    let mut t = Litmus::new();
    let main = t.main();
    let x = t.global("x");
    let code = t.code("work", rmw("x"));
    let (a, b) = (t.start(main, "A"), t.start(main, "B"));
    for _ in 0..5 {
        t.read(a, code, x);
        t.both(b, code, x, 1);
        t.write(a, code, x, 2);
    }
    let findings = t.findings();
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].count, 5);
}

#[test]
fn a_timeline_shows_the_locks_that_both_sides_held() {
    let mut t = Litmus::new();
    let main = t.main();
    let x = t.global("x");
    let code = t.code("work", rmw("x"));
    let lock = t.lock_of(crate::event::LockKind::Lock);
    let (a, b) = (t.start(main, "A"), t.start(main, "B"));
    t.acquire(a, lock);
    t.read(a, code, x);
    t.release(a, lock);
    t.acquire(b, lock);
    t.both(b, code, x, 1);
    t.release(b, lock);
    t.acquire(a, lock);
    t.write(a, code, x, 2);
    let finding = t.findings().remove(0);
    let verb = |what: &str| what.split(' ').next().unwrap_or_default().to_owned();
    let steps: Vec<String> = finding.timeline.iter().map(|step| format!("{} {}", step.strand, verb(&step.what))).collect();
    assert_eq!(
        steps,
        ["A acquire", "A read", "A release", "B acquire", "B write", "B release", "A acquire", "A write"],
        "{:?}",
        finding.timeline
    );
}

#[test]
fn a_timeline_shows_where_tasks_gave_way() {
    let mut t = Litmus::new();
    let main = t.main();
    let x = t.global("x");
    let code = t.code("work", awaiting_rmw("x"));
    let (a, b) = (t.task(main, "Task-1"), t.task(main, "Task-2"));
    t.read(a, code, x);
    t.suspend(a);
    t.read(b, code, x);
    t.suspend(b);
    t.write(a, code, x, 1);
    t.write(b, code, x, 1);
    let finding = t.findings().remove(0);
    let own: Vec<&str> = finding.timeline.iter().filter(|step| step.strand == "Task-2").map(|step| step.what.as_str()).collect();
    assert_eq!(own, ["read", "suspend", "resume", "write"], "{:?}", finding.timeline);
}

#[test]
fn strands_with_one_name_get_lanes_of_their_own() {
    let mut t = Litmus::new();
    let main = t.main();
    let x = t.global("x");
    let code = t.code("work", rmw("x"));
    let (a, b) = (t.start(main, "worker"), t.start(main, "worker"));
    t.read(a, code, x);
    t.both(b, code, x, 1);
    t.write(a, code, x, 2);
    let finding = t.findings().remove(0);
    let mut lanes: Vec<&str> = finding.timeline.iter().map(|step| step.strand.as_str()).collect();
    lanes.sort_unstable();
    lanes.dedup();
    assert_eq!(lanes.len(), 2, "{:?}", finding.timeline);
}

#[test]
fn what_was_not_seen_is_told_as_steps_that_can_happen() {
    let mut t = Litmus::new();
    let main = t.main();
    let x = t.global("x");
    let code = t.code("work", rmw("x"));
    let (a, b) = (t.start(main, "A"), t.start(main, "B"));
    t.both(a, code, x, 1);
    t.both(b, code, x, 2);
    let finding = t.findings().remove(0);
    let turns: Vec<usize> = finding.interleaving.iter().map(|turn| turn.access).collect();
    assert_eq!(turns, [0, 2, 1]);
    assert!(finding.timeline.is_empty());
    let strand = |turn: usize| finding.interleaving[turn].strand.as_str();
    assert_eq!((strand(0), strand(1), strand(2)), ("B", "A", "B"));
    assert!(lost_update().interleaving.is_empty());
}

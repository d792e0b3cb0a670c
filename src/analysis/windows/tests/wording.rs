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

//! The instruction tables, and what instructions do to the stack, against the interpreters' own statements.

mod interpreters;

use std::path::Path;
use std::process::Command;

use racetrace_probes::effect::effect;
use racetrace_probes::opcode::{Op, table};

/// Name, argument (or none), and what `dis.stack_effect` says when the instruction does not jump.
const EFFECTS: &str = "
import dis, opcode
skip = {'EXTENDED_ARG', 'CACHE', 'RESERVED', 'ENTER_EXECUTOR', 'TRACE_RECORD', 'INTERPRETER_EXIT', 'EXIT_INIT_CHECK'}
for name, number in dis.opmap.items():
    if number > 255 or name in skip or name.startswith('INSTRUMENTED_'):
        continue
    for arg in (0, 1, 2, 3, 4, 5, 8, 35):
        try:
            effect = dis.stack_effect(number, arg if number >= dis.HAVE_ARGUMENT else None, jump=False)
        except ValueError:
            continue
        print(name, arg, effect)
";

#[test]
fn numbers_names_and_caches_are_the_interpreters() {
    let generator = Path::new(env!("CARGO_MANIFEST_DIR")).join("generate_opcodes.py");
    for interpreter in interpreters::all() {
        let minor = interpreter.version.minor;
        let output = Command::new(&interpreter.path).arg("-I").arg(&generator).arg("--dump").output().expect("it starts");
        let dumped = String::from_utf8(output.stdout).expect("JSON");
        let rows = dumped.split_once("\"rows\": [[").expect("rows").1.trim_end_matches(|end| "]}".contains(end));
        for row in rows.split("], [") {
            let [number, name, caches] = row.split(", ").collect::<Vec<_>>()[..] else { panic!("{row}") };
            let found = table(minor).expect("a table").get(number.parse().expect("a number"));
            let expected = Op::ALL.iter().find(|(_, known)| *known == name.trim_matches('"')).map(|(op, _)| *op);
            assert_eq!(found, expected.map(|op| (op, caches.parse().expect("a number"))), "3.{minor} {row}");
        }
    }
}

#[test]
fn stack_effects_are_the_interpreters() {
    let mut wrong = Vec::new();
    for interpreter in interpreters::all() {
        let minor = interpreter.version.minor;
        let output = Command::new(&interpreter.path).args(["-I", "-c", EFFECTS]).output().expect("it starts");
        let mut compared = 0;
        for line in String::from_utf8(output.stdout).expect("text").lines() {
            let [name, arg, expected] = line.split_whitespace().collect::<Vec<_>>()[..] else { panic!("{line}") };
            let op = Op::ALL.iter().find(|(_, known)| *known == name).expect("a known name").0;
            if moves_values(op) || differs(op, minor) {
                continue;
            }
            let effect = effect(op, arg.parse().expect("a number"), minor);
            let net = i64::from(effect.pushes) - i64::from(effect.pops);
            if net != expected.parse::<i64>().expect("a number") {
                wrong.push(format!("3.{minor} {line}: {effect:?}"));
            }
            compared += 1;
        }
        assert!(compared > 300, "3.{minor}: {compared}");
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Instructions whose effect is in `flow`, since they make no new value.
fn moves_values(op: Op) -> bool {
    matches!(
        op,
        Op::LoadFast
            | Op::LoadFastCheck
            | Op::LoadFastBorrow
            | Op::LoadFastAndClear
            | Op::LoadFastLoadFast
            | Op::LoadFastBorrowLoadFastBorrow
            | Op::StoreFast
            | Op::StoreFastLoadFast
            | Op::StoreFastStoreFast
            | Op::PushNull
            | Op::Copy
            | Op::DupTop
            | Op::DupTopTwo
    )
}

/// Where the compiler reckons otherwise: with the values that an exception would leave, or with the deeper of two ways.
fn differs(op: Op, minor: u8) -> bool {
    match op {
        Op::SetupFinally | Op::SetupAsyncWith | Op::SetupWith => minor <= 10,
        Op::BeginFinally | Op::EndFinally | Op::PopFinally | Op::CallFinally | Op::WithCleanupStart | Op::WithCleanupFinish => {
            true
        }
        // What a generator is first sent; taken off again at once.
        Op::ReturnGenerator => matches!(minor, 11 | 12),
        // The arguments are taken by the latter of the two.
        Op::Precall | Op::Call => minor == 11,
        Op::ReturnValue => minor >= 14,
        // Of two or three values only.
        Op::BuildSlice => true,
        _ => false,
    }
}

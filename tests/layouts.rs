//! The tables of where CPython's fields are, made anew from the headers of the interpreters on this machine. That what is
//! read with them is right is the other tests' concern.

mod harness;

use std::path::Path;
use std::process::Command;

use harness::pythons::{Python, all};
use serde_json::Value;

fn has_headers(python: &Python) -> bool {
    let asked = "import os, sysconfig; print(os.path.join(sysconfig.get_paths()['include'], 'internal', 'pycore_interp.h'))";
    let answer = Command::new(&python.path).args(["-c", asked]).output().expect("it runs").stdout;
    let header = String::from_utf8_lossy(&answer).trim().to_owned();
    // 3.8 has its interpreter state elsewhere.
    Path::new(&header).exists() || Path::new(&header.replace("interp.h", "pystate.h")).exists()
}

#[test]
fn every_table_is_what_the_headers_say() {
    if !Command::new("cc").arg("--version").output().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no C compiler");
        return;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cpython/layout");
    for python in all() {
        if !has_headers(python) {
            eprintln!("{}: no internal headers here", python.name());
            continue;
        }
        let made = Command::new(&python.path).arg(folder.join("generate.py")).arg(&python.path).output().expect("it runs");
        assert!(made.status.success(), "{}: {}", python.name(), String::from_utf8_lossy(&made.stderr));
        let made: Value = serde_json::from_slice(&made.stdout).expect("a table");
        let table = std::fs::read(folder.join(python.name() + ".json")).expect("a table for each version");
        let table: Value = serde_json::from_slice(&table).expect("a table");
        assert_eq!(made, table, "{}", python.name());
    }
}

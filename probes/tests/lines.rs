//! Lines and columns of every code unit, against what the interpreters themselves say of them.

mod interpreters;

use std::path::Path;

use racetrace_probes::lines::Lines;

#[test]
fn lines_are_those_that_the_interpreter_states() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interpreters/dump.py");
    for interpreter in interpreters::all() {
        let mut arguments = vec!["--lines".to_owned(), sources.display().to_string()];
        arguments.extend(library(interpreter, &["argparse", "asyncio.tasks", "threading", "typing"]));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut compared = 0;
        for dumped in interpreters::dump(interpreter, &arguments) {
            let lines = Lines::new(&dumped.code, interpreter.version);
            for expected in &dumped.lines {
                let (offset, expected) = expected.split_once(':').expect("offset:line");
                let position = lines.position(offset.parse().expect("a number"));
                let said = position.map_or("None".to_owned(), |position| position.line.to_string());
                let said = if interpreter.version.minor >= 11 {
                    let end = position.map_or("None".to_owned(), |position| position.end_line.to_string());
                    let columns = position.and_then(|position| position.columns);
                    let columns = columns.map_or("None:None".to_owned(), |(from, to)| format!("{from}:{to}"));
                    format!("{said}:{end}:{columns}")
                } else {
                    said
                };
                assert_eq!(said, expected, "3.{} {} at {offset}", interpreter.version.minor, dumped.code.qualname);
                compared += 1;
            }
        }
        assert!(compared > 1000, "{compared}");
    }
}

fn library(interpreter: &interpreters::Interpreter, modules: &[&str]) -> Vec<String> {
    let script = format!("import {}; print(*(m.__file__ for m in ({},)))", modules.join(", "), modules.join(", "));
    let output = std::process::Command::new(&interpreter.path).args(["-I", "-c", &script]).output().expect("it starts");
    String::from_utf8(output.stdout).expect("UTF-8").split_whitespace().map(str::to_owned).collect()
}

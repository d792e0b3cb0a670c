//! The value stack's depth, over the whole standard library of every interpreter on this machine.

mod interpreters;

use racetrace_probes::flow::{Flow, UNREACHED};

#[test]
fn depth_never_exceeds_what_the_compiler_reserved() {
    let mut wrong = Vec::new();
    for interpreter in interpreters::all() {
        let codes = interpreters::dump(interpreter, &["--stdlib"]);
        let mut deepest_seen = 0;
        for dumped in &codes {
            let code = &dumped.code;
            let place = format!("3.{} {} {}", interpreter.version.minor, code.filename, code.qualname);
            match Flow::new(code, interpreter.version) {
                Err(error) => wrong.push(format!("{place}: {error:?}")),
                Ok(flow) => {
                    let deepest = flow.depth.iter().copied().filter(|depth| *depth != UNREACHED).max().unwrap_or(0);
                    if deepest > code.stacksize {
                        wrong.push(format!("{place}: depth {deepest} of {}", code.stacksize));
                    }
                    deepest_seen += usize::from(deepest == code.stacksize);
                }
            }
        }
        assert!(deepest_seen > codes.len() / 3, "3.{}: {deepest_seen} of {}", interpreter.version.minor, codes.len());
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
}

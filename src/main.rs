//! The `racetrace` program: parse, dispatch, exit code.

fn main() {}

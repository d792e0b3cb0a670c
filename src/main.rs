//! The `racetrace` program: parse, dispatch, exit code.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use racetrace::cli::{Cli, attach};
use racetrace::command::{dispatch, failure};

fn main() -> ExitCode {
    match dispatch::dispatch(&Cli::parse_from(attach::with_command(std::env::args_os()))) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            // Nobody may be listening any more.
            let _ = writeln!(std::io::stderr(), "{failure}");
            ExitCode::from(failure::EXIT_CODE)
        }
    }
}

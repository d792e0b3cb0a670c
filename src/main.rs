//! The `racetrace` program: parse, dispatch, exit code.

use std::process::ExitCode;

use clap::Parser;
use racetrace::cli::{Cli, attach};
use racetrace::command::{dispatch, failure};

fn main() -> ExitCode {
    match dispatch::dispatch(&Cli::parse_from(attach::with_command(std::env::args_os()))) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::from(failure::EXIT_CODE)
        }
    }
}

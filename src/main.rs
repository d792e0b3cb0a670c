//! The `racetrace` program: parse, dispatch, exit code.

use std::process::ExitCode;

use clap::Parser;
use racetrace::cli::Cli;
use racetrace::command::{dispatch, failure};

fn main() -> ExitCode {
    match dispatch::dispatch(&Cli::parse()) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::from(failure::EXIT_CODE)
        }
    }
}

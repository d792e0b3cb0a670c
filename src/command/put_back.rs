//! The guardian of `--switch-interval`: waits until the racetrace that started it has ended, whatever ended it, and puts the
//! target's switch interval back. It looks at nothing else.

use std::io::Write;

use super::failure::Failure;
use super::run::supervise::Signals;
use crate::cli::put_back::PutBackArgs;
use crate::collect::sampler::amplifier::Changes;
use crate::collect::sampler::target::AttachError;
use crate::target::address::RemoteAddr;
use crate::target::process::Process;

/// Returns when it is done.
///
/// # Errors
/// When the process is not there to begin with.
pub fn run(args: &PutBackArgs) -> Result<u8, Failure> {
    // What is meant to end racetrace must not end its guardian.
    let _signals = Signals::hold()?;
    let process = Process::open(args.pid).map_err(AttachError::Process)?;
    let intervals = args.words.iter().map(|word| (RemoteAddr(word.at), word.before)).collect();
    let changes = Changes { process, intervals, wanted: args.wanted };
    let said = std::io::stdout().write_all(b"!").and_then(|()| std::io::stdout().flush());
    said.map_err(|error| Failure::new(format!("cannot say that it is ready: {error}")))?;
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    changes.put_back();
    Ok(0)
}

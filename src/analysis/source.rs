//! Questions about code that only some detectors ask, answered from the bytecode when they are asked: what is called at an
//! instruction, and whether an `except` clause copes with what it may raise. It knows no events.

use racetrace_probes::access::called_name;
use racetrace_probes::call::Call;
use racetrace_probes::code::Code;
use racetrace_probes::flow::Flow;
use racetrace_probes::ident::Idents;
use racetrace_probes::rescue;
use racetrace_probes::version::Version;

/// A call as the source has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called {
    /// The bare name of the function or method.
    pub name: String,
    pub positional: u32,
}

pub fn called(code: &Code, version: Version, offset: u32) -> Option<Called> {
    let flow = Flow::new(code, version).ok()?;
    let index = index_at(&flow, offset)?;
    let call = Call::at(&flow, code, index)?;
    let idents = Idents::new(code, &flow);
    Some(Called { name: called_name(code, &idents, &call)?.to_owned(), positional: call.positional() })
}

/// Names of exceptions that say that a path is not as it was thought to be.
const ABOUT_PATHS: &[&str] = &[
    "OSError",
    "IOError",
    "EnvironmentError",
    "FileNotFoundError",
    "FileExistsError",
    "PermissionError",
    "NotADirectoryError",
    "IsADirectoryError",
    "Exception",
    "BaseException",
];

/// Does an `except` clause of its own cope with what the use at one offset finds, whatever the check at another said?
pub fn copes(code: &Code, version: Version, check: u32, used: u32) -> bool {
    let Ok(flow) = Flow::new(code, version) else { return false };
    let (Some(check), Some(used)) = (index_at(&flow, check), index_at(&flow, used)) else { return false };
    rescue::copes(code, &flow, check, used, ABOUT_PATHS)
}

fn index_at(flow: &Flow, offset: u32) -> Option<usize> {
    flow.list().binary_search_by_key(&offset, |instruction| instruction.offset).ok()
}

//! Arguments of `racetrace explain`.

use crate::finding::Kind;
use clap::Args;

#[derive(Debug, Clone, Args)]
pub struct ExplainArgs {
    /// Kind of finding, such as read-modify-write; without it all kinds are listed
    pub kind: Option<Kind>,
}

//! Arguments of `racetrace doctor`.

/// Check whether a process can be looked into, and what would be missed
#[derive(Debug, Clone, clap::Args)]
pub struct DoctorArgs {
    /// Process to check; without it, only this machine's settings are checked
    pub pid: Option<u32>,

    /// Also print where every thread is now
    #[arg(long)]
    pub stacks: bool,
}

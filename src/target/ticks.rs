//! The two clocks of a record: the monotonic clock and the processor's time-stamp counter. It converts nothing; see the
//! session's clock for that.

/// Both clocks, read at (nearly) the same moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    pub ns: u64,
    pub ticks: u64,
}

/// Reads both clocks.
pub fn read() -> Reading {
    let before = ticks();
    let ns = monotonic_ns();
    let after = ticks();
    Reading { ns, ticks: before + after.saturating_sub(before) / 2 }
}

/// CLOCK_MONOTONIC, in nanoseconds.
pub fn monotonic_ns() -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).map(std::time::Duration::from);
    now.map_or(0, |now| u64::try_from(now.as_nanos()).unwrap_or(u64::MAX))
}

/// The counter that the agent stamps its records with.
#[cfg(target_arch = "x86_64")]
pub fn ticks() -> u64 {
    // SAFETY: the instruction exists on every x86-64 processor and touches no memory.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// The counter that the agent stamps its records with.
#[cfg(not(target_arch = "x86_64"))]
pub fn ticks() -> u64 {
    monotonic_ns()
}

//! What one look into a running process shows. Filled by the sampler, read by the analysis of sampled sessions.

/// The state of all threads at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sample {}

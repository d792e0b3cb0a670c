//! What one look into a running process shows. Filled by the sampler, read by the analysis of sampled sessions.

use serde::{Deserialize, Serialize};

/// The state of all threads at one moment.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Sample {}

//! racetrace's own failure: what went wrong in one sentence, and what to try. A race that was found is not a failure, and
//! neither is a target that exits.

use std::fmt;

use super::deliver::DeliverError;

/// Exit code of every failure of racetrace itself.
pub const EXIT_CODE: u8 = 2;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Lower case, no full stop: what was being done, to what, and why it did not work.
    pub message: String,
    /// The command or change to try.
    pub advice: Option<String>,
}

impl Failure {
    pub fn new(message: impl Into<String>) -> Self {
        Failure { message: message.into(), advice: None }
    }

    #[must_use]
    pub fn advise(self, advice: impl Into<String>) -> Self {
        Failure { advice: Some(advice.into()), ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "racetrace: {}", self.message)?;
        self.advice.iter().try_for_each(|advice| write!(f, "\n  try: {advice}"))
    }
}

impl std::error::Error for Failure {}

impl From<DeliverError> for Failure {
    fn from(error: DeliverError) -> Self {
        Failure::new(error.to_string()).advise(error.advice())
    }
}

impl From<crate::collect::sampler::target::AttachError> for Failure {
    fn from(error: crate::collect::sampler::target::AttachError) -> Self {
        Failure::new(error.to_string()).advise(error.advice())
    }
}

impl From<crate::collect::sampler::amplifier::AmplifierError> for Failure {
    fn from(error: crate::collect::sampler::amplifier::AmplifierError) -> Self {
        Failure::new(error.to_string()).advise("leave --switch-interval out")
    }
}

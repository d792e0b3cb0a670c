//! Names of the enumerations of a finding, as users type and read them. What the kinds mean is in the catalogue.

use super::{Basis, Evidence, Kind, Severity};
use std::fmt;
use std::str::FromStr;

impl Kind {
    /// In the order of the catalogue.
    pub const ALL: [Kind; 11] = [
        Kind::ReadModifyWrite,
        Kind::CheckThenAct,
        Kind::MutationDuringIteration,
        Kind::InterleavedWrite,
        Kind::FileCheckThenUse,
        Kind::Deadlock,
        Kind::LockOrderInversion,
        Kind::ThreadLockAcrossAwait,
        Kind::LockHeldAcrossAwait,
        Kind::UnawaitedCoroutine,
        Kind::UnorderedAccess,
    ];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::ReadModifyWrite => "read-modify-write",
            Kind::CheckThenAct => "check-then-act",
            Kind::MutationDuringIteration => "mutation-during-iteration",
            Kind::InterleavedWrite => "interleaved-write",
            Kind::FileCheckThenUse => "file-check-then-use",
            Kind::Deadlock => "deadlock",
            Kind::LockOrderInversion => "lock-order-inversion",
            Kind::ThreadLockAcrossAwait => "thread-lock-across-await",
            Kind::LockHeldAcrossAwait => "lock-held-across-await",
            Kind::UnawaitedCoroutine => "unawaited-coroutine",
            Kind::UnorderedAccess => "unordered-access",
        }
    }
}

impl Severity {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

impl Evidence {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Evidence::Latent => "latent",
            Evidence::Possible => "possible",
            Evidence::Observed => "observed",
        }
    }
}

impl Basis {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Basis::Traced => "traced",
            Basis::Sampled => "sampled",
        }
    }
}

/// A word that is none of the names it should be one of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownName {
    pub what: &'static str,
    pub given: String,
    pub known: Vec<&'static str>,
}

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown {} '{}', expected one of {}", self.what, self.given.escape_debug(), self.known.join(", "))
    }
}

impl std::error::Error for UnknownName {}

impl FromStr for Kind {
    type Err = UnknownName;

    fn from_str(given: &str) -> Result<Kind, UnknownName> {
        Kind::ALL.into_iter().find(|kind| kind.name() == given).ok_or_else(|| UnknownName {
            what: "kind",
            given: given.to_owned(),
            known: Kind::ALL.map(Kind::name).to_vec(),
        })
    }
}

impl FromStr for Severity {
    type Err = UnknownName;

    fn from_str(given: &str) -> Result<Severity, UnknownName> {
        let all = [Severity::Error, Severity::Warning, Severity::Note];
        all.into_iter().find(|severity| severity.name() == given).ok_or_else(|| UnknownName {
            what: "severity",
            given: given.to_owned(),
            known: all.map(Severity::name).to_vec(),
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_json_report() {
        for kind in Kind::ALL {
            assert_eq!(serde_json::to_string(&kind).ok(), Some(format!("\"{kind}\"")));
            assert_eq!(kind.name().parse(), Ok(kind));
        }
        for severity in [Severity::Note, Severity::Warning, Severity::Error] {
            assert_eq!(serde_json::to_string(&severity).ok(), Some(format!("\"{severity}\"")));
            assert_eq!(severity.name().parse(), Ok(severity));
        }
        for evidence in [Evidence::Latent, Evidence::Possible, Evidence::Observed] {
            assert_eq!(serde_json::to_string(&evidence).ok(), Some(format!("\"{evidence}\"")));
        }
    }

    #[test]
    fn an_unknown_kind_lists_the_known_ones() {
        let error = "race".parse::<Kind>().expect_err("not a kind").to_string();
        assert!(error.contains("'race'") && error.contains("read-modify-write"), "{error}");
    }
}

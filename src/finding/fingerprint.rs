//! The fingerprint: the name by which a finding is known again in another run, by baselines, `diff` and code scanning.
//!
//! It is made of what stays when lines shift, directories are renamed or the program is started again: the kind, the
//! subject's name, and the unordered set of sites by file base name, function and position among the function's
//! accesses. It holds no line number, address, process id or thread name. It does not follow a renamed function.

use super::Kind;
use sha2::{Digest, Sha256};

/// One end of a finding, for the fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Site<'a> {
    /// Any path; only its last component counts.
    pub file: &'a str,
    /// Qualified name of the function.
    pub function: &'a str,
    /// Which of the function's accesses of this subject (0 for the first in the bytecode; 0 where unknown). Keeps two
    /// windows of one function apart, and does not move with comments and blank lines.
    pub ordinal: u32,
}

/// The same finding gets the same fingerprint in every run: 24 hexadecimal digits.
#[must_use]
pub fn fingerprint(kind: Kind, subject: &str, sites: &[Site<'_>]) -> String {
    let mut sites: Vec<(&str, &str, u32)> =
        sites.iter().map(|site| (base_name(site.file), site.function, site.ordinal)).collect();
    sites.sort_unstable();
    sites.dedup();
    let mut hash = Sha256::new();
    for part in [kind.name(), subject] {
        hash.update(part);
        hash.update([0]);
    }
    for (file, function, ordinal) in sites {
        hash.update(file);
        hash.update([0]);
        hash.update(function);
        hash.update([0]);
        hash.update(ordinal.to_le_bytes());
    }
    hash.finalize().iter().take(12).map(|byte| format!("{byte:02x}")).collect()
}

fn base_name(file: &str) -> &str {
    file.rsplit(['/', '\\']).next().unwrap_or(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: Site<'_> = Site { file: "/srv/shop/cart.py", function: "Cart.add", ordinal: 0 };
    const WRITE: Site<'_> = Site { file: "/srv/shop/audit.py", function: "reset", ordinal: 1 };

    #[test]
    fn order_of_sites_and_directories_do_not_matter() {
        let moved = Site { file: "C:\\checkout\\cart.py", ..READ };
        let one = fingerprint(Kind::ReadModifyWrite, "Cart.total", &[READ, WRITE]);
        assert_eq!(one, fingerprint(Kind::ReadModifyWrite, "Cart.total", &[WRITE, moved]));
        assert_eq!(one.len(), 24);
    }

    #[test]
    fn kind_subject_function_and_ordinal_matter() {
        let one = fingerprint(Kind::ReadModifyWrite, "Cart.total", &[READ, WRITE]);
        let others = [
            fingerprint(Kind::CheckThenAct, "Cart.total", &[READ, WRITE]),
            fingerprint(Kind::ReadModifyWrite, "Cart.tax", &[READ, WRITE]),
            fingerprint(Kind::ReadModifyWrite, "Cart.total", &[READ, Site { function: "clear", ..WRITE }]),
            fingerprint(Kind::ReadModifyWrite, "Cart.total", &[READ, Site { ordinal: 2, ..WRITE }]),
        ];
        for other in others {
            assert_ne!(one, other);
        }
    }
}

//! Keeping a trace to a limit: which blocks go, and the file without them. The oldest detail goes first, then the oldest
//! beginnings and ends; names, findings and source lines stay.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::v1::block::{self, Kind};

/// Where a block stands in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placed {
    pub kind: Kind,
    pub segment: u32,
    pub records: u64,
    pub offset: u64,
    pub bytes: u64,
}

/// What becomes of the blocks of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub kept: Vec<Placed>,
    /// Stands before the kept block with this index: the records of all blocks that were left out.
    pub dropped: Option<(usize, u64)>,
}

/// Leaves out what it takes for the rest to have `target` bytes.
pub(super) fn plan(blocks: &[Placed], target: u64) -> Plan {
    let mut keep = vec![true; blocks.len()];
    let mut size: u64 = blocks.iter().map(|block| block.bytes).sum();
    let last_report = blocks.iter().rposition(|block| block.kind == Kind::Report);
    for (at, block) in blocks.iter().enumerate() {
        if block.kind == Kind::Report && Some(at) != last_report {
            leave_out(&mut keep, &mut size, at, block);
        }
    }
    for kind in [Kind::Detail, Kind::Lives] {
        for (at, block) in blocks.iter().enumerate().filter(|(_, block)| block.kind == kind) {
            if size > target {
                leave_out(&mut keep, &mut size, at, block);
            }
        }
    }
    let is_record = |block: &Placed| matches!(block.kind, Kind::Names | Kind::Lives | Kind::Detail | Kind::Dropped);
    let newest = (0..blocks.len()).rev().find(|at| !keep[*at] && is_record(&blocks[*at]));
    let mut records: u64 = 0;
    let mut kept = Vec::new();
    let mut place = 0;
    for (at, block) in blocks.iter().enumerate() {
        let folded = block.kind == Kind::Dropped && newest.is_some_and(|newest| at < newest);
        if keep[at] && !folded {
            kept.push(*block);
        } else if is_record(block) {
            records = records.saturating_add(block.records);
        }
        if Some(at) == newest {
            place = kept.len();
        }
    }
    Plan { kept, dropped: newest.map(|_| (place, records)) }
}

fn leave_out(keep: &mut [bool], size: &mut u64, at: usize, block: &Placed) {
    if let Some(keep) = keep.get_mut(at) {
        *keep = false;
        *size -= block.bytes;
    }
}

/// Replaces the file at `path` by one with the planned blocks, in one step: a crash leaves either. Answers the new file
/// and its blocks.
pub(super) fn rewrite(path: &Path, old: &mut File, prefix: &[u8], plan: &Plan) -> io::Result<(File, Vec<Placed>)> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut fresh = tempfile::Builder::new().prefix(".racetrace-").tempfile_in(directory)?;
    fresh.as_file().set_permissions(old.metadata()?.permissions())?;
    let mut placed = Vec::with_capacity(plan.kept.len() + 1);
    fresh.write_all(prefix)?;
    let mut offset = prefix.len() as u64;
    let mut bytes = Vec::new();
    for at in 0..=plan.kept.len() {
        if let Some((place, records)) = plan.dropped
            && place == at
        {
            let sealed = block::seal(Kind::Dropped, 0, records, &[]);
            fresh.write_all(&sealed)?;
            placed.push(Placed { kind: Kind::Dropped, segment: 0, records, offset, bytes: sealed.len() as u64 });
            offset += sealed.len() as u64;
        }
        let Some(block) = plan.kept.get(at) else { break };
        bytes.clear();
        old.seek(SeekFrom::Start(block.offset))?;
        Read::by_ref(old).take(block.bytes).read_to_end(&mut bytes)?;
        fresh.write_all(&bytes)?;
        placed.push(Placed { offset, ..*block });
        offset += block.bytes;
    }
    let file = fresh.persist(path).map_err(|error| error.error)?;
    Ok((file, placed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(kind: Kind, records: u64) -> Placed {
        Placed { kind, segment: 0, records, offset: 0, bytes: 100 }
    }

    fn kinds(plan: &Plan) -> Vec<Kind> {
        plan.kept.iter().map(|block| block.kind).collect()
    }

    #[test]
    fn the_oldest_detail_goes_first_and_names_and_findings_stay() {
        use Kind::*;
        let blocks = [Names, Lives, Detail, Report, Lives, Detail, Report, Detail].map(|kind| block(kind, 10));
        let plan = plan(&blocks, 500);
        assert_eq!(kinds(&plan), [Names, Lives, Lives, Report, Detail]);
        assert_eq!(plan.dropped, Some((3, 20)), "after everything that is older than the newest loss");
    }

    #[test]
    fn lives_go_when_detail_is_gone_and_nothing_else_does() {
        use Kind::*;
        let blocks = [Names, Lives, Source, Report, Detail, Names].map(|kind| block(kind, 1));
        assert_eq!(kinds(&plan(&blocks, 0)), [Names, Source, Report, Names]);
    }

    #[test]
    fn earlier_losses_are_counted_once() {
        use Kind::*;
        let blocks = [Names, Dropped, Detail, Detail].map(|kind| block(kind, 7));
        let plan = plan(&blocks, 300);
        assert_eq!(kinds(&plan), [Names, Detail]);
        assert_eq!(plan.dropped, Some((1, 14)));
    }
}

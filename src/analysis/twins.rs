//! Lock order by class of lock: two locks made by one activation of one function belong to one object; an order of them
//! on one object and the opposite order on another object of the same class is an inversion that only waits for both to
//! happen on one object. Locks of unrelated objects are not compared.

use rustc_hash::FxHashMap;

use super::clock::Stamp;
use super::definitions::SiteId;
use super::lock::LockId;
use super::lock_graph::Edge;
use super::options::Origin;
use super::strand::StrandId;
use super::world::World;
use crate::event::{CodeId, ProcessId, StackId};

/// Two locks of one object nested by one strand.
#[derive(Debug, Clone)]
pub struct Nesting {
    pub edge: Edge,
    group: u64,
}

/// Where a lock was made, and together with which.
#[derive(Debug, Clone, Copy)]
struct Birth {
    process: ProcessId,
    site: SiteId,
    group: u64,
}

/// The function activation in which a strand made its last lock.
#[derive(Debug, Clone, Copy)]
struct Maker {
    code: CodeId,
    caller: StackId,
    offset: u32,
    group: u64,
}

type Class = (ProcessId, SiteId, SiteId);

#[derive(Debug, Default)]
pub struct Twins {
    births: FxHashMap<LockId, Birth>,
    makers: FxHashMap<StrandId, Maker>,
    nestings: FxHashMap<Class, Vec<Nesting>>,
    groups: u64,
}

/// Nestings that are kept of one pair of classes.
const KEPT: usize = 4;

impl Twins {
    /// A lock was made. Those made by one activation of one function, one after the other, belong together.
    pub fn made(&mut self, world: &World, strand: StrandId, lock: LockId, process: ProcessId, stack: StackId) {
        let Some(definitions) = world.definitions(process) else { return };
        let users = |site: SiteId| definitions.site(site).is_some_and(|site| site.origin != Origin::Standard);
        let Some((_, entry)) = definitions.walk(stack).find(|(_, entry)| users(entry.site)) else { return };
        let Some(site) = definitions.site(entry.site) else { return };
        let goes_on = |maker: &&Maker| maker.code == site.code && maker.caller == entry.parent && maker.offset < site.offset;
        let group = self.makers.get(&strand).filter(goes_on).map(|maker| maker.group).unwrap_or_else(|| {
            self.groups += 1;
            self.groups
        });
        self.makers.insert(strand, Maker { code: site.code, caller: entry.parent, offset: site.offset, group });
        self.births.insert(lock, Birth { process, site: entry.site, group });
    }

    pub fn forget(&mut self, lock: LockId) {
        self.births.remove(&lock);
    }

    pub fn forget_strand(&mut self, strand: StrandId) {
        self.makers.remove(&strand);
    }

    /// Pairs of opposite nestings that this one completes, on two different objects.
    pub fn nested(&mut self, world: &World, edge: &Edge) -> Option<[Nesting; 2]> {
        let (outer, inner) = (*self.births.get(&edge.from)?, *self.births.get(&edge.to)?);
        if outer.group != inner.group || outer.site == inner.site {
            return None;
        }
        let opposite = (inner.process, inner.site, outer.site);
        let found =
            self.nestings.get(&opposite).and_then(|all| all.iter().find(|other| can_meet(world, self, edge, other, outer.group)));
        let pair = found.map(|other| [Nesting { edge: edge.clone(), group: outer.group }, other.clone()]);
        let same = self.nestings.entry((outer.process, outer.site, inner.site)).or_default();
        let known = same.iter_mut().find(|known| known.edge.strand == edge.strand && known.group == outer.group);
        match known {
            Some(known) => known.edge = edge.clone(),
            None => {
                if same.len() >= KEPT {
                    same.remove(0);
                }
                same.push(Nesting { edge: edge.clone(), group: outer.group });
            }
        }
        pair
    }

    /// Two locks that are the same, or that are made at one place.
    fn alike(&self, a: LockId, b: LockId) -> bool {
        a == b
            || matches!((self.births.get(&a), self.births.get(&b)), (Some(a), Some(b)) if a.site == b.site && a.process == b.process)
    }
}

/// Different strands on different objects, at times that no hard order keeps apart, and behind no common gate.
fn can_meet(world: &World, twins: &Twins, edge: &Edge, other: &Nesting, group: u64) -> bool {
    let before = |a: &Stamp, b: &Stamp| a.moment.chain == b.moment.chain || b.knowledge.hard().includes(a.moment);
    other.group != group
        && other.edge.strand != edge.strand
        && (!world.same_loop(other.edge.strand, edge.strand) || other.edge.suspended || edge.suspended)
        && !edge.gates.iter().any(|gate| other.edge.gates.iter().any(|with| twins.alike(*gate, *with)))
        && !before(&other.edge.at, &edge.at)
        && !before(&edge.at, &other.edge.at)
}

//! How a finding that was not seen happening can happen: its accesses in an order that nothing forbids. It is told for the
//! reader only; that nothing forbids it was decided before.

use super::picture;
use super::strand::StrandId;
use super::world::World;
use crate::finding::Turn;

/// One step: which of the finding's accesses, by whom, and in words that name no values.
pub type Step<'a> = (usize, StrandId, &'a str);

pub fn turns(world: &World, steps: &[Step<'_>]) -> Vec<Turn> {
    let mut strands: Vec<StrandId> = Vec::new();
    for (_, strand, _) in steps {
        if !strands.contains(strand) {
            strands.push(*strand);
        }
    }
    let names = picture::names(world, &strands);
    let name = |strand: &StrandId| strands.iter().zip(&names).find(|(known, _)| *known == strand).map(|(_, name)| name.clone());
    let turn = |(access, strand, what): &Step<'_>| Turn {
        access: *access,
        strand: name(strand).unwrap_or_default(),
        what: (*what).to_owned(),
    };
    steps.iter().map(turn).collect()
}

//! The windows of one function: which write depends on which reads of the same subject, by the value it stores or by the
//! branches that lead to it. It knows no other function.

use crate::access::{Access, Space};
use crate::code::Code;
use crate::control::Control;
use crate::depend::{self, Dependence, Source};
use crate::flow::Flow;
use crate::handler::Handlers;
use crate::ident::{Ident, Idents, NOTHING};
use crate::instruction::NOWHERE;
use crate::method::Touch;
use crate::oneself;
use crate::path::Paths;
use crate::plan::{Operation, Place, Window, WindowKind};
use crate::region::Regions;
use crate::rescue;
use crate::switch::Switches;
use crate::version::Version;

mod confirm;
mod fit;
mod outcome;
mod shared;
mod wait;

use fit::{check_fits, modify_fits};

/// Loops of more blocks than this are not followed around.
const MOST_BLOCKS: usize = 256;

/// Of subjects written more often than this in one function, writes in between are not looked at.
const MOST_CLOSERS: usize = 256;

/// What is known about a function before windows are looked for.
pub struct Facts<'a> {
    pub code: &'a Code,
    pub version: Version,
    pub flow: &'a Flow,
    pub control: &'a Control,
    pub idents: &'a Idents,
    pub accesses: &'a [Access],
    /// By access: its container never leaves the function.
    pub own: &'a [bool],
}

/// What there is in one function.
pub struct Found {
    /// By the offset of their write; those that wait come last.
    pub windows: Vec<Window>,
    /// For each access whether it is a part of a window.
    pub taken: Vec<bool>,
    /// Offsets of writes that confirm what a caller has passed.
    pub confirmed: Vec<u32>,
}

#[must_use]
pub fn find(facts: &Facts<'_>, dependence: &mut Dependence<'_>) -> Found {
    let count = facts.accesses.len();
    let mut finder = Finder {
        facts,
        dependence,
        handlers: Handlers::new(facts),
        regions: Regions::new(facts.flow),
        conditions: vec![None; facts.flow.blocks.len()],
        tests: Vec::new(),
        windows: Vec::new(),
        taken: vec![false; count],
    };
    finder.tests = finder.tests_in_loops();
    let mut order: Vec<usize> = (0..count).filter(|access| facts.own.get(*access) != Some(&true)).collect();
    let group = |index: &usize| facts.accesses.get(*index).map(|access| (access.space, access.subject));
    order.sort_by_key(group);
    for group in order.chunk_by(|one, other| group(one) == group(other)) {
        finder.group(group);
    }
    finder.windows.sort_by_key(|window| (window.waits, window.write, window.kind, window.reads.first().copied()));
    let writes = facts.accesses.iter().filter(|access| access.writes() && finder.is_confirmed_for_callers(access));
    let confirmed = writes.map(|access| finder.offset(access.instruction)).collect();
    Found { windows: finder.windows, taken: finder.taken, confirmed }
}

struct Finder<'a, 'b, 'c> {
    facts: &'a Facts<'a>,
    dependence: &'b mut Dependence<'c>,
    handlers: Handlers,
    regions: Regions<'a>,
    /// By block: what the branch at its end depends on, once asked.
    conditions: Vec<Option<Vec<Source>>>,
    /// Blocks that end in a test which loops come back to.
    tests: Vec<u32>,
    windows: Vec<Window>,
    taken: Vec<bool>,
}

impl Finder<'_, '_, '_> {
    /// Accesses to one subject.
    fn group(&mut self, group: &[usize]) {
        let accesses = self.facts.accesses;
        let has_reads = group.iter().any(|index| accesses.get(*index).is_some_and(Access::reads));
        if !has_reads {
            return;
        }
        for index in group {
            let Some(write) = accesses.get(*index).filter(|access| access.writes()) else { continue };
            let counts_on = self.modifies(*index, write);
            self.acts(group, *index, write, counts_on);
            self.waits(group, *index, write);
            self.selects(*index, write);
            self.empties(group, *index, write);
            self.fills(group, *index, write);
        }
    }

    /// Read-modify-write: the stored value depends on reads. Are there any?
    fn modifies(&mut self, index: usize, write: &Access) -> bool {
        let stored = depend::stored(self.facts.flow, write);
        if stored.is_empty() {
            return false;
        }
        let mut reads: Vec<(Ident, usize)> = Vec::new();
        for source in self.dependence.sources(stored) {
            let read = source.access as usize;
            if let Some(access) = self.facts.accesses.get(read).filter(|access| self.same(access, read, write))
                && modify_fits(access, write)
            {
                reads.push((access.key, read));
            }
        }
        self.without_confirmed(&mut reads, write);
        let any = !reads.is_empty();
        self.windows_of(WindowKind::ReadModifyWrite, reads, &[], index, write, false);
        any
    }

    /// Check-then-act: branches that depend on reads lead to the write. What only counts on (`counts_on`) from what it finds
    /// itself, whatever the outcome of a check was, does not act on that check.
    fn acts(&mut self, group: &[usize], index: usize, write: &Access, counts_on: bool) {
        let block = self.facts.flow.block(write.instruction as usize);
        let ancestors = self.facts.control.ancestors(block);
        let mut reads: Vec<(Ident, usize)> = Vec::new();
        for (side, around) in &ancestors {
            let Facts { code, flow, idents, .. } = *self.facts;
            let empty = flow.enters_loop(*side) || self.asserts(*side) || oneself::is_asked(code, flow, idents, side.block);
            if empty || (*around && !self.has_twin(&ancestors, *side)) || (counts_on && self.leads_there_anyway(*side, block)) {
                continue;
            }
            for source in self.condition(side.block) {
                let read = source.access as usize;
                let Some(access) = self.facts.accesses.get(read).filter(|access| self.same(access, read, write)) else {
                    continue;
                };
                if check_fits(access, write, self.facts.idents)
                    && self.counts(access, source, *side, write)
                    && !self.is_shortcut(access, write)
                {
                    reads.push((access.key, read));
                }
            }
        }
        for read in self.handlers.failed_reads(self.facts, &ancestors, block) {
            let access = self.facts.accesses.get(read).filter(|access| self.same(access, read, write));
            if access.is_some_and(|access| access.space == Space::Variable || access.key == write.key) {
                reads.push((access.map_or(NOTHING, |access| access.key), read));
            }
        }
        self.windows_of(WindowKind::CheckThenAct, reads, group, index, write, false);
    }

    /// What is taken out (or put into a queue that may be full) is not there any more, and the code is ready for that.
    pub(super) fn is_shortcut(&self, check: &Access, act: &Access) -> bool {
        let may_fail = act.touch == Touch::Remove || matches!(act.operation, Operation::MethodCall { method: "put_nowait", .. });
        let Facts { code, flow, .. } = *self.facts;
        let (check, used) = (check.instruction as usize, act.instruction as usize);
        may_fail && act.space == Space::Container && rescue::copes(code, flow, check, used, rescue::ABOUT_ABSENCE)
    }

    /// Check-then-act without a branch: which item is removed or overwritten was found out by looking at all of them
    /// (`del d[next(iter(d))]`, `q.remove(min(q))`, `l[l.index(x)] = y`).
    fn selects(&mut self, index: usize, write: &Access) {
        let keys = depend::selected(self.facts.flow, write);
        if keys.is_empty() || write.space == Space::Variable {
            return;
        }
        let mut reads: Vec<(Ident, usize)> = Vec::new();
        for source in self.dependence.sources(keys).into_iter().filter(|source| source.element_of == NOWHERE) {
            let read = source.access as usize;
            let Some(access) = self.facts.accesses.get(read).filter(|access| self.same(access, read, write)) else { continue };
            let looks = match access.operation {
                Operation::FunctionCall { function, .. } => {
                    function != "len" || !matches!(write.touch, Touch::Remove | Touch::Insert)
                }
                Operation::MethodCall { method, .. } => method == "index",
                _ => false,
            };
            if looks && access.instruction != write.instruction && access.owners & write.owners != 0 {
                reads.push((NOTHING, read));
            }
        }
        self.windows_of(WindowKind::CheckThenAct, reads, &[], index, write, false);
    }

    /// Read-modify-write without a value: all elements are read, and then thrown away, with what has come since
    /// (`batch = list(q)`, …, `q.clear()`).
    fn empties(&mut self, group: &[usize], index: usize, write: &Access) {
        if !matches!(write.operation, Operation::MethodCall { method: "clear", .. }) {
            return;
        }
        let takes_all = |read: &Access| read.touch == Touch::Walk && read.key == NOTHING && read.owners & write.owners != 0;
        let accesses = self.facts.accesses;
        let reads = group
            .iter()
            .filter(|read| accesses.get(**read).is_some_and(|access| self.same(access, **read, write) && takes_all(access)))
            .map(|read| (NOTHING, *read))
            .collect();
        self.windows_of(WindowKind::ReadModifyWrite, reads, &[], index, write, false);
    }

    /// Check-then-act whose check the caller has made: `__missing__` stores the item that was not there, and does not look
    /// again.
    fn fills(&mut self, group: &[usize], index: usize, write: &Access) {
        if !matches!(write.operation, Operation::ItemWrite { .. }) || write.key == NOTHING {
            return;
        }
        let looks = |read: &&usize| {
            let access = self.facts.accesses.get(**read);
            access.is_some_and(|access| access.key == write.key && access.touch == Touch::Read)
        };
        let reads: Vec<usize> = group.iter().filter(looks).copied().collect();
        let [read] = reads[..] else { return };
        let asked = self.facts.accesses.get(read).map(|access| &access.operation);
        if matches!(asked, Some(Operation::Contains { key: Place::Local(_), .. })) {
            self.windows_of(WindowKind::CheckThenAct, vec![(write.key, read)], group, index, write, false);
        }
    }

    /// Other writes of the same item or variable, which end what a check said about it. Counting checks go on.
    fn closers(&self, group: &[usize], key: Ident, write: &Access) -> Vec<u32> {
        if group.len() > MOST_CLOSERS || (write.space == Space::Container && key == NOTHING) {
            return Vec::new();
        }
        let writes = group.iter().filter_map(|index| self.facts.accesses.get(*index));
        let same = writes.filter(|access| access.writes() && access.key == key && access.instruction != write.instruction);
        same.map(|access| access.instruction).collect()
    }

    /// One window for each key that is read: a later check of the same key replaces an earlier one.
    fn windows_of(
        &mut self,
        kind: WindowKind,
        mut reads: Vec<(Ident, usize)>,
        group: &[usize],
        index: usize,
        write: &Access,
        waits: bool,
    ) {
        reads.sort_unstable();
        reads.dedup();
        for same in reads.chunk_by(|one, other| one.0 == other.0) {
            let instructions: Vec<u32> = same.iter().filter_map(|(_, read)| self.instruction(*read)).collect();
            let key = same.first().map_or(NOTHING, |(key, _)| *key);
            let closers = self.closers(group, key, write);
            let Some(region) = self.regions.between(&instructions, &closers, write.instruction) else { continue };
            let whole = write.space == Space::Container && key == NOTHING;
            let named = if whole { write.subject } else { write.named };
            let Facts { code, flow, idents, version, .. } = *self.facts;
            let (switch, suspends) = Switches { code, flow, idents, version }.inside(&region, write.instruction);
            for (_, read) in same {
                if self.instruction(*read).is_some_and(|read| region.reads.contains(&read)) {
                    self.take(*read);
                }
            }
            self.take(index);
            let stored = depend::stored(flow, write).first().copied();
            self.windows.push(Window {
                kind,
                reads: region.reads.iter().map(|read| self.offset(*read)).collect(),
                write: self.offset(write.instruction),
                path: Paths { code, flow, idents }.ident(named),
                dominated: region.dominated,
                switch,
                suspends,
                waits,
                shared: stored.map(|value| shared::of(self.facts, value)).unwrap_or_default(),
            });
        }
    }

    pub(super) fn same(&self, read: &Access, index: usize, write: &Access) -> bool {
        read.space == write.space && read.subject == write.subject && self.facts.own.get(index) != Some(&true)
    }

    fn take(&mut self, access: usize) {
        if let Some(taken) = self.taken.get_mut(access) {
            *taken = true;
        }
    }

    fn instruction(&self, access: usize) -> Option<u32> {
        self.facts.accesses.get(access).map(|access| access.instruction)
    }

    fn offset(&self, instruction: u32) -> u32 {
        self.facts.flow.list().get(instruction as usize).map_or(0, |instruction| instruction.offset)
    }

    /// What the branch at the end of a block depends on.
    pub(super) fn condition(&mut self, block: u32) -> Vec<Source> {
        if let Some(Some(known)) = self.conditions.get(block as usize) {
            return known.clone();
        }
        let mut sources = self.dependence.sources(self.facts.flow.condition(block));
        if let Some(last) = self.facts.flow.blocks.get(block as usize).and_then(|block| block.end.checked_sub(1)) {
            // The branch may itself be the read, of its operand's truth.
            sources.extend(self.dependence.reads_at(last as usize).map(|access| Source { access, element_of: NOWHERE }));
        }
        if let Some(entry) = self.conditions.get_mut(block as usize) {
            *entry = Some(sources.clone());
        }
        sources
    }
}

//! A finding's timeline: its accesses in the order of time, with what the same strands did around them to the locks they
//! held and to their event loop. It shows what was recorded, and decides nothing.

use super::describe;
use super::history::{Step, What};
use super::lock::{Held, LockId};
use super::naming;
use super::point::Point;
use super::strand::StrandId;
use super::world::World;
use crate::finding::Moment;

/// One of the finding's accesses, or another step of its story.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// Its place among the finding's accesses.
    pub access: Option<usize>,
    pub what: &'a str,
    pub strand: StrandId,
    pub time: u64,
    pub held: &'a [Held],
}

impl<'a> Scene<'a> {
    pub fn of(point: &'a Point, access: usize, what: &'a str) -> Scene<'a> {
        Scene { access: Some(access), what, strand: point.strand, time: point.time, held: point.held() }
    }
}

/// Locks whose acquisitions one strand's lane shows.
const MOST_LOCKS: usize = 8;

pub fn timeline(world: &World, scenes: &[Scene<'_>]) -> Vec<Moment> {
    let mut strands: Vec<StrandId> = Vec::new();
    for scene in scenes {
        if !strands.contains(&scene.strand) {
            strands.push(scene.strand);
        }
    }
    let names = names(world, &strands);
    let mut steps = Vec::new();
    for (strand, name) in strands.iter().zip(&names) {
        let own: Vec<&Scene<'_>> = scenes.iter().filter(|scene| scene.strand == *strand).collect();
        let step = |time, rank, access, what: String| (time, rank, Moment { time, access, strand: name.clone(), what });
        steps.extend(own.iter().map(|scene| step(scene.time, Rank::Access, scene.access, scene.what.to_owned())));
        steps.extend(around(world, *strand, &own, scenes).into_iter().map(|(time, rank, what)| step(time, rank, None, what)));
    }
    steps.sort_by_key(|(time, rank, _)| (*time, *rank));
    steps.into_iter().map(|(_, _, moment)| moment).collect()
}

/// What comes first of steps with one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Before,
    Access,
    After,
}

/// What a strand did around its scenes: acquired and released the locks that it holds in some of them, and gave way.
fn around(world: &World, strand: StrandId, own: &[&Scene<'_>], all: &[Scene<'_>]) -> Vec<(u64, Rank, String)> {
    let begin = all.iter().map(|scene| scene.time).min().unwrap_or(0);
    let end = all.iter().map(|scene| scene.time).max().unwrap_or(0);
    let mut held: Vec<Held> = Vec::new();
    for hold in own.iter().flat_map(|scene| scene.held) {
        if held.len() < MOST_LOCKS && !held.iter().any(|known| known.acquisition == hold.acquisition) {
            held.push(*hold);
        }
    }
    let told = |lock: LockId, verb: &str| format!("{verb} {}", naming::lock(world, lock));
    let mut steps: Vec<(u64, Rank, String)> =
        held.iter().map(|hold| (hold.since, Rank::Before, told(hold.lock, "acquire"))).collect();
    let history: Vec<Step> = world.history().of(strand, begin, end).collect();
    for step in &history {
        if let What::Released(lock, acquisition) = step.what
            && held.iter().any(|hold| hold.acquisition == acquisition)
        {
            steps.push((step.time, Rank::After, told(lock, "release")));
        }
    }
    for scene in own {
        let resumed = history.iter().rev().find(|step| step.what == What::Resumed && step.time <= scene.time);
        let suspended = history.iter().find(|step| step.what == What::Suspended && step.time >= scene.time);
        steps.extend(resumed.map(|step| (step.time, Rank::Before, "resume".to_owned())));
        steps.extend(suspended.map(|step| (step.time, Rank::After, "suspend".to_owned())));
    }
    // A finding may tell such a step itself.
    steps.retain(|(time, _, what)| !own.iter().any(|scene| scene.time == *time && scene.what == what));
    steps.sort();
    steps.dedup();
    steps
}

/// Strands with one name are told apart by their processes, their threads, or by number.
pub(super) fn names(world: &World, strands: &[StrandId]) -> Vec<String> {
    let reports: Vec<_> = strands.iter().map(|strand| world.strand_report(*strand)).collect();
    let named = reports.iter().zip(strands).enumerate().map(|(index, (report, strand))| {
        let same: Vec<_> = reports.iter().filter(|other| other.name == report.name).collect();
        let threads_differ = same.iter().filter(|other| other.tid == report.tid).count() == 1;
        let processes_differ = same.iter().filter(|other| other.pid == report.pid).count() == 1;
        match same.len() {
            1 => report.name.clone(),
            _ if processes_differ => describe::with_process(world, *strand, report.name.clone()),
            _ if threads_differ => format!("{} (thread {})", report.name, report.tid),
            _ => format!("{} ({})", report.name, index + 1),
        }
    });
    named.collect()
}

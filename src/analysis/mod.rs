//! Events in, findings out. No I/O, no clock, no unsafe; the same events give the same findings.
//!
//! [`World`] holds the state that all detectors need: strands, order, locks, definitions. A [`Detector`] sees each record
//! after the world has taken it in, except for what a record ends or releases (`LockReleased`, `ThreadEnd`, `TaskEnd`,
//! `ObjectEnd`, `ProcessEnd`): that the detectors see first, so that the lock is still held and the object still named.
//!
//! | module | holds |
//! |---|---|
//! | [`world`], [`order`] | the state, and how events change it |
//! | [`clock`], [`strand`], [`lock`], [`lent`], [`process`] | its parts |
//! | [`polls`] | order by what loops wait for |
//! | [`definitions`], [`naming`] | code, stacks, sites, names |
//! | [`findings`] | what was found, once each |
//! | [`windows`] | read-modify-write, check-then-act, plain unordered accesses |
//! | [`deadlock`] ([`wait_graph`]), [`stall`], [`lock_order`] ([`lock_graph`], [`twins`]) | hazards of locks |
//! | [`iteration`] ([`walks`]), [`tasks`] | loops over containers; asyncio |
//! | [`files`] ([`ledger`], [`record`]) | what several strands write to one file |
//! | [`paths`] | paths that are checked and then used |
//! | [`shared`] | values that processes share |
//! | [`point`], [`describe`], [`source`] | what these put into findings |
//! | [`picture`] ([`history`]), [`interleaving`] | their timelines: as it was, or as it can be |
//! | [`options`] | what the user decides |

pub mod clock;
pub mod deadlock;
pub mod definitions;
pub mod describe;
pub mod files;
pub mod findings;
pub mod history;
pub mod interleaving;
pub mod iteration;
pub mod ledger;
mod lent;
#[cfg(test)]
mod litmus;
pub mod lock;
pub mod lock_graph;
pub mod lock_order;
pub mod naming;
pub mod options;
pub mod order;
pub mod paths;
pub mod picture;
pub mod point;
pub mod polls;
pub mod process;
pub mod record;
pub mod sampled;
pub mod shared;
pub mod source;
pub mod stall;
#[cfg(test)]
mod story;
pub mod strand;
pub mod tasks;
pub mod twins;
pub mod wait_graph;
pub mod walks;
pub mod windows;
pub mod world;

pub use findings::Findings;
pub use options::{Options, Origin};
pub use strand::StrandId;
pub use world::World;

use crate::event::{CodeId, Event, ProcessId, Record};
use crate::finding::{Coverage, Finding, Report, Target};

/// Looks at a process, by its pid: can none of its threads go on by itself, whatever happens outside?
pub type StandsStill<'a> = &'a dyn Fn(u32) -> bool;

/// One kind of race, or several that share their state.
pub trait Detector: Send {
    /// Called for each record, in order.
    fn record(&mut self, world: &World, record: &Record, findings: &mut Findings);

    /// Is it called for accesses, which are most of the records?
    fn follows_accesses(&self) -> bool {
        false
    }

    /// What the access just recorded teaches about order. Asked until there is nothing more.
    fn lesson(&mut self) -> Option<polls::Lesson> {
        None
    }

    /// Called when a report is wanted, which may be in the middle: adds what only shows on looking at the whole.
    fn report(&mut self, _world: &World, _findings: &mut Findings) {}

    /// Called now and then while nothing is recorded, with the session's time: adds what only lasting can tell.
    fn tick(&mut self, _world: &World, _now: u64, _stands_still: StandsStill<'_>, _findings: &mut Findings) {}
}

/// The analysis of one session.
pub struct Analysis {
    world: World,
    detectors: Vec<Box<dyn Detector>>,
    /// Places of those that follow accesses.
    followers: Vec<usize>,
    findings: Findings,
}

impl Analysis {
    pub fn new(options: Options) -> Analysis {
        Analysis::with_detectors(options, detectors())
    }

    /// The same with other detectors than the usual ones. For tests.
    pub fn with_detectors(options: Options, detectors: Vec<Box<dyn Detector>>) -> Analysis {
        let followers = (0..).zip(&detectors).filter(|(_, it)| it.follows_accesses()).map(|(at, _)| at).collect();
        Analysis { world: World::new(options), detectors, followers, findings: Findings::default() }
    }

    pub fn world(&self) -> &World {
        &self.world
    }

    /// Takes this plan for a code object that is still to be defined, instead of what its bytecode says. For tests.
    pub fn set_plan(&mut self, process: ProcessId, code: CodeId, plan: racetrace_probes::plan::Plan) {
        if let Some(process) = self.world.process_mut(process) {
            process.definitions.inject_plan(code, plan);
        }
    }

    pub fn record(&mut self, record: &Record) {
        self.world.begin(record);
        self.findings.in_process(record.process);
        if record.event.is_evidence() && self.world.is_unsettled() {
            return;
        }
        if let Event::Test { name } = &record.event {
            self.findings.in_test(name.map(|name| self.world.text(record.process, name)));
        }
        if matches!(record.event, Event::Access(_)) {
            // Nothing ends with an access.
            for at in &self.followers {
                if let Some(detector) = self.detectors.get_mut(*at) {
                    detector.record(&self.world, record, &mut self.findings);
                    while let Some(lesson) = detector.lesson() {
                        self.world.learn(lesson);
                    }
                }
            }
            return;
        }
        for detector in &mut self.detectors {
            detector.record(&self.world, record, &mut self.findings);
        }
        self.world.finish(record);
    }

    /// Says what time it is while no records come: a program that hangs tells nothing more.
    pub fn tick(&mut self, now: u64, stands_still: StandsStill<'_>) {
        for detector in &mut self.detectors {
            detector.tick(&self.world, now, stands_still, &mut self.findings);
        }
    }

    /// Findings that are new or surer since the last call, for showing them while the program runs.
    pub fn fresh(&mut self) -> Vec<Finding> {
        self.findings.fresh()
    }

    /// The report on all that was seen so far.
    #[allow(clippy::needless_update, reason = "the report may say more than the analysis knows")]
    pub fn report(&mut self) -> Report {
        for detector in &mut self.detectors {
            detector.report(&self.world, &mut self.findings);
        }
        Report {
            schema: "racetrace.report/1".to_owned(),
            target: self.target(),
            findings: self.findings.all(),
            coverage: self.coverage(),
            ..Report::default()
        }
    }

    #[allow(clippy::needless_update, reason = "the report may say more than the analysis knows")]
    fn target(&self) -> Target {
        let Some((_, process)) = self.world.processes().next() else { return Target::default() };
        let (major, minor, micro) = process.info.python;
        Target {
            pid: process.info.pid,
            python: format!("{major}.{minor}.{micro}"),
            free_threaded: process.info.free_threaded,
            command: process.info.command.clone(),
            ..Target::default()
        }
    }

    #[allow(clippy::needless_update, reason = "the report may say more than the analysis knows")]
    fn coverage(&self) -> Coverage {
        let counts = self.world.counts();
        Coverage {
            events: counts.events,
            samples: counts.samples,
            dropped: counts.lost,
            threads: counts.threads,
            tasks: counts.tasks,
            // Remarks about what could not be watched come from a process that never introduced itself.
            processes: self.world.processes().filter(|(_, process)| process.info.pid != 0).count() as u64,
            shared_subjects: self.findings.shared_subjects,
            not_watched: counts.not_watched.iter().cloned().collect(),
            hidden: self.findings.hidden().clone(),
            ..Coverage::default()
        }
    }
}

/// The detectors of an ordinary session.
fn detectors() -> Vec<Box<dyn Detector>> {
    vec![
        Box::new(windows::Windows::default()),
        Box::new(deadlock::Deadlock::default()),
        Box::new(lock_order::LockOrder::default()),
        Box::new(iteration::Iteration::default()),
        Box::new(tasks::Tasks::default()),
        Box::new(files::Files::default()),
        Box::new(paths::Paths::default()),
        Box::new(shared::Shared::default()),
        Box::new(sampled::Sampled::default()),
    ]
}

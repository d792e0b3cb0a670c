//! A finding's timeline, ready to be drawn: lanes, steps in order, the window, and locks as bars. How it is drawn is the
//! business of the formats that have pictures.

use super::harmless::harmless;
use super::side::label;
use super::words;
use crate::finding::{AccessReport, Basis, Finding, Kind, LockReport, Moment, Report};
use serde::Serialize;

/// Steps that are drawn; the first ones count.
const MOST_STEPS: usize = 60;

#[derive(Serialize)]
pub struct Timeline {
    pub lanes: Vec<String>,
    pub steps: Vec<Step>,
    /// Their order alone is known where states were sampled.
    pub timed: bool,
    /// Lane, first and last step of what must not be split, and what that is called.
    pub window: Option<(usize, usize, usize, &'static str)>,
    pub bars: Vec<Bar>,
    pub left_out: usize,
}

#[derive(Serialize)]
pub struct Step {
    /// Nanoseconds since the session began.
    #[serde(skip)]
    pub time: u64,
    /// Nanoseconds after the first.
    pub after: u64,
    pub lane: usize,
    pub what: String,
    pub part: Part,
    /// Its place among the finding's accesses.
    #[serde(skip)]
    pub access: Option<usize>,
    /// What handed over from the lane of the step before, if another lane and known.
    pub via: Option<&'static str>,
}

#[derive(Serialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    Window,
    Conflict,
    Lock,
    Loop,
    Other,
}

/// A lock that a lane holds, or waits for.
#[derive(Serialize, PartialEq, Eq)]
pub struct Bar {
    pub lane: usize,
    pub name: String,
    pub from: usize,
    /// `None`: to the end of what is shown.
    pub to: Option<usize>,
    pub waits: bool,
    /// It begins at the very step, rather than somewhere before it.
    pub exact: bool,
}

/// `None`: it has none.
#[must_use]
pub fn of(finding: &Finding, report: &Report) -> Option<Timeline> {
    let mut moments: Vec<&Moment> = finding.timeline.iter().collect();
    moments.sort_by_key(|moment| moment.time);
    let left_out = moments.len().saturating_sub(MOST_STEPS);
    moments.truncate(MOST_STEPS);
    let begin = moments.first()?.time;
    let mut lanes: Vec<&str> = Vec::new();
    for moment in &moments {
        if !lanes.contains(&moment.strand.as_str()) {
            lanes.push(&moment.strand);
        }
    }
    let lane = |moment: &Moment| lanes.iter().position(|lane| *lane == moment.strand).unwrap_or(0);
    let mut steps: Vec<Step> = Vec::new();
    for moment in &moments {
        let access = access_of(finding, moment);
        let what = access.map_or_else(|| told(&moment.what), label);
        let (lane, part) = (lane(moment), part(finding, moment));
        let other = steps.last().map(|step| step.lane).filter(|before| *before != lane);
        let via = other.and_then(|before| via(finding, report, lanes.get(before)?, lanes.get(lane)?));
        let (time, after) = (moment.time, moment.time - begin);
        steps.push(Step { time, after, lane, what, part, access: moment.access, via });
    }
    Some(Timeline {
        window: window(finding, &steps),
        bars: bars(finding, &moments, &lanes),
        lanes: lanes.iter().map(|lane| words::name(lane)).collect(),
        steps,
        timed: finding.basis == Basis::Traced,
        left_out,
    })
}

/// `acquire app.lock` as a part of a sentence.
fn told(what: &str) -> String {
    match what.split_once(' ') {
        Some(("acquire", name)) => format!("acquires {}", words::name(name)),
        Some(("release", name)) => format!("releases {}", words::name(name)),
        Some(("wait", name)) => format!("waits for {}", words::name(name)),
        None if what == "suspend" => "is suspended".to_owned(),
        None if what == "resume" => "goes on".to_owned(),
        _ => words::name(what),
    }
}

fn access_of<'a>(finding: &'a Finding, moment: &Moment) -> Option<&'a AccessReport> {
    moment.access.and_then(|index| finding.accesses.get(index))
}

fn part(finding: &Finding, moment: &Moment) -> Part {
    match (access_of(finding, moment), moment.what.split(' ').next()) {
        (Some(access), _) if access.role == "conflict" => Part::Conflict,
        (_, Some("acquire" | "release" | "wait")) => Part::Lock,
        (_, Some("suspend" | "resume")) => Part::Loop,
        (Some(_), _) => Part::Window,
        (None, _) => Part::Other,
    }
}

/// From the first to the last step of the strand that the stretch belongs to.
fn window(finding: &Finding, steps: &[Step]) -> Option<(usize, usize, usize, &'static str)> {
    let name = match finding.kind {
        Kind::ReadModifyWrite | Kind::CheckThenAct | Kind::FileCheckThenUse => "window",
        Kind::MutationDuringIteration => "loop",
        Kind::InterleavedWrite => "record",
        _ => return None,
    };
    let lane = steps.iter().find(|step| step.part == Part::Window)?.lane;
    let mut inside =
        steps.iter().enumerate().filter(|(_, step)| step.lane == lane && matches!(step.part, Part::Window | Part::Other));
    let (first, _) = inside.next()?;
    let (last, _) = inside.next_back()?;
    Some((lane, first, last, name))
}

/// How the interpreter came from one lane to the other.
fn via(finding: &Finding, report: &Report, from: &str, to: &str) -> Option<&'static str> {
    let strand = |name: &str| {
        let moment = finding.timeline.iter().find(|moment| moment.strand == name && moment.access.is_some())?;
        Some(&access_of(finding, moment)?.strand)
    };
    let (from, to) = (strand(from)?, strand(to)?);
    if from.pid != to.pid {
        return None;
    }
    if from.tid == to.tid && from.kind == "task" && to.kind == "task" {
        return Some("event loop");
    }
    let mut targets = std::iter::once(&report.target).chain(&report.also);
    let target = targets.find(|target| finding.processes.contains(&target.pid)).unwrap_or(&report.target);
    (!target.free_threaded && !target.python.is_empty()).then_some("GIL")
}

/// Locks whose acquiring and releasing are steps; and those that accesses held, from the first such step to the last.
fn bars(finding: &Finding, moments: &[&Moment], lanes: &[&str]) -> Vec<Bar> {
    let mut bars: Vec<Bar> = Vec::new();
    let mut implied: Vec<(Bar, String)> = Vec::new();
    for (at, moment) in moments.iter().enumerate() {
        let lane = lanes.iter().position(|lane| *lane == moment.strand).unwrap_or(0);
        let open =
            |bar: &&mut Bar, name: &str, waits| bar.lane == lane && bar.name == name && bar.waits == waits && bar.to.is_none();
        match moment.what.split_once(' ') {
            Some((verb @ ("acquire" | "wait"), name)) => {
                let (name, waits) = (words::name(name), verb == "wait");
                if let Some(waited) = bars.iter_mut().find(|bar| open(bar, &name, true)) {
                    waited.to = Some(at);
                }
                bars.push(Bar { lane, name, from: at, to: None, waits, exact: true });
            }
            Some(("release", name)) => {
                let name = words::name(name);
                match bars.iter_mut().find(|bar| open(bar, &name, false)) {
                    Some(bar) => bar.to = Some(at),
                    None => bars.push(Bar { lane, name, from: 0, to: Some(at), waits: false, exact: false }),
                }
            }
            _ => {}
        }
        for lock in access_of(finding, moment).into_iter().flat_map(|access| &access.locks) {
            let (name, taken) = (words::name(&lock.name), taken(lock));
            match implied.iter_mut().find(|(bar, when)| bar.lane == lane && bar.name == name && *when == taken) {
                Some((bar, _)) => bar.to = Some(at),
                None => implied.push((Bar { lane, name, from: at, to: Some(at), waits: false, exact: false }, taken)),
            }
        }
    }
    let told: Vec<(usize, String)> = bars.iter().map(|bar| (bar.lane, bar.name.clone())).collect();
    bars.extend(implied.into_iter().map(|(bar, _)| bar).filter(|bar| !told.contains(&(bar.lane, bar.name.clone()))));
    bars
}

/// Tells one holding from the next of the same lock.
fn taken(lock: &LockReport) -> String {
    lock.acquired.as_ref().map_or_else(String::new, |place| format!("{}:{}", harmless(&place.file), place.line))
}

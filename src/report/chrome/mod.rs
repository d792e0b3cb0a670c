//! Trace-event JSON, as Perfetto and `chrome://tracing` open it: a lane for each thread with its tasks, waits and held locks,
//! and each observed finding with its window and what landed inside. Time is the session's; nothing is to be judged here.
//!
//! The format is Google's "Trace Event Format": complete events (`X`) nest on a thread's lane, locks are asynchronous
//! events (`b`, `e`) because they need not nest, findings are instants (`i`) on the lanes and lanes of their own.

mod chart;

pub use chart::Chart;

use super::harmless::harmless;
use super::timeline::{self, Timeline};
use super::{json, words};
use crate::finding::{Finding, Report};
use chart::{Lane, Shape, Span};
use serde::Serialize;
use serde_json::{Value, json};
use std::io::{self, Write};

/// The lanes of findings, before those of the processes, which count from 1.
const FINDINGS: u32 = 0;

/// # Errors
/// Those of `out`.
pub fn write(report: &Report, chart: &Chart, out: &mut dyn Write) -> io::Result<()> {
    let mut events = Vec::new();
    self::lanes(chart, &mut events);
    for (number, span) in chart.spans().iter().enumerate() {
        self::span(number, span, &mut events);
    }
    let mut timed: Vec<(&Finding, Timeline)> = Vec::new();
    let mut untimed: Vec<String> = Vec::new();
    for finding in &report.findings {
        match timeline::of(finding, report).filter(|timeline| timeline.timed) {
            Some(timeline) => timed.push((finding, timeline)),
            None => untimed.push(told(finding)),
        }
    }
    if !timed.is_empty() {
        events.push(named("process_name", FINDINGS, 0, "racetrace: what was observed"));
    }
    let mut lanes = 0;
    for (finding, timeline) in &timed {
        self::finding(finding, timeline, chart, &mut lanes, &mut events);
    }
    let mut missed = words::missed(&report.coverage);
    if chart.left_out() > 0 {
        missed.push(format!("{} left out of this picture", words::plural(chart.left_out(), "span")));
    }
    let document = Document {
        trace_events: events,
        display_time_unit: "ns",
        other_data: json!({
            "tool": "racetrace", "summary": words::tally(report), "watched": words::watched(&report.coverage),
            "missed": missed, "findings without a moment": untimed,
        }),
    };
    json::to_writer(&document, out)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    trace_events: Vec<Event>,
    display_time_unit: &'static str,
    other_data: Value,
}

/// One event; times are in microseconds, as the format has it.
#[derive(Serialize, Default)]
struct Event {
    ph: &'static str,
    name: String,
    cat: &'static str,
    pid: u32,
    tid: u32,
    ts: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    dur: Option<f64>,
    /// Scope of an instant.
    #[serde(skip_serializing_if = "Option::is_none")]
    s: Option<&'static str>,
    /// Ties the two ends of an asynchronous event together.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    args: Option<Value>,
}

fn micros(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1000.0
}

fn named(what: &str, pid: u32, tid: u32, name: &str) -> Event {
    Event { ph: "M", name: what.to_owned(), cat: "__metadata", pid, tid, args: Some(json!({ "name": name })), ..Event::default() }
}

fn lanes(chart: &Chart, events: &mut Vec<Event>) {
    for (process, name) in chart.processes() {
        events.push(named("process_name", process, 0, &words::name(&name)));
    }
    for (lane, name) in chart.lanes() {
        events.push(named("thread_name", lane.process, lane.thread, &words::name(name)));
    }
}

fn span(number: usize, span: &Span, events: &mut Vec<Event>) {
    let Lane { process: pid, thread: tid } = span.lane;
    let event = |ph, time| Event {
        ph,
        name: words::name(&span.name),
        cat: span.shape.category(),
        pid,
        tid,
        ts: micros(time),
        ..Event::default()
    };
    match span.shape {
        Shape::Nested(_) => {
            events.push(Event { dur: Some(micros(span.end.saturating_sub(span.start))), ..event("X", span.start) })
        }
        Shape::Overlapping => {
            let id = Some(format!("lock-{number}"));
            events.push(Event { id: id.clone(), ..event("b", span.start) });
            events.push(Event { id, ..event("e", span.end) });
        }
        Shape::Instant => events.push(Event { s: Some("t"), ..event("i", span.start) }),
    }
}

fn title(finding: &Finding) -> String {
    format!("{}[{}] {}", finding.severity, finding.kind, words::name(&finding.subject.name))
}

fn tests(finding: &Finding) -> String {
    finding.tests.iter().map(|test| words::name(test)).collect::<Vec<_>>().join(", ")
}

/// A finding that has no place in time.
fn told(finding: &Finding) -> String {
    let tests = if finding.tests.is_empty() { String::new() } else { format!(" (in {})", tests(finding)) };
    format!("{}: {}{tests}", title(finding), harmless(&finding.message))
}

/// A lane for each strand of the finding: the window and the locks as bars, the steps as markers; and its accesses on the
/// threads' own lanes.
fn finding(finding: &Finding, timeline: &Timeline, chart: &Chart, lanes: &mut u32, events: &mut Vec<Event>) {
    let title = title(finding);
    let first = *lanes + 1;
    let tid = |lane: usize| first.saturating_add(u32::try_from(lane).unwrap_or(u32::MAX));
    for (lane, name) in timeline.lanes.iter().enumerate() {
        *lanes += 1;
        events.push(named("thread_name", FINDINGS, tid(lane), &format!("{title}: {name}")));
    }
    let event = |ph, name: &str, cat, (pid, tid), time| Event {
        ph,
        name: name.to_owned(),
        cat,
        pid,
        tid,
        ts: micros(time),
        ..Event::default()
    };
    for step in &timeline.steps {
        let marker = |lane, name: &str| Event { s: Some("t"), ..event("i", name, "finding", lane, step.time) };
        let tests = (!finding.tests.is_empty()).then(|| json!({ "tests": tests(finding) }));
        events.push(Event { args: tests, ..marker((FINDINGS, tid(step.lane)), &step.what) });
        let access = step.access.and_then(|access| finding.accesses.get(access));
        if let Some(own) = access.and_then(|access| chart.lane_of(&access.strand, step.time)) {
            events.push(marker((own.process, own.thread), &format!("{title}: {}", step.what)));
        }
    }
    let time = |step: usize| timeline.steps.get(step).or(timeline.steps.last()).map_or(0, |step| step.time);
    for (number, bar) in timeline.bars.iter().enumerate() {
        let id = Some(format!("finding-{first}-{number}"));
        let name = if bar.waits { format!("waits for {}", bar.name) } else { bar.name.clone() };
        let until = bar.to.unwrap_or(timeline.steps.len());
        let end = |ph, at| Event { id: id.clone(), ..event(ph, &name, "lock", (FINDINGS, tid(bar.lane)), at) };
        events.extend([end("b", time(bar.from)), end("e", time(until))]);
    }
    if let Some((lane, begin, end, what)) = timeline.window {
        let name = format!("{what} of {}", words::name(&finding.subject.name));
        events.push(Event {
            dur: Some(micros(time(end).saturating_sub(time(begin)))),
            args: Some(json!({"message": harmless(&finding.message), "help": harmless(&finding.help), "tests": tests(finding)})),
            ..event("X", &name, "window", (FINDINGS, tid(lane)), time(begin))
        });
    }
}

//! Trace-event JSON, as Perfetto and `chrome://tracing` open it: a lane for each thread with its tasks, waits and held locks,
//! and each observed finding with its window and what landed inside. Time is the session's; nothing is to be judged here.
//!
//! The format is Google's "Trace Event Format": complete events (`X`) nest on a thread's lane, locks are asynchronous
//! events (`b`, `e`) because they need not nest, findings are instants (`i`) on the lanes and lanes of their own.

mod chart;

pub use chart::Chart;

use super::harmless::harmless;
use super::side::label;
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
    lanes(chart, &mut events);
    for (number, span) in chart.spans().iter().enumerate() {
        self::span(number, span, &mut events);
    }
    let timed: Vec<&Finding> = report.findings.iter().filter(|finding| !finding.timeline.is_empty()).collect();
    if !timed.is_empty() {
        events.push(named("process_name", FINDINGS, 0, "racetrace: what was observed"));
    }
    let mut lane = 0;
    for finding in timed {
        self::finding(finding, chart, &mut lane, &mut events);
    }
    let untimed = report.findings.iter().filter(|finding| finding.timeline.is_empty());
    let untimed: Vec<String> = untimed.map(|finding| format!("{}: {}", title(finding), harmless(&finding.message))).collect();
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

/// A lane for each strand of the finding, the window as a bar, and its steps; and the accesses on the threads' own lanes.
fn finding(finding: &Finding, chart: &Chart, lane: &mut u32, events: &mut Vec<Event>) {
    let title = title(finding);
    let mut strands: Vec<(&str, u32)> = Vec::new();
    let mut moments: Vec<_> = finding.timeline.iter().collect();
    moments.sort_by_key(|moment| moment.time);
    for moment in &moments {
        let known = strands.iter().find(|(name, _)| *name == moment.strand).map(|(_, tid)| *tid);
        let tid = known.unwrap_or_else(|| {
            *lane += 1;
            events.push(named("thread_name", FINDINGS, *lane, &format!("{title}: {}", words::name(&moment.strand))));
            strands.push((&moment.strand, *lane));
            *lane
        });
        let access = moment.access.and_then(|index| finding.accesses.get(index));
        let what = access.map_or_else(|| words::name(&moment.what), label);
        let step = |pid, tid, name| Event {
            ph: "i",
            name,
            cat: "finding",
            pid,
            tid,
            ts: micros(moment.time),
            s: Some("t"),
            ..Event::default()
        };
        events.push(step(FINDINGS, tid, what.clone()));
        if let Some(own) = access.and_then(|access| chart.lane_of(&access.strand.name, moment.time)) {
            events.push(step(own.process, own.thread, format!("{title}: {what}")));
        }
    }
    let inside = moments.iter().filter(|moment| {
        moment.access.and_then(|index| finding.accesses.get(index)).is_some_and(|access| access.role != "conflict")
    });
    let times: Vec<u64> = inside.map(|moment| moment.time).collect();
    if let (Some(first), Some(last), Some((_, tid))) = (times.first(), times.last(), strands.first())
        && first < last
    {
        events.push(Event {
            ph: "X",
            name: format!("window of {}", words::name(&finding.subject.name)),
            cat: "window",
            pid: FINDINGS,
            tid: *tid,
            ts: micros(*first),
            dur: Some(micros(last - first)),
            args: Some(json!({"message": harmless(&finding.message), "help": harmless(&finding.help)})),
            ..Event::default()
        });
    }
}

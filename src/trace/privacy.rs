//! Leaves the program's values out of a trace (`--no-values`): what was stored, texts that are only values, keys of items,
//! and what findings say of them. Names of variables, functions, files and threads stay: they are what a report is about.

use std::collections::HashMap;

use racetrace_probes::wire::is_name;

use crate::event::sample::{Sample, SubjectValue};
use crate::event::{Event, KeyId, ProcessId, Record, TextId, Value};
use crate::finding::Report;

/// What stands for a key.
const KEPT_BACK: &str = "…";
/// The text that this filter defines for itself, in each process.
const KEPT_BACK_ID: TextId = TextId(u32::MAX);
/// More texts that nobody has named are forgotten: their names will be missing, never shown by mistake.
const MOST_WAITING: usize = 1 << 20;

/// Passes records on without values. Texts wait until something other than a value names them.
#[derive(Debug, Default)]
pub struct WithoutValues {
    waiting: HashMap<(ProcessId, TextId), String>,
    /// Processes in which [`KEPT_BACK_ID`] is defined.
    introduced: Vec<ProcessId>,
}

impl WithoutValues {
    /// Calls `pass` with what may be written of this record, in order.
    pub fn filter<E>(&mut self, record: &Record, mut pass: impl FnMut(&Record) -> Result<(), E>) -> Result<(), E> {
        match &record.event {
            Event::Text { id, text } => {
                if self.waiting.len() < MOST_WAITING {
                    self.waiting.insert((record.process, *id), text.clone());
                }
                Ok(())
            }
            Event::Access(access) => {
                let mut access = *access;
                access.value = Value::Unknown;
                pass(&Record { event: Event::Access(access), ..*record })
            }
            Event::Sample(sample) => {
                for strand in &sample.strands {
                    self.release(record, strand.name, &mut pass)?;
                }
                pass(&Record { event: Event::Sample(Box::new(without_carried(sample))), ..*record })
            }
            Event::Key { id, label } => self.key(record, *id, *label, pass),
            event => {
                for id in names(event).into_iter().flatten() {
                    self.release(record, id, &mut pass)?;
                }
                pass(record)
            }
        }
    }

    /// A key that is a name (an attribute, a variable) stays; one that is data does not.
    fn key<E>(
        &mut self,
        record: &Record,
        id: KeyId,
        label: TextId,
        mut pass: impl FnMut(&Record) -> Result<(), E>,
    ) -> Result<(), E> {
        let data = self.waiting.get(&(record.process, label)).is_some_and(|text| !is_name(text));
        if !data {
            self.release(record, label, &mut pass)?;
            return pass(record);
        }
        if !self.introduced.contains(&record.process) {
            self.introduced.push(record.process);
            pass(&Record { event: Event::Text { id: KEPT_BACK_ID, text: KEPT_BACK.to_owned() }, ..*record })?;
        }
        pass(&Record { event: Event::Key { id, label: KEPT_BACK_ID }, ..*record })
    }

    fn release<E>(&mut self, record: &Record, id: TextId, pass: &mut impl FnMut(&Record) -> Result<(), E>) -> Result<(), E> {
        match self.waiting.remove(&(record.process, id)) {
            Some(text) => pass(&Record { event: Event::Text { id, text }, ..*record }),
            None => Ok(()),
        }
    }
}

/// The sample, saying of carried values only whether they are the subject's.
fn without_carried(sample: &Sample) -> Sample {
    let mut sample = sample.clone();
    for window in sample.strands.iter_mut().flat_map(|strand| &mut strand.windows) {
        window.subject = match window.subject {
            SubjectValue::Unknown => SubjectValue::Unknown,
            SubjectValue::Current(_) => SubjectValue::Current(Value::Unknown),
            SubjectValue::Stale { .. } => SubjectValue::Stale { held: Value::Unknown, now: Value::Unknown },
        };
    }
    sample
}

/// The texts that an event names, other than values.
fn names(event: &Event) -> [Option<TextId>; 2] {
    match event {
        Event::Object { type_name, label, .. } => [Some(*type_name), *label],
        Event::ThreadBegin { name, .. }
        | Event::ThreadName { name }
        | Event::ProcessName { name }
        | Event::TaskNew { name, .. } => [Some(*name), None],
        Event::FileOpen { path, .. }
        | Event::PathCheck { path, .. }
        | Event::PathUse { path, .. }
        | Event::PathFailed { path, .. } => [Some(*path), None],
        Event::CoroutineDropped { name, file, .. } => [Some(*name), Some(*file)],
        Event::NotWatched { what, why } => [Some(*what), Some(*why)],
        Event::Shared { what, .. } => [Some(*what), None],
        Event::Test { name } => [*name, None],
        _ => [None, None],
    }
}

/// The report without values: what was seen happening is told without the numbers.
#[must_use]
pub fn without_values(mut report: Report) -> Report {
    for finding in &mut report.findings {
        finding.observed = None;
        for access in &mut finding.accesses {
            access.what = None;
        }
        let whole = std::mem::take(&mut finding.subject.name);
        finding.subject.name = without_keys(&whole);
        finding.message = without_keys(&finding.message.replace(&whole, &finding.subject.name));
        finding.help = finding.help.replace(&whole, &finding.subject.name);
        let names = finding.accesses.iter_mut().flat_map(|access| &mut access.locks).map(|lock| &mut lock.name);
        let steps = finding.timeline.iter_mut().map(|moment| &mut moment.what);
        let turns = finding.interleaving.iter_mut().map(|turn| &mut turn.what);
        names.chain(steps).chain(turns).for_each(|text| *text = without_keys(text));
    }
    report
}

/// `CACHE['k']` → `CACHE[…]`.
fn without_keys(name: &str) -> String {
    let mut shown = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(open) = rest.find('[') {
        let (before, inside) = rest.split_at(open + 1);
        shown.push_str(before);
        let Some(close) = inside.find(']') else { return shown };
        shown.push_str(KEPT_BACK);
        rest = inside.get(close..).unwrap_or_default();
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Access, Action, FrameId, ObjectId, StackId, Tid};

    fn passed(events: Vec<Event>) -> Vec<Event> {
        let mut filter = WithoutValues::default();
        let mut passed = Vec::new();
        for event in events {
            let record = Record { time: 0, process: ProcessId(0), thread: Tid(1), event };
            let _: Result<(), ()> = filter.filter(&record, |record| {
                passed.push(record.event.clone());
                Ok(())
            });
        }
        passed
    }

    fn text(id: u32, text: &str) -> Event {
        Event::Text { id: TextId(id), text: text.to_owned() }
    }

    #[test]
    fn values_do_not_travel() {
        let access = Access {
            stack: StackId(1),
            frame: FrameId(1),
            action: Action::Write,
            object: ObjectId(1),
            key: KeyId(1),
            value: Value::Text(TextId(1)),
        };
        let events = passed(vec![text(1, "secret"), Event::Access(access)]);
        assert_eq!(events, vec![Event::Access(Access { value: Value::Unknown, ..access })]);
    }

    #[test]
    fn names_travel_and_keys_that_are_data_do_not() {
        let key = |id, label| Event::Key { id: KeyId(id), label: TextId(label) };
        let events = passed(vec![text(1, "balance"), key(1, 1), text(2, "'alice'"), key(2, 2)]);
        let hidden = Event::Key { id: KeyId(2), label: KEPT_BACK_ID };
        assert_eq!(events, vec![text(1, "balance"), key(1, 1), Event::Text { id: KEPT_BACK_ID, text: "…".into() }, hidden]);
    }

    #[test]
    fn keys_in_names_of_subjects_are_kept_back() {
        assert_eq!(without_keys("Cache.items['k']"), "Cache.items[…]");
        assert_eq!(without_keys("a[1][2] and b["), "a[…][…] and b[");
        assert_eq!(without_keys("app.counter"), "app.counter");
    }
}

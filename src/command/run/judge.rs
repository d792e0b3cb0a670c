//! The thread that takes the events as they come: into the trace file and the analysis. It prints nothing but deadlocks,
//! which cannot wait for an end that does not come.

use std::sync::mpsc::Receiver;

use crate::cli::run::RunArgs;
use crate::command::failure::Failure;
use crate::event::{Event, ProcessId, Record, TextId, Tid};
use crate::finding::Report;

/// What travels from the collector.
pub type Message = Vec<Record>;

/// What could not be watched, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    pub what: String,
    pub why: String,
}

impl Remark {
    pub fn new(what: &str, why: &str) -> Self {
        Remark { what: what.to_owned(), why: why.to_owned() }
    }
}

/// The remarks as events of a process of their own, so that a trace holds them too.
pub fn batch_of(remarks: &[Remark], process: ProcessId) -> Message {
    let mut batch = Vec::new();
    let mut next = 1;
    for remark in remarks {
        let (what, why) = (TextId(next), TextId(next + 1));
        next += 2;
        let said = Event::NotWatched { what, why };
        let texts = [(what, &remark.what), (why, &remark.why)].map(|(id, text)| Event::Text { id, text: text.clone() });
        let events = texts.into_iter().chain([said]);
        batch.extend(events.map(|event| Record { time: 0, process, thread: Tid(0), event }));
    }
    batch
}

#[derive(Debug)]
pub struct Judge {
    report: Report,
    dump: Option<std::io::BufWriter<std::fs::File>>,
    texts: std::collections::HashMap<u32, String>,
}

/// What is known at the end.
#[derive(Debug)]
pub struct Judged {
    pub report: Report,
}

impl Judge {
    pub fn new(_args: &RunArgs) -> Result<Judge, Failure> {
        let dump =
            std::env::var_os("RACETRACE_DUMP").and_then(|path| std::fs::File::create(path).ok()).map(std::io::BufWriter::new);
        Ok(Judge { report: Report::default(), dump, texts: Default::default() })
    }

    pub fn run(mut self, batches: &Receiver<Message>) -> Judged {
        for batch in batches {
            for record in batch {
                self.report.coverage.events += 1;
                if let Some(dump) = &mut self.dump {
                    use std::io::Write;
                    let _ = writeln!(dump, "{} {} {} {:?}", record.time, record.process.0, record.thread.0, record.event);
                }
                match &record.event {
                    Event::Text { id, text } => {
                        self.texts.insert(id.0, text.clone());
                    }
                    Event::NotWatched { what, why } => {
                        self.report.coverage.not_watched.push(format!(
                            "{:?}: {:?}",
                            self.texts.get(&what.0),
                            self.texts.get(&why.0)
                        ));
                    }
                    _ => {}
                }
            }
        }
        Judged { report: self.report }
    }
}

//! Phrases that several formats share: places, strands, locks, counts, what was watched and missed. All harmless text.

use super::harmless::{harmless, shortened};
use super::side::Side;
use super::source::SourceMap;
use crate::event::origin;
use crate::finding::policy::Lines;
use crate::finding::{
    AccessReport, Coverage, Evidence, Finding, Frame, LockReport, Place, Report, Severity, StrandReport, Target, Turn,
};

/// Longest name that is shown in full.
const MOST_NAME: usize = 160;

/// Longest sentence of racetrace's own that is shown in full, names from the program included.
const MOST_SENTENCE: usize = 1000;

/// A name, harmless and not endless.
#[must_use]
pub fn name(text: &str) -> String {
    shortened(text, MOST_NAME).into_owned()
}

/// `app.py:12`.
#[must_use]
pub fn place(sources: &SourceMap, file: &str, line: u32) -> String {
    format!("{}:{line}", harmless(&sources.shown(file)))
}

/// `app.py:12 in work`.
#[must_use]
pub fn frame(sources: &SourceMap, frame: &Frame) -> String {
    View::anywhere(sources).frame(frame)
}

/// How places are told: a reader who looks at one file need not be told its name again.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    sources: &'a SourceMap,
    here: &'a str,
}

impl<'a> View<'a> {
    /// Every place with its file.
    #[must_use]
    pub fn anywhere(sources: &'a SourceMap) -> View<'a> {
        View { sources, here: "" }
    }

    /// Beside an excerpt of this side's file.
    #[must_use]
    pub fn beside(sources: &'a SourceMap, side: &Side<'a>) -> View<'a> {
        let frame = side.accesses.first().and_then(|access| access.stack.first());
        View { sources, here: frame.map_or("", |frame| frame.file.as_str()) }
    }

    fn place(&self, file: &str, line: u32) -> String {
        if file == self.here { format!("line {line}") } else { place(self.sources, file, line) }
    }

    #[must_use]
    pub fn frame(&self, frame: &Frame) -> String {
        let place = self.place(&frame.file, frame.line);
        if frame.function.is_empty() { place } else { format!("{place} in {}", name(&frame.function)) }
    }

    /// `thread 'Worker-1', started at app.py:30 in main`, with the process where there are several.
    #[must_use]
    pub fn strand(&self, strand: &StrandReport, with_process: bool) -> String {
        let mut text = format!("{} '{}'", name(&strand.kind), name(&strand.name));
        if let Some(task) = strand.task.as_ref().filter(|task| strand.kind == "task" && **task != strand.name) {
            text = format!("{text} ({})", name(task));
        }
        if with_process && let Some(pid) = strand.pid {
            text = match &strand.process {
                Some(process) => format!("{text} of {} (process {pid})", name(process)),
                None => format!("{text} of process {pid}"),
            };
        }
        // The program's own line says more than the library's that it goes through.
        let own = strand.started.iter().find(|frame| !is_library(&frame.file));
        match own.or(strand.started.first()) {
            Some(started) => format!("{text}, started at {}", self.frame(started)),
            None => text,
        }
    }

    /// Those who called the access's function, without the library's machinery.
    #[must_use]
    pub fn callers(&self, access: &AccessReport) -> Vec<String> {
        access.stack.iter().skip(1).filter(|frame| !is_library(&frame.file)).map(|frame| self.frame(frame)).collect()
    }

    /// `no lock held`, or `holding app.lock (created at app.py:3)`.
    #[must_use]
    pub fn locks(&self, locks: &[LockReport]) -> String {
        if locks.is_empty() {
            return "no lock held".to_owned();
        }
        let each: Vec<String> = locks.iter().map(|lock| self.lock(lock)).collect();
        format!("holding {}", each.join(" and "))
    }

    /// The locks of all accesses of a side; of each one alone where they differ: a lock that is dropped and taken again.
    #[must_use]
    pub fn side_locks(&self, side: &Side<'_>) -> String {
        let each: Vec<(String, String)> =
            side.accesses.iter().map(|access| (name(&access.role), self.locks(&access.locks))).collect();
        match each.split_first() {
            Some(((_, first), rest)) if rest.iter().all(|(_, locks)| locks == first) => first.clone(),
            _ => each.iter().map(|(role, locks)| format!("at '{role}' {locks}")).collect::<Vec<_>>().join("; "),
        }
    }

    fn lock(&self, lock: &LockReport) -> String {
        let at = |verb: &str, spot: &Place| format!("{verb} at {}", self.place(&spot.file, spot.line));
        let details: Vec<String> =
            [lock.created.as_ref().map(|spot| at("created", spot)), lock.acquired.as_ref().map(|spot| at("taken", spot))]
                .into_iter()
                .flatten()
                .collect();
        if details.is_empty() { name(&lock.name) } else { format!("{} ({})", name(&lock.name), details.join(", ")) }
    }
}

/// Is the file part of Python's own library?
fn is_library(file: &str) -> bool {
    origin::of_file(file) == origin::Origin::Standard
}

/// What heads the account of what was seen: only what went wrong is called observed.
#[must_use]
pub fn sighting(finding: &Finding) -> &'static str {
    if finding.evidence == Evidence::Observed { "Observed" } else { "Seen" }
}

/// Why it can happen, with the text of the call or the suspension where the source is known.
#[must_use]
pub fn why(sources: &SourceMap, finding: &Finding) -> Option<String> {
    let why = harmless(finding.why.as_ref()?).into_owned();
    let Some(text) = finding.switch.as_ref().and_then(|switch| Some((switch, sources.excerpt(switch)?))) else {
        return Some(why);
    };
    let (switch, text) = (format!(" on line {}", text.0.line), shortened(&text.1, MOST_EXCERPT).into_owned());
    Some(why.replacen(&switch, &format!(" `{text}`{switch}"), 1))
}

/// Longest piece of source within a sentence.
const MOST_EXCERPT: usize = 60;

/// The steps of a possible interleaving: `Thread-1 reads it (line 22)`.
#[must_use]
pub fn turns(finding: &Finding) -> Vec<String> {
    let turn = |turn: &Turn| {
        let frame = finding.accesses.get(turn.access).and_then(|access| access.stack.first());
        let line = frame.map(|frame| format!(" (line {})", frame.line)).unwrap_or_default();
        format!("{} {}{line}", name(&turn.strand), name(&turn.what))
    };
    finding.interleaving.iter().map(turn).collect()
}

/// `reads 41`, or the role alone where no words were given.
#[must_use]
pub fn deed(access: &AccessReport) -> String {
    name(access.what.as_deref().unwrap_or(&access.role))
}

/// Does any finding concern more than one process?
#[must_use]
pub fn several_processes(report: &Report) -> bool {
    let mut pids =
        report.findings.iter().flat_map(|f| f.accesses.iter().filter_map(|a| a.strand.pid).chain(f.processes.iter().copied()));
    let first = pids.next();
    report.coverage.processes > 1 || pids.any(|pid| Some(pid) != first)
}

/// `seen 12 times in processes 7 and 8`.
#[must_use]
pub fn seen(finding: &Finding) -> String {
    let times = match finding.count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        count => format!("{} times", thousands(count)),
    };
    let pids: Vec<String> = finding.processes.iter().map(u32::to_string).collect();
    match pids.len() {
        0 | 1 => format!("seen {times}"),
        _ => format!("seen {times}, in processes {}", pids.join(", ")),
    }
}

/// What the evidence and basis mean, in a few words.
#[must_use]
pub fn certainty(finding: &Finding) -> String {
    use crate::finding::{Basis, Evidence};
    let evidence = match finding.evidence {
        Evidence::Observed => "observed: it happened in this run",
        Evidence::Possible => "possible: it can happen here, but was not seen happening",
        Evidence::Latent => "latent: hidden by this interpreter, it can happen on a free-threaded build",
    };
    let basis = match finding.basis {
        Basis::Traced => "traced, every access was seen",
        Basis::Sampled => "sampled, seen at intervals",
    };
    format!("{evidence} ({basis})")
}

/// `3 errors, 1 warning`, or `no races`.
#[must_use]
pub fn tally(report: &Report) -> String {
    let parts: Vec<String> = [Severity::Error, Severity::Warning, Severity::Note]
        .into_iter()
        .map(|severity| (severity, report.findings.iter().filter(|finding| finding.severity == severity).count()))
        .filter(|(_, count)| *count > 0)
        .map(|(severity, count)| plural(count as u64, severity.name()))
        .collect();
    if parts.is_empty() { "no races found".to_owned() } else { parts.join(", ") }
}

/// `4 hidden (3 by baseline, 1 by suppression)`.
#[must_use]
pub fn hidden(coverage: &Coverage) -> Option<String> {
    let total: u64 = coverage.hidden.values().sum();
    let each: Vec<String> =
        coverage.hidden.iter().filter(|(_, n)| **n > 0).map(|(rule, n)| format!("{} by {}", thousands(*n), name(rule))).collect();
    (total > 0).then(|| format!("{} hidden ({})", thousands(total), each.join(", ")))
}

/// `CPython 3.13.0 with GIL, process 7: python app.py`.
#[must_use]
pub fn target(target: &Target) -> String {
    let gil = if target.free_threaded { "free-threaded" } else { "with GIL" };
    let python = if target.python.is_empty() { "Python".to_owned() } else { format!("CPython {} {gil}", name(&target.python)) };
    let command: Vec<String> = target.command.iter().map(|word| shell_word(word)).collect();
    match (target.pid, command.is_empty()) {
        (0, true) => python,
        (0, false) => format!("{python}: {}", command.join(" ")),
        (pid, true) => format!("{python}, process {pid}"),
        (pid, false) => format!("{python}, process {pid}: {}", command.join(" ")),
    }
}

/// `120 events from 4 threads, 2 processes; 7 shared subjects`, or `100 samples from 4 threads`.
#[must_use]
pub fn watched(coverage: &Coverage) -> String {
    let mut strands = vec![plural(coverage.threads, "thread")];
    if coverage.tasks > 0 {
        strands.push(plural(coverage.tasks, "task"));
    }
    if coverage.processes > 1 {
        strands.push(plural(coverage.processes, "processes").replace("processess", "processes"));
    }
    let strands = strands.join(", ");
    if coverage.samples > 0 {
        return format!("{} from {strands}", plural(coverage.samples, "sample"));
    }
    format!("{} from {strands}; {}", plural(coverage.events, "event"), plural(coverage.shared_subjects, "shared subject"))
}

/// Where nothing is known to have been missed.
pub const NOTHING_KNOWN: &str =
    "nothing that is known; code that did not run was not seen, nor the inside of installed packages (--watch PACKAGE)";

/// One sentence each; empty when nothing is known to have been missed.
#[must_use]
pub fn missed(coverage: &Coverage) -> Vec<String> {
    let mut missed = Vec::new();
    if coverage.dropped > 0 {
        missed.push(format!("{} dropped: races may have been missed", plural(coverage.dropped, "record")));
    }
    if coverage.samples > 0 {
        missed.push("sampling sees the program at intervals: what happened between two samples was not seen".to_owned());
    }
    missed.extend(coverage.not_watched.iter().map(|what| shortened(what, MOST_SENTENCE).into_owned()));
    missed
}

/// `1 event`, `12,000 events`.
#[must_use]
pub fn plural(count: u64, noun: &str) -> String {
    let s = if count == 1 || noun.ends_with("es") { "" } else { "s" };
    format!("{} {noun}{s}", thousands(count))
}

/// 12345 as `12,345`.
#[must_use]
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The first part of the fingerprint: enough to talk about, and to find it again.
#[must_use]
pub fn short_fingerprint(finding: &Finding) -> String {
    harmless(finding.fingerprint.get(..12).unwrap_or(&finding.fingerprint)).into_owned()
}

fn shell_word(word: &str) -> String {
    let word = name(word);
    let simple = !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || "-_./=:,+@%".contains(c));
    if simple { word } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

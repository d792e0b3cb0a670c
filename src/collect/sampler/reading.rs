//! What one look reads of strands beyond their stacks: the windows, loops and records that they stand in, come to and have
//! passed. It remembers the answers to what is asked again and again; it decides nothing.

use crate::cpython::python::Python;
use crate::cpython::task::RemoteTask;
use crate::target::memory::{Fault, Memory};

use super::abandoned::{self, Looks};
use super::behind;
use super::codes::{Codes, KnownCode};
use super::dropped::{self, Asked};
use super::found::{self, Strand};
use super::locks::{self, WaitedLock};
use super::names::ThreadNames;
use super::plain::Plainness;
use super::starting;
use super::strand::ThreadView;
use super::verify;
use super::working;

/// What is known from earlier looks.
#[derive(Debug, Default)]
pub struct Reading {
    plainness: Plainness,
    asked: Asked,
    looked: Looks,
}

impl Reading {
    /// Forgets what may have changed. For every second or so.
    pub(super) fn forget(&mut self) {
        self.plainness.forget();
        self.asked.clear();
        self.looked.clear();
    }

    /// Reads what the strands stand in and come to, and keeps what is about others as well. `is_users` tells the program's
    /// own files.
    pub(super) fn read<M: Memory>(
        &mut self,
        python: &Python<M>,
        codes: &mut Codes,
        pid: u32,
        strands: &mut [Strand],
        is_users: &impl Fn(&KnownCode) -> bool,
    ) {
        for strand in strands.iter_mut() {
            found::read_windows(python, strand, is_users);
            strand.dropped = dropped::read_dropped(python, codes, &mut self.asked, &strand.view.frames, is_users);
            if strand.task.is_some() {
                strand.abandoned = abandoned::read_abandoned(python, &mut self.looked, &strand.view.frames, is_users);
            }
            found::read_spans(python, codes, strand, is_users);
            found::read_coming(python, codes, &mut self.plainness, strand, is_users);
            behind::read_behind(python, codes, &mut self.plainness, strand, is_users);
            working::read_working(python, codes, &mut self.plainness, strand, is_users);
        }
        starting::read_rivals(python, codes, &mut self.plainness, strands, is_users);
        found::keep_shared(pid, strands);
    }

    /// All of that for threads and tasks of a memory that need be no process's: how many of them there is something to say
    /// of. All files count as the program's own, and a thread may as well be waiting as not.
    ///
    /// # Errors
    /// When the memory fails as a whole.
    pub fn count<M: Memory>(
        &mut self,
        python: &Python<M>,
        codes: &mut Codes,
        seen: &[(ThreadView, Option<RemoteTask>)],
        waits: impl Fn(&ThreadView) -> Option<WaitedLock>,
    ) -> Result<usize, Fault> {
        let threads: Vec<ThreadView> = seen.iter().map(|(view, _)| view.clone()).collect();
        let mut names = ThreadNames::default();
        names.find(python, &threads);
        let mut strands = Vec::new();
        for (view, task) in seen {
            let strand = |waited| {
                let holds = locks::held(python, &view.frames);
                Strand { task: task.clone(), ..Strand::new(view.clone(), names.of(view.state.ident), holds, waited) }
            };
            strands.push(strand(None));
            strands.extend(waits(view).map(|waited| strand(Some(waited))));
        }
        self.read(python, codes, NOBODY, &mut strands, &|_: &KnownCode| true);
        let sure = verify::at_one_moment(python, NOBODY, &mut strands)?;
        Ok(strands
            .iter()
            .zip(sure)
            .filter(|(strand, sure)| *sure || strand.is_of_interest() || !strand.working.is_empty())
            .count())
    }
}

/// No process has this id.
const NOBODY: u32 = u32::MAX;

//! Says what one look found in events: strands with what they hold, wait for, stand in and come to. It decides nothing.

use std::collections::HashMap;

use racetrace_probes::plan::WindowKind;

use crate::cpython::object::Shown;
use crate::event::sample::{
    Ahead, Coming as ComingEvent, Dropped as DroppedEvent, Hold, Nesting as NestingEvent, OpenLoop, OpenSpan, OpenWindow,
    PathAct as PathEvent, StrandState, SubjectValue, Waits, Writing as WritingEvent,
};
use crate::event::{KeyId, ObjectId, Shape, StackId, TaskId, Tid};
use crate::target::address::RemoteAddr;

use super::abandoned::Abandoned;
use super::accessor::{Spanning, Touched};
use super::dropped::Dropped;
use super::files::Writing;
use super::found::{Comes, Coming, Opening, Strand, Walk};
use super::locks::{self, HeldLock};
use super::look::Sampler;
use super::nesting::{Nesting, Taken};
use super::paths::PathAct;
use super::strand::Activation;
use super::subject::Subject;

impl Sampler {
    /// Says a strand in events, if there is anything to say.
    pub(super) fn say(&mut self, strand: Strand, verified: bool, idents: &HashMap<u64, Tid>) -> Option<StrandState> {
        let interesting = strand.waited.is_some()
            || strand.joins.is_some()
            || !strand.holds.is_empty()
            || !strand.working.is_empty()
            || !strand.dropped.is_empty()
            || (verified && strand.is_of_interest());
        if !interesting {
            return None;
        }
        let frames = &strand.view.frames;
        let stack = self.emitter.stack(&self.target.python, frames, 0);
        let name = self.emitter.text(&strand.name);
        let holds = strand.holds.iter().map(|held| self.say_hold(frames, held)).collect();
        let joined = strand.joins.and_then(|ident| idents.get(&ident));
        let waits = match (joined, strand.waited, strand.waits_for_task) {
            (Some(tid), ..) => Waits::Thread(*tid),
            (None, Some(waited), _) => {
                let lock = self.say_lock(waited.lock);
                Waits::Lock { lock, patience: waited.patience, by_task: waited.by_task, mutex: waited.mutex }
            }
            (None, None, Some(task)) => Waits::Task(TaskId(task.0)),
            (None, None, None) => Waits::Nothing,
        };
        let mut windows = Vec::new();
        let mut spans = Vec::new();
        let mut loops = Vec::new();
        let mut coming = Vec::new();
        let mut nestings = Vec::new();
        let mut paths = Vec::new();
        let mut writings = Vec::new();
        if verified {
            windows.extend(strand.open.iter().map(|opening| self.say_window(frames, opening)));
            spans.extend(strand.spans.iter().map(|span| self.say_span(frames, span)));
            for walk in &strand.loops {
                loops.push(self.say_loop(frames, walk));
            }
            coming.extend(strand.coming.iter().map(|coming| self.say_coming(frames, coming)));
            writings.extend(strand.writings.iter().map(|writing| self.say_writing(frames, writing)));
            paths.extend(strand.paths.iter().map(|act| self.say_path(frames, act)));
            nestings.extend(strand.nestings.iter().map(|nesting| self.say_nesting(frames, nesting)));
        }
        let working = strand.working.iter().map(|coming| self.say_coming(frames, coming)).collect();
        let mut dropped: Vec<DroppedEvent> = strand.dropped.iter().map(|dropped| self.say_dropped(frames, dropped)).collect();
        if verified {
            dropped.extend(strand.abandoned.iter().map(|abandoned| self.say_abandoned(frames, abandoned)));
        }
        let barrier = strand.barrier.map(|at| self.emitter.object(at, Shape::Other, "Barrier", None));
        let thread = strand.tid();
        let task = strand.task.as_ref().map(|task| TaskId(task.at.0));
        Some(StrandState {
            thread,
            task,
            name,
            stack,
            still: strand.still,
            rests: strand.rests,
            waits,
            holds,
            windows,
            spans,
            loops,
            coming,
            barrier,
            working,
            nestings,
            paths,
            writings,
            dropped,
        })
    }

    fn say_hold(&mut self, frames: &[Activation], held: &HeldLock) -> Hold {
        let lock = self.say_lock(held.lock);
        let stack = self.emitter.stack_at(&self.target.python, frames, held.frame, held.entered_at);
        Hold { lock, stack, by_task: held.by_task }
    }

    fn say_nesting(&mut self, frames: &[Activation], nesting: &Nesting) -> NestingEvent {
        let mut say = |taken: &Taken| Hold {
            lock: self.say_lock(taken.lock),
            stack: self.emitter.stack_at(&self.target.python, frames, taken.frame, taken.offset),
            by_task: false,
        };
        let (outer, inner) = (say(&nesting.outer), say(&nesting.inner));
        let gates = nesting.gates.iter().map(|gate| self.say_lock(*gate)).collect();
        NestingEvent { outer, inner, gates }
    }

    fn say_path(&mut self, frames: &[Activation], act: &PathAct) -> PathEvent {
        let mut at = |offset: u32| self.emitter.stack_at(&self.target.python, frames, act.frame, offset);
        let (check, used) = (act.check.map(&mut at), at(act.act));
        let stack = self.emitter.stack(&self.target.python, frames, act.frame);
        PathEvent { stack, check, act: used, effect: act.effect, path: self.emitter.text(&act.path) }
    }

    fn say_writing(&mut self, frames: &[Activation], writing: &Writing) -> WritingEvent {
        let mut at = |offset: u32| self.emitter.stack_at(&self.target.python, frames, writing.frame, offset);
        let (first, write) = (writing.first.map(&mut at), at(writing.write));
        let stack = self.emitter.stack(&self.target.python, frames, writing.frame);
        let file = self.emitter.object(writing.file, Shape::File, "file", Some(&writing.name));
        WritingEvent { stack, first, write, file, name: self.emitter.text(&writing.name), inode: writing.inode }
    }

    fn say_lock(&mut self, lock: RemoteAddr) -> ObjectId {
        let type_name = self.target.python.type_of(lock).map_or_else(|_| "lock".to_owned(), |class| class.name.clone());
        self.emitter.object(lock, Shape::Lock, &type_name, self.lock_names.get(&lock).map(String::as_str))
    }

    fn say_window(&mut self, frames: &[Activation], opening: &Opening) -> OpenWindow {
        let python = &self.target.python;
        let subject = &opening.subject;
        // The old value was the strand's own all the time.
        let show = |at: RemoteAddr| python.show(at).ok();
        let value = match (opening.held, opening.now) {
            (Some(held), Some(now)) if held == now => SubjectValue::Current(self.emitter.value(held, show(held))),
            (Some(held), Some(now)) => {
                let old = show(held);
                let present = subject.slot.map(|slot| self.presents.of(python, slot, now));
                let new = present.as_ref().and_then(|present| present.value.clone());
                let equal = old.is_some() && old == new && !matches!(old, Some(Shown::Object(_)));
                if equal || present.and_then(|present| present.pointer).is_none_or(|pointer| pointer == held) {
                    SubjectValue::Unknown
                } else {
                    let held = self.emitter.value(held, old);
                    SubjectValue::Stale { held, now: self.emitter.value(now, new) }
                }
            }
            _ => SubjectValue::Unknown,
        };
        let stack = self.emitter.stack(python, frames, opening.frame);
        let read = self.emitter.stack_at(python, frames, opening.frame, opening.read);
        let write = self.emitter.stack_at(python, frames, opening.frame, opening.write);
        let (object, key) = self.say_subject(subject);
        OpenWindow { stack, read, write, window: opening.window, object, key, subject: value }
    }

    fn say_subject(&mut self, subject: &Subject) -> (ObjectId, KeyId) {
        let object = self.emitter.object(subject.object, subject.shape, &subject.type_name, subject.label.as_deref());
        let key = subject.part.as_deref().map_or(KeyId::WHOLE, |part| self.emitter.key(part));
        (object, key)
    }

    fn say_dropped(&mut self, frames: &[Activation], dropped: &Dropped) -> DroppedEvent {
        let made = self.emitter.stack_at(&self.target.python, frames, dropped.frame, dropped.call);
        DroppedEvent { made, name: self.emitter.text(&dropped.name), kept_in: None }
    }

    fn say_abandoned(&mut self, frames: &[Activation], abandoned: &Abandoned) -> DroppedEvent {
        let made = self.emitter.stack_at(&self.target.python, frames, abandoned.frame, abandoned.made);
        let code = frames.get(abandoned.frame).map(|activation| &activation.code.remote.code);
        let variable = code.and_then(|code| code.locals.get(abandoned.slot as usize)).map_or("a variable", String::as_str);
        DroppedEvent { made, name: self.emitter.text(&abandoned.name), kept_in: Some(self.emitter.text(variable)) }
    }

    fn say_span(&mut self, frames: &[Activation], spanning: &Spanning) -> OpenSpan {
        let python = &self.target.python;
        let stack = self.emitter.stack(python, frames, spanning.frame);
        let mut inner = |call: u32, touched: &Touched| {
            let caller = self.emitter.stack_at(python, frames, spanning.frame, call);
            self.emitter.called(python, caller, &touched.code, touched.globals, touched.offset)
        };
        let read = inner(spanning.span.read, &spanning.read);
        let write = inner(spanning.span.write, &spanning.write);
        let checks = spanning.span.kind == WindowKind::CheckThenAct;
        let (object, key) = self.say_subject(&spanning.subject);
        OpenSpan { stack, read, write, checks, object, key }
    }

    fn say_coming(&mut self, frames: &[Activation], coming: &Coming) -> ComingEvent {
        let what = match coming.act {
            Comes::Window { window, read, write } => {
                let (read, write) = (self.say_place(frames, coming, read), self.say_place(frames, coming, write));
                Ahead::Window { window, read, write }
            }
            Comes::Write { offset, resizes } => Ahead::Write { write: self.say_place(frames, coming, offset), resizes },
        };
        let stack = self.emitter.stack(&self.target.python, frames, coming.frame);
        let (object, key) = self.say_subject(&coming.subject);
        let rival = coming.rival.as_ref().map(|name| self.emitter.text(name));
        ComingEvent { stack, what, object, key, passed: coming.passed, rival }
    }

    /// An instruction of the function that the access is in.
    fn say_place(&mut self, frames: &[Activation], coming: &Coming, offset: u32) -> StackId {
        let python = &self.target.python;
        let calls = coming.via.iter().map(|via| via.call).chain([offset]);
        let mut calls = calls.collect::<Vec<u32>>().into_iter();
        let mut stack = self.emitter.stack_at(python, frames, coming.frame, calls.next().unwrap_or(offset));
        for (via, offset) in coming.via.iter().zip(calls) {
            stack = self.emitter.called(python, stack, &via.code, via.globals, offset);
        }
        stack
    }

    fn say_loop(&mut self, frames: &[Activation], walk: &Walk) -> OpenLoop {
        let stack = self.emitter.stack(&self.target.python, frames, walk.frame);
        let next = self.emitter.stack_at(&self.target.python, frames, walk.frame, walk.next);
        let class = self.target.python.type_of(walk.walked.container);
        let type_name = class.map_or_else(|_| "dict".to_owned(), |class| class.name.clone());
        let shape = match type_name.as_str() {
            "list" => Shape::List,
            "set" => Shape::Set,
            "collections.deque" => Shape::Deque,
            _ => Shape::Dict,
        };
        let name = locks::name(&self.target.python, frames, walk.walked.container);
        let object = self.emitter.object(walk.walked.container, shape, &type_name, name.as_deref());
        OpenLoop { stack, next, object, began: walk.walked.began, now: walk.walked.now }
    }
}

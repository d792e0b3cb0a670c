//! What is claimed of hand-made samples, and what is not.

use racetrace_probes::plan::Plan;

use crate::analysis::litmus::{Litmus, READ, Var, WRITE, latent_rmw, rmw};
use crate::event::sample::*;
use crate::event::*;
use crate::finding::{Evidence, Finding, Kind, Severity};

/// A program with one function that has one window, and what stands in its samples.
struct Scene {
    litmus: Litmus,
    code: CodeId,
    subject: Var,
    strands: Vec<StrandState>,
    seen: u32,
}

const INSIDE: u32 = READ + 2;

impl Scene {
    fn new(plan: Plan) -> Scene {
        let mut litmus = Litmus::new();
        let code = litmus.code("work", plan);
        let subject = litmus.global("count");
        Scene { litmus, code, subject, strands: Vec::new(), seen: 0 }
    }

    fn begin(&mut self, thread: u32) {
        let name = self.litmus.text("worker");
        self.litmus.say(Tid(thread), Event::ThreadBegin { token: None, name });
    }

    fn strand(&mut self, thread: u32) -> &mut StrandState {
        let name = self.litmus.text(&format!("worker-{thread}"));
        let stack = self.litmus.stack(self.code, INSIDE);
        self.strands.push(StrandState {
            thread: Tid(thread),
            task: None,
            name,
            stack,
            still: true,
            rests: false,
            waits: Waits::Nothing,
            holds: Vec::new(),
            windows: Vec::new(),
            spans: Vec::new(),
            loops: Vec::new(),
            coming: Vec::new(),
            barrier: None,
            working: Vec::new(),
            nestings: Vec::new(),
            paths: Vec::new(),
            writings: Vec::new(),
            dropped: Vec::new(),
        });
        self.strands.last_mut().expect("just pushed")
    }

    fn at(&mut self, offset: u32) -> StackId {
        self.litmus.stack(self.code, offset)
    }

    fn open(&mut self, subject: SubjectValue) -> OpenWindow {
        let (stack, read, write) = (self.at(INSIDE), self.at(READ), self.at(WRITE));
        OpenWindow { stack, read, write, window: 0, object: self.subject.object, key: self.subject.key, subject }
    }

    fn coming(&mut self) -> Coming {
        let (stack, read, write) = (self.at(INSIDE), self.at(READ), self.at(WRITE));
        let what = Ahead::Window { window: 0, read, write };
        Coming { stack, what, object: self.subject.object, key: self.subject.key, passed: false, rival: None }
    }

    /// Ends the sample.
    fn sample(&mut self) {
        let strands = std::mem::take(&mut self.strands);
        let seen = self.seen.max(strands.len() as u32);
        self.litmus.say(Tid(0), Event::Sample(Box::new(Sample { strands, seen, unread: 0 })));
    }

    fn findings(&mut self) -> Vec<Finding> {
        self.litmus.analysis.report().findings
    }
}

#[test]
fn two_threads_in_one_window_are_a_race() {
    let mut scene = Scene::new(rmw("count"));
    let open = scene.open(SubjectValue::Unknown);
    scene.strand(1).windows.push(open);
    scene.strand(2).windows.push(open);
    scene.sample();
    let found = scene.findings();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].kind, found[0].evidence), (Kind::ReadModifyWrite, Evidence::Observed));
    let course: Vec<(&str, &str)> =
        found[0].timeline.iter().map(|moment| (moment.strand.as_str(), moment.what.as_str())).collect();
    assert_eq!(course, [("worker-1", "read"), ("worker-2", "conflict"), ("worker-1", "write is next")]);
}

#[test]
fn one_thread_in_a_window_is_none() {
    let mut scene = Scene::new(rmw("count"));
    let open = scene.open(SubjectValue::Unknown);
    for _ in 0..3 {
        scene.strand(1).windows.push(open);
        scene.sample();
    }
    assert!(scene.findings().is_empty());
}

#[test]
fn threads_that_come_to_one_window_can_race() {
    let mut scene = Scene::new(rmw("count"));
    let coming = scene.coming();
    for _ in 0..2 {
        assert!(scene.findings().is_empty());
        scene.strand(1).coming.push(coming);
        scene.strand(2).coming.push(coming);
        scene.sample();
    }
    let found = scene.findings();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].evidence, found[0].severity), (Evidence::Possible, Severity::Error));
}

#[test]
fn without_a_switch_inside_it_is_latent() {
    let mut scene = Scene::new(latent_rmw("count"));
    let coming = scene.coming();
    for _ in 0..2 {
        scene.strand(1).coming.push(coming);
        scene.strand(2).coming.push(coming);
        scene.sample();
    }
    let found = scene.findings();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].evidence, found[0].severity), (Evidence::Latent, Severity::Warning));
}

#[test]
fn tasks_of_one_loop_do_not_split_a_window_without_an_await() {
    let mut scene = Scene::new(latent_rmw("count"));
    let coming = scene.coming();
    for _ in 0..3 {
        for task in [7, 8] {
            let state = scene.strand(1);
            state.task = Some(TaskId(task));
            state.coming.push(coming);
        }
        scene.sample();
    }
    assert!(scene.findings().is_empty());
}

#[test]
fn free_workers_race_if_their_lives_overlap() {
    let mut scene = Scene::new(latent_rmw("count"));
    let coming = scene.coming();
    scene.begin(1);
    scene.begin(2);
    for thread in [1, 2, 1] {
        scene.strand(thread).working.push(coming);
        scene.sample();
    }
    let found = scene.findings();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].evidence, Evidence::Latent);
}

#[test]
fn free_workers_that_follow_each_other_do_not() {
    let mut scene = Scene::new(latent_rmw("count"));
    let coming = scene.coming();
    for thread in [1, 2, 3, 4] {
        scene.begin(thread);
        scene.strand(thread).working.push(coming);
        scene.sample();
        scene.litmus.say(Tid(thread), Event::ThreadEnd);
    }
    assert!(scene.findings().is_empty());
}

#[test]
fn when_all_threads_wait_for_ever_a_lock_is_abandoned() {
    let wait = |lock: ObjectId| Waits::Lock { lock, patience: Patience::Forever, by_task: false, mutex: true };
    let mut scene = Scene::new(latent_rmw("count"));
    let lock = scene.subject.object;
    for _ in 0..3 {
        scene.strand(1).waits = wait(lock);
        scene.strand(2).waits = Waits::Thread(Tid(1));
        scene.sample();
        scene.litmus.pause(500_000_000);
    }
    assert_eq!(scene.findings().iter().filter(|finding| finding.kind == Kind::Deadlock).count(), 1);

    // With another thread about, it may be the one that releases it.
    let mut scene = Scene::new(latent_rmw("count"));
    let lock = scene.subject.object;
    scene.seen = 2;
    for _ in 0..3 {
        scene.strand(1).waits = wait(lock);
        scene.sample();
        scene.litmus.pause(500_000_000);
    }
    assert!(scene.findings().is_empty());
}

#[test]
fn a_loop_over_what_another_strand_is_about_to_shrink() {
    let mut scene = Scene::new(latent_rmw("count"));
    let (stack, next) = (scene.at(INSIDE), scene.at(READ));
    let object = scene.subject.object;
    let walk = OpenLoop { stack, next, object, began: 3, now: 3 };
    let write = scene.at(WRITE);
    let coming =
        |resizes| Coming { stack, what: Ahead::Write { write, resizes }, object, key: KeyId::WHOLE, passed: false, rival: None };
    scene.strand(1).loops.push(walk);
    scene.strand(2).coming.push(coming(false));
    scene.sample();
    assert!(scene.findings().is_empty());
    scene.strand(1).loops.push(walk);
    scene.strand(2).coming.push(coming(true));
    scene.sample();
    let found = scene.findings();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].kind, found[0].evidence), (Kind::MutationDuringIteration, Evidence::Possible));
}

/// Threads that each take these locks, by number, one inside the other: outer, inner, and what else they hold by then.
fn nested(threads: &[(usize, usize, &[usize])]) -> Vec<Finding> {
    let mut scene = Scene::new(rmw("count"));
    let locks = [scene.litmus.lock(), scene.litmus.lock(), scene.litmus.lock(), scene.litmus.lock()];
    for _ in 0..2 {
        for (thread, (outer, inner, gates)) in (1..).zip(threads) {
            let places = [scene.at(READ), scene.at(WRITE)];
            let hold = |lock: usize, stack: StackId| Hold { lock: locks[lock], stack, by_task: false };
            let gates = gates.iter().map(|gate| locks[*gate]).collect();
            let nesting = Nesting { outer: hold(*outer, places[0]), inner: hold(*inner, places[1]), gates };
            scene.strand(thread).nestings.push(nesting);
        }
        scene.sample();
    }
    scene.findings()
}

#[test]
fn threads_that_take_locks_in_a_ring_can_wait_for_each_other_for_ever() {
    for ring in [&[(0, 1, &[] as &[usize]), (1, 0, &[])][..], &[(0, 1, &[]), (2, 0, &[]), (1, 2, &[])]] {
        let found = nested(ring);
        assert_eq!(found.len(), 1, "{ring:?}");
        assert_eq!((found[0].kind, found[0].evidence), (Kind::LockOrderInversion, Evidence::Possible));
        assert_eq!(found[0].severity, Severity::Warning);
    }
}

#[test]
fn locks_in_one_order_or_below_a_common_one_are_no_ring() {
    let none: &[usize] = &[];
    assert!(nested(&[(0, 1, none), (0, 1, none)]).is_empty());
    assert!(nested(&[(0, 1, &[2]), (1, 0, &[2])]).is_empty());
    // Of three, two hold a common lock; or one holds what another takes first.
    assert!(nested(&[(0, 1, &[3]), (1, 2, none), (2, 0, &[3])]).is_empty());
    assert!(nested(&[(0, 1, &[2]), (1, 2, none), (2, 0, none)]).is_empty());
}

/// Two threads of which each comes to the window, or has come through it, in two samples.
fn of_two_on_their_way(passed: [bool; 2], barriers: [Option<u64>; 2]) -> Vec<Finding> {
    let mut scene = Scene::new(latent_rmw("count"));
    for _ in 0..2 {
        for (thread, (passed, barrier)) in (1..).zip(passed.into_iter().zip(barriers)) {
            let coming = Coming { passed, ..scene.coming() };
            let strand = scene.strand(thread);
            strand.coming.push(coming);
            strand.barrier = barrier.map(ObjectId);
        }
        scene.sample();
    }
    scene.findings()
}

#[test]
fn who_has_just_come_through_a_window_could_have_met_who_comes_to_it() {
    for passed in [[false, true], [true, false], [true, true]] {
        let found = of_two_on_their_way(passed, [None, None]);
        assert_eq!(found.len(), 1, "{passed:?}");
        assert_eq!((found[0].evidence, found[0].severity), (Evidence::Latent, Severity::Warning));
    }
}

#[test]
fn only_one_barrier_lets_two_threads_go_at_once() {
    assert_eq!(of_two_on_their_way([false; 2], [Some(7), Some(7)]).len(), 1);
    for barriers in [[Some(7), Some(8)], [Some(7), None], [None, Some(7)]] {
        assert!(of_two_on_their_way([false; 2], barriers).is_empty(), "{barriers:?}");
    }
}

/// A thread at its work, in so many samples, while another one is about to be started.
fn of_one_at_work(samples: usize, has_rival: bool) -> Vec<Finding> {
    let mut scene = Scene::new(latent_rmw("count"));
    scene.begin(1);
    for _ in 0..samples {
        let rival = has_rival.then(|| scene.litmus.text("worker-2"));
        let coming = Coming { rival, ..scene.coming() };
        scene.strand(1).working.push(coming);
        scene.sample();
    }
    scene.findings()
}

#[test]
fn a_thread_that_is_bound_to_be_started_is_not_ordered_behind_one_that_works() {
    let found = of_one_at_work(2, true);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].evidence, found[0].accesses[2].strand.name.as_str()), (Evidence::Latent, "worker-2"));
    assert!(of_one_at_work(1, true).is_empty());
    assert!(of_one_at_work(2, false).is_empty());
}

//! Plans of the whole standard library of every interpreter on this machine: none fails, all their places are real.

mod interpreters;

use racetrace_probes::code::Code;
use racetrace_probes::flow::{Flow, UNREACHED};
use racetrace_probes::plan::{Operation, Place, Plan, plan};

#[test]
fn every_function_of_the_library_has_a_plan_with_real_places() {
    for interpreter in interpreters::all() {
        let version = interpreter.version;
        let codes = interpreters::dump(interpreter, &["--stdlib"]);
        let (mut windows, mut full) = (0, 0);
        for dumped in &codes {
            let code = &dumped.code;
            let place = format!("3.{} {} {}", version.minor, code.filename, code.qualname);
            let plan = plan(code, version).unwrap_or_else(|error| panic!("{place}: {error:?}"));
            check(code, &plan, &place);
            windows += plan.windows.len();
            let flow = Flow::new(code, version).expect("it has a plan");
            let deepest = flow.depth.iter().copied().filter(|depth| *depth != UNREACHED).max().unwrap_or(0);
            assert!(deepest <= code.stacksize, "{place}: depth {deepest} of {}", code.stacksize);
            full += usize::from(deepest == code.stacksize);
        }
        eprintln!("3.{}: {} plans, {windows} windows", version.minor, codes.len());
        assert!(windows > 1000, "3.{}: {windows}", version.minor);
        // The compiler reserves what is needed, seldom more.
        assert!(full > codes.len() / 3, "3.{}: {full} of {}", version.minor, codes.len());
    }
}

fn check(code: &Code, plan: &Plan, place: &str) {
    assert!(plan.watches.is_sorted_by_key(|watch| watch.offset), "{place}");
    for watch in &plan.watches {
        assert!(watch.depth <= code.stacksize, "{place}: {watch:?}");
        for operand in places(&watch.operation) {
            let real = match operand {
                Place::Stack(from_top) => (1..=watch.depth).contains(&from_top),
                Place::Local(slot) => (slot as usize) < code.locals.len(),
                Place::Const(index) => (index as usize) < code.consts.len(),
                Place::Name(index) => (index as usize) < code.names.len(),
            };
            assert!(real, "{place}: {watch:?}");
        }
        assert!(!watch.path.is_empty(), "{place}: {watch:?}");
    }
    for window in &plan.windows {
        for offset in window.reads.iter().chain([&window.write]) {
            let watched = plan.watches.iter().any(|watch| watch.offset == *offset);
            assert!(watched, "{place}: nothing is watched at {offset} of {window:?}");
        }
        assert!(window.dominated || plan.enter.is_some(), "{place}");
    }
    assert!(plan.spans.len() <= 64, "{place}");
}

fn places(operation: &Operation) -> Vec<Place> {
    match *operation {
        Operation::GlobalRead { name } | Operation::GlobalDelete { name } => vec![Place::Name(name)],
        Operation::GlobalWrite { name, value } => vec![Place::Name(name), value],
        Operation::CellRead { slot } | Operation::CellDelete { slot } => vec![Place::Local(slot)],
        Operation::CellWrite { slot, value } => vec![Place::Local(slot), value],
        Operation::AttributeRead { object, name } | Operation::AttributeDelete { object, name } => {
            vec![object, Place::Name(name)]
        }
        Operation::AttributeWrite { object, name, value } => vec![object, Place::Name(name), value],
        Operation::ItemRead { container, key } | Operation::ItemDelete { container, key } => vec![container, key],
        Operation::ItemWrite { container, key, value } => vec![container, key, value],
        Operation::Contains { container, key } => vec![container, key],
        Operation::SliceRead { container } | Operation::Truth { container } | Operation::InPlace { container } => vec![container],
        Operation::SliceWrite { container, value } => vec![container, value],
        Operation::MethodCall { callable, receiver, first, .. } => vec![callable, receiver].into_iter().chain(first).collect(),
        Operation::FunctionCall { callable, first, .. } => vec![callable, first],
        Operation::IterBegin { iterable } | Operation::Consume { iterable } => vec![iterable],
        Operation::IterNext { iterator } => vec![iterator],
    }
}

/// Bytes of real functions changed at random: an error or a plan, never a panic.
#[test]
fn mutated_code_does_no_harm() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for interpreter in interpreters::all() {
        let codes = interpreters::compile(interpreter, SAMPLE);
        let (mut planned, mut refused) = (0, 0);
        for _ in 0..6000 {
            let mut code = codes[random.below(codes.len())].code.clone();
            for _ in 0..1 + random.below(4) {
                match random.below(8) {
                    0..=4 => random.change(&mut code.bytecode),
                    5 => random.change(&mut code.exception_table),
                    6 => random.change(&mut code.line_table),
                    _ => code.bytecode.truncate(random.below(code.bytecode.len() + 1)),
                }
            }
            match plan(&code, interpreter.version) {
                Ok(_) => planned += 1,
                Err(_) => refused += 1,
            }
            let lines = racetrace_probes::lines::Lines::new(&code, interpreter.version);
            let _position = lines.position(random.below(400) as u32);
        }
        eprintln!("3.{}: {planned} planned, {refused} refused", interpreter.version.minor);
        assert!(planned > 100 && refused > 100);
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }

    fn change(&mut self, bytes: &mut [u8]) {
        let at = self.below(bytes.len());
        if let Some(byte) = bytes.get_mut(at) {
            *byte = self.below(256) as u8;
        }
    }
}

const SAMPLE: &str = "
import threading
lock = threading.Lock()
cache = {}
total = 0
def work(key, items, *rest, **named):
    global total
    with lock:
        if key not in cache:
            try:
                cache[key] = sum(x.value for x in items if x is not None)
            except (KeyError, ValueError) as error:
                cache.pop(key, None)
                raise RuntimeError(str(error)) from error
            finally:
                total += 1
    while items:
        item = items.pop()
        if not item:
            continue
        cache[key, item] = [y for y in item if y in cache]
    return cache.get(key) or {k: v for k, v in named.items()}
async def serve(queue, state):
    async with state.lock as held:
        async for job in queue:
            state.done = state.done + await job.run(held, timeout=state.timeout)
            yield job
class Account:
    def spend(self, amount):
        if self.balance >= amount:
            self.log(f'{self.name}: {amount!r:>10}')
            self.balance -= amount
            del self.pending[amount]
        (a, *b), self.c = self.pair
        return lambda: (self, amount, a, b)
";

//! What the agent leaves out because it says nothing is not missed, and watching creates no race of its own. How fast that
//! makes it is for `tests/bench`.

mod harness;

use harness::session::Outcome;
use harness::{Python, Session, each_python};

fn run(python: &Python, program: &str) -> Outcome {
    Session::new().file("app.py", program).python(python, &["app.py"])
}

/// Increments that no switch point splits on a build with a GIL lose nothing, watched or not.
#[test]
fn watching_loses_no_updates() {
    let program = "
        import sys, threading
        sys.setswitchinterval(1e-6)
        ROUNDS, THREADS = 20_000, 4
        total = 0
        class Slotted:
            __slots__ = ('n',)
        class Plain:
            pass
        slotted, plain, table, places = Slotted(), Plain(), {'k': 0}, [0]
        slotted.n = plain.n = 0
        def a_global():
            global total
            for _ in range(ROUNDS):
                total += 1
        def a_slot():
            for _ in range(ROUNDS):
                slotted.n += 1
        def an_attribute():
            for _ in range(ROUNDS):
                plain.n += 1
        def an_item():
            for _ in range(ROUNDS):
                table['k'] += 1
        def a_place():
            for _ in range(ROUNDS):
                places[0] += 1
        def closure():
            count = 0
            def work():
                nonlocal count
                for _ in range(ROUNDS):
                    count += 1
            return work, lambda: count
        a_cell, cell = closure()
        for work in (a_global, a_slot, an_attribute, an_item, a_place, a_cell):
            threads = [threading.Thread(target=work) for _ in range(THREADS)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        lost = [ROUNDS * THREADS - seen for seen in (total, slotted.n, plain.n, table['k'], places[0], cell())]
        print(getattr(sys, '_is_gil_enabled', lambda: True)(), lost)
    ";
    each_python(|python| {
        let outcome = run(python, program);
        let gil = outcome.stdout.starts_with("True");
        assert!(!gil || outcome.stdout.trim() == "True [0, 0, 0, 0, 0, 0]", "{}: {}", python.name(), outcome.stdout);
        assert_eq!(outcome.races().iter().filter(|race| race.contains("read-modify-write")).count(), 6, "{:?}", outcome.races());
    });
}

/// A polled flag keeps them from hanging, and orders nothing; a semaphore does.
#[test]
fn empty_critical_sections_still_have_an_order() {
    let program = "
        import threading
        first, second = threading.Lock(), threading.Lock()
        told = TOLD
        def one():
            for _ in range(100):
                with first:
                    pass
            with first:
                with second:
                    pass
            TELL
        def other():
            WAIT
            for _ in range(100):
                with second:
                    pass
            with second:
                with first:
                    pass
        threads = [threading.Thread(target=work) for work in (one, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    ";
    let with = |told: &str, tell: &str, wait: &str| program.replace("TOLD", told).replace("TELL", tell).replace("WAIT", wait);
    let polled = with("[]", "told.append(1)", "while not told: pass");
    let ordered = with("threading.Semaphore(0)", "told.release()", "told.acquire()");
    each_python(|python| {
        let races = run(python, &polled).races();
        assert!(races.iter().any(|race| race.contains("lock-order-inversion")), "{}: {races:?}", python.name());
        let races = run(python, &ordered).races();
        assert_eq!(races, [""; 0], "{}", python.name());
    });
}

/// A lock that one thread takes and another gives back tells whoever gets it next what came before.
#[test]
fn a_lock_used_as_a_signal_orders_though_nothing_happens_under_it() {
    let program = "
        import threading
        ready, done = threading.Lock(), threading.Lock()
        ready.acquire()
        done.acquire()
        count = 0
        def helper():
            global count
            for _ in range(200):
                ready.acquire()
                count += 1
                done.release()
        thread = threading.Thread(target=helper)
        thread.start()
        for _ in range(200):
            count += 1
            ready.release()
            done.acquire()
        thread.join()
        print(count)
    ";
    each_python(|python| {
        let outcome = run(python, program);
        assert_eq!(outcome.stdout.trim(), "400", "{}", python.name());
        assert_eq!(outcome.races(), [""; 0], "{}: {}", python.name(), outcome.stderr);
    });
}

/// A loop that walked only what cannot change is watched again when it walks something that can.
#[test]
fn a_loop_that_walks_now_a_tuple_and_now_a_shared_dict_is_seen() {
    let program = "
        import threading
        shared = {number: number for number in range(8)}
        inside, changed = threading.Event(), threading.Event()
        def total(values, pause):
            found = 0
            for value in values:
                found += value
                if pause:
                    inside.set()
                    changed.wait()
            return found
        def grow():
            inside.wait()
            shared[8] = 8
            changed.set()
        thread = threading.Thread(target=grow)
        thread.start()
        for _ in range(50):
            total((1, 2, 3), False)
            total(range(3), False)
            total([1, 2, 3], False)
        total(dict(shared), False)
        total({}, False)
        try:
            total(shared, True)
        except RuntimeError:
            print('changed')
        thread.join()
    ";
    each_python(|python| {
        let outcome = run(python, program);
        assert_eq!(outcome.stdout.trim(), "changed");
        let races = outcome.races();
        assert!(races.iter().any(|race| race.contains("mutation-during-iteration")), "{}: {races:?}", python.name());
    });
}

/// A flag that no code is seen to set is not watched until it is set all the same: that is order for what came before, and
/// none for what comes after.
#[test]
fn a_flag_that_is_set_by_a_name_made_at_run_time_orders_where_it_is_checked() {
    let program = "
        import sys, threading
        lock = threading.Lock()
        ready = False
        total = 0
        begun = threading.Event()
        def wait():
            global total
            rounds = 0
            while True:
                with lock:
                    if ready:
                        break
                rounds += 1
                if rounds == 300:
                    begun.set()
            value = total
            total = value + 1
        def count():
            global total
            total += 1
        def tell():
            TELL
        thread = threading.Thread(target=wait)
        thread.start()
        begun.wait()
        count()
        tell()
        thread.join()
        print(total)
    ";
    let ways = ["globals()['ready'] = True", "setattr(sys.modules[__name__], 'ready', True)", "exec('ready = True', globals())"];
    each_python(|python| {
        for way in ways {
            for tell in [&format!("with lock: {way}"), way] {
                let outcome = run(python, &program.replace("TELL", tell));
                assert_eq!(outcome.stdout.trim(), "2");
                assert_eq!(outcome.races(), [""; 0], "{}: {tell}: {}", python.name(), outcome.stderr);
            }
        }
        let late = program.replace("count()\n        tell()", "tell()\n        count()");
        let outcome = run(python, &late.replace("TELL", ways[0]));
        assert_eq!(outcome.races(), ["read-modify-write app.total"], "{}: {}", python.name(), outcome.stderr);
    });
}

/// What is taken out of a queue counts from the moment that some code asks how full queues are.
#[test]
fn a_queue_that_is_asked_late_is_watched_from_then_on() {
    let program = "
        import queue, threading
        waiting = queue.Queue()
        gate = threading.Barrier(3)
        asking = '''
        def take():
            if not waiting.empty():
                waiting.get_nowait()
        '''
        def fill():
            for number in range(100):
                waiting.put(number)
        def drain():
            waiting.get()
        def asks():
            fill()
            gate.wait()
            gate.wait()
            fill()
            gate.wait()
            for _ in range(20):
                take()
        def drains():
            fill()
            for _ in range(20):
                drain()
            gate.wait()
            gate.wait()
            fill()
            gate.wait()
            for _ in range(20):
                drain()
        threads = [threading.Thread(target=work) for work in (asks, drains)]
        for thread in threads:
            thread.start()
        gate.wait()
        exec(asking, globals())
        gate.wait()
        gate.wait()
        for thread in threads:
            thread.join()
        print(len(waiting.queue))
    ";
    each_python(|python| {
        let outcome = run(python, program);
        assert_eq!(outcome.stdout.trim(), "340");
        assert_eq!(outcome.races(), ["check-then-act app.waiting"], "{}: {}", python.name(), outcome.stderr);
    });
}

/// What only the body of the script has a name for is its own, until other code has one too.
#[test]
fn a_variable_of_the_script_that_other_code_changes_later_is_watched_from_then_on() {
    let program = "
        import threading
        amount = 0
        begun, over = threading.Event(), threading.Event()
        def work():
            begun.wait()
            exec('def add(times):\\n    global amount\\n    for _ in range(times): amount += 1', globals())
            over.set()
            add(100)
        thread = threading.Thread(target=work)
        thread.start()
        for number in range(400):
            if number == 200:
                begun.set()
                over.wait()
            amount = amount + 1
        thread.join()
        print(amount)
    ";
    each_python(|python| {
        let outcome = run(python, program);
        assert!(outcome.stdout.trim().parse::<u32>().is_ok());
        let races = outcome.races();
        assert!(races.iter().any(|race| race == "read-modify-write app.amount"), "{}: {races:?}", python.name());
    });
}

/// Sub-interpreters run beside the watched one, under locks of their own, and come through the same method tables.
#[test]
fn other_interpreters_of_the_process_are_left_alone() {
    let program = r#"
        import collections, sys, threading
        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters
        work = '''
        import collections, io, os, threading
        class Node:
            def __init__(self):
                self.queue, self.table = collections.deque([1]), {1: 2}
        lock, out = threading.Lock(), open(os.devnull, 'w')
        for number in range(3000):
            with lock:
                node = Node()
                node.table[number] = [number]
                collections.OrderedDict(node.table)
                next(enumerate(node.queue))
            out.write('one ')
            out.write('two')
        '''
        class Node:
            def __init__(self):
                self.queue, self.table = collections.deque([1]), {1: 2}
        kept, lost = 0, 0
        lock = threading.Lock()
        def loses(number):
            return number + 1
        def here():
            global kept, lost
            for number in range(3000):
                node = Node()
                node.table[number] = collections.OrderedDict(node.table)
                next(enumerate(node.queue))
                lost = loses(lost)
                with lock:
                    kept += 1
        beside = [interpreters.create() for _ in range(2)]
        threads = [threading.Thread(target=here) for _ in range(2)]
        threads += [threading.Thread(target=interpreters.run_string, args=(each, work)) for each in beside]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for each in beside:
            interpreters.destroy(each)
        print(kept)
    "#;
    // 3.12.1 comes to no end with this program, watched or not; before, interpreters share one lock.
    for python in harness::pythons::supported().iter().filter(|python| python.minor >= 13) {
        let outcome = run(python, program);
        assert_eq!(outcome.stdout.trim(), "6000", "{}: {}", python.name(), outcome.stderr);
        assert_eq!(outcome.stderr.matches("Error").count(), 0, "{}: {}", python.name(), outcome.stderr);
        assert_eq!(outcome.races(), ["read-modify-write app.lost"], "{}", python.name());
        let missed = outcome.report.map(|report| report["coverage"]["not_watched"].to_string()).unwrap_or_default();
        assert!(missed.contains("sub-interpreters"), "{}: {missed}", python.name());
    }
}

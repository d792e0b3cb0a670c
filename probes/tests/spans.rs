//! Windows that span functions, on every interpreter on this machine. `# span <- a`: this line depends on a call, or a
//! direct read, on the line named `@a` (`.`: this line). The spans found must be exactly those lines.

mod interpreters;

use std::collections::BTreeSet;

use racetrace_probes::lines::Lines;
use racetrace_probes::plan::plan;

const SOURCE: &str = "
def plain():
    b = get_balance()  # @a
    if b >= 5:
        set_balance(b - 5)  # span <- a

def nested():
    set_balance(get_balance() + 1)  # span <- .

def methods(account, n):
    cur = account.get()  # @a
    time.sleep(0.1)
    account.set(cur + n)  # span <- a

def direct_read(account):
    account.set(account.balance + 1)  # span <- .

def direct_write(account):
    account.balance = account.get() + 1  # span <- .

def computed_attribute(account):
    account.balance += 1  # span <- .

def computed_item(table, k):
    if k not in table:  # @a
        table[k] = 1  # span <- a

def event(self):
    if not self.started.is_set():  # @a
        self.started.set()  # span <- a

async def awaited(self, k):
    if await self.cache.get(k) is None:  # @a
        await self.cache.put(k, 1)  # span <- a

def owner(self):
    if self.owner == self._current_thread():
        self.let_go()

def unrelated(a, b):
    x = a.get()
    if x:
        b.set(1)
    print(len(a.get()))

def constructed():
    t = Thread(target=Lock())
    t.start()
";

#[test]
fn calls_that_depend_on_calls_of_the_same_object_form_spans() {
    let mut labels = Vec::new();
    let mut expected = BTreeSet::new();
    for (at, line) in SOURCE.lines().enumerate().map(|(at, line)| (at as u32 + 1, line)) {
        if let Some((_, label)) = line.split_once("# @") {
            labels.push((label, at));
        }
        if let Some((_, label)) = line.split_once("# span <- ") {
            let above = labels.iter().rev().find(|(known, _)| *known == label).map_or(at, |(_, above)| *above);
            expected.insert((above, at));
        }
    }
    for interpreter in interpreters::all() {
        let mut found = BTreeSet::new();
        for dumped in interpreters::compile(interpreter, SOURCE) {
            let lines = Lines::new(&dumped.code, interpreter.version);
            let plan = plan(&dumped.code, interpreter.version).expect("a plan");
            let line = |offset| lines.line(offset).unwrap_or(0);
            found.extend(plan.spans.iter().map(|span| (line(span.read), line(span.write))));
        }
        assert_eq!(found, expected, "{:?}", interpreter.version);
    }
}

//! Which test is running, as pytest and unittest call it, so that findings can be told under their tests.

use racetrace_probes::wire::Kind;

use crate::ffi::{self, Obj};
use crate::hooks::of;
use crate::names::{type_name, utf8};
use crate::state::{self, Fixed};
use crate::{ring, tasks, thread};

/// A test begins; an empty name: none is running.
pub fn say(name: &str) {
    let word = if name.is_empty() { 0 } else { state::with(|state, _| state.names.text(name)).unwrap_or(0) };
    let mut slot = ring::slot(Kind::Test, thread::tid());
    slot.word = word;
    tasks::say(thread::current(), slot);
}

/// pytest is about to set up, call or tear down `item`, or (`when` is None) has done with it.
pub fn step(item: Obj, when: Obj) {
    match utf8(when) {
        Some("setup") => with_text(item, c"nodeid", say),
        Some(_) => {}
        None => say(""),
    }
}

/// unittest runs a test case: `module.Class.method`, as its own reports name it. Where pytest runs unittest's cases, its
/// name for the test stays.
pub fn case(fixed: &Fixed, case: Obj) {
    if pytests().is_some() {
        return;
    }
    let layout = &fixed.layout;
    let class = layout.type_of(case);
    let module = crate::objects::module_of(class).unwrap_or_default();
    with_text(case, c"_testMethodName", |method| say(&format!("{module}.{}.{method}", type_name(layout, class))));
}

/// unittest has done with its test case.
pub fn case_over() {
    if pytests().is_none() {
        say("");
    }
}

/// The test that pytest runs: for versions where its steps are not seen from the start.
pub fn from_environment() {
    if let Some(test) = pytests() {
        say(test.rsplit_once(" (").map_or(test.as_str(), |(name, _)| name));
    }
}

/// pytest leaves the current test in the environment.
fn pytests() -> Option<String> {
    // SAFETY: getenv with a NUL-terminated name; the text is copied while the GIL is held.
    unsafe {
        let value = libc::getenv(c"PYTEST_CURRENT_TEST".as_ptr());
        (!value.is_null()).then(|| std::ffi::CStr::from_ptr(value).to_string_lossy().into_owned())
    }
}

fn with_text(object: Obj, name: &std::ffi::CStr, use_it: impl FnOnce(&str)) {
    let value = of(object, name);
    if let Some(text) = utf8(value) {
        use_it(text);
    }
    if !value.is_null() {
        // SAFETY: the reference that `of` took.
        unsafe { ffi::Py_DecRef(value) };
    }
}

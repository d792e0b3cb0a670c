//! Paths: asked about, used and changed. Open files are not its business.

use std::ffi::CStr;
use std::os::unix::ffi::OsStrExt;

use racetrace_probes::wire::{Kind, Slot};

use super::{aside, exclusion, note, site};
use crate::ffi::{self, Obj};
use crate::hooks::Call;
use crate::state::{self, Fixed};
use crate::{names, object, tasks, thread};

pub(super) mod effect {
    pub const OPEN: u8 = 0;
    pub const CREATE: u8 = 1;
    pub const REMOVE: u8 = 2;
    pub const RENAME: u8 = 3;
    pub const MAKE_DIRECTORY: u8 = 4;
    pub const CHANGE: u8 = 5;
}

/// Writes a record whose `word` is a path.
pub(super) fn say_path(mut slot: Slot, path: &str) {
    slot.word = state::with(|state, _| state.names.text(path)).unwrap_or(0);
    tasks::say(thread::current(), slot);
}

/// A path argument (str, bytes or path-like), absolute; `None` for descriptors and what is no path.
pub(super) fn path_of(fixed: &Fixed, argument: Obj) -> Option<String> {
    unsafe extern "C-unwind" {
        fn PyOS_FSPath(path: Obj) -> Obj;
    }
    if argument.is_null() || fixed.layout.type_of(argument) == object!(PyLong_Type) {
        return None;
    }
    // SAFETY: the conversion that the called function is about to do itself; a new reference, or an error that is cleared.
    let text = unsafe {
        let path = PyOS_FSPath(argument);
        if path.is_null() {
            ffi::PyErr_Clear();
            return None;
        }
        let text = names::utf8(path).map(str::to_owned);
        ffi::Py_DecRef(path);
        text?
    };
    Some(absolute(&text))
}

fn absolute(path: &str) -> String {
    let whole = if path.starts_with('/') {
        path.to_owned()
    } else {
        let directory =
            std::env::current_dir().map(|directory| String::from_utf8_lossy(directory.as_os_str().as_bytes()).into_owned());
        format!("{}/{path}", directory.unwrap_or_default())
    };
    let parts: Vec<&str> = whole.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    format!("/{}", parts.join("/"))
}

/// Set in `short` of a use that did nothing.
const FAILED: u16 = 2;

/// A path was used: it was changed if that succeeded.
pub(super) fn used(call: &Call, result: Obj, argument: (isize, &CStr), effect: u8, exclusive: bool) {
    aside(result, |succeeded| {
        note(|fixed| {
            let site = site(fixed)?;
            let path = path_of(fixed, call.argument(argument.0, argument.1))?;
            let mut slot = site.slot(Kind::PathUse);
            slot.small = effect;
            slot.short = u16::from(exclusive || site.tolerant) | if succeeded { 0 } else { FAILED };
            say_path(slot, &path);
            Some(())
        });
    });
}

pub(super) fn check(call: &Call) -> Obj {
    let result = call.go_on();
    aside(result, |_| {
        note(|fixed| {
            let site = site(fixed)?;
            let path = path_of(fixed, call.argument(0, c"path"))?;
            say_path(site.slot(Kind::PathCheck), &path);
            Some(())
        });
    });
    result
}

/// The call has made what was not there.
pub(super) fn taken(call: &Call, name: &CStr) {
    let Some(fixed) = state::fixed() else { return };
    let path = thread::outermost(|| {
        let site = site(fixed).filter(|site| !site.tolerant)?;
        tasks::strand(fixed, thread::current(), site.frame);
        path_of(fixed, call.argument(0, name))
    });
    if let Some(path) = path.flatten() {
        exclusion::taken(fixed, &path);
    }
}

pub(super) fn remove(call: &Call) -> Obj {
    if exclusion::any()
        && let Some(fixed) = state::fixed()
        && let Some(Some(path)) = thread::outermost(|| path_of(fixed, call.argument(0, c"path")))
    {
        exclusion::given_back(&path);
    }
    let result = call.go_on();
    used(call, result, (0, c"path"), effect::REMOVE, false);
    result
}

pub(super) fn rename(call: &Call) -> Obj {
    let result = call.go_on();
    used(call, result, (0, c"src"), effect::RENAME, false);
    used(call, result, (1, c"dst"), effect::RENAME, false);
    result
}

pub(super) fn make_directory(call: &Call) -> Obj {
    let result = call.go_on();
    used(call, result, (0, c"path"), effect::MAKE_DIRECTORY, false);
    if !result.is_null() {
        taken(call, c"path");
    }
    result
}

pub(super) fn change(call: &Call) -> Obj {
    let result = call.go_on();
    used(call, result, (0, c"path"), effect::CHANGE, false);
    result
}

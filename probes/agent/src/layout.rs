//! Where the fields are that the agent reads, by version. A table made once at the start; the offsets come from the
//! headers of each version (`offsetof`), 64-bit. It reads no object.

use racetrace_probes::version::Version;

use crate::ffi::{self, Obj, field};
use crate::object;

#[derive(Clone, Copy)]
pub struct Layout {
    pub minor: u8,
    pub micro: u8,
    pub free_threaded: bool,
    /// `sizeof(PyObject)`: what precedes every object's own fields.
    pub header: usize,
    pub ob_type: usize,
    /// 3.11 and 3.12 keep the current frame behind a C frame: its offset in the thread state and the field in it.
    pub cframe: Option<(usize, usize)>,
    pub tstate_frame: usize,
    pub frame_code: usize,
    pub frame_globals: usize,
    pub frame_previous: usize,
    pub frame_instruction: usize,
    pub frame_owner: usize,
    pub frame_locals: usize,
    /// 3.14+: the low bits of stack entries are tags.
    pub tagged: bool,
    pub code_adaptive: usize,
    pub code_nlocalsplus: usize,
    pub code_names: usize,
    pub code_consts: usize,
    pub code_flags: usize,
    /// From the start of a generator object to its frame.
    pub generator_frame: usize,
}

/// Frame owners from here on are not Python frames (`FRAME_OWNED_BY_CSTACK`, `FRAME_OWNED_BY_INTERPRETER`).
const OWNER_NOT_PYTHON: u8 = 3;
const OWNER_GENERATOR: u8 = 1;
/// CO_NO_MONITORING_EVENTS.
const NO_MONITORING: u32 = 0x200_0000;

impl Layout {
    /// The layout of the interpreter that we are in, or why there is none.
    pub fn detect() -> Result<Layout, &'static str> {
        // SAFETY: Py_GetVersion returns a static NUL-terminated text.
        let text = unsafe { std::ffi::CStr::from_ptr(ffi::Py_GetVersion()) }.to_str().map_err(|_| "unreadable version")?;
        let free_threaded = text.contains("free-threading");
        let mut numbers = text.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse::<u8>().ok());
        let (major, minor, micro) = (numbers.next(), numbers.next(), numbers.next().unwrap_or(0));
        let (Some(3), Some(minor)) = (major, minor) else { return Err("not CPython 3") };
        Layout::of(minor, micro, free_threaded).ok_or("CPython 3.11 to 3.15 is supported")
    }

    fn of(minor: u8, micro: u8, free_threaded: bool) -> Option<Layout> {
        let more = if free_threaded { 16 } else { 0 };
        let mut layout = Layout {
            minor,
            micro,
            free_threaded,
            header: 16 + more,
            ob_type: 8 + more,
            cframe: None,
            tstate_frame: 72,
            frame_code: 0,
            frame_globals: 24,
            frame_previous: 8,
            frame_instruction: 56,
            frame_owner: 70,
            frame_locals: 72,
            tagged: false,
            code_adaptive: 200 + more,
            code_nlocalsplus: 72 + more,
            code_names: 32 + more,
            code_consts: 24 + more,
            code_flags: 48 + more,
            generator_frame: 0,
        };
        match minor {
            11 => {
                layout.cframe = Some((56, 8));
                layout.frame_code = 32;
                layout.frame_globals = 8;
                layout.frame_previous = 48;
                layout.frame_owner = 69;
                layout.code_adaptive = 184;
                layout.code_nlocalsplus = 76;
            }
            12 => {
                layout.cframe = Some((56, 0));
                layout.code_adaptive = 192;
            }
            13 => {}
            14 | 15 => {
                layout.frame_owner = 74;
                layout.frame_locals = 80;
                layout.tagged = true;
                layout.code_adaptive = 208 + more;
            }
            _ => return None,
        }
        // A generator's size ends where its frame's variable part begins.
        // SAFETY: PyGen_Type is a type object of this interpreter.
        let size: isize = unsafe { field(object!(PyGen_Type), 32 + more) };
        layout.generator_frame = (size as usize).checked_sub(layout.frame_locals)?;
        Some(layout)
    }

    #[inline(always)]
    pub fn type_of(&self, object: Obj) -> Obj {
        // SAFETY: every object has its type there.
        unsafe { field(object, self.ob_type) }
    }

    /// Is there one reference to the object only? Never certain on free-threaded builds.
    #[inline(always)]
    pub fn is_sole(&self, object: Obj) -> bool {
        // SAFETY: an object begins with its reference count, of which the low half counts.
        !self.free_threaded && unsafe { field::<u32>(object, 0) } == 1
    }

    /// The innermost frame of a thread, or null.
    #[inline(always)]
    pub fn current_frame(&self, tstate: Obj) -> Obj {
        // SAFETY: the offsets are those of this version's thread state.
        unsafe {
            match self.cframe {
                Some((cframe, current)) => field(field(tstate, cframe), current),
                None => field(tstate, self.tstate_frame),
            }
        }
    }

    /// The calling frame that runs Python code, or null.
    #[inline(always)]
    pub fn python_frame(&self, mut frame: Obj) -> Obj {
        // SAFETY: frames of the running thread form a list that ends with null.
        unsafe {
            while !frame.is_null() && (field::<u8>(frame, self.frame_owner) >= OWNER_NOT_PYTHON || self.is_shim(frame)) {
                frame = field(frame, self.frame_previous);
            }
        }
        frame
    }

    /// A frame of the interpreter's own making, such as the one that checks what `__init__` returns.
    #[inline(always)]
    fn is_shim(&self, frame: Obj) -> bool {
        // SAFETY: `frame` is a live frame with a code object.
        self.minor >= 13 && unsafe { field::<u32>(self.code(frame), self.code_flags) } & NO_MONITORING != 0
    }

    #[inline(always)]
    pub fn previous(&self, frame: Obj) -> Obj {
        // SAFETY: `frame` is a live frame.
        self.python_frame(unsafe { field(frame, self.frame_previous) })
    }

    /// The frame before, be it one of the interpreter's own making; frames on the C stack are left out. Null at the end.
    #[inline(always)]
    pub fn frame_before(&self, mut frame: Obj) -> Obj {
        // SAFETY: as in `python_frame`.
        unsafe {
            loop {
                frame = field(frame, self.frame_previous);
                if frame.is_null() || field::<u8>(frame, self.frame_owner) < OWNER_NOT_PYTHON {
                    return frame;
                }
            }
        }
    }

    /// A frame and its callers, outwards.
    #[inline(always)]
    pub fn frames(&self, innermost: Obj) -> impl Iterator<Item = Obj> + '_ {
        let mut next = innermost;
        std::iter::from_fn(move || {
            let frame = (!next.is_null()).then_some(next)?;
            next = self.previous(frame);
            Some(frame)
        })
    }

    #[inline(always)]
    pub fn code(&self, frame: Obj) -> Obj {
        // SAFETY: `frame` is a live Python frame.
        self.untag(unsafe { field(frame, self.frame_code) })
    }

    #[inline(always)]
    pub fn globals(&self, frame: Obj) -> Obj {
        // SAFETY: `frame` is a live Python frame.
        unsafe { field(frame, self.frame_globals) }
    }

    /// The address of the instruction that the frame is at (3.13+), or of the code unit before the next one.
    #[inline(always)]
    pub fn instruction(&self, frame: Obj) -> usize {
        // SAFETY: `frame` is a live Python frame.
        unsafe { field(frame, self.frame_instruction) }
    }

    /// Byte offset of the frame's instruction. On free-threaded 3.14+ the bytecode is a copy of the thread's own.
    #[inline(always)]
    pub fn offset(&self, frame: Obj, code: Obj) -> u32 {
        (self.instruction(frame).wrapping_sub(code as usize + self.code_adaptive)) as u32
    }

    /// Slot `index` of the frame's locals and value stack.
    #[inline(always)]
    pub fn local(&self, frame: Obj, index: usize) -> Obj {
        // SAFETY: the caller's index is below nlocalsplus + stack depth.
        self.untag(unsafe { field(frame, self.frame_locals + 8 * index) })
    }

    /// The same where the slot holds a reference of its own, and not one borrowed from another place.
    #[inline(always)]
    pub fn owned_local(&self, frame: Obj, index: usize) -> Option<Obj> {
        // SAFETY: as in `local`.
        let entry: Obj = unsafe { field(frame, self.frame_locals + 8 * index) };
        (!entry.is_null() && (!self.tagged || entry as usize & 3 == 0)).then_some(entry)
    }

    /// The same as it lies there: an object's address or a number, with what the version marks it by.
    pub fn word(&self, frame: Obj, index: usize) -> usize {
        // SAFETY: as above.
        unsafe { field(frame, self.frame_locals + 8 * index) }
    }

    /// How many items a tuple has.
    #[inline(always)]
    pub fn tuple_size(&self, tuple: Obj) -> usize {
        // SAFETY: said by the caller; the size comes after the header.
        unsafe { field(tuple, self.header) }
    }

    /// An item of a tuple that has as many.
    #[inline(always)]
    pub fn tuple_item(&self, tuple: Obj, index: u32) -> Obj {
        let items = self.header + if self.minor >= 14 { 16 } else { 8 };
        // SAFETY: said by the caller.
        unsafe { field(tuple, items + 8 * index as usize) }
    }

    /// The object that a stack entry refers to; null for an entry that is a number.
    #[inline(always)]
    pub fn untag(&self, object: Obj) -> Obj {
        const NUMBER: usize = 3;
        match object as usize & 3 {
            _ if !self.tagged => object,
            NUMBER => std::ptr::null_mut(),
            _ => (object as usize & !3) as Obj,
        }
    }

    /// The generator or coroutine object that a frame belongs to.
    pub fn generator(&self, frame: Obj) -> Option<Obj> {
        // SAFETY: a generator's frame lies inside the generator.
        self.is_generators(frame).then(|| unsafe { frame.sub(self.generator_frame) })
    }

    #[inline(always)]
    pub fn is_generators(&self, frame: Obj) -> bool {
        // SAFETY: `frame` is a live frame.
        unsafe { field::<u8>(frame, self.frame_owner) == OWNER_GENERATOR }
    }

    pub fn nlocalsplus(&self, code: Obj) -> usize {
        // SAFETY: `code` is a code object.
        unsafe { field::<i32>(code, self.code_nlocalsplus) as usize }
    }

    /// A field of a type object, by its offset in a build with a GIL.
    ///
    /// # Safety
    /// `class` is a type object, and a `T` is there.
    #[inline(always)]
    pub unsafe fn slot<T: Copy>(&self, class: Obj, offset: usize) -> T {
        // SAFETY: said by the caller; a free-threaded header is 16 bytes longer.
        unsafe { field(class, offset + self.header - 16) }
    }

    /// For what is worked out from bytecode.
    pub fn version(&self) -> Version {
        Version { minor: self.minor, free_threaded: self.free_threaded }
    }

    /// Where such a field is, if a word.
    #[inline(always)]
    pub fn slot_of(&self, class: Obj, offset: usize) -> *mut usize {
        class.wrapping_add(offset + self.header - 16).cast()
    }
}

/// Offsets in `PyTypeObject` (the same from 3.8 to 3.15).
pub mod type_slot {
    pub const NAME: usize = 24;
    pub const BASICSIZE: usize = 32;
    pub const DEALLOC: usize = 48;
    pub const AS_ASYNC: usize = 80;
    pub const GETATTRO: usize = 144;
    pub const SETATTRO: usize = 152;
    pub const FLAGS: usize = 168;
    pub const ITERNEXT: usize = 224;
    pub const DESCR_SET: usize = 280;
    pub const INIT: usize = 296;
    pub const NEW: usize = 312;
    pub const FREE: usize = 320;
    pub const VERSION_TAG: usize = 384;
}

/// `Py_TPFLAGS_*`.
pub mod type_flag {
    pub const HEAPTYPE: u64 = 1 << 9;
    pub const LONG: u64 = 1 << 24;
    pub const LIST: u64 = 1 << 25;
    pub const TUPLE: u64 = 1 << 26;
    pub const UNICODE: u64 = 1 << 28;
    pub const DICT: u64 = 1 << 29;
    pub const TYPE: u64 = 1 << 31;
}

//! Another process as the kernel sees it: its memory, threads, mappings, files and what one may do to it.
//! It knows nothing of Python.
//!
//! | module | holds |
//! |---|---|
//! | [`address`] | addresses in the other process, which are never pointers of ours |
//! | [`memory`] | reading bytes, from a process or from an image |
//! | [`process`] | who it is, whether it still is the same, and whether it can be looked into |
//! | [`program`] | whether it still runs the same program |
//! | [`threads`] | its threads: names, states, the system call each is in |
//! | [`view`] | memory as it was when it was first asked for |
//! | [`descendants`] | the processes that it has started |
//! | [`procfs`] | small files of the kernel about it |
//! | [`maps`] | its mappings |
//! | [`elf`] | symbols and sections of a mapped file |
//! | [`permission`] | why the kernel said no, and what helps |

pub mod address;
pub mod descendants;
pub mod elf;
pub mod family;
pub mod lifetime;
pub mod maps;
pub mod memory;
pub mod permission;
pub mod process;
pub mod procfs;
pub mod program;
pub mod ring;
pub mod spawn;
pub mod threads;
pub mod ticks;
pub mod view;

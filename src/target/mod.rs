//! Another process as the kernel sees it: memory, threads, maps, ELF, permissions. Knows nothing of Python.

pub mod family;
pub mod lifetime;
pub mod ring;
pub mod spawn;
pub mod ticks;

//! The part of racetrace that runs inside the interpreter: it notes accesses, locks, threads, tasks and files, and writes
//! records to shared memory. It does not judge.
//!
//! It is loaded like an extension module, by the hook that `racetrace run` puts on the path, and linked to no libpython.
//! Rules: no panic leaves it, nothing unwinds into C, no Python code runs on the hot path, and when anything is in doubt
//! it stops recording and lets the program go on. One thing does pass through: when the interpreter is taken down, it ends
//! threads that still wait by `pthread_exit`, which unwinds their stacks; so everything that calls the interpreter back is
//! `extern "C-unwind"` and owns nothing while it does.
//!
//! | module | holds |
//! |---|---|
//! | [`ffi`], [`layout`] | the interpreter's functions, and where its fields are |
//! | [`state`] | the gate: the one mutable state and how it is reached |
//! | [`ring`] | the shared memory |
//! | [`names`], [`objects`], [`codes`], [`stacks`] | identities, defined to the ring when first used |
//! | [`watch`] → [`monitor`] (3.12+), [`trace`], [`evaluate`] and [`early`] (3.11) | instructions that are about to run |
//! | [`access`], [`containers`], [`iteration`] | from an instruction to the subjects that it touches |
//! | [`recent`], [`met`] | dropping what is redundant; what a watch met last |
//! | [`variables`] | what nobody changes, and so need not be watched |
//! | [`interpreters`] | that other interpreters of the process are left alone |
//! | [`midway`] | threads of a process that is joined while it runs |
//! | [`tests`] | which test is running, under pytest and unittest |
//! | [`tasks`], [`coroutines`], [`callbacks`], [`sync`], [`hooks`], [`holders`] | strands, order, locks |

mod access;
mod callbacks;
mod codes;
mod containers;
mod coroutines;
mod early;
mod evaluate;
mod ffi;
mod holders;
mod hooks;
mod interpreters;
mod iteration;
mod layout;
mod met;
mod midway;
mod monitor;
mod names;
mod objects;
mod recent;
mod ring;
mod stacks;
mod start;
mod state;
mod sync;
mod table;
mod tasks;
mod tests;
mod thread;
mod trace;
mod variables;
mod watch;

//! What the memory of a CPython process means: where the runtime is, which version and layout it has, its threads,
//! frames, objects, locks and tasks. It only reads, distrusts every word it reads, and judges nothing.
//!
//! | module | holds |
//! |---|---|
//! | [`discovery`] | finding the runtime: an ordered list of named strategies |
//! | [`foreign`] | stacks of versions that are not laid out here |
//! | [`layout`] | where the fields are, per version; tables are data files |
//! | [`debug_offsets`] | the interpreter's own description of itself, from 3.13 on |
//! | [`pending_calls`] | the calls that an interpreter is to make at its next safe point |
//! | [`python`] | an interpreter process that was found: the reader that all else hangs on |
//! | [`object`] | types, and values small enough to show |
//! | [`dict`], [`attribute`], [`container`] | where a name's or key's value lies |
//! | [`code`] | code objects, unspecialised |
//! | [`frame`] | frames of threads, generators and coroutines |
//! | [`mod@line`] | which line an instruction stands on |
//! | [`naming`] | names for threads, modules and objects |
//! | [`lock`] | locks: held, by whom, and who waits |
//! | [`coroutine`] | coroutines and generators: suspended, not begun |
//! | [`task`] | asyncio tasks |

pub mod attribute;
pub mod code;
pub mod container;
pub mod coroutine;
pub mod debug_offsets;
pub mod dict;
pub mod discovery;
pub mod foreign;
pub mod frame;
pub mod layout;
pub mod line;
pub mod lock;
pub mod naming;
pub mod object;
pub mod pending_calls;
pub mod python;
pub mod task;

//! What racetrace knows about CPython, shared by the injected agent and the tool: code objects, bytecode, the windows
//! in them, and the records that travel from one to the other. It never touches a process.
//!
//! | module | holds |
//! |---|---|
//! | [`version`] | which CPython, and what differs by it in words |
//! | [`code`] | a code object as plain data |
//! | [`wire`] | the shared memory between agent and tool |
//! | [`plan`] | which instructions to watch in a code object, and the windows they form |

pub mod access;
pub mod block;
pub mod call;
pub mod code;
pub mod control;
pub mod depend;
pub mod destination;
pub mod effect;
pub mod escape;
pub mod exception_table;
pub mod flow;
pub mod handler;
pub mod ident;
pub mod instruction;
pub mod lines;
pub mod method;
pub mod opcode;
pub mod path;
pub mod plan;
pub mod region;
pub mod span;
pub mod study;
pub mod switch;
pub mod version;
pub mod window;
pub mod wire;

//! What racetrace knows about CPython, shared by the injected agent and the tool: code objects, bytecode, the windows
//! in them, and the records that travel from one to the other. It never touches a process.
//!
//! | module | holds |
//! |---|---|
//! | [`version`] | which CPython, and what differs by it in words |
//! | [`code`] | a code object as plain data |
//! | [`wire`] | the shared memory between agent and tool |
//! | [`plan`] | which instructions to watch in a code object, and the windows they form |

pub mod block;
pub mod code;
pub mod effect;
pub mod exception_table;
pub mod flow;
pub mod instruction;
pub mod method;
pub mod opcode;
pub mod plan;
pub mod version;
pub mod wire;

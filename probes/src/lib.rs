//! What racetrace knows about CPython, shared by the injected agent and the tool: code objects, bytecode, the windows
//! in them, and the records that travel from one to the other. It never touches a process.
//!
//! | module | holds |
//! |---|---|
//! | [`version`] | which CPython, and what differs by it in words |
//! | [`code`] | a code object as plain data |
//! | [`wire`] | the shared memory between agent and tool |
//! | [`plan`] | which instructions to watch in a code object, and the windows they form |
//! | [`method`] | which methods and functions touch containers, and how |
//! | [`lines`] | lines and columns of instructions |
//! | [`study`] | names for what lies in a frame at an instruction |
//!
//! A plan is made in steps, each of which knows only those before it:
//!
//! | step | finds |
//! |---|---|
//! | [`opcode`], [`instruction`], [`exception_table`], [`block`] | instructions, handlers and basic blocks |
//! | [`effect`], [`flow`] | which value lies where, in static single assignment |
//! | [`call`], [`ident`], [`path`] | calls in one shape; which values are the same thing, and its name |
//! | [`access`], [`escape`] | what touches variables, attributes and containers; containers that stay private |
//! | [`control`], [`depend`], [`handler`], [`destination`] | what decides about an instruction, what a value depends on, where it goes |
//! | [`window`], [`region`], [`switch`], [`span`] | windows, their inside, the switch points there; windows across functions |
//! | [`poll`] | loops that wait for what others store |
//! | [`oneself`] | tests of who runs, which nobody else can outdate |
//! | [`rescue`] | acts that an `except` clause of their own saves from outdated checks |

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
pub mod oneself;
pub mod opcode;
pub mod path;
pub mod plan;
pub mod poll;
pub mod region;
pub mod rescue;
pub mod span;
pub mod study;
pub mod switch;
pub mod version;
pub mod window;
pub mod wire;
pub mod within;

//! The probe session: a private directory that the command's interpreters find through their environment, an agent in
//! each of them that writes its records into a ring there, and a collector that turns the rings into events. It starts
//! no command and judges nothing.
//!
//! | module | holds |
//! |---|---|
//! | [`directory`] | the session's directory: agent, start-up hook, rings, notes |
//! | [`collector`] | the thread that finds rings and drains them |
//! | [`source`] | one ring while it is drained |
//! | [`decode`] | a record of a ring as an event |
//! | [`clock`] | time stamps as nanoseconds |
//! | [`joining`] | asking an interpreter that runs already to load the agent |
//! | [`notes`] | what interpreters say that could not be watched |

pub mod clock;
pub mod collector;
pub mod decode;
pub mod directory;
pub mod joining;
pub mod notes;
pub mod source;

#[cfg(test)]
mod producer;

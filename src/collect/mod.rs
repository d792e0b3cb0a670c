//! Mechanisms that turn a target into events: sampler, probe session.

pub mod sampler;
pub mod session;

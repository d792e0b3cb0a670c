//! What black-box tests share: the interpreters to be found here, and a way to run programs under `racetrace`. It judges
//! nothing.

#![allow(dead_code, unused_imports, reason = "each test file uses its part")]

pub mod dump;
pub mod image;
pub mod pythons;
pub mod random;
pub mod session;
pub mod target;

pub use pythons::{Python, each_python};
pub use session::Session;

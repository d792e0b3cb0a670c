//! Litmus tests of windows, named by their verdicts. Each builds its own records; none runs Python.

mod containers;
mod objects;
mod order;
mod polls;
mod spans;
mod tasks;
mod threads;
mod throughput;
mod wording;

//! What another process's memory means: the runtime, layouts per version, frames, objects, locks.

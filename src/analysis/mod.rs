//! Events in, findings out. No I/O, no clock, no unsafe.

//! The trace file: writer, reader, one module per format version.

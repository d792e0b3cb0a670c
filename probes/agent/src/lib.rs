//! The part of racetrace that runs inside the interpreter.

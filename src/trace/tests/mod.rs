//! Tests of the whole file: what was written is read, whatever happens to the bytes in between. Format details are tested
//! in `v1`.

mod damage;
mod limit;
mod made;
mod whole;

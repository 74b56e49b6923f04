//! Nothing ships from here: `tests/promises.rs` shows that promises cannot be dropped without the compiler noticing, and
//! `tests/tidy.rs` holds the rules of the code base.

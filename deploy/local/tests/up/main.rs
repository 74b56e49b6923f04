//! `trestle up` from outside: real processes, real signals, one data folder and one block of ports for each test.

mod faults;
mod harness;
mod lifetime;
mod refusals;

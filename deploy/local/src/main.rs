//! The `trestle` binary: the whole shop on this machine, or one node of it.
//!
//! Every node that `trestle up` starts is this same binary in another role, so one build starts everything, and what
//! runs under the local supervisor is what runs in a container.

mod attention;
mod blueprint;
mod certificates;
mod cli;
mod control;
mod database;
mod faults;
mod health;
mod output;
mod plan;
mod roles;
mod shared;
mod sites;
mod supervisor;
mod up;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    // Before anything else: a node whose supervisor is gone must not begin to work.
    if let Err(error) = roles::die_with_supervisor() {
        return output::failure(&error);
    }
    match cli::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => output::failure(&error),
    }
}

//! What operators do to a shop that sells: restart it node by node, start it before its stores, copy it and put the copy back.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test, which reports what it has seen")]

mod backup;
#[path = "../common/cluster.rs"]
#[expect(dead_code, reason = "shared with other targets, which use more of it")]
mod cluster;
mod late_stores;
mod rolling;

use std::path::{Path, PathBuf};

/// The load test's binary, built beside ours.
fn loadtest() -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_trestle")).with_file_name("loadtest");
    assert!(path.exists(), "{} is missing: cargo build -p loadtest", path.display());
    path
}

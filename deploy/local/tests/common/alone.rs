//! One node without a supervisor.

use std::{
    fs::File,
    path::Path,
    process::{Child, Command, Stdio},
};

/// Starts it; what it says goes to a file. It ends with this test's thread, even if that is killed.
pub(crate) fn start(node: &mut Command, log: &Path) -> Child {
    node.env("TRESTLE_SUPERVISOR_PID", std::process::id().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(log).unwrap())
        .spawn()
        .unwrap()
}

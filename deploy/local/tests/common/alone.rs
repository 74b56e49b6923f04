//! One node without a supervisor.

use std::{
    fs::File,
    path::Path,
    process::{Child, Command, Stdio},
};

/// A node's process; it ends with this value, and with this test's thread even if that is killed.
pub(crate) struct Alone(pub(crate) Child);

impl Alone {
    /// Starts it; what it says goes to a file.
    pub(crate) fn start(node: &mut Command, log: &Path) -> Self {
        let child = node
            .env("TRESTLE_SUPERVISOR_PID", std::process::id().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(log).unwrap())
            .spawn();
        Self(child.unwrap())
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

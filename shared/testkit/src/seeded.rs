//! Seeded bugs (T-10): a suite that has never been seen to fail proves nothing.

use std::process::Command;

/// Runs one test of the calling test binary again, in a process that has a seeded bug, and sees it fail.
///
/// # Panics
/// When the test does not fail with that bug, or fails elsewhere than in a file whose path contains `place`.
pub fn assert_caught(bug: &str, test: &str, place: &str) {
    let binary = std::env::current_exe().unwrap_or_else(|error| panic!("this test's binary: {error}"));
    let again = Command::new(binary).args(["--exact", test, "--nocapture"]).env("TRESTLE_BUG", bug).output();
    let output = again.unwrap_or_else(|error| panic!("{test} cannot be run again: {error}"));
    let told = String::from_utf8_lossy(&output.stderr);
    let panicked = told.lines().any(|line| line.contains("panicked at") && line.contains(place));
    assert!(!output.status.success() && panicked, "{test}: {bug} was not caught: {told}");
}

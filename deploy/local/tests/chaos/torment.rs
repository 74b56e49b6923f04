//! One run of `loadtest chaos`, and its verdict.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::Value;
use testkit::ports::Ports;

/// Time between two faults, on average.
pub(crate) const KILL_EVERY: Duration = Duration::from_millis(700);

/// How long each run must go without a fault of its own afterwards.
const CONTROL: Duration = Duration::from_secs(4);

/// What is asked for.
pub(crate) struct Torment {
    pub(crate) seed: u64,
    pub(crate) duration: Duration,
    /// Kinds of faults, separated by commas.
    pub(crate) kinds: &'static str,
    /// The URI of a new database, and the command that restarts its server.
    pub(crate) database: Option<(String, String)>,
    /// The seeded bug that the shop has.
    pub(crate) bug: Option<&'static str>,
}

impl Default for Torment {
    fn default() -> Self {
        Self { seed: 1, duration: Duration::from_secs(10), kinds: "kill", database: None, bug: None }
    }
}

/// What came of it.
pub(crate) struct Report {
    passed: bool,
    json: Value,
    text: String,
}

/// The load test's binary, built beside ours.
fn loadtest() -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_trestle")).with_file_name("loadtest");
    assert!(path.exists(), "{} is missing: cargo build -p loadtest", path.display());
    path
}

impl Torment {
    pub(crate) fn run(self) -> Report {
        let verdict = tempfile::NamedTempFile::new().unwrap();
        let mut chaos = Command::new(loadtest());
        chaos.args(["chaos", "--seed", &self.seed.to_string(), "--faults", self.kinds]);
        chaos.args(["--duration", &format!("{}ms", self.duration.as_millis())]);
        chaos.args(["--kill-every", &format!("{}ms", KILL_EVERY.as_millis())]);
        chaos.args(["--control", &format!("{}ms", CONTROL.as_millis())]);
        let ports = Ports::claim();
        chaos.args(["--port", &ports.first().to_string(), "--trestle", env!("CARGO_BIN_EXE_trestle")]);
        chaos.arg("--json").arg(verdict.path());
        if let Some((uri, restart)) = &self.database {
            chaos.env("TRESTLE_DATABASE", uri).args(["--database-restart", restart]);
        }
        // A run that fails keeps its data, which is of use only where that is a surprise.
        let thrown_away = tempfile::tempdir().unwrap();
        if let Some(bug) = self.bug {
            chaos.env("TRESTLE_BUG", bug).env("TMPDIR", thrown_away.path());
        }
        let output = chaos.output().unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
        let json = serde_json::from_slice(&std::fs::read(verdict.path()).unwrap()).unwrap_or_default();
        let report = Report { passed: output.status.success(), json, text };
        println!("{}", report.figures());
        report
    }
}

impl Report {
    /// How often a kind of fault was hit.
    pub(crate) fn faults(&self, kind: &str) -> u64 {
        self.json["faults"][kind].as_u64().unwrap_or_default()
    }

    /// The checks that were violated, with their first sentence.
    pub(crate) fn anomalies(&self) -> Vec<String> {
        let findings = self.json["findings"].as_object().into_iter().flatten();
        let violated = findings.filter(|(_, finding)| finding["violations"].as_u64().unwrap_or_default() > 0);
        violated.map(|(check, finding)| format!("{check}: {}", finding["sentences"][0])).collect()
    }

    /// It passed, and it was no empty run.
    pub(crate) fn assert_held(&self) {
        assert!(self.passed && self.anomalies().is_empty(), "{:#?}\n{}", self.anomalies(), self.text);
        let numbers = &self.json["numbers"];
        let bought = numbers["acknowledged"].as_u64().unwrap_or_default();
        assert!(bought > 0 && numbers["orders"] == numbers["charges"], "{numbers}");
        for (kind, hits) in self.json["faults"].as_object().unwrap() {
            assert!(hits.as_u64() > Some(0), "no fault of the kind {kind}");
        }
    }

    /// Of one run, on one line.
    fn figures(&self) -> String {
        let of = |name: &str| self.json[name].to_string();
        format!(
            "seed {}: faults {}, attempts {}, numbers {}, anomalies {}, at rest after {} ms, verdict {}",
            of("seed"),
            of("faults"),
            of("attempts"),
            of("numbers"),
            self.anomalies().len(),
            of("rest_after_ms"),
            of("verdict")
        )
    }
}

//! How `trestle status`, `kill`, `pause`, `resume`, `cut` and its kin reach the supervisor: HTTP on loopback, found and opened by two
//! files in the data folder that only its owner can read.
//!
//! The supervisor sends the signals, not the command: it alone knows that a process id still means that node, because
//! it has not yet collected the process's end.

mod client;
mod server;

use std::fmt;

use contract::Family;
use serde::{Deserialize, Serialize};

use crate::faults::Fault;

pub(crate) use client::{heal, inject, nodes, signal, status};
pub(crate) use server::serve;

/// What `trestle status --json` prints.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Status {
    pub(crate) nodes: Vec<NodeStatus>,
    /// Whether they speak TLS with each other.
    #[serde(default)]
    pub(crate) tls: bool,
    /// Which links are bad on purpose.
    #[serde(default)]
    pub(crate) faults: Vec<Fault>,
}

/// One node as the supervisor sees it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct NodeStatus {
    pub(crate) family: Family,
    pub(crate) id: String,
    /// `None` between an end and the next start.
    pub(crate) pid: Option<u32>,
    pub(crate) address: String,
    pub(crate) ops_address: String,
    pub(crate) state: State,
    pub(crate) site: String,
    /// What it takes of the machine's memory, in KiB; of what nodes share, its part.
    pub(crate) memory_kib: Option<u64>,
    /// Starts after the first.
    pub(crate) restarts: u32,
}

/// What a node is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// Runs, but does not want work yet, or not now.
    Starting,
    /// Takes work.
    Ready,
    /// Stopped in its tracks by SIGSTOP, whoever sent it.
    Paused,
    /// Ended without being asked to; waits for its next start, or is not ready again yet.
    Restarting,
    /// Finishes what it has.
    Draining,
    /// Ended so often that it is not started again.
    Failed,
    /// Ended because it was asked to.
    Stopped,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Draining => "draining",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        })
    }
}

/// What can be done to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Action {
    Kill,
    Pause,
    Resume,
    /// Drain, end, start again.
    Restart,
}

impl Action {
    /// For "logic-1 is ...".
    pub(crate) const fn done(self) -> &'static str {
        match self {
            Self::Kill => "killed",
            Self::Pause => "paused",
            Self::Resume => "resumed",
            Self::Restart => "draining and will be started again",
        }
    }
}

/// A wish that the command has.
#[derive(Debug, Serialize, Deserialize)]
struct SignalRequest {
    node: String,
    action: Action,
}

/// Which faults to end: all, or those between two names.
#[derive(Debug, Serialize, Deserialize)]
struct HealRequest {
    between: Option<(String, String)>,
}

/// Which faults there are after a change.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct FaultsNow {
    pub(crate) faults: Vec<Fault>,
    /// Nodes that could not be told yet.
    pub(crate) later: Vec<String>,
}

/// What was healed.
#[derive(Debug, Serialize, Deserialize)]
struct Healed {
    ended: Vec<Fault>,
    now: FaultsNow,
}

/// Why it was not done.
#[derive(Debug, Serialize, Deserialize)]
struct Refusal {
    error: String,
}

/// `control.json`: where the supervisor listens.
#[derive(Debug, Serialize, Deserialize)]
struct ControlFile {
    address: String,
    pid: u32,
}

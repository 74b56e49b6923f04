//! Starts a shop and asks it things.
#![expect(clippy::unwrap_used, reason = "a test ends by panicking")]

use std::{
    fs::File,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;

/// Longer than anything here takes on a busy machine; only a failing test waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A running shop. Its supervisor is killed when this is dropped, and the nodes with it.
pub(crate) struct Shop {
    pub(crate) child: Child,
    pub(crate) port: u16,
    folder: TempDir,
}

/// Polls until something is there. What is asked takes milliseconds (a process, mostly), so it needs no pause.
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain: {what}");
        std::thread::yield_now();
    }
}

pub(crate) fn trestle(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trestle"));
    command.args(args).stdin(Stdio::null());
    command
}

/// Runs a command that ends by itself.
pub(crate) fn run(command: &mut Command) -> (bool, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.success(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

/// A block of ports that is free now, at a place that differs between test processes. Below 32,768: from there on the
/// kernel hands ports to outgoing connections, and one of them could take ours before the node does.
pub(crate) fn free_block() -> u16 {
    let place = u16::try_from(std::process::id() % 400).unwrap();
    let mut candidates = (0..400).map(|step| 12_000 + (place + step) % 400 * 50);
    let is_free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    candidates.find(|first| [0, 1, 19].iter().all(|offset| is_free(first + offset))).unwrap()
}

pub(crate) fn send(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
}

/// Whether the process runs; one that has ended and waits to be collected does not.
pub(crate) fn runs(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("State:") && !line.contains('Z') && !line.contains('X'))
}

impl Shop {
    /// Starts one, and returns when all nodes are ready.
    pub(crate) fn start() -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_block());
        let mut shop = Self { child: spawn(folder.path(), port), port, folder };
        shop.until_ready();
        shop
    }

    /// Starts it again in the same folder and on the same ports; the one before has ended.
    pub(crate) fn start_again(&mut self) {
        self.child = spawn(self.folder.path(), self.port);
        self.until_ready();
    }

    fn until_ready(&mut self) {
        until("every node is ready", || {
            assert!(self.child.try_wait().unwrap().is_none(), "the shop ended: {}", self.said());
            self.said().contains("Storefronts").then_some(())
        });
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// What was printed so far, results first.
    pub(crate) fn said(&self) -> String {
        ["out", "err"].map(|name| std::fs::read_to_string(self.folder.path().join(name)).unwrap()).concat()
    }

    /// Runs a command against this shop.
    pub(crate) fn ask(&self, args: &[&str]) -> (bool, String) {
        run(trestle(args).arg("--data").arg(self.data()))
    }

    pub(crate) fn nodes(&self) -> Vec<Value> {
        let (ok, text) = self.ask(&["status", "--json"]);
        assert!(ok, "{text}");
        let status: Value = serde_json::from_str(&text).unwrap();
        status["nodes"].as_array().unwrap().clone()
    }

    pub(crate) fn node(&self, id: &str) -> Value {
        self.nodes().into_iter().find(|node| node["id"] == id).unwrap()
    }

    pub(crate) fn state(&self, id: &str) -> String {
        self.node(id)["state"].as_str().unwrap().to_owned()
    }

    pub(crate) fn pid(&self, id: &str) -> u32 {
        u32::try_from(self.node(id)["pid"].as_u64().unwrap()).unwrap()
    }

    pub(crate) fn pids(&self) -> Vec<u32> {
        self.nodes().iter().map(|node| u32::try_from(node["pid"].as_u64().unwrap()).unwrap()).collect()
    }

    pub(crate) fn until_state(&self, id: &str, state: &str) {
        until(&format!("{id} is {state}"), || (self.state(id) == state).then_some(()));
    }

    /// Waits for the supervisor's end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        until("the supervisor ends", || self.child.try_wait().unwrap())
    }
}

fn spawn(folder: &Path, port: u16) -> Child {
    let output = |name| File::create(folder.join(name)).unwrap();
    up_in(&folder.join("data"), port).stdout(output("out")).stderr(output("err")).spawn().unwrap()
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A data folder for commands that are expected to fail.
pub(crate) fn up_in(folder: &Path, port: u16) -> Command {
    let mut command = trestle(&["up", "--port", &port.to_string(), "--data"]);
    command.arg(folder);
    command
}

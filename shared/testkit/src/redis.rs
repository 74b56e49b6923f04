//! Private Redis servers for one test: one server, a set with Sentinels, a Cluster; and what can happen to them.
//!
//! They listen on 127.0.0.1 only, keep their data in a temporary folder and end with the test, however it ends. Every
//! call blocks its thread; a server starts in 20 ms, a set or a Cluster in a few seconds.

mod cluster;
mod sentinel;

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use rustix::process::Signal;

use crate::{server::Server, slot::Slot};

pub use cluster::Cluster;
pub use sentinel::SentinelSet;

/// Apart from the ports of PostgreSQL and of shops; above those that Redis servers of this machine would use.
const PORTS: std::ops::Range<u16> = 6_400..8_000;
/// What a server says when it serves, a Sentinel when it watches.
const READY: &str = "Ready to accept connections";
const WATCHES: &str = "+monitor master";
/// Longest that something may take to come about: a Sentinel that was held up for 2 s does nothing for another 30.
const UNTIL: Duration = Duration::from_secs(90);
/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A server of one's own. Dropping it ends the server and removes its data.
///
/// # Panics
/// Every method does when the server does not do what it is told: there is nothing that a test could do about it.
#[derive(Debug)]
pub struct Redis {
    settings: Vec<String>,
    ready: &'static str,
    running: Mutex<Option<Server>>,
    /// The port of the cluster's bus.
    bus: Option<Slot>,
    /// Last, because the port is given back when it is dropped.
    slot: Slot,
}

impl Redis {
    /// One that has each write on its disk before it answers.
    #[must_use]
    pub fn start() -> Self {
        Self::with(&["--appendonly", "yes", "--appendfsync", "always"])
    }

    /// One with these settings. Without any it keeps its data in memory only.
    #[must_use]
    pub fn with(settings: &[&str]) -> Self {
        let redis = Self::made(settings, READY);
        redis.start_again();
        redis
    }

    /// One that was not started yet.
    fn made(settings: &[&str], ready: &'static str) -> Self {
        let base = std::env::temp_dir().join(format!("trestle-redis-{}", rustix::process::geteuid().as_raw()));
        or_panic(fs::create_dir_all(&base).map_err(|error| format!("{}: {error}", base.display())));
        let slot = or_panic(Slot::claim(&base, PORTS));
        or_panic(fs::create_dir_all(slot.data()).map_err(|error| format!("{}: {error}", slot.data().display())));
        let settings = settings.iter().map(|&setting| setting.to_owned()).collect();
        Self { settings, ready, running: Mutex::default(), bus: None, slot }
    }

    /// `127.0.0.1:port`; the same for the whole life of this value.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port())
    }

    /// The port on 127.0.0.1; kept while the server is down.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.slot.port()
    }

    /// `redis://127.0.0.1:port/0`.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("redis://{}/0", self.address())
    }

    /// The data folder; for tests that look at files.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.slot.data()
    }

    /// Sends a command and returns what `redis-cli` prints, or what the server complains about.
    pub fn cli(&self, command: &[&str]) -> Result<String, String> {
        let mut cli = Command::new("redis-cli");
        cli.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").args(["-e", "-p", &self.port().to_string()]);
        let output = cli.args(command).stdin(Stdio::null()).output().map_err(|error| format!("redis-cli: {error}"))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(format!("{} {}", text(&output.stdout), text(&output.stderr)))
        }
    }

    /// Sends a command that must be obeyed.
    pub fn told(&self, command: &[&str]) -> String {
        or_panic(self.cli(command))
    }

    /// One field of `INFO` or of `CLUSTER INFO`; empty if the server does not answer.
    #[must_use]
    pub fn info(&self, command: &[&str], field: &str) -> String {
        let info = self.cli(command).unwrap_or_default();
        let value = info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        value.unwrap_or_default().trim().to_owned()
    }

    /// SIGKILL. Returns when the process is gone.
    pub fn kill(&self) {
        self.end(Signal::KILL);
    }

    /// Ends it in order.
    pub fn stop(&self) {
        self.end(Signal::TERM);
    }

    /// Starts it after [`Redis::stop`] or [`Redis::kill`], on the same data and port. Returns when it serves.
    pub fn start_again(&self) {
        let mut running = self.running();
        if running.is_none() {
            *running = Some(or_panic(Server::start(self.command(), self.ready)));
        }
    }

    /// It hangs: its connections stay open and nothing answers.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// It goes on after [`Redis::pause`].
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        if let Some(server) = self.running().as_ref() {
            server.send(signal);
        }
    }

    fn end(&self, signal: Signal) {
        if let Some(server) = self.running().take() {
            or_panic(server.end(signal));
        }
    }

    /// The server writes its log to the standard output, and logs are read from the other one.
    fn command(&self) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", "sh", "-c", "exec redis-server \"$@\" >&2", "redis-server"]);
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LC_ALL", "C");
        command.args(&self.settings).args(["--port", &self.port().to_string(), "--bind", "127.0.0.1"]);
        command.arg("--dir").arg(self.slot.data());
        // No snapshots and no waiting for more replicas before a first copy.
        command.args(["--save", "", "--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"]);
        command
    }

    fn running(&self) -> MutexGuard<'_, Option<Server>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Redis {
    /// What fails here is made up for by a later start, which removes the folders of servers that are gone.
    fn drop(&mut self) {
        let server = self.running().take();
        if let Some(server) = server {
            let _ = server.end(Signal::KILL);
        }
        self.slot.clear();
    }
}

/// Looks until something has come about.
///
/// # Panics
/// When it takes too long.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let looks = UNTIL.as_millis() / LOOK_EVERY.as_millis();
    let held = (0..looks).any(|_| {
        holds() || {
            thread::park_timeout(LOOK_EVERY);
            false
        }
    });
    assert!(held, "not within {UNTIL:?}: {what}");
}

fn or_panic<T>(done: Result<T, String>) -> T {
    done.unwrap_or_else(|reason| panic!("Redis for tests (apt-get install redis-server): {reason}"))
}

//! A private PostgreSQL server for one test, and what can happen to it: crash, restart, SIGKILL.
//!
//! It listens on 127.0.0.1 only, trusts everybody who can connect, keeps its data in a temporary folder and ends with
//! the test, however the test ends. Every call blocks its thread; a start takes about 0.2 s (the first on a machine 2 s).

mod install;
mod proxy;

use std::{
    path::PathBuf,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use rustix::process::Signal;

use crate::{server::Server, slot::Slot};
use install::Install;
pub use proxy::CommitProxy;

/// Apart from the ports of Redis and of shops.
const PORTS: std::ops::Range<u16> = 10_000..12_000;
/// What the server says when it serves. The messages are not translated: `install` sets the locale.
const READY: &str = "database system is ready to accept connections";
/// The only role: may do everything. Also the name of the database that is there from the start.
const USER: &str = "trestle";
/// The same for every server. Durability is the default on purpose: tests that crash the server want it.
const SETTINGS: [&str; 8] = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_connections=200",
    "shared_buffers=32MB",
    // Small segments make the template cheap to copy, but without this they would also mean a checkpoint every 64 MB.
    "max_wal_size=1GB",
    // In the data folder, so that nothing stays in /dev/shm after SIGKILL.
    "dynamic_shared_memory_type=mmap",
    "logging_collector=off",
    "log_destination=stderr",
];

/// How a server is told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Connections are cut, everything is written out.
    Fast,
    /// PostgreSQL's immediate mode: connections are cut and nothing is written; the next start recovers from the log.
    Crash,
}

/// A server of one's own. Dropping it ends the server and removes its data.
///
/// # Panics
/// Every method does when the server does not do what it is told, with the end of its log: there is nothing that a test
/// could do about it.
#[derive(Debug)]
pub struct Postgres {
    install: Install,
    fsync: bool,
    running: Mutex<Option<Server>>,
    databases: AtomicU32,
    /// Last, because the port is given back when it is dropped.
    slot: Slot,
}

impl Postgres {
    /// A durable one: what it has committed survives even a power failure, so its commits are as slow as in production.
    #[must_use]
    pub fn start() -> Self {
        Self::made(true)
    }

    /// Without fsync: for suites about what a store does, not about what survives the machine. What was committed still
    /// survives [`Postgres::kill`] and [`End::Crash`].
    #[must_use]
    pub fn fast() -> Self {
        Self::made(false)
    }

    fn made(fsync: bool) -> Self {
        let make = || -> Result<Self, String> {
            let install = Install::find()?;
            let template = install.template()?;
            let slot = Slot::claim(install.base(), PORTS)?;
            install.copy(&template, &slot.data())?;
            Ok(Self { install, fsync, running: Mutex::new(None), databases: AtomicU32::new(0), slot })
        };
        let postgres = or_panic(make());
        postgres.start_again();
        postgres
    }

    /// `postgres://trestle@127.0.0.1:port/trestle`; the same for the whole life of this value.
    #[must_use]
    pub fn uri(&self) -> String {
        self.uri_of(USER)
    }

    /// The URI of another database of this server.
    #[must_use]
    pub fn uri_of(&self, database: &str) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{database}", self.slot.port())
    }

    /// Makes an empty database, so that one server serves several suites, and returns its URI. The name is made of `a-z`,
    /// `0-9` and `_`, and new.
    #[must_use]
    pub fn create_database(&self, name: &str) -> String {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        assert!(name.chars().all(plain), "\"{name}\" is no name for a database of a test: use a-z, 0-9 and _");
        or_panic(self.sql(USER, &format!("CREATE DATABASE \"{name}\"")));
        self.uri_of(name)
    }

    /// Makes an empty database with a name of its own and returns its URI.
    #[must_use]
    pub fn new_database(&self) -> String {
        self.create_database(&format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed)))
    }

    /// What `psql` prints for some SQL, unaligned and without headings, or what it complains about.
    pub fn sql(&self, database: &str, sql: &str) -> Result<String, String> {
        self.install.psql(&self.uri_of(database), sql)
    }

    /// The port on 127.0.0.1; kept while the server is down.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.slot.port()
    }

    /// Process id of the postmaster.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.running().as_ref().map_or_else(|| panic!("the server is down, so it has no process id"), Server::pid)
    }

    /// Ends it in one of the two ways and starts it again on the same data and port. Returns when it serves.
    pub fn restart(&self, end: End) {
        self.end(match end {
            End::Fast => Signal::INT,
            End::Crash => Signal::QUIT,
        });
        self.start_again();
    }

    /// Ends it in order. Returns when every process of it is gone.
    pub fn stop(&self) {
        self.end(Signal::INT);
    }

    /// SIGKILL to the postmaster; its children notice and go. Returns when every process of it is gone.
    pub fn kill(&self) {
        self.end(Signal::KILL);
    }

    /// Starts it after [`Postgres::stop`] or [`Postgres::kill`], on the same data and port. Returns when it serves.
    pub fn start_again(&self) {
        let mut running = self.running();
        if running.is_none() {
            *running = Some(or_panic(Server::start(self.command(), READY)));
        }
    }

    /// The last lines of the running server's log.
    #[must_use]
    pub fn log(&self) -> String {
        self.running().as_ref().map(Server::log).unwrap_or_default()
    }

    /// The data folder; for tests that look at files.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.slot.data()
    }

    fn command(&self) -> std::process::Command {
        let mut command = self.install.command("postgres");
        command.arg("-D").arg(self.slot.data()).arg("-p").arg(self.slot.port().to_string());
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        command.args(["-c", if self.fsync { "fsync=on" } else { "fsync=off" }]);
        command
    }

    fn end(&self, signal: Signal) {
        if let Some(server) = self.running().take() {
            or_panic(server.end(signal));
        }
    }

    fn running(&self) -> MutexGuard<'_, Option<Server>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Postgres {
    /// What fails here is made up for by a later start, which removes the folders of servers that are gone.
    fn drop(&mut self) {
        let server = self.running().take();
        if let Some(server) = server {
            let _ = server.end(Signal::QUIT);
        }
        self.install.release_shared_memory(&self.slot.data());
        self.slot.clear();
    }
}

fn or_panic<T>(done: Result<T, String>) -> T {
    done.unwrap_or_else(|reason| panic!("PostgreSQL for tests: {reason}"))
}

//! A master, replicas, and three Sentinels that make one of these the master when it is gone.

use std::fs;

use super::{Redis, WATCHES, or_panic, until};

/// The name by which Sentinels know the set.
const SERVICE: &str = "shop";
/// Longer than a second, in milliseconds: Sentinels ask replicas how far they are each second once the master is down, so
/// by the time they choose, what they know is newer than the master's end.
const DOWN_AFTER_MS: u32 = 1_200;

/// A set under watch.
#[derive(Debug)]
pub struct SentinelSet {
    /// The first began as the master.
    pub servers: Vec<Redis>,
    /// Who watches.
    pub sentinels: Vec<Redis>,
}

impl SentinelSet {
    /// One master with so many replicas. Returns when all have copied it and all Sentinels know each other and them.
    #[must_use]
    pub fn start(replicas: usize) -> Self {
        let master = Redis::with(&["--appendonly", "yes"]);
        let port = master.port().to_string();
        let follow = ["--appendonly", "yes", "--replicaof", &format!("127.0.0.1 {port}")];
        let servers: Vec<Redis> = std::iter::once(master).chain((0..replicas).map(|_| Redis::with(&follow))).collect();
        until("replicas have copied", || servers[1..].iter().all(is_copy));
        let sentinels = (0..3).map(|_| sentinel(&port)).collect();
        let set = Self { servers, sentinels };
        until("Sentinels know everybody", || {
            set.sentinels.iter().all(|sentinel| {
                let told = sentinel.cli(&["SENTINEL", "MASTER", SERVICE]).unwrap_or_default();
                field(&told, "num-other-sentinels") == Some("2")
                    && field(&told, "num-slaves") == Some(replicas.to_string().as_str())
            })
        });
        set
    }

    /// `redis+sentinel://127.0.0.1:port,.../shop`.
    #[must_use]
    pub fn uri(&self) -> String {
        let addresses: Vec<_> = self.sentinels.iter().map(Redis::address).collect();
        format!("redis+sentinel://{}/{SERVICE}", addresses.join(","))
    }

    /// Which server most Sentinels take for the master; none while they do not agree.
    #[must_use]
    pub fn master(&self) -> Option<usize> {
        let told = |sentinel: &Redis| {
            let told = sentinel.cli(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE]).ok()?;
            told.lines().nth(1)?.parse::<u16>().ok()
        };
        let told: Vec<_> = self.sentinels.iter().filter_map(told).collect();
        self.servers.iter().position(|server| told.iter().filter(|port| **port == server.port()).count() >= 2)
    }

    /// Waits for another master than this one that takes itself for one.
    pub fn until_other_master(&self, than: usize) -> usize {
        let mut master = than;
        until("another master", || {
            master = self.master().unwrap_or(than);
            master != than && self.servers[master].info(&["INFO", "replication"], "role") == "master"
        });
        master
    }

    /// Waits until so many replicas follow a server.
    pub fn until_followed(&self, server: usize, by: usize) {
        until("replicas follow", || {
            let info = self.servers[server].cli(&["INFO", "replication"]).unwrap_or_default();
            info.lines().filter(|line| line.starts_with("slave") && line.contains("state=online")).count() >= by
        });
    }
}

pub(super) fn is_copy(replica: &Redis) -> bool {
    replica.info(&["INFO", "replication"], "master_link_status") == "up"
}

/// `name`, `value`, one on each line.
fn field<'a>(told: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = told.lines();
    lines.find(|line| *line == name)?;
    lines.next()
}

/// Its settings are a file because it writes down there what it learns.
fn sentinel(master: &str) -> Redis {
    let mut redis = Redis::made(&[], WATCHES);
    let file = redis.data().join("sentinel.conf");
    let text = format!(
        "sentinel monitor {SERVICE} 127.0.0.1 {master} 2\n\
         sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER_MS}\n\
         sentinel failover-timeout {SERVICE} 5000\n\
         sentinel parallel-syncs {SERVICE} 3\n"
    );
    or_panic(fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display())));
    redis.settings = vec![file.display().to_string(), "--sentinel".to_owned()];
    redis.start_again();
    redis
}

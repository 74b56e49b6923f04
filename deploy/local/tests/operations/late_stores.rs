//! Nodes that are started before their stores: they live, say what they wait for, are not ready, and get ready by themselves.

use std::{
    fs::File,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use rpc::http_client;
use testkit::{ports::Ports, postgres::Postgres, redis::Redis};
use tokio::time::Instant;

use crate::cluster::PATIENCE;

/// Longer than a node used to wait for a Redis, and than a supervisor takes a node for one that cannot start.
const LATE: Duration = Duration::from_secs(3);

struct Waiting {
    child: Child,
    ops: u16,
    folder: tempfile::TempDir,
}

impl Waiting {
    fn start(family: &str, ports: (u16, u16), options: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("secret");
        std::fs::write(&secret, "0123456789abcdef0123456789abcdef").unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let mut node = Command::new(env!("CARGO_BIN_EXE_trestle"));
        node.args(["node", family, "--secret-file"]).arg(secret).args(["--listen", &format!("127.0.0.1:{}", ports.0)]);
        node.args(["--ops-listen", &format!("127.0.0.1:{}", ports.1)]).envs(options.iter().copied());
        let child = node.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        Self { child, ops: ports.1, folder }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(Path::new(self.folder.path()).join("log")).unwrap()
    }

    async fn status(&self, path: &str) -> Option<u16> {
        let url = format!("http://127.0.0.1:{}/health/{path}", self.ops);
        Some(http_client().unwrap().get(url).send().await.ok()?.status().as_u16())
    }

    async fn until(&mut self, path: &str, status: u16) {
        let began = Instant::now();
        while self.status(path).await != Some(status) {
            assert!(self.child.try_wait().unwrap().is_none(), "it ended: {}", self.log());
            assert!(began.elapsed() < PATIENCE, "/health/{path} is not {status}: {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn nodes_wait_for_their_stores_and_say_so() {
    let (ports, postgres, redis) = (Ports::claim(), Postgres::fast(), Redis::start());
    let (database, cache, port) = (postgres.uri(), redis.uri(), ports.first());
    postgres.stop();
    redis.stop();
    let mut nodes = [
        Waiting::start("orders", (port, port + 1), &[("TRESTLE_STORE", &database)]),
        Waiting::start("carts", (port + 2, port + 3), &[("TRESTLE_STORE", &cache)]),
        Waiting::start(
            "sessions",
            (port + 4, port + 5),
            &[("TRESTLE_ACCOUNTS", &database), ("TRESTLE_SESSIONS", &cache)],
        ),
    ];
    let began = Instant::now();
    for node in &mut nodes {
        node.until("live", 200).await;
    }
    while began.elapsed() < LATE {
        for node in &mut nodes {
            assert_eq!(
                (node.status("live").await, node.status("ready").await),
                (Some(200), Some(503)),
                "{}",
                node.log()
            );
            assert!(node.child.try_wait().unwrap().is_none(), "it ended: {}", node.log());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for node in &nodes {
        assert!(node.log().contains("the store does not answer yet"), "{}", node.log());
    }
    postgres.start_again();
    redis.start_again();
    for node in &mut nodes {
        node.until("ready", 200).await;
        assert!(node.log().contains("the store is there now"), "{}", node.log());
    }
}

/// A wrong password is not cured by waiting.
#[tokio::test]
async fn what_waiting_does_not_cure_ends_a_node_at_once() {
    let (ports, redis) = (Ports::claim(), Redis::with(&["--requirepass", "right"]));
    let uri = format!("redis://:wrong@{}/0", redis.address());
    let began = Instant::now();
    let mut node = Waiting::start("carts", (ports.first(), ports.first() + 1), &[("TRESTLE_STORE", &uri)]);
    let ended = loop {
        if let Some(ended) = node.child.try_wait().unwrap() {
            break ended;
        }
        assert!(began.elapsed() < PATIENCE, "it goes on: {}", node.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(!ended.success() && node.log().contains("--store") && !node.log().contains("wrong@"), "{}", node.log());
    assert!(!node.log().contains("does not answer yet"), "{}", node.log());
}

//! One running shop: started by `trestle up` in a folder of its own, ended with the test.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

/// How long anything in these tests may take before it counts as broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Shop {
    supervisor: Child,
    port: u16,
    folder: TempDir,
    pub(crate) http: reqwest::Client,
}

impl Shop {
    pub(crate) async fn start() -> Self {
        Self::start_logging("info").await
    }

    /// `log` is the nodes' log filter.
    pub(crate) async fn start_logging(log: &str) -> Self {
        Self::start_with(|up| _ = up.env("TRESTLE_LOG", log)).await
    }

    /// `configure` adds to the command line and environment of `trestle up`; the nodes inherit the environment.
    pub(crate) async fn start_with(configure: impl FnOnce(&mut Command)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_ports();
        let mut up = Command::new(env!("CARGO_BIN_EXE_trestle"));
        up.args(["up", "--port", &port.to_string(), "--data"]).arg(folder.path()).env("TRESTLE_LOG", "info");
        configure(&mut up);
        let supervisor = up.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let shop = Self { supervisor, port, folder, http: rpc::http_client().unwrap() };
        shop.until("every node is ready", async || shop.nodes().iter().all(|node| node["state"] == "ready")).await;
        shop
    }

    /// Where it keeps its files.
    pub(crate) fn data(&self) -> &Path {
        self.folder.path()
    }

    /// The URL of a path on the first or second storefront.
    pub(crate) fn url(&self, frontend: u16, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port + frontend - 1)
    }

    pub(crate) fn provider_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port + 19)
    }

    /// Every charge the provider ever made.
    pub(crate) async fn ledger(&self) -> Vec<Value> {
        let ledger: Value = self.get_json(&format!("{}/ledger", self.provider_url())).await;
        ledger["charges"].as_array().unwrap().clone()
    }

    pub(crate) async fn get_json(&self, url: &str) -> Value {
        self.http.get(url).send().await.unwrap().json().await.unwrap()
    }

    /// Runs `trestle ARGS --data <this shop>`.
    pub(crate) fn trestle(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_trestle")).args(args).arg("--data").arg(self.data()).output().unwrap()
    }

    /// What `trestle status --json` lists; nothing while the supervisor is not up yet.
    pub(crate) fn nodes(&self) -> Vec<Value> {
        let output = self.trestle(&["status", "--json"]);
        let status: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let nodes = status["nodes"].as_array().cloned().unwrap_or_default();
        // An empty list must not count as "all of them".
        if nodes.is_empty() { vec![Value::Null] } else { nodes }
    }

    pub(crate) fn node(&self, id: &str) -> Value {
        self.nodes().into_iter().find(|node| node["id"] == id).unwrap_or_else(|| panic!("no node {id}"))
    }

    /// Everything the nodes have logged, a line each.
    pub(crate) fn log_lines(&self) -> Vec<String> {
        let folder = self.data().join("logs");
        let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        let texts = files.map(|path: PathBuf| std::fs::read_to_string(path).unwrap());
        texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
    }

    /// Waits until a condition holds; panics with its name when it does not in time.
    pub(crate) async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let started = tokio::time::Instant::now();
        while !holds().await {
            if started.elapsed() >= PATIENCE {
                let tail: Vec<_> = self.log_lines().into_iter().rev().take(40).collect();
                panic!("not in {PATIENCE:?}: {what}\nnodes: {:#?}\nlogs:\n{}", self.nodes(), tail.join("\n"));
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }
}

impl Drop for Shop {
    /// By SIGKILL: the nodes must die with their supervisor anyway.
    fn drop(&mut self) {
        let _ = self.supervisor.kill();
        let _ = self.supervisor.wait();
    }
}

/// A port P such that P, P+1, P+10 and P+19 are free, at a place that differs between test processes and from call to
/// call. Below 32,768: from there on the kernel hands ports to outgoing connections, and one of them could take ours
/// before the node does.
pub(crate) fn free_ports() -> u16 {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    let place = u16::try_from(std::process::id() % 400).unwrap();
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let mut candidates = (0..400).map(|_| 12_000 + (place + TAKEN.fetch_add(1, Ordering::Relaxed)) % 400 * 50);
    candidates.find(|port| [0, 1, 10, 19].iter().all(|offset| is_free(port + offset))).unwrap()
}

//! One running shop: started by `trestle up` in a folder of its own, ended with the test.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;
use testkit::ports::Ports;

/// How long anything in these tests may take before it counts as broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What the supervisor has told, in the shop's folder.
const TOLD: &str = "supervisor.log";

pub(crate) struct Shop {
    supervisor: Child,
    ports: Ports,
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
        let ports = Ports::claim();
        let mut up = Command::new(env!("CARGO_BIN_EXE_trestle"));
        up.args(["up", "--port", &ports.first().to_string(), "--data"]).arg(folder.path()).env("TRESTLE_LOG", "info");
        configure(&mut up);
        let told = File::create(folder.path().join(TOLD)).unwrap();
        let supervisor = up.stdin(Stdio::null()).stdout(Stdio::null()).stderr(told).spawn().unwrap();
        let shop = Self { supervisor, ports, folder, http: rpc::http_client().unwrap() };
        shop.until("every node is ready", async || shop.nodes().iter().all(|node| node["state"] == "ready")).await;
        shop
    }

    /// Where it keeps its files.
    pub(crate) fn data(&self) -> &Path {
        self.folder.path()
    }

    /// The URL of a path on the first or second storefront.
    pub(crate) fn url(&self, frontend: u16, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.ports.first() + frontend - 1)
    }

    pub(crate) fn provider_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.first() + 19)
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
                let told = std::fs::read_to_string(self.folder.path().join(TOLD)).unwrap_or_default();
                let (nodes, logs) = (self.nodes(), tail.join("\n"));
                panic!("not in {PATIENCE:?}: {what}\nsupervisor:\n{told}\nnodes: {nodes:#?}\nlogs:\n{logs}");
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

//! A shop that a run starts for itself or torments, by its own command line: `trestle up`, `status --json`, `kill`, `pause`, `resume`.
//!
//! Signals go through the supervisor, because it alone knows that a process id still means that node.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use reqwest::Url;
use serde::Deserialize;
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

use crate::{InvalidRun, report};

/// A whole shop starts in about a second; a debug build on a busy machine takes longer.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// A command of `trestle` that hangs is a finding, not a reason to hang too.
const COMMAND_WITHIN: Duration = Duration::from_secs(15);
/// `trestle up` ends within 5 s of Ctrl-C.
const END_WITHIN: Duration = Duration::from_secs(15);

/// What to start, or where it runs already.
#[derive(Debug, Default)]
pub(crate) struct Setup<'a> {
    /// The program `trestle`; the one beside this program unless named.
    pub(crate) trestle: Option<&'a Path>,
    /// Data folder of a running shop; one is started otherwise.
    pub(crate) running: Option<&'a Path>,
    /// Tells the folder of a shop that is started from others.
    pub(crate) name: String,
    /// For `--port`.
    pub(crate) port: u16,
    /// For `--database`.
    pub(crate) database: Option<&'a str>,
    /// Further arguments of `trestle up`.
    pub(crate) arguments: Vec<String>,
    /// Whether the shop gives way to this program: a generator that shares its machine's processors must not be late.
    pub(crate) gives_way: bool,
}

/// One node, as `trestle status --json` shows it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Node {
    pub(crate) family: String,
    pub(crate) id: String,
    pub(crate) pid: Option<u32>,
    pub(crate) address: String,
    pub(crate) ops_address: String,
    pub(crate) state: String,
}

impl Node {
    pub(crate) fn is_ready(&self) -> bool {
        self.state == "ready"
    }
}

#[derive(Debug, Deserialize)]
struct Status {
    nodes: Vec<Node>,
}

/// A shop that runs.
#[derive(Debug)]
pub(crate) struct Cluster {
    trestle: PathBuf,
    pub(crate) data: PathBuf,
    /// The supervisor, if this run started it. Dropped, it is killed, and its nodes die with it.
    supervisor: Option<Child>,
}

impl Cluster {
    /// Starts a shop, or finds the running one, and waits until every node is ready.
    pub(crate) async fn open(setup: &Setup<'_>) -> anyhow::Result<Self> {
        let trestle = match setup.trestle {
            Some(path) => path.to_owned(),
            None => std::env::current_exe().context("where am I?")?.with_file_name("trestle"),
        };
        if !trestle.is_file() {
            let hint = "build it with `cargo build --release -p trestle`, or name it with --trestle";
            return Err(InvalidRun(format!("{} is missing: {hint}", trestle.display())).into());
        }
        let mut cluster = Self { trestle, data: PathBuf::new(), supervisor: None };
        match setup.running {
            Some(data) => cluster.data = data.to_owned(),
            None => cluster.start(setup)?,
        }
        let started = Instant::now();
        loop {
            let status = cluster.status().await;
            match &status {
                Ok(nodes) if !nodes.is_empty() && nodes.iter().all(Node::is_ready) => return Ok(cluster),
                Err(error) if setup.running.is_some() => {
                    let shown = cluster.data.display();
                    return Err(InvalidRun(format!("--data {shown}: no shop runs there ({error:#})")).into());
                }
                _ => {}
            }
            if let Some(ended) = cluster.supervisor.as_mut().map(Child::try_wait).transpose()?.flatten() {
                let log = std::fs::read_to_string(cluster.data.join("up.log")).unwrap_or_default();
                return Err(InvalidRun(format!("the shop did not start ({ended}): {}", log.trim())).into());
            }
            ensure!(started.elapsed() < READY_WITHIN, "not all nodes are ready after {READY_WITHIN:?}: {status:?}");
            sleep(Duration::from_millis(100)).await;
        }
    }

    fn start(&mut self, setup: &Setup<'_>) -> anyhow::Result<()> {
        let folder = format!("trestle-{}-{}", setup.name, std::process::id());
        self.data = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(&self.data).with_context(|| format!("cannot make {}", self.data.display()))?;
        let log = std::fs::File::create(self.data.join("up.log"))?;
        let mut command = if setup.gives_way {
            let mut nice = Command::new("nice");
            nice.args(["-n", "10"]).arg(&self.trestle);
            nice
        } else {
            Command::new(&self.trestle)
        };
        command.args(["up", "--port", &setup.port.to_string(), "--data"]).arg(&self.data).args(&setup.arguments);
        if let Some(uri) = setup.database {
            // Not as an argument: it may hold a password, and arguments are public.
            command.env("TRESTLE_DATABASE", uri);
        }
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
        report::note(&format!("starting a shop on port {}, data in {}", setup.port, self.data.display()));
        self.supervisor = Some(command.spawn().with_context(|| format!("cannot run {}", self.trestle.display()))?);
        Ok(())
    }

    async fn command(&self, words: &[&str]) -> anyhow::Result<Vec<u8>> {
        let mut command = Command::new(&self.trestle);
        command.args(words).arg("--data").arg(&self.data).stdin(Stdio::null()).kill_on_drop(true);
        let what = words.join(" ");
        let output = timeout(COMMAND_WITHIN, command.output()).await;
        let output = output.with_context(|| format!("`trestle {what}` hangs"))??;
        if !output.status.success() {
            bail!("`trestle {what}` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(output.stdout)
    }

    pub(crate) async fn status(&self) -> anyhow::Result<Vec<Node>> {
        let json = self.command(&["status", "--json"]).await?;
        let status: Status = serde_json::from_slice(&json).context("`trestle status --json` is not as documented")?;
        Ok(status.nodes)
    }

    /// Kills nodes by SIGKILL at once; their supervisor starts them again.
    pub(crate) async fn kill_at_once(&self, nodes: &[&Node]) -> anyhow::Result<()> {
        let pids: Option<Vec<String>> = nodes.iter().map(|node| node.pid.map(|pid| pid.to_string())).collect();
        let pids = pids.context("a node to be killed has no process")?.join(" ");
        // One command for all, by the shell's own `kill`: one after the other, the first would be back for the last.
        let status = Command::new("sh").args(["-c", &format!("kill -KILL {pids}")]).status().await?;
        ensure!(status.success(), "the nodes {pids} cannot be killed");
        Ok(())
    }

    /// Waits until every node is ready and none of these processes is one of them.
    pub(crate) async fn until_ready_without(&self, dead: &[&Node]) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            let nodes = self.status().await?;
            let is_new = |node: &Node| dead.iter().all(|dead| dead.pid != node.pid);
            if nodes.iter().all(|node| node.is_ready() && is_new(node)) {
                return Ok(());
            }
            ensure!(began.elapsed() < READY_WITHIN, "not all nodes are ready again after {READY_WITHIN:?}: {nodes:?}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// `kill`, `pause` or `resume` of a node.
    pub(crate) async fn signal(&self, action: &str, node: &str) -> anyhow::Result<()> {
        self.command(&[action, node]).await.map(drop)
    }

    /// Base URLs of the nodes of a family.
    pub(crate) async fn urls(&self, family: &str) -> anyhow::Result<Vec<Url>> {
        let nodes = self.status().await?;
        let ours = nodes.iter().filter(|node| node.family == family);
        let urls: Result<Vec<_>, _> = ours.map(|node| Url::parse(&format!("http://{}", node.address))).collect();
        let urls = urls.with_context(|| format!("the address of a {family}"))?;
        ensure!(!urls.is_empty(), "the shop has no {family}");
        Ok(urls)
    }

    /// Ends a shop that this run started; removes its folder if it has nothing to tell.
    pub(crate) async fn end(mut self, keep: bool) -> anyhow::Result<()> {
        let Some(mut supervisor) = self.supervisor.take() else { return Ok(()) };
        if let Some(pid) = supervisor.id() {
            // The shell's own `kill`: this program sends signals to its children only.
            let _ = Command::new("sh").args(["-c", &format!("kill -INT {pid}")]).status().await;
        }
        if timeout(END_WITHIN, supervisor.wait()).await.is_err() {
            report::note("the shop did not end when asked to; it is killed");
            supervisor.kill().await.context("the supervisor could not be killed")?;
        }
        if keep {
            report::note(&format!("databases, ledger and logs are kept in {}", self.data.display()));
            return Ok(());
        }
        remove(&self.data)
    }
}

fn remove(folder: &Path) -> anyhow::Result<()> {
    std::fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))
}

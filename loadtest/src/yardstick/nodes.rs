//! Starts the naive chain as three processes of this same binary, on ports the system chooses.

use std::{process::Stdio, time::Duration};

use anyhow::Context;
use reqwest::Url;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

use crate::yardstick::naive::LISTENING;

const START_TIMEOUT: Duration = Duration::from_secs(10);

/// The running chain. Dropping it kills its processes.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) frontend: Url,
    _nodes: Vec<Child>,
}

impl Chain {
    /// Starts service, logic and frontend, each knowing the one behind it.
    pub(super) async fn start() -> anyhow::Result<Self> {
        let (service, service_url) = start_node("service", None).await?;
        let (logic, logic_url) = start_node("logic", Some(&service_url)).await?;
        let (frontend, frontend_url) = start_node("frontend", Some(&logic_url)).await?;
        Ok(Self { frontend: frontend_url, _nodes: vec![service, logic, frontend] })
    }
}

async fn start_node(tier: &str, next: Option<&Url>) -> anyhow::Result<(Child, Url)> {
    let mut command = Command::new(std::env::current_exe().context("the path of this binary")?);
    command.args(["naive-node", "--tier", tier]);
    if let Some(next) = next {
        command.args(["--next", next.as_str()]);
    }
    // The open pipe on standard input tells the node that its parent lives.
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut node = command.spawn().with_context(|| format!("cannot start the naive {tier} node"))?;
    let stdout = node.stdout.take().context("the node's standard output is piped")?;
    let mut lines = BufReader::new(stdout).lines();
    let first = timeout(START_TIMEOUT, lines.next_line()).await;
    let first = first.with_context(|| format!("the naive {tier} node does not start"))??;
    let address = first.as_deref().and_then(|line| line.strip_prefix(LISTENING));
    let address = address.with_context(|| format!("the naive {tier} node ended before it listened"))?;
    Ok((node, Url::parse(&format!("http://{address}"))?))
}

//! The one that does it: kills, pauses, provider faults, database restarts, at random times from the seed.
//!
//! One loop that looks every [`TICK`] at the nodes, ends what is due, and begins the next fault. It is rough, but within
//! what the shop promises to survive: never the last ready node of a family. Sessions and carts live in the memory of
//! their nodes, and the promise is about any deaths but those of all *copies*: while a node of these families says that
//! it owes another something, or does not hear of it, that family is left alone.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use anyhow::Context;
use futures_util::future::join_all;
use rand::{RngExt, rngs::StdRng};
use reqwest::Url;
use serde_json::{Value, json};
use tokio::{
    process::Command,
    time::{Instant, sleep, timeout},
};

use super::{options::Kind, timeline::Timeline};
use crate::{
    cluster::{Cluster, Node},
    metrics,
};

const TICK: Duration = Duration::from_millis(100);
/// Families whose nodes keep copies for each other.
const IN_MEMORY: [&str; 2] = ["sessions", "carts"];
/// What a node of these shows while something is on fewer nodes than it should be.
const OWED: [&str; 3] = ["trestle_replicated_outstanding", "trestle_replicated_suspects", "trestle_replicated_missed"];
/// The supervisor gives a node up after more ends than this in ten seconds; less by a margin.
const KILLS_MAX: usize = 8;
const KILLS_WINDOW: Duration = Duration::from_secs(10);
/// Paused nodes at a time.
const PAUSES_MAX: usize = 2;
const DATABASE_EVERY: Duration = Duration::from_secs(10);
/// A restart of a database that takes longer has failed.
const DATABASE_WITHIN: Duration = Duration::from_secs(60);
/// After the faults, every node must come back.
const HEAL_WITHIN: Duration = Duration::from_secs(45);

/// A fault that lasts.
#[derive(Debug)]
struct Active {
    kind: Kind,
    node: Option<Node>,
    bar: usize,
    /// For pauses and provider faults.
    until: Option<Instant>,
}

/// What it works with.
#[derive(Debug)]
pub(crate) struct Nemesis<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) timeline: &'a Timeline,
    pub(crate) provider: Url,
    pub(crate) http: reqwest::Client,
    pub(crate) restart: Option<String>,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) every: Duration,
    pub(crate) dice: StdRng,
    active: Vec<Active>,
    kills: BTreeMap<String, VecDeque<Instant>>,
    /// Families in memory that lack copies at this moment.
    owing: BTreeSet<String>,
    database_at: Option<Instant>,
    hits: BTreeMap<Kind, u64>,
    /// Anything that went wrong with the faults themselves.
    pub(crate) troubles: Vec<String>,
}

/// The kinds that this seed switches on (T-5): any but none.
pub(crate) fn swarm(possible: &[Kind], dice: &mut StdRng) -> Vec<Kind> {
    loop {
        let picked: Vec<_> = possible.iter().copied().filter(|_| dice.random_range(0..2) == 1).collect();
        if !picked.is_empty() {
            return picked;
        }
    }
}

impl<'a> Nemesis<'a> {
    pub(crate) fn new(
        cluster: &'a Cluster,
        timeline: &'a Timeline,
        provider: Url,
        dice: StdRng,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            cluster,
            timeline,
            provider,
            http: crate::client::plain_http(Duration::from_secs(5))?,
            restart: None,
            kinds: Vec::new(),
            every: Duration::from_millis(700),
            dice,
            active: Vec::new(),
            kills: BTreeMap::new(),
            owing: BTreeSet::new(),
            database_at: None,
            hits: BTreeMap::new(),
            troubles: Vec::new(),
        })
    }

    /// Torments until `end`.
    pub(crate) async fn torment(&mut self, end: Instant) {
        let mut next = Instant::now();
        while Instant::now() < end {
            let nodes = match self.cluster.status().await {
                Ok(nodes) => nodes,
                Err(error) => {
                    self.trouble(format!("no status: {error:#}"));
                    sleep(TICK).await;
                    continue;
                }
            };
            self.end_what_is_over(&nodes, false).await;
            if Instant::now() >= next && self.strike(&nodes).await {
                let every_ms = u64::try_from(self.every.as_millis()).unwrap_or(u64::MAX).max(2);
                next = Instant::now() + Duration::from_millis(self.dice.random_range(every_ms / 2..=every_ms * 3 / 2));
            }
            sleep(TICK).await;
        }
    }

    fn trouble(&mut self, what: String) {
        if self.troubles.len() < 20 {
            self.troubles.push(what);
        }
    }

    /// Ends what has lasted long enough, or everything.
    async fn end_what_is_over(&mut self, nodes: &[Node], all: bool) {
        let now = Instant::now();
        for active in std::mem::take(&mut self.active) {
            let over = match (&active.kind, &active.node) {
                (Kind::Kill, Some(killed)) => {
                    nodes.iter().any(|node| node.id == killed.id && node.is_ready() && node.pid != killed.pid)
                }
                _ => all || active.until.is_some_and(|until| now >= until),
            };
            if !over {
                self.active.push(active);
                continue;
            }
            let ended = match (active.kind, &active.node) {
                (Kind::Pause, Some(node)) => self.cluster.signal("resume", &node.id).await,
                (Kind::Provider, _) => self.provider_faults(&calm()).await,
                _ => Ok(()),
            };
            self.timeline.end(active.bar);
            if let Err(error) = ended {
                self.trouble(format!("a fault could not be ended: {error:#}"));
            }
        }
    }

    /// Begins one fault if any is possible now.
    async fn strike(&mut self, nodes: &[Node]) -> bool {
        self.owing = self.owing(nodes).await;
        let possible: Vec<Kind> = self.kinds.iter().copied().filter(|kind| self.is_possible(*kind, nodes)).collect();
        // What was never hit goes first, so that a short run has met everything it was asked for.
        let fresh = possible.iter().find(|kind| !self.hits.contains_key(kind)).copied();
        let weighted = possible.iter().flat_map(|kind| {
            let weight = if *kind == Kind::Kill { 6 } else { 2 };
            std::iter::repeat_n(*kind, weight)
        });
        let weighted: Vec<Kind> = weighted.collect();
        if weighted.is_empty() {
            return false;
        }
        let kind = fresh.unwrap_or(weighted[self.dice.random_range(0..weighted.len())]);
        let struck = match kind {
            Kind::Kill => self.kill(nodes).await,
            Kind::Pause => self.pause(nodes).await,
            Kind::Provider => self.disturb_provider().await,
            Kind::Database => self.restart_database().await,
        };
        match struck {
            Ok(()) => *self.hits.entry(kind).or_default() += 1,
            Err(error) => self.trouble(format!("{}: {error:#}", kind.name())),
        }
        true
    }

    fn is_possible(&self, kind: Kind, nodes: &[Node]) -> bool {
        let active = |kind: Kind| self.active.iter().filter(|active| active.kind == kind).count();
        match kind {
            Kind::Kill => !self.victims(nodes).is_empty(),
            Kind::Pause => active(Kind::Pause) < PAUSES_MAX && !self.victims(nodes).is_empty(),
            Kind::Provider => active(Kind::Provider) == 0,
            Kind::Database => self.database_at.is_none_or(|at| at.elapsed() >= DATABASE_EVERY),
        }
    }

    /// The families in memory of which some node owes another a copy, or does not say that it owes none.
    async fn owing(&self, nodes: &[Node]) -> BTreeSet<String> {
        let in_memory = nodes.iter().filter(|node| IN_MEMORY.contains(&node.family.as_str()));
        let asked = in_memory.map(async |node| {
            let page = metrics::page(&self.http, node).await;
            let owes = page.map_or(true, |page| OWED.iter().any(|name| metrics::sum(&page, name) != Some(0.0)));
            owes.then(|| node.family.clone())
        });
        join_all(asked).await.into_iter().flatten().collect()
    }

    /// Nodes that may be struck: their whole family is well, and somebody of it remains.
    fn victims(&self, nodes: &[Node]) -> Vec<Node> {
        let well = |family: &str| {
            let ours: Vec<_> = nodes.iter().filter(|node| node.family == family).collect();
            let struck = self.active.iter().filter_map(|active| active.node.as_ref()).any(|node| node.family == family);
            let owes = self.owing.contains(family);
            ours.len() > 1 && ours.iter().all(|node| node.is_ready()) && !struck && !owes
        };
        let spared = |node: &Node| {
            let kills = self
                .kills
                .get(&node.id)
                .map_or(0, |kills| kills.iter().filter(|at| at.elapsed() < KILLS_WINDOW).count());
            node.family == "provider" || kills >= KILLS_MAX
        };
        nodes.iter().filter(|node| !spared(node) && well(&node.family)).cloned().collect()
    }

    fn victim(&mut self, nodes: &[Node]) -> anyhow::Result<Node> {
        let mut victims = self.victims(nodes);
        anyhow::ensure!(!victims.is_empty(), "nobody may be struck");
        let chosen = self.dice.random_range(0..victims.len());
        Ok(victims.swap_remove(chosen))
    }

    async fn kill(&mut self, nodes: &[Node]) -> anyhow::Result<()> {
        let node = self.victim(nodes)?;
        let what = format!("kill -9 of pid {}", node.pid.unwrap_or(0));
        let bar = self.timeline.begin(&node.id, Kind::Kill.name(), &what);
        let kills = self.kills.entry(node.id.clone()).or_default();
        kills.push_back(Instant::now());
        if kills.len() > KILLS_MAX {
            kills.pop_front();
        }
        let done = self.cluster.signal("kill", &node.id).await;
        self.active.push(Active { kind: Kind::Kill, node: Some(node), bar, until: None });
        done
    }

    async fn pause(&mut self, nodes: &[Node]) -> anyhow::Result<()> {
        let node = self.victim(nodes)?;
        let lasts = Duration::from_millis(self.dice.random_range(1_000..=8_000));
        let bar = self.timeline.begin(&node.id, Kind::Pause.name(), &format!("SIGSTOP for {} ms", lasts.as_millis()));
        let done = self.cluster.signal("pause", &node.id).await;
        let until = Some(Instant::now() + lasts);
        self.active.push(Active { kind: Kind::Pause, node: Some(node), bar, until });
        done
    }

    async fn disturb_provider(&mut self) -> anyhow::Result<()> {
        let (what, change) = match self.dice.random_range(0..3) {
            0 => ("black hole".to_owned(), json!({"black_hole": true})),
            1 => {
                let percent = self.dice.random_range(3..=10) * 10;
                (format!("{percent} % fail"), json!({"fail_rate_percent": percent}))
            }
            _ => ("rate limit".to_owned(), json!({"rate_limit": true})),
        };
        let lasts = Duration::from_millis(self.dice.random_range(1_000..=4_000));
        let bar = self.timeline.begin("provider", Kind::Provider.name(), &what);
        let done = self.provider_faults(&change).await;
        self.active.push(Active { kind: Kind::Provider, node: None, bar, until: Some(Instant::now() + lasts) });
        done
    }

    async fn provider_faults(&self, change: &Value) -> anyhow::Result<()> {
        let url = self.provider.join("/admin/faults")?;
        let answer = self.http.post(url).json(change).send().await.context("the provider does not answer")?;
        answer.error_for_status().context("the provider refuses the fault")?;
        Ok(())
    }

    async fn restart_database(&mut self) -> anyhow::Result<()> {
        let command = self.restart.clone().context("no --database-restart")?;
        let bar = self.timeline.begin("database", Kind::Database.name(), "restart");
        let run = Command::new("sh").args(["-c", &command]).kill_on_drop(true).status();
        let status = timeout(DATABASE_WITHIN, run).await;
        self.timeline.end(bar);
        self.database_at = Some(Instant::now());
        let status = status.context("the restart of the database takes too long")??;
        anyhow::ensure!(status.success(), "the restart of the database failed: {status}");
        Ok(())
    }

    /// Takes every fault away and waits until all nodes are ready.
    pub(crate) async fn heal(&mut self) -> anyhow::Result<()> {
        let started = Instant::now();
        if self.kinds.contains(&Kind::Provider) {
            self.provider_faults(&calm()).await?;
        }
        loop {
            let nodes = self.cluster.status().await?;
            self.end_what_is_over(&nodes, true).await;
            for node in nodes.iter().filter(|node| node.state == "paused") {
                // Fails where it was resumed a moment ago; one that stays paused fails the wait below.
                let _ = self.cluster.signal("resume", &node.id).await;
            }
            if self.active.is_empty() && nodes.iter().all(Node::is_ready) {
                return Ok(());
            }
            let slow: Vec<_> = nodes.iter().filter(|node| !node.is_ready()).map(|node| &node.id).collect();
            anyhow::ensure!(
                started.elapsed() < HEAL_WITHIN,
                "not ready again {HEAL_WITHIN:?} after the faults: {slow:?}"
            );
            sleep(TICK).await;
        }
    }
}

fn calm() -> Value {
    json!({"black_hole": false, "fail_rate_percent": 0, "rate_limit": false})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_picks_a_subset_and_another_seed_another() {
        let all = [Kind::Kill, Kind::Pause, Kind::Provider];
        let picks: std::collections::BTreeSet<_> =
            (0..64).map(|seed| swarm(&all, &mut crate::seams::dice(seed, 0))).collect();
        assert_eq!(picks.len(), 7, "every subset but the empty one");
        assert_eq!(swarm(&all, &mut crate::seams::dice(7, 0)), swarm(&all, &mut crate::seams::dice(7, 0)));
    }
}

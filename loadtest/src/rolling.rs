//! `loadtest rolling`: every node of every family is restarted in turn, by SIGTERM, while customers shop who never send
//! anything twice; not one request may fail (DR-7). With `--kill FAMILY` one node is killed instead, for comparison: then only
//! what was in flight on it may.
//!
//! What the tiers do among themselves stays as it is. "Not one" counts each answer of 5xx or 429, each connection that is
//! refused or breaks, each time-out, and whatever customers find wrong in an answer; then comes the audit, as after `quick`.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use clap::Args;
use serde_json::json;
use tokio::{
    signal::ctrl_c,
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    End,
    audit::{self, Audit, Verdict, collect::Sources},
    client::{Caller, Client, plain_http},
    cluster::{Cluster, Node, Setup},
    door::Door,
    journey::{Customer, History},
    measure::Stats,
    quick::expect_provider,
    report, seams,
};

/// Front to back, as an upgrade goes when callers know more than callees; the provider is not ours.
const FAMILIES: [&str; 7] = ["frontend", "logic", "sessions", "carts", "catalogue", "orders", "payments"];
/// One request: more than the shop takes for any.
const REQUEST_WITHIN: Duration = Duration::from_secs(10);
/// What the audit may wait for.
const QUIESCE: Duration = Duration::from_secs(30);
/// Customers shop for so long before the first restart and after the last.
const MARGIN: Duration = Duration::from_secs(2);
/// A shop that makes no progress is no reason to go on for ever.
const ROUNDS_MAX: u32 = 10_000;
/// What `trestle up` says of a node whose drain was not long enough.
const CUT_OFF: &str = "could not finish all it did";

#[derive(Debug, Args)]
pub(crate) struct RollingOptions {
    /// How often every node is restarted.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) rounds: u32,
    /// Goes on with further rounds until so many requests were sent.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) requests: u64,
    /// Instead of all restarts: kills one node of this family with SIGKILL.
    #[arg(long, value_name = "FAMILY", conflicts_with_all = ["rounds", "requests"], value_parser = FAMILIES)]
    pub(crate) kill: Option<String>,
    /// Customers at work at the same time, 1 to 200; each has one request under way.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub(crate) customers: u32,
    /// The program `trestle` [default: the one beside this program].
    #[arg(long, value_name = "PATH")]
    pub(crate) trestle: Option<PathBuf>,
    /// First port of the shop that is started.
    #[arg(long, default_value_t = 8200)]
    pub(crate) port: u16,
    /// PostgreSQL for the shop [default: SQLite files].
    #[arg(long, env = "TRESTLE_DATABASE", hide_env_values = true, value_name = "URI")]
    pub(crate) database: Option<String>,
    /// Seed of the customers' choices [default: a new one, printed].
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Writes the figures as JSON to this file too.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// What came of it.
#[derive(Debug, Default)]
struct Seen {
    restarts: u32,
    rounds: u32,
    /// The longest from the signal to ready again.
    slowest: Duration,
}

pub(crate) async fn run(options: RollingOptions) -> anyhow::Result<End> {
    let seed = options.seed.unwrap_or_else(seams::fresh_seed);
    let setup = Setup {
        trestle: options.trestle.as_deref(),
        name: format!("rolling-{seed}"),
        port: options.port,
        database: options.database.as_deref(),
        ..Setup::default()
    };
    let cluster = Cluster::open(&setup).await?;
    let result = tokio::select! {
        result = session(&options, seed, &cluster) => result,
        _ = ctrl_c() => Err(anyhow::anyhow!("interrupted; nothing was judged")),
    };
    cluster.end(!matches!(result, Ok(End::Pass))).await?;
    result
}

async fn session(options: &RollingOptions, seed: u64, cluster: &Cluster) -> anyhow::Result<End> {
    let storefronts = cluster.urls("frontend").await?;
    let provider = cluster.urls("provider").await?.remove(0);
    let http = plain_http(REQUEST_WITHIN)?;
    let ledger_before = expect_provider(&http, &provider).await?;
    let door = Arc::new(Door::new(storefronts.len()));
    let _probing = door.watch(&http, &storefronts);
    let client = Client::new(storefronts.clone(), REQUEST_WITHIN, REQUEST_WITHIN)?.behind(Arc::clone(&door));
    let (client, stats, history) = (Arc::new(client), Arc::new(Stats::default()), Arc::new(History::default()));
    let (stop, stopped) = watch::channel(false);
    let mut customers = JoinSet::new();
    for number in 0..options.customers {
        let caller = Caller::new(Arc::clone(&client), Arc::clone(&stats), seams::dice(seed, number), 0);
        let (history, stopped) = (Arc::clone(&history), stopped.clone());
        let tokens: Arc<[(String, u32)]> = Arc::new([("tok_ok".to_owned(), 1)]);
        customers.spawn(Customer::new(caller, history, tokens, stopped, REQUEST_WITHIN).run());
    }
    sleep(MARGIN).await;
    let seen = match &options.kill {
        Some(family) => kill(cluster, family).await,
        None => restart_all(options, cluster, &door).await,
    };
    sleep(MARGIN).await;
    stop.send_replace(true);
    while let Some(joined) = customers.join_next().await {
        joined.context("a customer failed: this is a bug of loadtest")?;
    }
    let seen = seen?;

    let checkouts = history.snapshot();
    let client = Arc::new(Client::new(storefronts, REQUEST_WITHIN, QUIESCE)?);
    let sources = Sources { client, http, provider, quiesce: QUIESCE };
    let audit = match audit::collect::collect(&sources, &checkouts, ledger_before, true).await {
        Ok(evidence) => audit::judge(&evidence),
        Err(error) => Audit::impossible(checkouts.len(), format!("{error:#}")),
    };
    judge(options, cluster, (seed, door.sent()), &seen, &stats, &audit)
}

/// All nodes in turn, the next as soon as the one before is ready again: nobody waits for callers to notice.
async fn restart_all(options: &RollingOptions, cluster: &Cluster, door: &Door) -> anyhow::Result<Seen> {
    let mut seen = Seen::default();
    while seen.rounds < options.rounds || door.sent() < options.requests {
        ensure!(seen.rounds < ROUNDS_MAX, "only {} requests in {ROUNDS_MAX} rounds", door.sent());
        for family in FAMILIES {
            for node in nodes_of(cluster, family).await? {
                let began = Instant::now();
                cluster.signal("restart", &node.id).await?;
                cluster.until_ready_without(&[&node]).await?;
                seen.restarts += 1;
                seen.slowest = seen.slowest.max(began.elapsed());
            }
        }
        seen.rounds += 1;
        report::note(&format!("round {}: {} requests so far", seen.rounds, door.sent()));
    }
    Ok(seen)
}

async fn kill(cluster: &Cluster, family: &str) -> anyhow::Result<Seen> {
    let victim = nodes_of(cluster, family).await?.remove(0);
    let began = Instant::now();
    cluster.signal("kill", &victim.id).await?;
    cluster.until_ready_without(&[&victim]).await?;
    Ok(Seen { slowest: began.elapsed(), ..Seen::default() })
}

async fn nodes_of(cluster: &Cluster, family: &str) -> anyhow::Result<Vec<Node>> {
    let nodes: Vec<_> = cluster.status().await?.into_iter().filter(|node| node.family == family).collect();
    ensure!(nodes.len() > 1, "the shop has no second {family}: its restart would be felt");
    Ok(nodes)
}

fn judge(
    options: &RollingOptions,
    cluster: &Cluster,
    (seed, sent): (u64, u64),
    seen: &Seen,
    stats: &Stats,
    audit: &Audit,
) -> anyhow::Result<End> {
    let told = std::fs::read_to_string(cluster.data.join("up.log")).unwrap_or_default();
    let cut_off = told.lines().filter(|line| line.contains(CUT_OFF)).count();
    let (failed, errors, acknowledged) = stats.with(|tally| {
        let errors = tally.errors.iter().map(|((step, kind), count)| (format!("{}: {kind}", step.name()), *count));
        (tally.errors_total(), errors.collect::<Vec<_>>(), tally.acknowledged)
    });
    for (what, count) in &errors {
        report::line(&format!("failed: {what}: {count}"));
    }
    audit.discrepancies.iter().chain(&audit.gaps).for_each(|sentence| report::line(sentence));
    let done = match &options.kill {
        Some(family) => format!("one {family} killed"),
        None => format!("{} restarts in {} rounds", seen.restarts, seen.rounds),
    };
    let slowest_ms = seen.slowest.as_millis();
    report::line(&format!(
        "{done}, slowest {slowest_ms} ms; {sent} requests, {failed} failed, {cut_off} drains cut off; {acknowledged} \
         checkouts acknowledged, {} orders, {} charges; audit {}; seed {seed}",
        audit.orders, audit.charges, audit.verdict
    ));
    if let Some(path) = &options.json {
        let figures = json!({
            "seed": seed, "restarts": seen.restarts, "rounds": seen.rounds, "slowest_ms": slowest_ms, "requests": sent,
            "failed": failed, "errors": errors, "cut_off": cut_off, "acknowledged": acknowledged, "audit": audit,
        });
        std::fs::write(path, serde_json::to_vec_pretty(&figures)?)
            .with_context(|| format!("--json: cannot write {}", path.display()))?;
    }
    // Each customer has one request under way, so no more than that can have been in flight on a node that was killed. A door
    // that has not noticed yet sends more to a dead storefront: those are refused, never half done, and a balancer that may
    // connect elsewhere hides them.
    let refused: u64 = errors.iter().filter(|(what, _)| what.ends_with("connection refused")).map(|(_, n)| n).sum();
    let allowed = match options.kill.as_deref() {
        Some("frontend") => u64::from(options.customers) + refused,
        Some(_) => u64::from(options.customers),
        None => 0,
    };
    let held = failed <= allowed && cut_off == 0 && audit.verdict == Verdict::Pass && acknowledged > 0;
    Ok(if held { End::Pass } else { End::Failed })
}

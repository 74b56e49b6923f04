//! `loadtest chaos`: the shop under kill -9, pauses, provider faults and database restarts, with customers at their
//! worst, then the outside checker (`crate::checker`) over everything that is left behind.
//!
//! Phases: faults for `--duration`; all faults away, all nodes ready; some seconds to get well; a control phase without
//! faults (T-7); the customers go home; nothing may stay open; then the verdict.

mod customer;
mod gather;
mod nemesis;
pub(crate) mod options;
mod timeline;
mod verdict;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::Context;
use tokio::{
    signal::ctrl_c,
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

use self::{
    customer::{Adversary, Crowd, Trick},
    gather::Sources,
    nemesis::{Nemesis, swarm},
    options::{ChaosOptions, Kind},
    timeline::Timeline,
};
use crate::{
    End,
    audit::Verdict,
    checker::{
        Evidence, Phases, Sometimes,
        dump::Source,
        history::{Recorder, Sent},
        judge,
    },
    client::{Caller, Client, plain_http},
    cluster::{Cluster, Setup},
    journey::Customer,
    measure::Stats,
    report, seams,
};

/// One attempt; the shop answers a checkout within 5 s.
const ATTEMPT_WITHIN: Duration = Duration::from_secs(6);
/// One call with all its attempts.
const CALL_WITHIN: Duration = Duration::from_secs(40);
/// How long the shop may take to get well, and how many seconds in a row without a failure are well.
const WELL_WITHIN: Duration = Duration::from_secs(30);
const WELL_SECONDS: u32 = 3;
/// The last lost reply and the last killed payments node keep permits to the provider for its longest handling and a lease
/// (10 + 3 s); with fewer permits than customers need some are refused, which is no fault of the control phase.
const PERMITS_BACK: Duration = Duration::from_secs(14);
/// Attempts that are kept, about 600 bytes each.
const HISTORY_MAX: usize = 2_000_000;
/// Answers may be old this long after a node with carts or sessions stood still.
const STALE_MS: u64 = 5_000;

/// Starts or finds a shop, torments it, judges it.
pub(crate) async fn run(options: ChaosOptions) -> anyhow::Result<End> {
    let seed = options.seed.unwrap_or_else(seams::fresh_seed);
    let setup = Setup {
        trestle: options.trestle.as_deref(),
        running: options.data.as_deref(),
        name: format!("chaos-{seed}"),
        port: options.port,
        database: options.database.as_deref(),
        arguments: Vec::new(),
        gives_way: false,
    };
    let cluster = Cluster::open(&setup).await?;
    let result = tokio::select! {
        result = session(&options, seed, &cluster) => result,
        _ = ctrl_c() => Err(anyhow::anyhow!("interrupted; nothing was judged")),
    };
    let passed = matches!(result, Ok(End::Pass));
    cluster.end(!passed).await?;
    result
}

async fn session(options: &ChaosOptions, seed: u64, cluster: &Cluster) -> anyhow::Result<End> {
    let targets = cluster.urls("frontend").await?;
    let provider = cluster.urls("provider").await?.remove(0);
    let sources = Sources {
        source: Source::open(&cluster.data, options.database.as_deref()).await?,
        provider: provider.clone(),
        http: plain_http(Duration::from_secs(30))?,
        client: Arc::new(Client::new(targets, ATTEMPT_WITHIN, CALL_WITHIN)?),
    };
    let ledger_before = sources.ledger().await?;
    let dump_before = sources.dump(&cluster.data).await.context("the databases cannot be read")?;
    let before = dump_before.operations.iter().map(|operation| operation.id.clone()).collect();

    let start = Instant::now();
    let (recorder, timeline) = (Arc::new(Recorder::new(start)), Timeline::new(start));
    let crowd = Arc::new(Crowd::default());
    let mut nemesis = Nemesis::new(cluster, &timeline, provider, seams::dice(seed, u32::MAX))?;
    nemesis.every = options.kill_every;
    nemesis.restart.clone_from(&options.database_restart);
    nemesis.kinds = kinds(options, seed);
    let names: Vec<_> = nemesis.kinds.iter().map(|kind| kind.name()).collect();
    let (names, ChaosOptions { duration, customers: count, .. }) = (names.join(", "), options);
    report::note(&format!("seed {seed}: {names} for {duration:?}, {count} customers"));

    let ((stop, stopped), (calm, calmed)) = (watch::channel(false), watch::channel(false));
    let mut customers = customers(options, seed, &sources.client, &recorder, &crowd, &stopped, &calmed);
    let mut phases = Phases::default();
    let mut gaps = phases_of(options, &mut nemesis, &timeline, &recorder, &mut phases, &calm).await?;
    stop.send_replace(true);
    while let Some(joined) = customers.join_next().await {
        joined.context("a customer failed: this is a bug of loadtest")?;
    }
    let bar = timeline.begin("run", "phase", "rest");
    phases.rest_after_ms = sources.rest(&mut gaps).await;
    timeline.end(bar);

    let bars = timeline.bars();
    let sent = recorder.snapshot();
    let (carts, forgotten) = sources.carts(&sent, &mut gaps).await;
    let tricks = crowd.tricks.lock().map(|tricks| tricks.clone()).unwrap_or_default();
    let evidence = Evidence {
        carts,
        forgotten,
        ledger: sources.ledger().await?,
        ledger_before,
        before,
        dump: sources.dump(&cluster.data).await.context("the databases cannot be read")?,
        phases,
        sometimes: sometimes(&nemesis.kinds, &bars, tricks),
        stale_carts_ms: stale(&bars, "carts"),
        stale_sessions_ms: stale(&bars, "sessions"),
        calls_at_once: sources.calls_at_once().await?,
        attention_expected: false,
        gaps,
        sent,
    };
    let judgement = judge(&evidence);
    let end = if judgement.verdict == Verdict::Pass { End::Pass } else { End::Failed };
    verdict::Outcome {
        options,
        seed,
        cluster,
        kinds: &nemesis.kinds,
        evidence: &evidence,
        judgement: &judgement,
        bars: &bars,
    }
    .tell()?;
    Ok(end)
}

/// Sends the customers in.
fn customers(
    options: &ChaosOptions,
    seed: u64,
    client: &Arc<Client>,
    recorder: &Arc<Recorder>,
    crowd: &Arc<Crowd>,
    stop: &watch::Receiver<bool>,
    calm: &watch::Receiver<bool>,
) -> JoinSet<()> {
    let tokens: Arc<[(String, u32)]> = options.token_mix().into();
    let stats = Arc::new(Stats::default());
    let mut customers = JoinSet::new();
    for number in 0..options.customers {
        let caller = |salt: u32| {
            let dice = seams::dice(seed, number * 2 + salt);
            let mut caller = Caller::new(Arc::clone(client), Arc::clone(&stats), dice, (number + salt) as usize);
            caller.recorder = Some(Arc::clone(recorder));
            caller
        };
        let shopper = Customer::new(caller(0), Arc::default(), Arc::clone(&tokens), stop.clone(), CALL_WITHIN);
        let (crowd, stop, calm) = (Arc::clone(crowd), stop.clone(), calm.clone());
        customers.spawn(Adversary { shopper, second: caller(1), crowd, stop, calm, number: number as usize }.run());
    }
    customers
}

/// Faults, healing, getting well, control. Returns what went wrong with the run itself.
async fn phases_of(
    options: &ChaosOptions,
    nemesis: &mut Nemesis<'_>,
    timeline: &Timeline,
    recorder: &Recorder,
    phases: &mut Phases,
    calm: &watch::Sender<bool>,
) -> anyhow::Result<Vec<String>> {
    let bar = timeline.begin("run", "phase", "faults");
    let end = Instant::now() + options.duration;
    tokio::select! {
        () = nemesis.torment(end) => {}
        () = full(recorder) => report::note(&format!("the history is full ({HISTORY_MAX} attempts); the faults end here")),
    }
    timeline.end(bar);
    let bar = timeline.begin("run", "phase", "healing");
    // The provider's tokens are faults too, so that "well" means the shop and not the dice.
    calm.send_replace(true);
    nemesis.heal().await?;
    phases.healed_ms = timeline.now_ms();
    timeline.end(bar);
    let bar = timeline.begin("run", "phase", "getting well");
    get_well(recorder).await;
    timeline.end(bar);
    let bar = timeline.begin("run", "phase", "control");
    let from_ms = timeline.now_ms();
    sleep(options.control).await;
    phases.control_ms = (from_ms, timeline.now_ms());
    timeline.end(bar);
    let troubles = std::mem::take(&mut nemesis.troubles);
    Ok(troubles.into_iter().map(|trouble| format!("a fault was none: {trouble}")).collect())
}

async fn full(recorder: &Recorder) {
    while recorder.len() < HISTORY_MAX {
        sleep(Duration::from_secs(1)).await;
    }
}

/// Until all permits are back and some seconds in a row show no failure, or the time is over; the checker judges, this only
/// waits.
async fn get_well(recorder: &Recorder) {
    let started = Instant::now();
    let mut well = 0;
    while (well < WELL_SECONDS || started.elapsed() < PERMITS_BACK) && started.elapsed() < WELL_WITHIN {
        let from = recorder.len();
        sleep_until(Instant::now() + Duration::from_secs(1)).await;
        let unanswered = |sent: &Sent| sent.end_ms.is_some() && sent.failed();
        let good = recorder.since(from, |sent| !sent.is_empty() && !sent.iter().any(unanswered));
        well = if good { well + 1 } else { 0 };
    }
}

fn kinds(options: &ChaosOptions, seed: u64) -> Vec<Kind> {
    let mut possible = vec![Kind::Kill, Kind::Pause, Kind::Provider];
    possible.extend(options.database_restart.as_ref().map(|_| Kind::Database));
    if options.faults.is_empty() {
        swarm(&possible, &mut seams::dice(seed, u32::MAX - 1))
    } else {
        options.faults.clone()
    }
}

fn sometimes(kinds: &[Kind], bars: &[timeline::Bar], mut tricks: BTreeMap<String, u64>) -> Sometimes {
    for (_, name) in Trick::ALL {
        tricks.entry(name.to_owned()).or_default();
    }
    let times = |kind: &Kind| bars.iter().filter(|bar| bar.kind == kind.name()).map(|bar| bar.from_ms).collect();
    let faults_ms = kinds.iter().map(|kind| (kind.name().to_owned(), times(kind))).collect();
    Sometimes { faults_ms, tricks }
}

/// When answers of a family that lives in memory may be old.
fn stale(bars: &[timeline::Bar], family: &str) -> Vec<(u64, u64)> {
    let paused = bars.iter().filter(|bar| bar.kind == Kind::Pause.name() && bar.lane.starts_with(family));
    paused.map(|bar| (bar.from_ms, bar.to_ms.map_or(u64::MAX, |to_ms| to_ms + STALE_MS))).collect()
}

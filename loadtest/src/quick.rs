//! One run: preflight, customers at work with a progress line, audit, report.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::{
    signal::ctrl_c,
    sync::watch,
    task::JoinSet,
    time::{Instant, interval, sleep_until},
};

use crate::{
    End, InvalidRun,
    audit::{self, Audit, collect::Sources},
    cli::{QuickOptions, require_loopback},
    client::{Call, Caller, Client, plain_http, read_ledger, with_query},
    journey::{CHECKOUTS_MAX, Customer, History},
    measure::{Stats, Step},
    report::{self, Report},
    seams,
    wire::{Charge, ProductPage},
};

const PROGRESS_EVERY: Duration = Duration::from_millis(250);
/// A shop that is up answers its first page well within this.
const PREFLIGHT_TIMEOUT: Duration = Duration::from_secs(5);
/// Readers of the audit are patient: a node may just be coming back.
const AUDIT_GIVE_UP_AFTER: Duration = Duration::from_secs(30);

/// Runs the customers, then the audit; prints the report.
pub(crate) async fn run(options: QuickOptions) -> anyhow::Result<End> {
    for target in &options.target {
        require_loopback("--target", target, options.i_own_this_host)?;
    }
    require_loopback("--provider", &options.provider, options.i_own_this_host)?;
    let client = Arc::new(Client::new(options.target.clone(), options.timeout, options.give_up_after)?);
    // Its own connections, so that the provider sees no difference between a busy and an idle run.
    let ledger_http = plain_http(Duration::from_secs(30))?;
    for target in client.targets() {
        expect_shop(&client, target).await?;
    }
    let ledger_before = expect_provider(&ledger_http, &options.provider).await?;

    let seed = options.seed.unwrap_or_else(seams::fresh_seed);
    let stats = Arc::new(Stats::default());
    let history = Arc::new(History::default());
    let (stop, stopped) = watch::channel(false);
    let tokens: Arc<[(String, u32)]> = options.token_mix().into();
    let mut customers = JoinSet::new();
    let started = Instant::now();
    for number in 0..options.customers {
        let dice = seams::dice(seed, number);
        let caller = Caller::new(Arc::clone(&client), Arc::clone(&stats), dice, number as usize);
        let (history, tokens, stopped) = (Arc::clone(&history), Arc::clone(&tokens), stopped.clone());
        customers.spawn(Customer::new(caller, history, tokens, stopped, options.give_up_after).run());
    }
    drop(stopped);
    let end = started + options.duration;
    let loaded = watch_customers(&mut customers, &stats, &history, &stop, end).await?;

    let checkouts = history.snapshot();
    let acknowledged = stats.with(|tally| usize::try_from(tally.acknowledged).unwrap_or(usize::MAX));
    report::note(&format!("auditing {} checkouts against {}ledger", checkouts.len(), options.provider));
    let client = Client::new(options.target.clone(), options.timeout, AUDIT_GIVE_UP_AFTER)?;
    let (provider, quiesce) = (options.provider.clone(), options.quiesce);
    let sources = Sources { client: Arc::new(client), http: ledger_http, provider, quiesce };
    let audit = tokio::select! {
        evidence = audit::collect::collect(&sources, &checkouts, ledger_before, options.exclusive) => match evidence {
            Ok(evidence) => audit::judge(&evidence),
            Err(error) => Audit::impossible(acknowledged, format!("{error:#}")),
        },
        _ = ctrl_c() => Audit::impossible(acknowledged, "the audit was interrupted".to_owned()),
    };
    let report = stats.with(|tally| Report::new(seed, &options, tally, loaded, audit));
    report.print();
    if let Some(file) = &options.json {
        let json = serde_json::to_string_pretty(&report).context("the report does not serialise")?;
        std::fs::write(file, json + "\n").with_context(|| format!("--json: cannot write {}", file.display()))?;
    }
    Ok(if report.passed() { End::Pass } else { End::Failed })
}

/// Shows the progress until the customers have gone home; tells them when it is time. Returns how long the load ran.
async fn watch_customers(
    customers: &mut JoinSet<()>,
    stats: &Stats,
    history: &History,
    stop: &watch::Sender<bool>,
    end: Instant,
) -> anyhow::Result<Duration> {
    let started = Instant::now();
    let bar = ProgressBar::new_spinner();
    bar.set_style(ProgressStyle::with_template("{spinner} {elapsed_precise} {msg}")?);
    let mut ticks = interval(PROGRESS_EVERY);
    let mut loaded = None;
    let mut closing = "";
    loop {
        let open = loaded.is_none();
        let why = tokio::select! {
            joined = customers.join_next() => match joined {
                Some(joined) => {
                    joined.context("a customer failed: this is a bug of loadtest")?;
                    continue;
                }
                None => break,
            },
            () = sleep_until(end), if open => "time is up",
            _ = ctrl_c(), if open => "interrupted",
            _ = ctrl_c(), if !open => anyhow::bail!("interrupted twice; nothing was audited"),
            _ = ticks.tick() => {
                bar.set_message(format!("{}{closing}", progress(stats, started)));
                bar.tick();
                if !open || !history.is_full() {
                    continue;
                }
                report::note(&format!("the history is full ({CHECKOUTS_MAX} checkouts); the run ends here"));
                "the history is full"
            }
        };
        loaded = Some(started.elapsed());
        closing = "  (finishing checkouts)";
        stop.send_replace(true);
        bar.set_message(why);
    }
    bar.finish_and_clear();
    Ok(loaded.unwrap_or_else(|| started.elapsed()))
}

fn progress(stats: &Stats, started: Instant) -> String {
    stats.with(|tally| {
        #[expect(clippy::cast_precision_loss, reason = "checkouts of one run, far below 2^53")]
        let rate = tally.acknowledged as f64 / started.elapsed().as_secs_f64().max(0.001);
        let p99_ms = tally.latencies(Step::Checkout).map_or(0.0, |seen| seen.percentile_ms(99.0));
        let (journeys, errors) = (tally.journeys, tally.errors_total());
        format!("{journeys} journeys  {rate:.1} checkouts/s  {errors} errors  p99(checkout) {p99_ms:.0} ms")
    })
}

async fn expect_shop(client: &Client, target: &reqwest::Url) -> Result<(), InvalidRun> {
    let call = Call::get(Step::Browse, &with_query("/api/products", &[("limit", "20")]), None);
    let hint = "is the shop running? Start it with `cargo run --release`, or name another address with --target";
    let answer = client.once(target, &call, PREFLIGHT_TIMEOUT).await;
    let answer = answer.map_err(|error| InvalidRun(format!("--target {target} does not answer ({error}); {hint}")))?;
    let page = answer.json::<ProductPage>();
    match page {
        Ok(page) if answer.status == 200 && !page.items.is_empty() => Ok(()),
        Ok(_) if answer.status == 200 => Err(InvalidRun(format!("the shop at --target {target} has no products"))),
        _ => Err(InvalidRun(format!("--target {target} answers {} to GET {}; {hint}", answer.kind(), call.path))),
    }
}

pub(crate) async fn expect_provider(
    http: &reqwest::Client,
    provider: &reqwest::Url,
) -> Result<Vec<Charge>, InvalidRun> {
    let ledger = read_ledger(http, provider).await.map_err(|error| {
        InvalidRun(format!(
            "--provider {provider} does not show its ledger ({error:#}); it starts with the shop (`cargo run --release`, \
             port 8099), or name another address with --provider"
        ))
    })?;
    Ok(ledger.charges)
}

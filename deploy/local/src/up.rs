//! `trestle up`: checks what can be checked, starts every node, tells what there is, and ends everything in order.

mod checks;

use std::{future::Future, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path, time::Duration};

use anyhow::Context as _;
use runtime::{Seams, Tasks};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, interval},
};

use crate::{
    blueprint::Blueprint,
    certificates,
    cli::UpOptions,
    control,
    database::Database,
    output,
    plan::{self, PublicPorts, Wanted},
    shared::Shared,
    supervisor::Cluster,
};

/// How often the nodes that are not ready yet are named.
const WAITING_FOR_EVERY: Duration = Duration::from_secs(5);

/// Runs the shop until Ctrl-C, SIGTERM or SIGHUP.
pub(crate) async fn run(options: UpOptions) -> anyhow::Result<()> {
    let mut signals = Signals::new().context("cannot listen to signals")?;
    let began = Instant::now();
    let blueprint = Blueprint::read(options.blueprint.as_deref())?;
    let database = Database::read(options.database.as_ref())?;
    let sites = &options.sites;
    let shared = Shared::read(blueprint.sharing(), &options.sharing, options.redis.as_ref(), sites)?;
    let public = PublicPorts::new(options.port, sites.count(contract::Family::Frontend, &blueprint));
    let dir = checks::data_dir(&options.data.dir)?;
    // Held until the process ends.
    let _lock = checks::lock(&dir)?;
    checks::ports_are_free(&public).await?;
    database.reachable().await?;
    let secret = checks::secret(&dir)?;
    checks::webhook_secret(&dir)?;
    if options.tls {
        certificates::make(&dir.tls(), &certificates::holders(), certificates::DAYS, &Seams::system())?;
    }
    let inner = checks::inner_ports(plan::inner_ports_needed(&blueprint, sites), &public)?;

    let wanted = Wanted { blueprint: &blueprint, sites, database: &database, shared: &shared, tls: options.tls };
    let cluster = Cluster::new(plan::plan(wanted, &public, &inner, &dir), dir.clone(), secret.clone(), options.tls)?;
    let (nodes, listener) = (Tasks::new(), Tasks::new());
    control::serve(cluster.clone(), &secret, &dir, &listener).await?;
    let (count, folder) = (cluster.status().len(), dir.0.display());
    output::tell(&format!("starting {count} nodes, data in {folder} (database: {database})"));
    cluster.start(&nodes);
    let reason = tokio::select! {
        reason = cluster.until_fatal() => Some(reason),
        () = signals.next() => None,
        () = announce(&cluster, &public, &options, began) => None,
    };
    if reason.is_none() {
        output::tell("ending: requests in flight may finish (Ctrl-C again: at once)");
    }
    cluster.drain(signals.next()).await;
    let _ = std::fs::remove_file(dir.control());
    listener.stop();
    match reason {
        Some(reason) => anyhow::bail!("{reason}\nthe shop has ended; all logs are in {}", dir.file("logs").display()),
        None => {
            output::tell("all nodes have ended");
            Ok(())
        }
    }
}

/// Shows how the start goes and what there is; never resolves.
async fn announce(cluster: &Cluster, public: &PublicPorts, options: &UpOptions, began: Instant) {
    let all = cluster.status().len();
    let ready = cluster.until_ready(|ready| output::progress(&format!("{ready} of {all} nodes are ready")));
    tokio::select! {
        () = ready => {}
        () = name_the_slow(cluster) => {}
    }
    output::tell(&format!("all {all} nodes are ready after {:.1} s", began.elapsed().as_secs_f64()));
    output::say(&output::table(&cluster.status()));
    output::say(&welcome(public, options));
    std::future::pending().await
}

async fn name_the_slow(cluster: &Cluster) {
    let mut ticks = interval(WAITING_FOR_EVERY);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let slow = cluster.status().into_iter().filter(|node| node.state != control::State::Ready);
        let slow: Vec<_> = slow.map(|node| format!("{} ({})", node.id, node.state)).collect();
        output::tell(&format!("still waiting for {}; see the logs in the data folder", slow.join(", ")));
    }
}

fn welcome(public: &PublicPorts, options: &UpOptions) -> String {
    let url = |port: &u16| format!("http://127.0.0.1:{port}");
    let shops: Vec<_> = public.storefronts.iter().map(url).collect();
    let first = shops.first().cloned().unwrap_or_default();
    let provider = url(&public.provider);
    let data = options.data.dir.as_path();
    let data = if data == Path::new(".trestle") { String::new() } else { format!(" --data {}", data.display()) };
    let sites: Vec<_> = options.sites.names().take(2).collect();
    let cut = if options.sites.are_many() {
        format!(
            "trestle cut {}{data}     carts go on at both sites, and merge after: trestle heal{data}",
            sites.join(" ")
        )
    } else {
        format!("trestle cut logic orders{data}     nobody can check out, and no key is lost: trestle heal{data}")
    };
    format!(
        "
  Storefronts       {}
  API documents     {first}/docs
  Provider's ledger {provider}/ledger

Things to try, in another terminal:
  trestle kill logic-1{data}         and go on shopping
  trestle pause payments-1{data}     check out meanwhile, then: trestle resume payments-1{data}
  {cut}
  loadtest quick --target {} --provider {provider}    and kill what you like

`trestle status{data}` lists the nodes; Ctrl-C ends them all. (`trestle` is target/release/trestle.)",
        shops.join("  "),
        shops.join(","),
    )
}

/// Writes a file that only its owner can read. The file appears complete or not at all.
pub(crate) fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let temporary = path.with_extension("new");
    // The mode counts only when the file is made, so a left-over one must go.
    match std::fs::remove_file(&temporary) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    file.write_all(text.as_bytes())?;
    std::fs::rename(&temporary, path)
}

/// The signals that end the shop. A closed terminal (SIGHUP) is one, or its nodes would be killed in mid-request.
#[derive(Debug)]
struct Signals([Signal; 3]);

impl Signals {
    fn new() -> std::io::Result<Self> {
        let [interrupt, terminate, hangup] = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        Ok(Self([signal(interrupt)?, signal(terminate)?, signal(hangup)?]))
    }

    fn next(&mut self) -> impl Future<Output = ()> {
        let [interrupt, terminate, hangup] = &mut self.0;
        async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
        }
    }
}

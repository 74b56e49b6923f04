//! Sandbox of the third-party payment provider, and the outside truth about the shop's charges.
//!
//! It shares no code, no storage and no process with the shop: the proof "one acknowledged checkout, one charge" is
//! worth something only if the party that counts the charges cannot be wrong in the same way. A charge is made once
//! per idempotency key and once per permanent reference, is refused after `not_after_ms`, and is on the disk before
//! it is answered. A charge is refunded at most once, whole. Charges are announced by webhook, at least once. Faults come
//! by test token (`request`), or for all tokens by `POST /admin/faults` (`faults`).
//!
//! What the shop may rely on: a request is decided or forgotten within `--max-handling-ms` of its arrival, whatever
//! its token or the faults say and whether or not its caller waits (`handling`). Keys are remembered for ever,
//! references are permanent and `not_after_ms` is kept, unless an operator switches that off.
//!
//! To read: `handling` (one request from start to end), `charges` and `refunds` (what it does), `book` (the rules),
//! `ledger` (the file), `answer` (the table of answers), `webhooks` (what the shop is told unasked).

mod answer;
mod api;
mod book;
mod charges;
mod clock;
mod faults;
mod handling;
mod ledger;
mod provider;
mod refunds;
mod request;
mod server;
mod stats;
mod webhooks;

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::provider::{Provider, Waits};
use crate::webhooks::Webhooks;

/// Time to finish after SIGTERM: above `tok_slow`, below the 5 s in which the whole shop has to end.
const FINISH_MAX: Duration = Duration::from_secs(3);

/// Most URLs for webhooks.
const WEBHOOKS_MAX: usize = 8;

/// Options of the provider.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Address to listen on; port 0 takes a free one, which the start line names. No TLS, no authentication: keep it
    /// on loopback.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8099")]
    pub listen: SocketAddr,

    /// The ledger: an append-only file of JSON lines, created if it is missing, used by one provider at a time. Every
    /// charge, refund, decline and too-late mark in it is remembered for good; name a new file to forget them.
    #[arg(long, value_name = "FILE")]
    pub ledger: PathBuf,

    /// Longest time from the arrival of a charge or refund to the end of everything it does, in milliseconds, 1000 to
    /// 30000: by then it is decided or forgotten, whether or not its caller waits. Test tokens and faults that wait
    /// longer are cut to it. A ledger that cannot be written in time ends the provider.
    #[arg(long, value_name = "MS", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1_000..=30_000))]
    pub max_handling_ms: u64,

    /// URL that is told of every charge by POST, at least once: http:// only. Up to 8 times; each is tried in turn until
    /// one answers 2xx. Repeated with growing pauses for about half a minute; GET /stats counts what is dropped.
    #[arg(long, value_name = "URL", requires = "webhook_secret_file", value_parser = webhooks::parse_url)]
    pub webhook: Vec<reqwest::Url>,

    /// File with the secret that signs webhooks, 16 to 1024 bytes; white space around it is ignored. The header
    /// webhook-signature is sha256= and the hex of HMAC-SHA256 of the body.
    #[arg(long, value_name = "FILE", requires = "webhook")]
    pub webhook_secret_file: Option<PathBuf>,

    /// Events that wait for their delivery; more are dropped and counted.
    #[arg(long, hide = true, default_value_t = 10_000)]
    pub webhook_queue_max: usize,

    /// Charges and refunds at once, 1 to 1000, whether or not their callers still wait; more are answered 503.
    #[arg(long, hide = true, default_value_t = 1_000, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub charges_max: u16,

    /// Milliseconds before `tok_slow` is answered.
    #[arg(long, hide = true, default_value_t = 2_000)]
    pub slow_ms: u64,

    /// Milliseconds before the first call with `tok_late` is executed.
    #[arg(long, hide = true, default_value_t = 8_000)]
    pub late_ms: u64,

    /// Milliseconds before the connection of a first call with `tok_charge_then_timeout` is closed.
    #[arg(long, hide = true, default_value_t = 30_000)]
    pub hold_ms: u64,

    /// Milliseconds before the connection of a request in the black hole is closed; it is cut to the maximum handling
    /// time, like all of these.
    #[arg(long, hide = true, default_value_t = 30_000)]
    pub black_hole_ms: u64,
}

/// Runs the provider until SIGTERM or Ctrl-C, then finishes what can be finished within 3 s.
///
/// Prints one line to stderr when it listens, and before it a warning if the ledger had a torn last line. Errors: the
/// ledger cannot be opened, is in use or is damaged; the address cannot be used; a write to the ledger failed (the
/// process must end then: only a new start can tell what is on the disk) or took longer than the maximum handling time;
/// the webhook secret cannot be read.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let stopped = Stopped::new().context("cannot listen to signals")?;
    anyhow::ensure!(options.webhook.len() <= WEBHOOKS_MAX, "--webhook can be given {WEBHOOKS_MAX} times at most");
    let webhooks = Webhooks::new(&options)?;
    let ledger = ledger::open(&options.ledger)?;
    let listener = TcpListener::bind(options.listen)
        .await
        .with_context(|| format!("cannot listen on {}: choose another address with --listen", options.listen))?;
    let address = listener.local_addr().context("cannot read the address of the listener")?;

    let (queue, jobs) = mpsc::channel(ledger::QUEUE_MAX);
    webhooks.announce_again(&ledger.book.charges());
    let provider = Arc::new(Provider::new(ledger.book, queue, options.waits(), options.charges_max, webhooks));
    provider.tasks.spawn(webhooks::run(provider.clone()));
    let mut writer = tokio::task::spawn_blocking(move || ledger::write(ledger.file, jobs));
    let accepting = server::accept(listener, api::router(provider.clone()), provider.clone());
    if let Some(warning) = ledger.warning {
        announce(&format!("provider warning: {warning}"));
    }
    announce(&format!("provider listening on {address}"));

    let overdue = provider.overdue.clone();
    let finished = async {
        tokio::join!(accepting, stop(stopped, &provider));
        drop(provider);
    };
    tokio::select! {
        () = finished => {}
        // Before the end of `finished` the queue is open, so the writer ends only by failing.
        written = &mut writer => return written?.context("cannot write to the ledger"),
        () = overdue.cancelled() => anyhow::bail!(
            "the ledger could not be written within the maximum handling time of {} ms: the disk is too slow, \
             or --max-handling-ms too short",
            options.max_handling_ms,
        ),
    }
    writer.await?.context("cannot write to the ledger")
}

/// Waits for a signal, then for the work in progress.
async fn stop(stopped: Stopped, provider: &Provider) {
    stopped.wait().await;
    provider.stop.cancel();
    provider.tasks.close();
    if tokio::time::timeout(FINISH_MAX, provider.tasks.wait()).await.is_err() {
        provider.abandon.cancel();
        provider.tasks.wait().await;
    }
}

impl Options {
    fn waits(&self) -> Waits {
        Waits {
            slow: Duration::from_millis(self.slow_ms),
            late: Duration::from_millis(self.late_ms),
            hold: Duration::from_millis(self.hold_ms),
            black_hole: Duration::from_millis(self.black_hole_ms),
            handling_max: Duration::from_millis(self.max_handling_ms),
        }
    }
}

/// The two signals that end the provider. Registered before the start line, so nobody who read it can kill it hard.
struct Stopped {
    terminate: Signal,
    interrupt: Signal,
}

impl Stopped {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn wait(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// For whoever started the process. A closed stderr is no reason to fail, so not `eprintln!`, which panics then.
fn announce(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

//! How a node ends, so that nobody notices (DR-1, DR-2, DR-4).
//!
//! SIGTERM: the node says at `/health/ready` that it is draining, begins nothing of its own any more, and goes on serving: its
//! callers must first hear of it. Every answer asks for a new connection, so that kept ones empty. After the delay the
//! listener closes, idle connections end, and requests in flight have a time of their own to finish. What is left then is cut
//! off, counted, and told by the exit code. The operations listener answers to the last.
//!
//! Ctrl-C (SIGINT) leaves the delay out: for a person at a terminal, and for a shop that ends as a whole, where nobody is left
//! to take over. A second signal of either kind ends the node at once.

use std::{fmt, process::ExitCode, time::Duration};

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{Metrics, Node, Tasks};

/// Exit code of a node that ended when it was told to, but had to cut off work.
pub const EXIT_CUT_OFF: u8 = 3;
/// Default of `--drain-delay-s`. Longer than two probes of any caller take (`rpc` holds it to its own), and those of a load
/// balancer, such as every 2 s and two failures.
pub const DRAIN_DELAY_S: u64 = 8;
/// Default of `--drain-s`: longer than any request of a customer takes.
pub const DRAIN_S: u64 = 30;
/// After a second signal, tasks that only have to notice the first have this long.
const AT_ONCE: Duration = Duration::from_millis(50);

/// How long a node takes to end.
#[derive(Args, Clone, Copy, Debug)]
pub struct DrainOptions {
    /// How long the node goes on taking work after SIGTERM, in seconds, while callers and load balancers learn from
    /// /health/ready that it will end. Ctrl-C leaves this out.
    #[arg(long, env = "TRESTLE_DRAIN_DELAY_S", default_value_t = DRAIN_DELAY_S, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(0..=600))]
    pub drain_delay_s: u64,
    /// How long requests in flight may take to finish after that, in seconds. What is left then is cut off: the exit code is 3.
    /// Whoever stops the process must wait for longer than both times together before he kills it.
    #[arg(long, env = "TRESTLE_DRAIN_S", default_value_t = DRAIN_S, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(0..=600))]
    pub drain_s: u64,
}

/// The node ended when it was told to, and cut off work.
#[derive(Debug)]
pub struct CutOff {
    /// Connections with a request in flight, and other tasks.
    pub tasks: usize,
}

impl std::error::Error for CutOff {}

impl fmt::Display for CutOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} requests or tasks had not finished and were cut off; give them longer with --drain-s", self.tasks)
    }
}

/// What the process of a node exits with: 0, [`EXIT_CUT_OFF`], or 1 for any other failure, which is told first.
#[must_use]
pub fn exit_code(result: &anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<CutOff>() => ExitCode::from(EXIT_CUT_OFF),
        Err(_) => ExitCode::FAILURE,
    }
}

/// For the `main` of a family: runs a node, says on standard error why it failed, and returns its exit code.
pub async fn run_to_exit(node: impl Future<Output = anyhow::Result<()>>) -> ExitCode {
    let result = node.await;
    if let Err(error) = &result {
        // A closed standard error is no reason to panic.
        let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("error: {error:#}\n"));
    }
    exit_code(&result)
}

/// Shows what a node that ends still waits for: the last value before its end is what was cut off.
pub(crate) fn observe(tasks: &Tasks, metrics: &Metrics) {
    let tasks = tasks.clone();
    metrics
        .meter()
        .u64_observable_gauge("trestle_drain_unfinished")
        .with_description("connections with a request in flight, and other tasks, that a node waits for before it ends")
        .with_callback(move |observer| observer.observe(u64::try_from(tasks.unfinished()).unwrap_or(u64::MAX), &[]))
        .build();
}

/// Waits for a signal, then ends the node in order.
///
/// # Errors
/// [`CutOff`], or when signals cannot be waited for.
pub(crate) async fn at_signal(node: &Node, options: DrainOptions) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let delay = match signals.next().await {
        Told::Drain => Duration::from_secs(options.drain_delay_s),
        Told::End => Duration::ZERO,
    };
    end(node, delay, Duration::from_secs(options.drain_s), async {
        signals.next().await;
    })
    .await
}

async fn end(node: &Node, delay: Duration, within: Duration, hurry: impl Future<Output = ()>) -> anyhow::Result<()> {
    node.readiness.set_draining();
    node.tasks.drain();
    tracing::info!(family = node.family, node = node.id, ?delay, ?within, "draining");
    let orderly = async {
        tokio::time::sleep(delay).await;
        node.tasks.stop();
        node.tasks.join(within).await
    };
    let cut_off = tokio::select! {
        cut_off = orderly => cut_off,
        () = hurry => {
            node.tasks.stop();
            node.tasks.join(AT_ONCE).await
        }
    };
    if cut_off > 0 {
        tracing::warn!(family = node.family, node = node.id, cut_off, "node ended before all it did was finished");
        return Err(CutOff { tasks: cut_off }.into());
    }
    tracing::info!(family = node.family, node = node.id, "node ended");
    Ok(())
}

/// What a signal asks for.
enum Told {
    Drain,
    End,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::Drain,
            _ = self.interrupt.recv() => Told::End,
        }
    }
}

#[cfg(test)]
mod tests;

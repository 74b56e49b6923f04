//! Options, state and operations of an orders node.

use std::sync::Arc;

use clap::{Args, value_parser};
use contract::Family;
use rpc::Ops;
use runtime::{ListenerLimits, Node, NodeOptions};
use store::StoreUri;

use crate::{
    gauges, operations, reaper,
    store::{OrderStore, Orders, Periods, SqlOrders},
};

/// Options of an orders node.
#[derive(Args, Clone, Debug)]
pub struct Options {
    #[command(flatten)]
    pub node: NodeOptions,
    /// Where orders live, the same for all orders nodes: sqlite:///path/to/orders.db or postgres://user@host/database.
    #[arg(long, env = "TRESTLE_STORE", value_name = "URI")]
    pub store: StoreUri,
    /// How long after a checkout was opened its charge may first be executed, in seconds. The same for all orders nodes, and
    /// far below the time for which the payment provider remembers keys.
    #[arg(long, env = "TRESTLE_CHARGE_WINDOW_S", default_value_t = 3_600, value_name = "SECONDS",
          value_parser = value_parser!(i64).range(5..=43_200))]
    pub charge_window_s: i64,
    /// How long after its end repeats of a checkout get the stored answer, in seconds. The same for all orders nodes.
    #[arg(long, env = "TRESTLE_RESULT_RETENTION_S", default_value_t = 86_400, value_name = "SECONDS",
          value_parser = value_parser!(i64).range(60..=RETENTION_S_MAX))]
    pub result_retention_s: i64,
    /// How long after its end a checkout's key is remembered, in seconds: not shorter than --result-retention-s.
    #[arg(long, env = "TRESTLE_KEY_RETENTION_S", default_value_t = 2_592_000, value_name = "SECONDS",
          value_parser = value_parser!(i64).range(60..=RETENTION_S_MAX))]
    pub key_retention_s: i64,
}

/// Ten years: longer than any promise about keys.
const RETENTION_S_MAX: i64 = 10 * 366 * 86_400;

impl Options {
    /// The periods that these options name.
    ///
    /// # Errors
    /// When a key would be forgotten before its answer: a repeat in between would be a second checkout.
    pub fn periods(&self) -> anyhow::Result<Periods> {
        let (result, key) = (self.result_retention_s, self.key_retention_s);
        anyhow::ensure!(
            key >= result,
            "--key-retention-s {key} is shorter than --result-retention-s {result}: a key must be remembered for at least as \
             long as its answer"
        );
        let [charge_window_ms, result_ms, key_ms] = [self.charge_window_s, result, key].map(|seconds| seconds * 1_000);
        Ok(Periods { charge_window_ms, result_ms, key_ms, ..Periods::default() })
    }
}

/// What the operations need.
#[derive(Clone, Debug)]
pub struct App {
    /// The rows.
    pub orders: Arc<dyn OrderStore>,
}

/// Every operation of the family.
pub fn ops(app: App) -> Ops<App> {
    Ops::new(app)
        .serve(operations::find)
        .serve(operations::open)
        .serve(operations::take)
        .serve(operations::heartbeat)
        .serve(operations::postpone)
        .serve(operations::nudge)
        .serve(operations::complete)
        .serve(operations::refuse)
        .serve(operations::due)
        .serve(operations::events)
        .serve(operations::ack)
        .serve(operations::attention)
        .serve(operations::inspect)
        .serve(operations::resolve)
        .serve(operations::flag)
        .serve(operations::get)
        .serve(operations::list)
}

/// Runs a node until SIGTERM or Ctrl-C.
///
/// # Errors
/// When an option cannot be used or the store cannot be opened; the message names the setting.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let node = Node::start("orders", Family::Orders.callers(), &options.node)?;
    let periods = options.periods()?;
    let store = store::when_there("--store", async || SqlOrders::open(&options.store).await).await;
    let store = store.map_err(|error| anyhow::anyhow!("--store: {error}"))?;
    let orders = Orders::open(store.with_periods(periods)).store();
    node.tasks.spawn_until_stop(reaper::run(orders.clone(), node.seams.clone(), node.tasks.clone()));
    node.tasks.spawn_until_stop(gauges::run(orders.clone(), &node.metrics));
    let server = ops(App { orders }).build(&node);
    node.readiness.set_ready();
    node.run(&options.node, server.router(), ListenerLimits::INNER).await
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        options: Options,
    }

    fn periods(more: &[&str]) -> Result<Periods, String> {
        let given = ["orders", "--secret-file", "secret", "--store", "sqlite://orders.db"];
        let cli = Cli::try_parse_from(given.iter().chain(more)).map_err(|error| error.to_string())?;
        cli.options.periods().map_err(|error| error.to_string())
    }

    #[test]
    fn periods_are_checked_and_the_message_names_the_setting() {
        assert_eq!(periods(&[]), Ok(Periods::default()));
        let short = ["--result-retention-s", "60", "--key-retention-s", "60", "--charge-window-s", "5"];
        let Ok(Periods { charge_window_ms: 5_000, result_ms: 60_000, key_ms: 60_000, .. }) = periods(&short) else {
            panic!("{:?}", periods(&short))
        };
        for (bad, names) in [
            (["--key-retention-s", "86399"], "--key-retention-s 86399 is shorter than --result-retention-s 86400"),
            (["--result-retention-s", "59"], "--result-retention-s"),
            (["--key-retention-s", "0"], "--key-retention-s"),
            (["--charge-window-s", "4"], "--charge-window-s"),
            (["--charge-window-s", "43201"], "--charge-window-s"),
        ] {
            let error = periods(&bad).unwrap_err();
            assert!(error.contains(names), "{bad:?}: {error}");
        }
    }
}

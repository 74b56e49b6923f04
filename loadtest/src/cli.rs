//! The command line: what may be asked, in which units, within which bounds.
//!
//! Everything is checked here, so that the rest of the program holds only values that make sense.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};
use reqwest::Url;

use crate::{
    InvalidRun, chaos::options::ChaosOptions, checkouts::options::CheckoutsOptions, overload::options::OverloadOptions,
    rolling::RollingOptions, run::options::RunOptions, sharing::options::SharingOptions, threshold::Threshold,
};

const AFTER_HELP: &str = "\
Start the shop first, in another terminal:
  cargo run --release

Then, for example:
  loadtest run --rate 100 --duration 30s --html report.html --fail 'p99<300ms' --fail 'errors<0.1%'
  loadtest run --stages '10s@50, 20s@50..200, 10s@500, 30s@50' --fail 'goodput>45/s' --fail audit
  loadtest quick
  loadtest quick --duration 1m --customers 64 --fail 'p99(checkout)<2s' --fail 'outage<3s'
  loadtest quick --target http://127.0.0.1:8080,http://127.0.0.1:8081 --tokens tok_ok=80,tok_charge_then_timeout=20
  loadtest yardstick
  loadtest checkouts --database postgres://shop@127.0.0.1:5432/shop

These start shops of their own:
  loadtest chaos --duration 60s --faults kill,pause,provider --timeline chaos.html
  loadtest rolling --requests 20000
  loadtest sharing kills
  loadtest sharing costs --redis redis://127.0.0.1:6379
  loadtest overload curve --step 5s --html curve.html
  loadtest overload all

Exit codes: 0 everything held; 99 the audit or a threshold failed, or nothing could be judged; 2 the run was not valid
(usage, nothing answers, or the load generator itself was the bottleneck); 1 internal error.";

/// Plays customers against the shop, then compares what they were told with the payment provider's ledger.
#[derive(Debug, Parser)]
#[command(name = "loadtest", version, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Customers browse, fill carts and pay for a while; then every order is audited against the ledger.
    ///
    /// Each customer repeats one journey with a new anonymous session: browse, view a product, add 1 to 3 lines, view
    /// the cart, check out. An attempt that fails is sent again with the same key to the next target, as a good client
    /// does. Afterwards every acknowledged checkout must have exactly one order and exactly one charge of that amount.
    Quick(QuickOptions),
    /// Customers come at a rate that you set, whether or not the shop keeps up; how well were they served?
    ///
    /// Open loop: each arrival has its moment before anything is sent, and latencies count from that moment, so a stall is
    /// felt by all who came during it. The run says so itself when the generator was the bottleneck. Watch it live, get a
    /// report as a page, JSON or CSV, set thresholds for CI, and compare with an earlier run.
    Run(Box<RunOptions>),
    /// Kills, pauses and disturbs a whole shop while customers do their worst; then checks everything from outside.
    ///
    /// Starts a shop of its own (the program `trestle` beside this one), or torments the running one with --data. Nodes
    /// of all families are killed with SIGKILL or stopped for seconds, never the last ready one of a family; the payment
    /// provider hangs, fails or limits the rate; a database restarts by the command you give. Meanwhile customers send
    /// the same checkout twice at once, hang up, use two keys for one cart, other bodies under a used key, other
    /// people's keys, and edit carts while buying. Afterwards sixteen checks (K1 to K16) hold the customers' history
    /// against the databases, the provider's ledger and the mailbox. One command, about a minute and a half.
    Chaos(Box<ChaosOptions>),
    /// Restarts every node of every family in turn while customers shop who never send anything twice: no request may fail.
    ///
    /// Starts a shop of its own (the program `trestle` beside this one). Each node drains (SIGTERM), ends and is started again,
    /// as in an upgrade; the next one follows as soon as it is ready. With --kill FAMILY one node dies by SIGKILL instead: then
    /// only requests in flight on it may fail. Afterwards the audit, as after `quick`.
    Rolling(RollingOptions),
    /// Measures add-to-cart through the three tiers against a naive chain of three bare handlers.
    ///
    /// The naive chain (axum and reqwest with their defaults; no sessions, retries, admission or replication) is
    /// started by this command. Both are measured in short alternating slices, so that a busy machine disturbs both
    /// alike; the result is the ratio of their throughputs. Nothing is asserted.
    Yardstick(YardstickOptions),
    /// Measures checkouts through the whole shop against pgbench running the same statements on the same PostgreSQL server.
    ///
    /// Carts are filled before each slice; only checkouts (tok_ok) are measured, by as many clients as pgbench has. Slices of
    /// both alternate, so that a busy machine disturbs both alike. Prints the ratio, latencies, and whether both sides made
    /// as many orders as they count; asserts nothing else.
    Checkouts(CheckoutsOptions),
    /// Measures what each way of sharing carts and sessions loses when nodes die, and what it costs.
    ///
    /// `kills` starts a shop for each strategy, kills so many nodes of the family at once as a row says, and looks for every
    /// operation that customers were told is done. `costs` starts shops that differ in the strategy or the store and adds to
    /// carts in short alternating slices.
    Sharing(SharingOptions),
    /// Shows what becomes of the shop beyond saturation: figures F1 to F11, each with what it must be.
    ///
    /// Each experiment starts a shop of its own (the program `trestle` beside this one) and attacks it: up to ten times its
    /// peak, a spike, a slow node, a failing one, an outage, a saturated payment provider, a kill, hostile clients. Logic
    /// nodes model their work, so that two processors can stand for several machines. A run whose generator was late, or
    /// whose machine was busy, is invalid instead of passed.
    Overload(Box<OverloadOptions>),
    /// One node of the naive chain; started by `yardstick`.
    #[command(hide = true)]
    NaiveNode(NaiveNodeOptions),
}

#[derive(Debug, Args)]
pub(crate) struct QuickOptions {
    /// Base URLs of the storefronts, separated by commas; an attempt that fails is sent again to the next.
    #[arg(long, value_delimiter = ',', default_value = "http://127.0.0.1:8080", value_parser = parse_base_url)]
    pub(crate) target: Vec<Url>,
    /// Base URL of the payment provider, whose ledger is the outside truth.
    #[arg(long, default_value = "http://127.0.0.1:8099", value_parser = parse_base_url)]
    pub(crate) provider: Url,
    /// Customers at work at the same time, 1 to 2000. A customer has one request under way at a time.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=2000))]
    pub(crate) customers: u32,
    /// How long customers start new journeys: 500ms, 20s, 2m, 1h; at most 24h. Checkouts under way are finished.
    #[arg(long, default_value = "20s", value_parser = parse_duration)]
    pub(crate) duration: Duration,
    /// The payment token of every checkout [default: tok_ok].
    #[arg(long, conflicts_with = "tokens", value_parser = parse_token)]
    pub(crate) token: Option<String>,
    /// A mix of payment tokens with weights, for example tok_ok=80,tok_charge_then_timeout=20.
    #[arg(long, value_delimiter = ',', value_name = "TOKEN=WEIGHT", value_parser = parse_weighted_token)]
    pub(crate) tokens: Vec<(String, u32)>,
    /// A threshold that must hold; may be given several times.
    ///
    /// p50, p90, p99, max of a step (session, browse, product, add, cart, checkout, order) in ms, s or m:
    /// 'p99(checkout)<2s'. Counts: errors, errors(STEP), retries, unknown, declined, acknowledged, journeys. Others:
    /// error_rate<1%, outage<500ms (longest outage seen by one call), checkout_rate>10 (acknowledged per second).
    /// Comparisons: < <= > >=.
    #[arg(long = "fail", value_name = "THRESHOLD")]
    pub(crate) thresholds: Vec<Threshold>,
    /// Writes the report as JSON to this file too.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Whether nobody else checks out during the run: then every new charge must belong to an order of this run.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, value_name = "true|false")]
    pub(crate) exclusive: bool,
    /// Seed of the customers' choices [default: a new one, printed].
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// One attempt is given up after this time; the shop answers a checkout within 5s, with 202 if it must.
    #[arg(long, default_value = "10s", value_parser = parse_duration)]
    pub(crate) timeout: Duration,
    /// A call (all its attempts together) is given up after this time; a checkout given up is `unknown`.
    #[arg(long, default_value = "60s", value_parser = parse_duration)]
    pub(crate) give_up_after: Duration,
    /// How long the audit waits for open orders and unknown checkouts to end.
    #[arg(long, default_value = "60s", value_parser = parse_duration)]
    pub(crate) quiesce: Duration,
    /// Allows a target or provider that is not on this machine.
    #[arg(long)]
    pub(crate) i_own_this_host: bool,
}

#[derive(Debug, Args)]
pub(crate) struct YardstickOptions {
    /// Base URL of a storefront.
    #[arg(long, default_value = "http://127.0.0.1:8080", value_parser = parse_base_url)]
    pub(crate) target: Url,
    /// Adds sent to each side, without the warm-up: 100 to 1000000.
    #[arg(long, default_value_t = 4000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    pub(crate) requests: u32,
    /// Requests under way at a time: 1 to 256.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) concurrency: u32,
    /// Allows a target that is not on this machine.
    #[arg(long)]
    pub(crate) i_own_this_host: bool,
}

#[derive(Debug, Args)]
pub(crate) struct NaiveNodeOptions {
    #[arg(long)]
    pub(crate) tier: Tier,
    #[arg(long, default_value = "127.0.0.1:0")]
    pub(crate) listen: std::net::SocketAddr,
    /// Base URL of the tier behind this one; required for all but the service tier.
    #[arg(long, value_parser = parse_base_url, required_if_eq_any = [("tier", "frontend"), ("tier", "logic")])]
    pub(crate) next: Option<Url>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Tier {
    Frontend,
    Logic,
    Service,
}

impl QuickOptions {
    /// The payment tokens with their weights; at least one.
    pub(crate) fn token_mix(&self) -> Vec<(String, u32)> {
        if self.tokens.is_empty() {
            return vec![(self.token.clone().unwrap_or_else(|| "tok_ok".to_owned()), 1)];
        }
        self.tokens.clone()
    }
}

/// Refuses hosts that are not this machine: a load test against somebody else's host is an attack.
pub(crate) fn require_loopback(option: &str, url: &Url, i_own_this_host: bool) -> Result<(), InvalidRun> {
    let host = url.host_str().unwrap_or("").trim_matches(['[', ']']);
    let loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if loopback || i_own_this_host {
        return Ok(());
    }
    Err(InvalidRun(format!("{option} {url} is not on this machine; add --i-own-this-host if you may load that host")))
}

pub(crate) fn parse_base_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("{error}; write it like http://127.0.0.1:8080"))?;
    if url.scheme() != "http" || url.host_str().is_none() {
        return Err("only http:// URLs with a host are supported, like http://127.0.0.1:8080".to_owned());
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err("give the base URL only, without a path, like http://127.0.0.1:8080".to_owned());
    }
    Ok(url)
}

/// A duration from 1 ms to 24 h, as in `500ms`, `20s`, `2m`, `1h`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    const DAY_MS: u64 = 24 * 3_600_000;
    let help = "write a whole number and a unit: 500ms, 20s, 2m or 1h";
    let digits = text.trim_end_matches(|letter: char| !letter.is_ascii_digit());
    let unit_ms = match &text[digits.len()..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "" => return Err(format!("`{text}` has no unit; {help}")),
        unit => return Err(format!("`{unit}` is no unit of time; {help}")),
    };
    let number: u64 = digits.parse().map_err(|_| format!("`{digits}` is no whole number; {help}"))?;
    let total_ms = number.checked_mul(unit_ms).filter(|ms| (1..=DAY_MS).contains(ms));
    total_ms.map(Duration::from_millis).ok_or_else(|| format!("`{text}` is out of range; from 1ms to 24h"))
}

fn parse_token(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > 64 || !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err("a payment token is 1 to 64 letters, digits and underscores, like tok_ok".to_owned());
    }
    Ok(text.to_owned())
}

pub(crate) fn parse_weighted_token(text: &str) -> Result<(String, u32), String> {
    let (token, weight) = text.split_once('=').ok_or("write TOKEN=WEIGHT, like tok_ok=80,tok_slow=20")?;
    let weight = weight.parse().ok().filter(|weight| (1..=1_000_000).contains(weight));
    Ok((parse_token(token)?, weight.ok_or("a weight is a whole number from 1 to 1000000")?))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations_parse_or_say_how_to_write_them() {
        assert_eq!(parse_duration("20s"), Ok(Duration::from_secs(20)));
        assert_eq!(parse_duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        for (bad, hint) in [
            ("20", "no unit"),
            ("s", "no whole number"),
            ("1.5s", "no whole number"),
            ("5 s", "no unit of time"),
            ("3 weeks", "no unit of time"),
            ("0s", "out of range"),
            ("25h", "out of range"),
            ("99999999999999999999h", "no whole number"),
        ] {
            let error = parse_duration(bad).unwrap_err();
            assert!(error.contains(hint), "{bad}: {error}");
        }
    }

    #[test]
    fn hosts_elsewhere_need_consent() {
        let check = |url: &str, consent| require_loopback("--target", &Url::parse(url).unwrap(), consent);
        for here in ["http://127.0.0.1:8080", "http://127.9.9.9", "http://localhost:1", "http://[::1]:80"] {
            assert!(check(here, false).is_ok(), "{here}");
        }
        for there in ["http://192.0.2.1", "http://shop.example", "http://localhost.example", "http://[2001:db8::1]"] {
            assert!(check(there, false).unwrap_err().0.contains("--i-own-this-host"), "{there}");
            assert!(check(there, true).is_ok(), "{there}");
        }
    }

    #[test]
    fn token_mixes_need_names_and_weights() {
        assert_eq!(parse_weighted_token("tok_ok=80"), Ok(("tok_ok".to_owned(), 80)));
        for bad in ["tok_ok", "tok_ok=", "tok_ok=0", "tok_ok=-1", "=5", "tok ok=1"] {
            assert!(parse_weighted_token(bad).is_err(), "{bad}");
        }
    }
}

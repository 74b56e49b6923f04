//! What `loadtest run` can be asked.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use reqwest::Url;

use super::judge::Threshold;
use crate::{
    InvalidRun,
    cli::{parse_base_url, parse_duration, parse_weighted_token, require_loopback},
    open::{
        Bounds, Plan,
        arrivals::{Pattern, Stage, parse_rate, parse_stages},
        mix::Mix,
    },
    seams,
};

const AFTER_HELP: &str = r#"Mixes:
  shop        the boutique mix: 1 home, 2 setting (a shelf), 10 product, 2 add, 3 cart, 1 checkout
  browse      only looks: 2 home, 2 setting, 12 product, 4 search
  checkout    every arrival adds, reads its cart and pays
  flash-sale  everybody wants the same product: 6 product, 1 add, 3 checkout
  impatient   shop, but a checkout that stays silent for 1 s is sent again with the same key, up to 3 times
  FILE.json   your own, of the actions home setting product search add cart checkout and pay (of a cart that was filled
              before the run; of the first 2,000), for example
    {"name": "mine", "weights": {"home": 1, "product": 10, "search": 2, "add": 2, "cart": 3, "checkout": 1},
     "one_product": false, "resend": {"after": "1s", "times": 3, "actions": ["checkout"]}, "tokens": {"tok_ok": 1}}

Thresholds (--fail), each may be given for one action as in p99(checkout):
  p50 p90 p95 p99 p99.9 max   latency from the intended moment, in ms, s or m:  p99<300ms  p99(checkout)<1s
  good late shed errors timeouts missed   counts or parts of the arrivals:  errors<0.1%  shed<5%  timeouts<10
  goodput                     good answers a second:  goodput>90/s  goodput(checkout)>4/s
  audit                       every checkout against the provider's ledger: one order and one charge, or none

Exit codes: 0 all thresholds hold; 99 one does not, or a figure is worse than in --compare allows; 2 not valid (usage,
nothing answers, or the generator was the bottleneck: its figures would not be the shop's)."#;

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct RunOptions {
    /// Base URLs of the storefronts, separated by commas; each arrival goes to one of them.
    #[arg(long, value_delimiter = ',', default_value = "http://127.0.0.1:8080", value_parser = parse_base_url)]
    pub(crate) target: Vec<Url>,
    /// What customers do: a mix by name, or a JSON file (see below).
    #[arg(long, default_value = "shop")]
    pub(crate) mix: String,
    /// Arrivals a second; a checkout is one arrival of three requests.
    #[arg(long, default_value = "50", value_parser = parse_rate)]
    pub(crate) rate: f64,
    /// How long customers are let in: 500ms, 20s, 2m, 1h.
    #[arg(long, default_value = "30s", value_parser = parse_duration)]
    pub(crate) duration: Duration,
    /// Steps, ramps, spikes and soaks instead of one rate: '10s@50, 20s@50..200, 10s@500, 30s@50'.
    #[arg(long, conflicts_with_all = ["rate", "duration"], value_name = "STAGES")]
    pub(crate) stages: Option<String>,
    /// How arrivals are spread: as independent customers come, or evenly.
    #[arg(long, default_value = "poisson")]
    pub(crate) arrivals: Pattern,
    /// A right answer later than this is late, and no goodput.
    #[arg(long, default_value = "1s", value_parser = parse_duration)]
    pub(crate) deadline: Duration,
    /// A request is given up after this time; at most 2m.
    #[arg(long, default_value = "10s", value_parser = parse_timeout)]
    pub(crate) timeout: Duration,
    /// Payment tokens with weights instead of the mix's own, for example tok_ok=80,tok_declined=20.
    #[arg(long, value_delimiter = ',', value_name = "TOKEN=WEIGHT", value_parser = parse_weighted_token)]
    pub(crate) tokens: Vec<(String, u32)>,
    /// A threshold that must hold; may be given several times (see below).
    #[arg(long = "fail", value_name = "THRESHOLD")]
    pub(crate) thresholds: Vec<Threshold>,
    /// Writes the report as a page that needs nothing else: plots, tables, explanations.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Writes the report as JSON; --compare reads it.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Writes every slice of time as CSV.
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
    /// Sets the figures beside those of an earlier run.
    #[arg(long, value_name = "EARLIER.json")]
    pub(crate) compare: Option<PathBuf>,
    /// Fails if a figure is worse than the earlier one by more than this part.
    #[arg(long, requires = "compare", value_name = "10%", value_parser = parse_percent)]
    pub(crate) fail_on_regression: Option<f64>,
    /// Shows nothing during the run.
    #[arg(long)]
    pub(crate) no_view: bool,
    /// Length of the slices of time in the report.
    #[arg(long, default_value = "1s", value_parser = parse_slice)]
    pub(crate) slice: Duration,
    /// Most arrivals at work at a time, 1 to 15000; more are missed, and the run is then not valid.
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..=15_000))]
    pub(crate) in_flight_max: u32,
    /// How busy this machine may be for the run to be valid; 100% if a busy machine is what you measure.
    #[arg(long, default_value = "85%", value_parser = parse_percent)]
    pub(crate) busy_max: f64,
    /// How late the generator may be (p99) for the run to be valid.
    #[arg(long, default_value = "5ms", value_parser = parse_duration)]
    pub(crate) lag_max: Duration,
    /// Seed of arrivals and choices [default: a new one, printed].
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Base URL of the payment provider, for `--fail audit`.
    #[arg(long, default_value = "http://127.0.0.1:8099", value_parser = parse_base_url)]
    pub(crate) provider: Url,
    /// Whether nobody else checks out during the run: then every new charge must belong to an order of this run.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, value_name = "true|false")]
    pub(crate) exclusive: bool,
    /// How long the audit waits for open orders and unknown checkouts to end.
    #[arg(long, default_value = "60s", value_parser = parse_duration)]
    pub(crate) quiesce: Duration,
    /// Allows a target or provider that is not on this machine.
    #[arg(long)]
    pub(crate) i_own_this_host: bool,
}

impl RunOptions {
    /// The plan that was asked for.
    pub(crate) fn plan(&self) -> Result<Plan, InvalidRun> {
        for target in &self.target {
            require_loopback("--target", target, self.i_own_this_host)?;
        }
        require_loopback("--provider", &self.provider, self.i_own_this_host)?;
        let mut mix = Mix::named_or_file(&self.mix)?;
        if !self.tokens.is_empty() {
            mix.tokens = self.tokens.iter().cloned().collect();
        }
        let seed = self.seed.unwrap_or_else(seams::fresh_seed);
        let plan = Plan::new(self.target.clone(), mix, self.stages()?, seed);
        Ok(Plan {
            arrivals: self.arrivals,
            timeout: self.timeout,
            deadline: self.deadline,
            in_flight_max: self.in_flight_max as usize,
            slice: self.slice,
            bounds: Bounds { machine: self.busy_max, lag_p99: self.lag_max, ..Bounds::default() },
            ..plan
        })
    }

    fn stages(&self) -> Result<Vec<Stage>, InvalidRun> {
        match &self.stages {
            Some(text) => parse_stages(text).map_err(|problem| InvalidRun(format!("--stages: {problem}"))),
            None if self.rate * self.duration.as_secs_f64() < 1.0 => {
                Err(InvalidRun("--rate and --duration let nobody come; raise one of them".to_owned()))
            }
            None => Ok(vec![Stage::steady(self.rate, self.duration)]),
        }
    }

    pub(crate) fn wants_audit(&self) -> bool {
        self.thresholds.iter().any(Threshold::is_audit)
    }
}

/// `10%` as 0.1.
fn parse_percent(text: &str) -> Result<f64, String> {
    let percent = text.strip_suffix('%').and_then(|number| number.trim().parse().ok());
    let percent = percent.filter(|percent: &f64| (0.0..=100.0).contains(percent));
    percent.map(|percent| percent / 100.0).ok_or_else(|| "write a percentage from 0% to 100%, like 10%".to_owned())
}

fn parse_slice(text: &str) -> Result<Duration, String> {
    let slice = parse_duration(text)?;
    let allowed = Duration::from_millis(100)..=Duration::from_secs(60);
    if allowed.contains(&slice) { Ok(slice) } else { Err("a slice lasts from 100ms to 60s".to_owned()) }
}

fn parse_timeout(text: &str) -> Result<Duration, String> {
    let timeout = parse_duration(text)?;
    if timeout <= Duration::from_secs(120) { Ok(timeout) } else { Err("a timeout is at most 2m".to_owned()) }
}

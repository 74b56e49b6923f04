//! HTTP as a good client of this shop speaks it.
//!
//! An attempt without a definite answer (connection error, timeout, 429, 5xx, 409 with `Retry-After`) is sent again
//! *unchanged, under the same key*, to the next target, after a jittered pause. That is what makes a customer's second
//! click harmless, so the load test must do no less and no more: a new key after a timeout would be a second order.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use rand::{RngExt, rngs::StdRng};
use reqwest::{
    Method, Response, Url,
    header::{self, HeaderName},
};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep};

use crate::{
    checker::history::Recorder,
    door::Door,
    measure::{Stats, Step},
    wire::{Ledger, Problem, ProviderStats},
};

/// Attempts of one call; a second bound next to the time, for answers that come back at once.
const TRIES_MAX: u32 = 200;
const PAUSE_FIRST_MS: u64 = 25;
const PAUSE_MAX_MS: u64 = 1_000;
/// A kept connection that was idle for longer is not used again. Storefronts close theirs after 15 s.
const IDLE_MAX: Duration = Duration::from_secs(5);
/// A longer `Retry-After` is not believed.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(5);
/// Largest answer of the shop that is read.
const BODY_BYTES_MAX: usize = 4 << 20;
/// The ledger is unpaged: about 200 bytes a charge, so this is more than a million charges.
const STATS_BYTES_MAX: usize = 64 << 10;
const LEDGER_BYTES_MAX: usize = 256 << 20;

/// One request; resent unchanged.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) step: Step,
    pub(crate) method: Method,
    /// Path and query, beginning with a slash.
    pub(crate) path: String,
    pub(crate) token: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) body: Option<serde_json::Value>,
}

impl Call {
    pub(crate) fn get(step: Step, path: &str, token: Option<&str>) -> Self {
        let token = token.map(str::to_owned);
        Self { step, method: Method::GET, path: path.to_owned(), token, key: None, body: None }
    }

    pub(crate) fn post(step: Step, path: &str, token: &str, key: String, body: serde_json::Value) -> Self {
        let (token, key, body) = (Some(token.to_owned()), Some(key), Some(body));
        Self { step, method: Method::POST, path: path.to_owned(), token, key, body }
    }
}

/// `path` with a query; names and values are escaped.
pub(crate) fn with_query(path: &str, parameters: &[(&str, &str)]) -> String {
    let url = Url::parse_with_params("http://any", parameters);
    format!("{path}?{}", url.ok().as_ref().and_then(Url::query).unwrap_or(""))
}

/// `folder/segment` with the segment escaped.
pub(crate) fn with_segment(folder: &str, segment: &str) -> String {
    let Ok(mut url) = Url::parse("http://any/") else { return folder.to_owned() };
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.clear().push(segment);
    }
    format!("{folder}{}", url.path())
}

/// An answer that ends the call.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) location: Option<String>,
    pub(crate) retry_after: Option<Duration>,
    /// Whether the shop says that this is a stored answer.
    pub(crate) replayed: bool,
    pub(crate) body: Vec<u8>,
    /// Whether an earlier attempt of this call may have had an effect.
    pub(crate) maybe_executed_before: bool,
}

impl Answer {
    pub(crate) fn json<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        serde_json::from_slice(&self.body).with_context(|| {
            let start = String::from_utf8_lossy(&self.body[..self.body.len().min(200)]).into_owned();
            format!("answer {} is not the documented JSON: {start}", self.status)
        })
    }

    /// `404 not-found`: how this answer is counted among the errors.
    pub(crate) fn kind(&self) -> String {
        let problem = Problem::parse(&self.body);
        format!("{} {}", self.status, problem.name()).trim_end().to_owned()
    }
}

/// The call ended without a definite answer.
#[derive(Debug)]
pub(crate) struct GaveUp {
    /// The last thing seen, for messages.
    pub(crate) last: String,
}

/// What one attempt says about the call.
enum Attempt {
    Definite(Answer),
    /// Send it again. `error` is `None` when nothing is wrong: our earlier attempt is still being worked on.
    Again {
        error: Option<String>,
        pause: Option<Duration>,
        maybe_executed: bool,
    },
}

/// Connections and policy, shared by all customers.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    targets: Vec<Url>,
    timeout: Duration,
    give_up_after: Duration,
    /// For customers who send nothing twice.
    door: Option<Arc<Door>>,
}

impl Client {
    pub(crate) fn new(targets: Vec<Url>, timeout: Duration, give_up_after: Duration) -> anyhow::Result<Self> {
        ensure!(!targets.is_empty(), "a client needs at least one target");
        Ok(Self { http: plain_http(timeout)?, targets, timeout, give_up_after, door: None })
    }

    /// The same through a door: each attempt goes where it says, and is the only one of its call.
    pub(crate) fn behind(self, door: Arc<Door>) -> Self {
        Self { door: Some(door), ..self }
    }

    pub(crate) fn targets(&self) -> &[Url] {
        &self.targets
    }

    /// One attempt at `target`, nothing else.
    pub(crate) async fn once(&self, target: &Url, call: &Call, timeout: Duration) -> Result<Answer, reqwest::Error> {
        let url = format!("{}{}", target.as_str().trim_end_matches('/'), call.path);
        let mut request = self.http.request(call.method.clone(), url).timeout(timeout);
        if let Some(token) = &call.token {
            request = request.bearer_auth(token);
        }
        if let Some(key) = &call.key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        let response = request.send().await?;
        let header = |name: HeaderName| response.headers().get(name).and_then(|value| value.to_str().ok());
        let location = header(header::LOCATION).map(str::to_owned);
        let retry_after = header(header::RETRY_AFTER).and_then(|value| value.trim().parse().ok());
        let retry_after = retry_after.map(|seconds| Duration::from_secs(seconds).min(RETRY_AFTER_MAX));
        let replayed = header(HeaderName::from_static("idempotency-replayed")).is_some_and(|value| value == "true");
        let status = response.status().as_u16();
        let body = bounded_body(response, BODY_BYTES_MAX).await?;
        Ok(Answer { status, location, retry_after, replayed, body, maybe_executed_before: false })
    }
}

impl Attempt {
    fn of(result: Result<Answer, reqwest::Error>) -> Self {
        let answer = match result {
            Ok(answer) => answer,
            Err(error) => {
                // A connection that never stood carried no request; everything later may have arrived.
                let (kind, maybe_executed) = match () {
                    () if error.is_connect() => ("connection refused", false),
                    () if error.is_timeout() => ("timeout", true),
                    () => ("connection lost", true),
                };
                return Self::Again { error: Some(kind.to_owned()), pause: None, maybe_executed };
            }
        };
        let pause = answer.retry_after;
        match answer.status {
            409 if pause.is_some() => Self::Again { error: None, pause, maybe_executed: true },
            429 => Self::Again { error: Some(answer.kind()), pause, maybe_executed: false },
            500..=599 => Self::Again { error: Some(answer.kind()), pause, maybe_executed: true },
            _ => Self::Definite(answer),
        }
    }
}

/// A customer's end of the line: remembers which target worked last.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) client: Arc<Client>,
    pub(crate) stats: Arc<Stats>,
    pub(crate) dice: StdRng,
    /// Writes every attempt down, for the checker of `chaos`.
    pub(crate) recorder: Option<Arc<Recorder>>,
    target: usize,
}

impl Caller {
    pub(crate) fn new(client: Arc<Client>, stats: Arc<Stats>, dice: StdRng, first_target: usize) -> Self {
        let target = first_target % client.targets.len();
        Self { client, stats, dice, recorder: None, target }
    }

    /// One attempt at the target of the moment, written down before it is sent: whatever happens to this customer, the
    /// checker knows that it was sent.
    async fn attempt(&self, call: &Call, timeout: Duration) -> Attempt {
        let entry = self.recorder.as_ref().map(|recorder| (recorder, recorder.begin(call)));
        let target = self.client.door.as_ref().map_or(self.target, |door| door.pick());
        let result = self.client.once(&self.client.targets[target], call, timeout).await;
        if let Some((recorder, index)) = entry {
            recorder.end(index, &result);
        }
        Attempt::of(result)
    }

    /// One attempt that its sender hangs up on after `patience`.
    pub(crate) async fn hang_up(&self, call: &Call, patience: Duration) {
        let Some(recorder) = &self.recorder else { return };
        let index = recorder.begin(call);
        let result = self.client.once(&self.client.targets[self.target], call, patience).await;
        match &result {
            Err(error) if error.is_timeout() => recorder.hung_up(index),
            _ => recorder.end(index, &result),
        }
    }

    /// Sends `call` until there is a definite answer or its time is over.
    pub(crate) async fn send(&mut self, call: &Call) -> Result<Answer, GaveUp> {
        let started = Instant::now();
        let mut failing_since: Option<Instant> = None;
        let mut maybe_executed_before = false;
        let mut last = String::new();
        for number in 0..TRIES_MAX {
            let attempt_started = Instant::now();
            let left = self.client.give_up_after.saturating_sub(started.elapsed());
            let (error, pause) = match self.attempt(call, left.min(self.client.timeout)).await {
                Attempt::Definite(answer) => {
                    self.outage(call.step, failing_since, attempt_started);
                    return Ok(Answer { maybe_executed_before, ..answer });
                }
                Attempt::Again { error, pause, maybe_executed } => {
                    maybe_executed_before |= maybe_executed;
                    (error, pause)
                }
            };
            match &error {
                // Silence counts from when it began, every other failure from when it was seen.
                Some(kind) => {
                    let seen = if kind == "timeout" { attempt_started } else { Instant::now() };
                    let since = *failing_since.get_or_insert(seen);
                    self.outage(call.step, Some(since), Instant::now());
                }
                // "Still being worked on" is a working shop, so it ends an outage.
                None => self.outage(call.step, failing_since.take(), attempt_started),
            }
            last = error.clone().unwrap_or_else(|| "409 still in flight".to_owned());
            let pause = self.pause(number, pause);
            let is_only = self.client.door.is_some() && error.is_some();
            let give_up = is_only || started.elapsed() + pause >= self.client.give_up_after;
            self.stats.with(|tally| {
                if let Some(kind) = &error {
                    tally.error(call.step, kind);
                }
                if !give_up {
                    tally.retries += 1;
                }
            });
            if give_up {
                break;
            }
            sleep(pause).await;
            self.target = (self.target + 1) % self.client.targets.len();
        }
        if self.client.door.is_none() {
            self.stats.with(|tally| tally.error(call.step, "gave up"));
        }
        Err(GaveUp { last })
    }

    /// How long a call met nothing but failures: from the first one to the start of the attempt that got through. Noted
    /// during the outage too and not only at its end, because the end of the run cuts calls short.
    fn outage(&self, step: Step, failing_since: Option<Instant>, until: Instant) {
        if let Some(since) = failing_since {
            self.stats.with(|tally| tally.outage(step, until.saturating_duration_since(since)));
        }
    }

    /// Doubling with jitter; what the server asks for is kept, plus jitter, so that customers do not return in step.
    fn pause(&mut self, number: u32, asked: Option<Duration>) -> Duration {
        let cap_ms = (PAUSE_FIRST_MS << number.min(10)).min(PAUSE_MAX_MS);
        let jittered = Duration::from_millis(self.dice.random_range(cap_ms / 2..=cap_ms));
        asked.map_or(jittered, |asked| asked + jittered / 4)
    }
}

/// Reads the provider's whole ledger.
pub(crate) async fn read_ledger(http: &reqwest::Client, provider: &Url) -> anyhow::Result<Ledger> {
    let response = http.get(provider.join("/ledger")?).send().await?.error_for_status()?;
    let body = bounded_body(response, LEDGER_BYTES_MAX).await?;
    ensure!(body.len() < LEDGER_BYTES_MAX, "the ledger is larger than {LEDGER_BYTES_MAX} bytes");
    serde_json::from_slice(&body).context("the ledger is not the documented JSON")
}

/// What the provider counted of its own work.
pub(crate) async fn read_stats(http: &reqwest::Client, provider: &Url) -> anyhow::Result<ProviderStats> {
    let response = http.get(provider.join("/stats")?).send().await?.error_for_status()?;
    let body = bounded_body(response, STATS_BYTES_MAX).await?;
    serde_json::from_slice(&body).context("the provider's counts are not the documented JSON")
}

/// The body, cut off at `bytes_max`: a cut body does not parse, which is the error the reader needs.
async fn bounded_body(mut response: Response, bytes_max: usize) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = bytes_max - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == bytes_max {
            break;
        }
    }
    Ok(body)
}

/// An HTTP client that hides nothing: no proxy, no redirects, no retries of its own.
#[expect(clippy::disallowed_methods, reason = "this tool stands outside the shop and must not use the shop's client")]
pub(crate) fn plain_http(timeout: Duration) -> anyhow::Result<reqwest::Client> {
    let builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(Duration::from_secs(1))
        .pool_idle_timeout(IDLE_MAX)
        .timeout(timeout);
    builder.build().context("could not set up the HTTP client")
}

/// The client of somebody who reads only the first page of the manual; the naive chain is built with it.
#[expect(clippy::disallowed_methods, reason = "the yardstick's naive side is the library's defaults on purpose")]
pub(crate) fn naive_http() -> reqwest::Client {
    reqwest::Client::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_and_segments_are_escaped() {
        assert_eq!(with_query("/p", &[("limit", "20"), ("category", "a b&c")]), "/p?limit=20&category=a+b%26c");
        assert_eq!(with_segment("/api/products", "a/b c"), "/api/products/a%2Fb%20c");
    }

    #[test]
    fn pauses_grow_stay_bounded_and_keep_what_the_server_asked_for() {
        let client = Client::new(vec![Url::parse("http://127.0.0.1:1").unwrap()], RETRY_AFTER_MAX, RETRY_AFTER_MAX);
        let dice = crate::seams::dice(1, 1);
        let mut caller = Caller::new(Arc::new(client.unwrap()), Arc::default(), dice, 0);
        for number in [0, 1, 5, 63, u32::MAX] {
            let pause = caller.pause(number, None);
            let cap = Duration::from_millis((25 << number.min(10)).min(1_000));
            assert!(pause >= cap / 4 && pause <= cap, "{number}: {pause:?}");
        }
        assert!(caller.pause(0, Some(Duration::from_secs(1))) >= Duration::from_secs(1));
    }
}

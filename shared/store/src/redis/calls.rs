//! One call to whichever server is the master of its key: sent again, within its time, while that may help, and told
//! apart by what a failure proves.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use opentelemetry::{KeyValue, metrics::Counter};
use redis::{Cmd, Pipeline, ServerError, Value};
use runtime::{Node, Seams};
use tokio::{
    sync::MutexGuard,
    time::{Instant, sleep_until, timeout_at},
};

use super::{
    links::{For, Links},
    uri::RedisUri,
    view::{SLOTS, View, slot},
};
use crate::StoreError;

/// Longest that a call takes; who calls us over the network waits a little longer.
const CALL_WITHIN: Duration = Duration::from_millis(900);
/// Most times that a call is sent.
const TRIES_MAX: u32 = 16;
/// Most times that a change is made again because the value was changed meanwhile. One of those who meet always wins.
const MEETINGS_MAX: u32 = 100;
/// Longest pauses: between tries, and after a meeting.
const TRY_PAUSE_MS: u64 = 100;
const MEETING_PAUSE_MS: u64 = 16;
/// Slots that share a turn, in [`Calls::turn`]: neighbours, so that a master that is silent mostly holds up its own.
const TURN_SLOTS: usize = 64;
/// The masters are not asked for again before this.
const VIEW_REST: Duration = Duration::from_millis(50);

/// Writes the new value (`ARGV[2]`) for `ARGV[3]` milliseconds if the old one (`ARGV[1]`, empty for none) is still there,
/// and returns what is there otherwise. Its only effect is its last command, so any error proves that nothing was done.
/// The text is sent each time: a server that has just become the master would not know it by its hash.
const SWAP: &str = "local there = redis.call('GET', KEYS[1]) or ''
if there ~= ARGV[1] then return there end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return false";

/// How to reach the masters.
pub(super) struct Calls {
    pub(super) uri: RedisUri,
    pub(super) links: Links,
    pub(super) seams: Seams,
    view: Mutex<Arc<View>>,
    turns: Vec<tokio::sync::Mutex<()>>,
    /// When the view was last asked for. Held while it is: one asks, the others wait.
    asked: tokio::sync::Mutex<Option<Instant>>,
    meetings: Counter<u64>,
    failures: Counter<u64>,
}

/// What is left of a call's time, and whether it left anything in doubt.
pub(super) struct Patience {
    until: Instant,
    tries: u32,
    meetings: u32,
    /// A write was sent and not answered. It may have been done, or be done later if its server only hangs.
    in_doubt: bool,
}

/// Why one try did not do.
enum Failure {
    /// The server will not do it, now or later; nothing was done.
    No(String),
    /// Nothing was done; another server, or this one in a moment, may.
    Elsewhere(String),
    /// Nothing was done; this key, just moving, has to be asked for there.
    Ask(String),
    /// No answer.
    Silence(String),
}

/// What became of a write.
pub(super) enum Swapped {
    Done,
    /// Another value was there.
    Met(Option<Vec<u8>>),
}

impl Calls {
    pub(super) fn new(node: &Node, uri: RedisUri) -> Self {
        let meter = node.metrics.meter();
        let meetings = meter
            .u64_counter("trestle_redis_meetings")
            .with_description("changes made again, because the value was changed meanwhile");
        let failures = meter.u64_counter("trestle_redis_failures").with_description("tries that failed, by kind");
        Self {
            links: Links::new(uri.login.clone(), uri.wait),
            uri,
            seams: node.seams.clone(),
            view: Mutex::default(),
            turns: (0..usize::from(SLOTS).div_ceil(TURN_SLOTS)).map(|_| tokio::sync::Mutex::default()).collect(),
            asked: tokio::sync::Mutex::default(),
            meetings: meetings.build(),
            failures: failures.build(),
        }
    }

    /// The value of a key, from its master. `GETEX` without options reads as `GET` does, but counts as a write: a replica
    /// refuses it, and so does a master with `min-replicas-to-write` that is cut off from its replicas and may have been
    /// replaced.
    pub(super) async fn read(&self, key: &str, patience: &mut Patience) -> Result<Option<Vec<u8>>, StoreError> {
        let mut cmd = redis::cmd("GETEX");
        cmd.arg(key);
        match self.exchange(key, For::Reading, &[cmd], patience).await?.pop() {
            Some(Value::Nil) => Ok(None),
            Some(Value::BulkString(bytes)) => Ok(Some(bytes)),
            other => Err(patience.give_up(format!("{key}: GETEX answered {other:?}"))),
        }
    }

    /// Puts a new value in the place of the old one, and waits for replicas if it is to.
    ///
    /// A write that too few replicas have is *unknown* and not *not executed*: everybody can read it, and it stays unless
    /// the master is lost in this moment.
    pub(super) async fn swap(
        &self,
        key: &str,
        (old, new): (Option<&[u8]>, &[u8]),
        kept_ms: i64,
        patience: &mut Patience,
    ) -> Result<Swapped, StoreError> {
        let wait = self.uri.wait;
        let mut swap = redis::cmd("EVAL");
        swap.arg(SWAP).arg(1).arg(key).arg(old.unwrap_or_default()).arg(new).arg(kept_ms);
        let mut cmds = vec![swap];
        if wait.replicas > 0 {
            // On the same connection, right behind: a server counts what replicas have of what this connection wrote.
            let mut cmd = redis::cmd("WAIT");
            cmd.arg(wait.replicas).arg(wait.within_ms);
            cmds.push(cmd);
        }
        let answers = self.exchange(key, For::Writing, &cmds, patience).await?;
        match answers.as_slice() {
            [Value::BulkString(there), ..] => Ok(Swapped::Met((!there.is_empty()).then(|| there.clone()))),
            [Value::Nil] => Ok(Swapped::Done),
            [Value::Nil, Value::Int(have)] if *have >= i64::from(wait.replicas) => Ok(Swapped::Done),
            [Value::Nil, have] => {
                self.failed("too_few_replicas");
                Err(StoreError::Unknown(format!(
                    "{key}: after {} ms {have:?} replicas had it, of {} that were to",
                    wait.within_ms, wait.replicas
                )))
            }
            other => {
                patience.in_doubt = true;
                Err(patience.give_up(format!("{key}: EVAL answered {other:?}")))
            }
        }
    }

    /// A turn to change a value. Changes that this node makes at once would only meet each other at the server, again and
    /// again if there are many; those of other nodes are few.
    pub(super) async fn turn(&self, key: &str, patience: &Patience) -> Result<MutexGuard<'_, ()>, StoreError> {
        let turn = timeout_at(patience.until, self.turns[usize::from(slot(key)) / TURN_SLOTS].lock()).await;
        turn.map_err(|_| StoreError::NotExecuted(format!("{key}: earlier changes took all the time")))
    }

    /// Another's change was in the way.
    pub(super) async fn met(&self, key: &str, patience: &mut Patience) -> Result<(), StoreError> {
        self.meetings.add(1, &[]);
        patience.meetings += 1;
        if patience.meetings == MEETINGS_MAX || Instant::now() >= patience.until {
            let reason = format!("{key}: was changed by others {} times meanwhile", patience.meetings);
            return Err(if patience.in_doubt { StoreError::Unknown(reason) } else { StoreError::Conflict(reason) });
        }
        self.pause(1 << patience.meetings.min(10), MEETING_PAUSE_MS, patience.until).await;
        Ok(())
    }

    /// Sends commands to the master of a key; the first is never answered by an error, the others may be.
    async fn exchange(
        &self,
        key: &str,
        wanted: For,
        cmds: &[Cmd],
        patience: &mut Patience,
    ) -> Result<Vec<Value>, StoreError> {
        let mut ask = None;
        loop {
            let view = self.view();
            let failure = match ask.as_deref().or_else(|| view.master(slot(key))) {
                Some(address) => match self.try_once(address, ask.is_some(), wanted, cmds, patience.until).await {
                    Ok(answers) => return Ok(answers),
                    Err(failure) => failure,
                },
                None => Failure::Elsewhere("no server keeps this key".to_owned()),
            };
            self.failed(failure.kind());
            let reason = match failure {
                Failure::No(reason) => return Err(patience.give_up(reason)),
                Failure::Ask(address) => {
                    let reason = format!("{key}: moves to {address}");
                    ask = Some(address);
                    reason
                }
                Failure::Elsewhere(reason) => {
                    ask = None;
                    reason
                }
                Failure::Silence(reason) => {
                    patience.in_doubt |= wanted == For::Writing;
                    ask = None;
                    reason
                }
            };
            tracing::debug!(key, reason, "a try at Redis failed");
            patience.tries += 1;
            if patience.tries >= TRIES_MAX || Instant::now() >= patience.until {
                return Err(patience.give_up(reason));
            }
            if ask.is_none() {
                let _ = timeout_at(patience.until, self.look_around(view.number)).await;
                self.pause(4 << patience.tries.min(10), TRY_PAUSE_MS, patience.until).await;
            }
        }
    }

    async fn try_once(
        &self,
        address: &str,
        asking: bool,
        wanted: For,
        cmds: &[Cmd],
        until: Instant,
    ) -> Result<Vec<Value>, Failure> {
        let linked = timeout_at(until, self.links.get(address, wanted)).await;
        let linked = linked.map_err(|_| Failure::Elsewhere(format!("{address}: no connection in time")))?;
        let mut link = linked
            .map_err(|why| if why.may_pass { Failure::Elsewhere(why.reason) } else { Failure::No(why.reason) })?;
        let mut pipeline = Pipeline::new();
        if asking {
            pipeline.cmd("ASKING");
        }
        cmds.iter().for_each(|cmd| {
            pipeline.add_command(cmd.clone());
        });
        let skipped = usize::from(asking);
        let answered = timeout_at(until, link.connection.send_packed_commands(&pipeline, skipped, cmds.len())).await;
        match answered {
            Ok(Ok(answers)) => match answers.first() {
                Some(Value::ServerError(error)) => Err(refused(address, error)),
                Some(_) => Ok(answers),
                None => Err(Failure::Silence(format!("{address}: an empty answer"))),
            },
            failed => {
                link.is_broken().await;
                let reason = match failed {
                    Ok(Err(error)) => error.to_string(),
                    _ => "no answer in time".to_owned(),
                };
                Err(Failure::Silence(format!("{}: {reason}", link.address())))
            }
        }
    }

    /// Learns anew who is the master of what, unless somebody has since view `seen`, or just tried.
    pub(super) async fn look_around(&self, seen: u64) {
        let mut asked = self.asked.lock().await;
        let known = self.view();
        if known.number != seen || asked.is_some_and(|at| at.elapsed() < VIEW_REST) {
            return;
        }
        match View::learn(&self.uri, &known).await {
            Ok(view) => {
                let masters = view.masters();
                self.links.keep(|address| masters.contains(address));
                *self.view.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(view);
            }
            Err(reason) => tracing::warn!(reason, "nobody tells where the Redis masters are; the last known stand"),
        }
        *asked = Some(Instant::now());
    }

    /// Learns who is the master of what for the first time, and that at least one of them lets us in.
    pub(super) async fn open(&self) -> Result<(), StoreError> {
        let view = View::learn(&self.uri, &View::default()).await.map_err(StoreError::Absent)?;
        let view = Arc::new(view);
        *self.view.lock().unwrap_or_else(PoisonError::into_inner) = view.clone();
        let mut failed = StoreError::Absent("there is no master".to_owned());
        for master in view.masters() {
            match self.links.get(master, For::Reading).await {
                Ok(_) => return Ok(()),
                Err(why) if why.may_pass => failed = StoreError::Absent(why.reason),
                Err(why) => failed = StoreError::NotExecuted(why.reason),
            }
        }
        Err(failed)
    }

    pub(super) fn view(&self) -> Arc<View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn failed(&self, kind: &'static str) {
        self.failures.add(1, &[KeyValue::new("kind", kind)]);
    }

    async fn pause(&self, up_to_ms: u64, at_most_ms: u64, until: Instant) {
        let pause = Duration::from_millis(self.seams.below(up_to_ms.min(at_most_ms) + 1));
        sleep_until((Instant::now() + pause).min(until)).await;
    }
}

impl Patience {
    pub(super) fn new() -> Self {
        Self { until: Instant::now() + CALL_WITHIN, tries: 0, meetings: 0, in_doubt: false }
    }

    pub(super) fn give_up(&self, reason: String) -> StoreError {
        if self.in_doubt { StoreError::Unknown(reason) } else { StoreError::NotExecuted(reason) }
    }

    pub(super) const fn is_in_doubt(&self) -> bool {
        self.in_doubt
    }
}

impl Failure {
    const fn kind(&self) -> &'static str {
        match self {
            Self::No(_) => "refused",
            Self::Elsewhere(_) => "elsewhere",
            Self::Ask(_) => "moving",
            Self::Silence(_) => "silence",
        }
    }
}

/// What an error that the server gave means.
fn refused(address: &str, error: &ServerError) -> Failure {
    let reason = format!("{address}: {error}");
    match error.code() {
        "MOVED" | "READONLY" | "CLUSTERDOWN" | "LOADING" | "MASTERDOWN" | "TRYAGAIN" => Failure::Elsewhere(reason),
        "ASK" => match error.details().and_then(|details| details.split(' ').nth(1)) {
            Some(address) => Failure::Ask(address.to_owned()),
            None => Failure::Elsewhere(reason),
        },
        // Among them NOREPLICAS (`min-replicas-to-write`), OOM, MISCONF, NOAUTH: the server says so before it does
        // anything, and will say so again.
        _ => Failure::No(reason),
    }
}

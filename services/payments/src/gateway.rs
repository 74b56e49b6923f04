//! The order of steps around one charge (CO-1 to CO-9).
//!
//! 1. Take a permit of the cluster's (`permits.rs`). If none is free, answer what is known, or wait for one: not longer
//!    than the caller waits, and not at all if that is too short. Before the intent, so that an overload leaves no rows
//!    that somebody must later prove were never sent.
//! 2. Commit the intent, one more attempt on record; or answer what is known. Only then may a byte go out.
//! 3. Call the provider, outside any transaction, under a time limit.
//! 4. Commit what it decided. The first decision wins.
//!
//! Two nodes may do this for one checkout at once, and any step may be the last before a crash: the provider's key is
//! the checkout's id on every attempt, so all of them together are one charge.

use std::{borrow::Cow, sync::Arc, time::Duration};

use contract::{
    CallError, Once, OperationId, Outcome,
    payments::{Charge, ChargeRefusal, ChargeStatus},
};
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram},
};
use runtime::{Metrics, Node, Seams};
use store::StoreError;
use tokio::time::Instant;

use crate::{
    Charges,
    permits::{Called, Outlook, Permit, Permits, Purpose},
    provider::{Found, Provider, ProviderAnswer},
    store::{Begin, Decision, Intent, NOTHING_KNOWN, Standing},
    window::Window,
};

mod reconcile;
mod refunds;

/// A process that stood still this long between the intent and the send does not know what happened meanwhile, and
/// gives up (CO-9). Longer than any write takes, shorter than anybody waits before acting on the silence.
const PAUSE_MAX_MS: i64 = 5_000;
/// Bounds of the advice when to ask again.
const RETRY_MIN_MS: i64 = 250;
const RETRY_SPREAD_MS: u64 = 750;
const RETRY_MAX_MS: i64 = 10_000;

/// What the provider is given, in calls and in time.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most calls at once from the whole cluster.
    pub permits: u16,
    /// How long one call may take; after that its outcome is unknown.
    pub provider_timeout: Duration,
    /// How long a charge may be sent again.
    pub window: Window,
    /// What is younger than this is left out of a reconciliation.
    pub reconcile_grace: Duration,
}

impl Default for Limits {
    /// As the options of a node are by default.
    fn default() -> Self {
        let (provider_timeout, reconcile_grace) = (Duration::from_secs(3), Duration::from_secs(900));
        Self { permits: 50, provider_timeout, window: Window::default(), reconcile_grace }
    }
}

#[derive(Debug)]
pub(crate) struct Gateway {
    charges: Charges,
    provider: Arc<dyn Provider>,
    permits: Permits,
    limits: Limits,
    seams: Seams,
    duration: Histogram<f64>,
    conflicts: Counter<u64>,
}

impl Gateway {
    pub(crate) fn new(node: &Node, charges: Charges, provider: Arc<dyn Provider>, limits: Limits) -> Self {
        let meter = node.metrics.meter();
        let duration = meter
            .f64_histogram("trestle_provider_call_duration")
            .with_unit("s")
            .with_description("time of a call to the payment provider, by what its answer proved")
            .with_boundaries(Metrics::duration_buckets())
            .build();
        let conflicts = meter
            .u64_counter("trestle_charge_conflicts")
            .with_description("definite answers of the provider that contradict a recorded one; each needs a person")
            .build();
        let permits = Permits::new(node, charges.clone(), limits.permits, limits.window.handling());
        Self { charges, provider, permits, limits, seams: node.seams.clone(), duration, conflicts }
    }

    pub(crate) fn charges(&self) -> &Charges {
        &self.charges
    }

    /// How a charge that comes now would fare.
    pub(crate) fn outlook(&self) -> Outlook {
        self.permits.outlook()
    }

    /// Charges once, or says what is known. `permit_by` bounds the wait for a permit; what comes after it is finished
    /// whether or not somebody still waits.
    pub(crate) async fn charge(&self, charge: &Charge, once: &Once, permit_by: Instant) -> Outcome<Charge> {
        let intent = Intent::of(charge);
        let permit = match self.permits.free(Purpose::Charge) {
            Some(permit) => permit,
            None => match self.wait(&intent, permit_by).await? {
                Ok(permit) => permit,
                Err(known) => return known,
            },
        };
        let watch = Watch::start(&self.seams);
        match self.charges.begin(once, &intent, self.limits.window.ahead_max_ms()).await? {
            Begin::Send => {}
            Begin::WindowOver if runtime::bug("late-resend") => {}
            Begin::WindowOver if runtime::bug("window-by-own-clock") && self.seams.now_ms() <= charge.not_after_ms => {}
            Begin::WindowOver => return self.look_up(charge, once, &intent, permit).await,
            Begin::WindowTooLong => return Err(CallError::Refused(ChargeRefusal::WindowTooLong)),
            Begin::Stands(standing) => return self.answer(standing),
        }
        runtime::crash::point("payments.charge.intended");
        let answer = if watch.has_stopped(&self.seams) {
            drop(permit);
            not_sent("this node was paused before the send")
        } else {
            self.send(charge, permit).await
        };
        runtime::crash::point("payments.charge.answered");
        self.conclude(once, &intent, answer).await
    }

    /// Waits for a permit; what is known is answered instead, or repeats of what is over would stand in the queue.
    async fn wait(&self, intent: &Intent, permit_by: Instant) -> Result<Result<Permit, Outcome<Charge>>, StoreError> {
        let standing = self.charges.look(intent).await?;
        if standing != Standing::Open {
            return Ok(Err(self.answer(standing)));
        }
        let permit = self.permits.acquire(Purpose::Charge, permit_by).await;
        Ok(permit.ok_or_else(|| Ok(self.pending("all permits to call the provider are in use".to_owned(), None))))
    }

    async fn send(&self, charge: &Charge, permit: Permit) -> ProviderAnswer {
        let started = Instant::now();
        let named = self.named(charge);
        let works_on = |answer: &ProviderAnswer| matches!(answer, ProviderAnswer::Unknown { .. });
        let answer = match permit.call(self.limits.provider_timeout, self.provider.charge(&named), works_on).await {
            Called::NotSent => return not_sent("the lease of the permit ran out before the send"),
            Called::Silent => ProviderAnswer::Unknown { reason: self.silence() },
            Called::Answered(answer) => answer,
        };
        self.permits.answered(matches!(answer, ProviderAnswer::NotExecuted { .. }));
        self.duration.record(started.elapsed().as_secs_f64(), &[KeyValue::new("answer", answer.label())]);
        answer
    }

    async fn conclude(&self, once: &Once, intent: &Intent, answer: ProviderAnswer) -> Outcome<Charge> {
        match answer {
            ProviderAnswer::Charged { provider_id } => {
                self.decide(once, intent, Decision::Charged { provider_id }).await
            }
            ProviderAnswer::Declined { code } => self.decide(once, intent, Decision::Declined { code }).await,
            ProviderAnswer::Rejected { code } => match self.charges.reject(once, intent, &code).await {
                Ok(Standing::Open) => {
                    Ok(self.pending(format!("{code}, but an earlier attempt may have been taken"), None))
                }
                Ok(standing) => self.answer(standing),
                Err(error) => Ok(self.unrecorded(intent, &error)),
            },
            ProviderAnswer::NotExecuted { reason, retry_after_ms } => {
                if let Err(error) = self.charges.not_sent(once, intent.operation).await {
                    // The row keeps saying "may have been sent", which is safe: it only makes closing it harder.
                    tracing::warn!(operation = %intent.operation, %error, "an attempt that was not sent stays on record");
                }
                Ok(self.pending(reason, retry_after_ms))
            }
            ProviderAnswer::Undecided { .. } | ProviderAnswer::Unknown { .. } if runtime::bug("final-on-timeout") => {
                self.decide(once, intent, Decision::Declined { code: "no_answer".to_owned() }).await
            }
            ProviderAnswer::Undecided { reason } | ProviderAnswer::Unknown { reason } => Ok(self.pending(reason, None)),
        }
    }

    async fn decide(&self, once: &Once, intent: &Intent, decision: Decision) -> Outcome<Charge> {
        match self.charges.decide(once, intent, &decision).await {
            Ok(standing) => {
                runtime::crash::point("payments.charge.decided");
                if standing != Standing::Decided(decision.clone()) {
                    self.contradiction(
                        intent.operation,
                        &format!("recorded {standing:?}, the provider says {decision:?}"),
                    );
                }
                self.answer(standing)
            }
            Err(error) => Ok(self.unrecorded(intent, &error)),
        }
    }

    /// Whatever the store says, the money has moved or not: "not executed" would be a lie here. Sending the same key
    /// again brings the decision back.
    fn unrecorded(&self, intent: &Intent, error: &StoreError) -> ChargeStatus {
        tracing::error!(operation = %intent.operation, %error, "the provider's decision could not be recorded");
        self.pending("the provider's decision could not be recorded".to_owned(), None)
    }

    /// All that is left after the window: the provider's permanent look-up. It can prove "charged", never "not charged"
    /// (CO-6), so without a find a person decides.
    async fn look_up(&self, charge: &Charge, once: &Once, intent: &Intent, permit: Permit) -> Outcome<Charge> {
        let works_on = |found: &Found| matches!(found, Found::Unknown { .. });
        let found = match permit.call(self.limits.provider_timeout, self.provider.find(charge), works_on).await {
            Called::NotSent => {
                return Ok(self.pending("the lease of the permit ran out before the look-up".to_owned(), None));
            }
            Called::Silent => Found::Unknown { reason: self.silence() },
            Called::Answered(found) => found,
        };
        let what = match found {
            Found::Charged { provider_id } => {
                return self.decide(once, intent, Decision::Charged { provider_id }).await;
            }
            Found::NotFound if runtime::bug("abandon-on-not-found") => {
                return self.decide(once, intent, Decision::Declined { code: "not_found".to_owned() }).await;
            }
            Found::NotFound => "the provider shows no charge so far".to_owned(),
            Found::Unknown { reason } => reason,
        };
        Ok(ChargeStatus::Lapsed { reason: format!("window over: {what}") })
    }

    /// The charge as it is sent: under one name for ever (CO-4).
    fn named<'a>(&self, charge: &'a Charge) -> Cow<'a, Charge> {
        if runtime::bug("key-per-attempt") {
            return Cow::Owned(Charge { operation: OperationId(self.seams.uuid()), ..charge.clone() });
        }
        Cow::Borrowed(charge)
    }

    fn silence(&self) -> String {
        format!("the provider gave no answer within {} ms", self.limits.provider_timeout.as_millis())
    }

    /// Counts and logs what the provider, or a person, says against the record. The record stands.
    pub(crate) fn contradiction(&self, operation: OperationId, what: &str) {
        self.conflicts.add(1, &[]);
        tracing::error!(%operation, what, "the provider contradicts what is recorded; the record stands and a person must look");
    }

    fn answer(&self, standing: Standing) -> Outcome<Charge> {
        match standing {
            Standing::Decided(decision) => Ok(decision.into()),
            Standing::Closed => Err(CallError::Refused(ChargeRefusal::Closed)),
            Standing::OtherIntent => Err(CallError::Refused(ChargeRefusal::IdReused)),
            Standing::Open => Ok(self.pending(NOTHING_KNOWN.to_owned(), None)),
        }
    }

    fn pending(&self, reason: String, retry_after_ms: Option<i64>) -> ChargeStatus {
        ChargeStatus::Pending { reason, retry_after_ms: self.retry_after_ms(retry_after_ms) }
    }

    /// When asking again makes sense: what the provider asked for, else a spread, so that those who were turned away
    /// together do not come back together.
    pub(crate) fn retry_after_ms(&self, asked: Option<i64>) -> i64 {
        let spread = i64::try_from(self.seams.below(RETRY_SPREAD_MS)).unwrap_or_default();
        asked.unwrap_or(RETRY_MIN_MS + spread).clamp(RETRY_MIN_MS, RETRY_MAX_MS)
    }
}

fn not_sent(reason: &str) -> ProviderAnswer {
    ProviderAnswer::NotExecuted { reason: reason.to_owned(), retry_after_ms: None }
}

/// Sees that the process, or the whole machine, stood still. Two clocks, because each stops in other cases: a suspended
/// machine's timers stand still while its wall clock jumps, and a wall clock may be set back.
#[derive(Clone, Copy, Debug)]
struct Watch {
    timer: Instant,
    wall_ms: i64,
}

impl Watch {
    fn start(seams: &Seams) -> Self {
        Self { timer: Instant::now(), wall_ms: seams.now_ms() }
    }

    fn has_stopped(&self, seams: &Seams) -> bool {
        let timer_ms = i64::try_from(self.timer.elapsed().as_millis()).unwrap_or(i64::MAX);
        timer_ms > PAUSE_MAX_MS || seams.now_ms().saturating_sub(self.wall_ms).saturating_abs() > PAUSE_MAX_MS
    }
}

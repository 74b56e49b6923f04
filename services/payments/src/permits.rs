//! Permits to call the provider: it allows the whole cluster 50 calls at once, and the nodes lease them from each other in
//! shares (`docs/decisions/0009-permits-are-leased-shares.md`).
//!
//! A permit is taken for as long as the provider may work on its call: a call that was answered gives it back at once,
//! one that was given up keeps it for the provider's longest handling. `desk.rs` knows which permits are free; here is
//! the queue before it, and the task that renews the leases. `pace.rs` sees how many calls the provider bears.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use opentelemetry::metrics::Meter;
use runtime::Node;
use tokio::{sync::Notify, time::Instant};

use crate::Charges;

mod desk;
mod pace;
#[cfg(test)]
mod tests;

pub(crate) use desk::Purpose;
use desk::{CallId, Desk, LEASE, RENEW_EVERY, TRANSIT_MAX};

/// Most charges that wait for a permit. More would pass their deadlines in the queue anyway.
const WAITING_MAX: u64 = 500;
/// Charges that wait make the node ask for shares out of turn, but not more often than this: each time is a write.
const ASK_PAUSE: Duration = Duration::from_millis(50);
/// A node that ends gives its shares back, so that the others need not wait for the leases; tried so often.
const ENDING_TRIES: u32 = 20;

#[derive(Debug)]
pub(crate) struct Permits(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    desk: Mutex<Desk>,
    waiting: AtomicU64,
    /// One behind the other, so that the first that came is the first served; those who settle have a queue of their own.
    charges: tokio::sync::Mutex<()>,
    settlers: tokio::sync::Mutex<()>,
    settling: AtomicU64,
    /// A permit may be free.
    freed: Notify,
    /// Somebody waits.
    wanted: Notify,
}

/// The right to one call to the provider, made by [`Permit::call`]. Dropped unused, it is free at once.
#[derive(Debug)]
pub(crate) struct Permit {
    shared: Arc<Shared>,
    call: CallId,
    sent_at: Option<Instant>,
}

impl Permits {
    /// Leases shares of `permits` for the whole cluster. `handling` is the longest that the provider works on a request.
    pub(crate) fn new(node: &Node, charges: Charges, permits: u16, handling: Duration) -> Self {
        let desk = Desk::new(node.seams.uuid().to_string(), permits, handling);
        let shared = Arc::new(Shared {
            desk: Mutex::new(desk),
            waiting: AtomicU64::new(0),
            charges: tokio::sync::Mutex::default(),
            settlers: tokio::sync::Mutex::default(),
            settling: AtomicU64::new(0),
            freed: Notify::new(),
            wanted: Notify::new(),
        });
        shared.show(&node.metrics.meter());
        drop(node.tasks.spawn(keep(shared.clone(), charges, node.tasks.clone())));
        Self(shared)
    }

    /// A permit that nobody waits for, if there is one.
    pub(crate) fn free(&self, purpose: Purpose) -> Option<Permit> {
        let nobody_waits = self.0.waiting.load(Ordering::Relaxed) == 0;
        nobody_waits.then(|| self.0.take(purpose)).flatten()
    }

    /// A permit, first come first served among those of one purpose, who settle before who charges; none when the deadline
    /// passes, the queue is full, or a charge could not be made by then anyway.
    pub(crate) async fn acquire(&self, purpose: Purpose, deadline: Instant) -> Option<Permit> {
        let shared = &self.0;
        if let Some(permit) = self.free(purpose) {
            return Some(permit);
        }
        if purpose == Purpose::Charge && Instant::now() + self.outlook().wait > deadline {
            return None;
        }
        let _place = Place::take(&shared.waiting, WAITING_MAX)?;
        let _settles =
            if purpose == Purpose::Settle { Some(Place::take(&shared.settling, WAITING_MAX)?) } else { None };
        shared.wanted.notify_one();
        let wait = async {
            let queue = if purpose == Purpose::Settle { &shared.settlers } else { &shared.charges };
            let _first = queue.lock().await;
            loop {
                // Listening begins before the look, or a permit that comes free in between would wake nobody.
                let freed = shared.freed.notified();
                tokio::pin!(freed);
                freed.as_mut().enable();
                let gives_way = purpose == Purpose::Charge && shared.settling.load(Ordering::Relaxed) > 0;
                if !gives_way && let Some(permit) = shared.take(purpose) {
                    return permit;
                }
                // Held permits come free by time alone.
                let next_free = shared.desk().next_free().unwrap_or_else(|| Instant::now() + RENEW_EVERY);
                let _ = tokio::time::timeout_at(next_free, freed).await;
            }
        };
        tokio::time::timeout_at(deadline, wait).await.ok()
    }

    /// How a charge that comes now would fare.
    pub(crate) fn outlook(&self) -> Outlook {
        let waiting = self.0.waiting.load(Ordering::Relaxed);
        let mut desk = self.0.desk();
        let wait = desk.wait(waiting, Instant::now());
        Outlook { wait, call: desk.pace().call() }
    }

    /// The provider has answered a call: whether it said "too many".
    pub(crate) fn answered(&self, too_many: bool) {
        let mut desk = self.0.desk();
        if too_many { desk.pace().too_many(Instant::now()) } else { desk.pace().good() }
    }
}

/// How a charge that comes now would fare.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outlook {
    /// The wait for a permit.
    pub(crate) wait: Duration,
    /// The call itself, on average.
    pub(crate) call: Duration,
}

/// What became of a call.
#[derive(Debug)]
pub(crate) enum Called<T> {
    /// The lease of the permit had run out: no byte went out.
    NotSent,
    /// No answer came in time.
    Silent,
    /// This was the answer.
    Answered(T),
}

impl Permit {
    /// Makes the call, unless the lease has run out meanwhile. An answer after which the provider `works_on` leaves the
    /// permit taken for its longest handling, and so do silence and a caller that gives up; any other one frees it.
    pub(crate) async fn call<T>(
        mut self,
        within: Duration,
        call: impl Future<Output = T>,
        works_on: impl FnOnce(&T) -> bool,
    ) -> Called<T> {
        let now = Instant::now();
        if !self.shared.desk().may_send(self.call, now) {
            return Called::NotSent;
        }
        self.sent_at = Some(now);
        let Ok(answer) = tokio::time::timeout(within, call).await else { return Called::Silent };
        if !works_on(&answer) {
            self.sent_at = None;
            self.shared.desk().pace().took(now.elapsed());
        }
        Called::Answered(answer)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        match self.sent_at {
            Some(sent_at) if !runtime::bug("permits-not-held") => self.shared.desk().hold(self.call, sent_at),
            _ => self.shared.desk().free(self.call, Instant::now()),
        }
        // To all that head a queue: they are two at most.
        self.shared.freed.notify_waiters();
    }
}

impl Shared {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        // No method of the desk panics half way.
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(self: &Arc<Self>, purpose: Purpose) -> Option<Permit> {
        let call = self.desk().take(purpose, Instant::now())?;
        Some(Permit { shared: self.clone(), call, sent_at: None })
    }

    fn show(self: &Arc<Self>, meter: &Meter) {
        let gauge = |name: &'static str, about: &'static str, read: fn(&Self) -> u64| {
            let shared = self.clone();
            let shown =
                move |gauge: &dyn opentelemetry::metrics::AsyncInstrument<u64>| gauge.observe(read(&shared), &[]);
            let _gauge = meter.u64_observable_gauge(name).with_description(about).with_callback(shown).build();
        };
        gauge("trestle_provider_permits_in_use", "calls that the payment provider may be working on", |shared| {
            shared.desk().figures().0
        });
        gauge(
            "trestle_provider_permits_waiting",
            "charges that wait for a permit to call the payment provider",
            |shared| shared.waiting.load(Ordering::Relaxed),
        );
        gauge("trestle_provider_shares_held", "shares of the cluster's permits that this node has leased", |shared| {
            shared.desk().figures().2
        });
    }
}

/// Renews the leases until the node ends, then gives the shares back.
async fn keep(shared: Arc<Shared>, charges: Charges, tasks: runtime::Tasks) {
    loop {
        let started = Instant::now();
        lease(&shared, &charges, false).await;
        let wanted = async {
            shared.wanted.notified().await;
            tokio::time::sleep_until(started + ASK_PAUSE).await;
        };
        tokio::select! {
            // In this order, so that a simulation repeats.
            biased;
            () = tasks.stopping() => break,
            () = tokio::time::sleep_until(started + RENEW_EVERY) => {}
            () = wanted => {}
        }
    }
    for _ in 0..ENDING_TRIES {
        let ending = shared.waiting.load(Ordering::Relaxed) == 0;
        lease(&shared, &charges, ending).await;
        // What the provider may still work on is not waited for: those shares run out.
        if ending && shared.desk().figures().1 == 0 {
            break;
        }
        tokio::time::sleep(ASK_PAUSE * 2).await;
    }
}

async fn lease(shared: &Shared, charges: &Charges, ending: bool) {
    let started = Instant::now();
    let ask = shared.desk().ask(started, shared.waiting.load(Ordering::Relaxed), ending);
    match tokio::time::timeout(LEASE - TRANSIT_MAX, charges.lease(&ask)).await {
        Ok(Ok(leased)) => {
            if leased.other_total {
                tracing::error!(
                    permits = ask.permits,
                    "--permits is another number on nodes that run now; this one calls the provider only when they have ended"
                );
            }
            shared.desk().leased(started, &leased);
            shared.freed.notify_waiters();
        }
        Ok(Err(error)) => tracing::warn!(%error, "the leases of permits could not be renewed"),
        Err(_) => tracing::warn!("the leases of permits could not be renewed in time"),
    }
}

/// A place in the queue; given back also when the wait is cut.
struct Place<'a>(&'a AtomicU64);

impl<'a> Place<'a> {
    /// A place, if there are not so many yet.
    fn take(places: &'a AtomicU64, most: u64) -> Option<Self> {
        let place = Self(places);
        (places.fetch_add(1, Ordering::Relaxed) < most).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

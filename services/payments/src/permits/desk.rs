//! The permits that one node holds, as a pure state: shares, the calls made under them, and what to ask the store for.
//! Time is handed in, so that a simulation can decide it.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use super::pace::Pace;
use crate::store::{Ask, Leased, SHARE_PERMITS};

/// How long a share is leased for, and how often that is renewed.
pub(crate) const LEASE: Duration = Duration::from_secs(3);
pub(crate) const RENEW_EVERY: Duration = Duration::from_secs(1);
/// Kept at the end of a lease: between the look at the lease and the arrival of the request's last byte at the provider
/// there may be this much. The one thing that is assumed of the network and the scheduler.
pub(crate) const TRANSIT_MAX: Duration = Duration::from_millis(500);
/// A share that nobody used for this long is given back.
const IDLE: Duration = Duration::from_secs(5);

/// What a permit is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A charge of a customer who waits.
    Charge,
    /// Finding out what became of an earlier call, or paying back: goes first, and has a part of the permits for itself, so
    /// that the shop can always clear up what an overload leaves behind.
    Settle,
}

/// One permit of so many that a node holds is kept for settling; a node with fewer has none to spare.
const RESERVED_OF: usize = 25;

/// Names one call for as long as it takes a permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CallId {
    share: i64,
    number: u64,
}

#[derive(Debug)]
pub(crate) struct Desk {
    holder: String,
    permits: u16,
    handling: Duration,
    round: i64,
    next_call: u64,
    shares: BTreeMap<i64, Share>,
    /// Permits of the shares that this node can have in any case.
    entitled: usize,
    pace: Pace,
}

#[derive(Debug)]
struct Share {
    size: usize,
    usable_until: Instant,
    /// Of each call: until when the provider may still work on it, if nobody waits for its answer any more.
    calls: BTreeMap<u64, Option<Instant>>,
    used_at: Instant,
    /// To be given back when its calls are over.
    leaving: bool,
}

impl Desk {
    /// Nothing yet. `holder` must be new for each start of a node.
    pub(crate) fn new(holder: String, permits: u16, handling: Duration) -> Self {
        let pace = Pace::new(permits.into());
        let shares = BTreeMap::new();
        Self { holder, permits, handling, round: 0, next_call: 0, shares, entitled: permits.into(), pace }
    }

    /// A permit, if one is free for this purpose. The lowest share first, so that the others fall idle.
    pub(crate) fn take(&mut self, purpose: Purpose, now: Instant) -> Option<CallId> {
        self.sweep(now);
        let (held, free) = self.usable(now);
        if purpose == Purpose::Charge && (free <= held / RESERVED_OF || held - free >= self.pace.limit()) {
            return None;
        }
        let is_free = |share: &&mut Share| !share.leaving && now < share.usable_until && share.calls.len() < share.size;
        let (number, share) = self.shares.iter_mut().find(|(_, share)| is_free(share))?;
        let call = CallId { share: *number, number: self.next_call };
        self.next_call += 1;
        share.calls.insert(call.number, None);
        share.used_at = now;
        Some(call)
    }

    /// Permits of shares that may be used, and how many of them are free.
    fn usable(&self, now: Instant) -> (usize, usize) {
        let shares = self.shares.values().filter(|share| !share.leaving && now < share.usable_until);
        let free_of = |share: &Share| share.size.saturating_sub(share.calls.len());
        shares.fold((0, 0), |(held, free), share| (held + share.size, free + free_of(share)))
    }

    /// How long a charge that comes now would wait behind so many others, by the time that calls took lately (Little's
    /// law); zero if it would not.
    pub(crate) fn wait(&mut self, waiting: u64, now: Instant) -> Duration {
        self.sweep(now);
        // What the node may have, not what it has: further shares are there before a wait is over.
        let (held, free) = self.usable(now);
        let entitled = held.max(self.entitled);
        let places = entitled.min(self.pace.limit()).saturating_sub(entitled / RESERVED_OF);
        let in_use = u64::try_from(held - free).unwrap_or(u64::MAX);
        if in_use.saturating_add(waiting) < u64::try_from(places).unwrap_or(u64::MAX) {
            return Duration::ZERO;
        }
        let ahead = u32::try_from(waiting).unwrap_or(u32::MAX).saturating_add(1);
        self.pace.call().saturating_mul(ahead) / u32::try_from(places.max(1)).unwrap_or(u32::MAX)
    }

    /// The pace of the provider, as it was seen.
    pub(crate) const fn pace(&mut self) -> &mut Pace {
        &mut self.pace
    }

    /// Whether a byte may go out under this permit now.
    pub(crate) fn may_send(&self, call: CallId, now: Instant) -> bool {
        let share = self.shares.get(&call.share);
        share.is_some_and(|share| share.calls.contains_key(&call.number) && now < share.usable_until)
    }

    /// The call is over, also for the provider.
    pub(crate) fn free(&mut self, call: CallId, now: Instant) {
        if let Some(share) = self.shares.get_mut(&call.share)
            && share.calls.remove(&call.number).is_some()
        {
            share.used_at = now;
        }
    }

    /// Nobody waits for the call any more, but the provider may work on it until then.
    pub(crate) fn hold(&mut self, call: CallId, sent_at: Instant) {
        let until = sent_at + TRANSIT_MAX + self.handling;
        self.pace.took(TRANSIT_MAX + self.handling);
        if let Some(place) = self.shares.get_mut(&call.share).and_then(|share| share.calls.get_mut(&call.number)) {
            *place = Some(until);
        }
    }

    /// Calls that take a permit, of those the ones that somebody waits for, and shares held.
    pub(crate) fn figures(&self) -> (u64, u64, u64) {
        let calls = || self.shares.values().flat_map(|share| share.calls.values());
        (calls().count() as u64, calls().filter(|until| until.is_none()).count() as u64, self.shares.len() as u64)
    }

    /// When the next held permit comes free by itself.
    pub(crate) fn next_free(&self) -> Option<Instant> {
        self.shares.values().flat_map(|share| share.calls.values()).filter_map(|until| *until).min()
    }

    /// What to ask the store for, with so many that wait for a permit. Shares that are given back are out of use from here on;
    /// if the request fails they come back with the next answer.
    pub(crate) fn ask(&mut self, now: Instant, waiting: u64, ending: bool) -> Ask {
        self.sweep(now);
        let calls = self.figures().0;
        let wants = if ending { 0 } else { (calls + waiting).div_ceil(u64::from(SHARE_PERMITS)).max(1) };
        let mut spare = self.shares.len().saturating_sub(usize::try_from(wants).unwrap_or(usize::MAX));
        let mut back = Vec::new();
        // The highest first: `take` uses the lowest.
        for (number, share) in self.shares.iter().rev().filter(|(_, share)| share.calls.is_empty()) {
            let idle = spare > 0 && now.saturating_duration_since(share.used_at) >= IDLE;
            if share.leaving || idle || ending {
                back.push(*number);
                spare = spare.saturating_sub(1);
            }
        }
        self.shares.retain(|number, _| !back.contains(number));
        self.round += 1;
        Ask {
            holder: self.holder.clone(),
            round: self.round,
            permits: self.permits,
            wants: i64::try_from(wants).unwrap_or(i64::MAX),
            back,
            lease_ms: millis(LEASE),
            handling_ms: millis(self.handling),
        }
    }

    /// Takes over the answer to a request that was begun at `started`: the lease lasts at least from then.
    pub(crate) fn leased(&mut self, started: Instant, leased: &Leased) {
        let usable_until = started + LEASE - TRANSIT_MAX;
        self.shares.retain(|number, _| leased.shares.iter().any(|(held, _)| held == number));
        for (number, size) in &leased.shares {
            let new = || Share {
                size: usize::try_from(*size).unwrap_or(0),
                usable_until,
                calls: BTreeMap::new(),
                used_at: started,
                leaving: false,
            };
            let share = self.shares.entry(*number).or_insert_with(new);
            (share.usable_until, share.leaving) = (usable_until, false);
        }
        let part = leased.part.saturating_mul(i64::from(SHARE_PERMITS)).clamp(0, self.permits.into());
        self.entitled = usize::try_from(part).unwrap_or(0);
        let too_many = self.shares.len().saturating_sub(usize::try_from(leased.keep).unwrap_or(0));
        let mut by_use: Vec<_> = self.shares.values_mut().collect();
        by_use.sort_by_key(|share| share.calls.len());
        for share in by_use.into_iter().take(too_many) {
            share.leaving = true;
        }
    }

    fn sweep(&mut self, now: Instant) {
        for share in self.shares.values_mut() {
            let before = share.calls.len();
            share.calls.retain(|_, until| until.is_none_or(|until| now < until));
            if share.calls.len() < before {
                share.used_at = now;
            }
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

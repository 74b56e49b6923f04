//! Who may call the provider: the permits of the cluster, in shares that nodes lease.
//!
//! The rules are here, pure, and every back end applies them inside one transaction: [`judge`].

use std::fmt;

use async_trait::async_trait;
use store::StoreError;

#[cfg(any(test, feature = "simulation"))]
mod table;

#[cfg(any(test, feature = "simulation"))]
pub(crate) use table::Table;

/// Permits in one share. Small enough that ten nodes can each have one of fifty permits' shares, large enough that a node
/// under load needs few rows.
pub const SHARE_PERMITS: u16 = 5;

/// The sizes of the shares of so many permits: as many whole ones as fit, and one of what is left.
#[must_use]
pub fn shares_of(permits: u16) -> Vec<i64> {
    let whole = std::iter::repeat_n(i64::from(SHARE_PERMITS), usize::from(permits / SHARE_PERMITS));
    let rest = i64::from(permits % SHARE_PERMITS);
    whole.chain((rest > 0).then_some(rest)).collect()
}

/// One node's request: renew what I hold, take what I give back, give me what I want.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// One life of one node: a new one for each start.
    pub holder: String,
    /// Counts up with each request of the holder. One that arrives after a later one must change nothing.
    pub round: i64,
    /// Permits of the cluster, the same on every node.
    pub permits: u16,
    /// Shares that the node could use now, at least 0.
    pub wants: i64,
    /// Shares that the node has no call in flight for and does not use any more.
    pub back: Vec<i64>,
    /// Length of a lease.
    pub lease_ms: i64,
    /// After the end of a lease, how long the provider may still work on what the holder had sent.
    pub handling_ms: i64,
}

/// What the node has now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leased {
    /// Number and size of each share that it holds.
    pub shares: Vec<(i64, i64)>,
    /// Of those, how many it may keep: others have less than their part and wait.
    pub keep: i64,
    /// How many it can have in any case: what others hold beyond theirs is given back for it.
    pub part: i64,
    /// The shares in the table are those of another number of permits, and some are in use.
    pub other_total: bool,
}

/// The shares of the permits.
#[async_trait]
pub trait ShareStore: fmt::Debug + Send + Sync {
    /// Renews, takes back and leases shares in one transaction, by the database's clock.
    ///
    /// A share that another node held is leased again only after its lease and `handling_ms` are over, or after it was
    /// given back.
    ///
    /// # Errors
    /// [`StoreError`] of the back end; a request whose round is not newer is [`StoreError::NotExecuted`].
    async fn lease(&self, ask: &Ask) -> Result<Leased, StoreError>;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ShareRow {
    pub(crate) share: i64,
    pub(crate) size: i64,
    pub(crate) holder: Option<String>,
    pub(crate) free_at_ms: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NodeRow {
    pub(crate) holder: String,
    pub(crate) wants: i64,
    pub(crate) seen_at_ms: i64,
}

/// What a transaction must do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Replace all rows by free shares of these sizes, and judge again.
    LayOut(Vec<i64>),
    /// Give back, take, renew the rest.
    Change { back: Vec<i64>, take: Vec<i64>, leased: Leased },
}

/// What a request comes to. `shares` are all rows, locked; `nodes` all rows, the asking one's as of now.
pub(crate) fn judge(shares: &[ShareRow], nodes: &[NodeRow], ask: &Ask, now_ms: i64) -> Verdict {
    let sizes = shares_of(ask.permits);
    if !shares.iter().map(|row| row.size).eq(sizes.iter().copied()) {
        return match shares.iter().all(|row| is_free(row, now_ms)) {
            true => Verdict::LayOut(sizes),
            false => Verdict::Change {
                back: Vec::new(),
                take: Vec::new(),
                leased: Leased { other_total: true, ..Leased::default() },
            },
        };
    }
    let is_mine = |row: &&ShareRow| row.holder.as_deref() == Some(&*ask.holder);
    let back: Vec<i64> =
        shares.iter().filter(is_mine).map(|row| row.share).filter(|share| ask.back.contains(share)).collect();
    let mine: Vec<_> = shares.iter().filter(|row| is_mine(row) && !back.contains(&row.share)).collect();
    let free: Vec<_> =
        shares.iter().filter(|row| back.contains(&row.share) || !is_mine(row) && is_free(row, now_ms)).collect();

    let (all, held) = (count(shares), count(&mine));
    let live: Vec<_> =
        nodes.iter().filter(|node| node.holder != ask.holder && now_ms - node.seen_at_ms <= ask.lease_ms).collect();
    // Everybody's part, which nobody may take from a node that wants it.
    let part = (all / (count(&live) + 1)).max(1);
    let held_by = |holder: &str| count(shares.iter().filter(|row| row.holder.as_deref() == Some(holder)));
    let missing: i64 = live.iter().map(|node| (node.wants.min(part) - held_by(&node.holder)).max(0)).sum();

    let unheld = count(&free);
    let wanted = (ask.wants.min(all) - held).max(0);
    let up_to_part = wanted.min((part - held).max(0)).min(unheld);
    let left_for_more = (unheld - up_to_part - missing).max(0);
    let taken = up_to_part + (wanted - up_to_part).min(left_for_more);
    let take: Vec<_> = free.into_iter().take(usize::try_from(taken).unwrap_or(0)).collect();

    let owed = (missing - (unheld - taken)).max(0);
    let holds = held + taken;
    let keep = holds.min((holds - owed).max(part));
    let mut leased: Vec<_> = mine.iter().chain(&take).map(|row| (row.share, row.size)).collect();
    leased.sort_unstable();
    let take = take.into_iter().map(|row| row.share).collect();
    Verdict::Change { back, take, leased: Leased { shares: leased, keep, part, other_total: false } }
}

/// Rows of free shares of these sizes.
pub(crate) fn laid_out(sizes: &[i64]) -> Vec<ShareRow> {
    let row = |(share, size): (i64, &i64)| ShareRow { share, size: *size, holder: None, free_at_ms: 0 };
    (1..).zip(sizes).map(row).collect()
}

fn is_free(row: &ShareRow, now_ms: i64) -> bool {
    row.holder.is_none() || row.free_at_ms < now_ms
}

fn count<I: IntoIterator>(items: I) -> i64 {
    i64::try_from(items.into_iter().count()).unwrap_or(i64::MAX)
}

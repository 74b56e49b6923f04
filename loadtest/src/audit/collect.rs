//! Collects the evidence after a run: every session's orders with that session's token, and the ledger.
//!
//! The cut must be stable, or the audit would blame the shop for its own bad timing: the ledger is read before and
//! after the orders, and the round is repeated until both readings agree and nothing is open, or the time is over. A
//! checkout that got no answer at all stays open until then, since its request may still be at work somewhere.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::Context;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    audit::{Attempt, Evidence, Outcome, SessionEvidence},
    client::{Answer, Call, Caller, Client, read_ledger, with_query},
    journey::Checkout,
    measure::Step,
    seams,
    wire::{Charge, Order, OrderPage},
};

/// Pages of orders read per session; a journey makes one order, so more is a broken cursor.
const PAGES_MAX: usize = 10;
/// Readers at work at a time: enough to be quick, few enough not to be a second load test.
const READERS: usize = 8;
const ROUND_PAUSE: Duration = Duration::from_millis(500);

/// Where the evidence is.
#[derive(Debug)]
pub(crate) struct Sources {
    pub(crate) client: Arc<Client>,
    pub(crate) http: reqwest::Client,
    pub(crate) provider: reqwest::Url,
    pub(crate) quiesce: Duration,
}

/// Reads until nothing is open any more, at most `quiesce` long (plus the last round).
pub(crate) async fn collect(
    sources: &Sources,
    checkouts: &[Checkout],
    ledger_before: Vec<Charge>,
    exclusive: bool,
) -> anyhow::Result<Evidence> {
    let started = Instant::now();
    let mut tried: BTreeMap<String, Vec<Attempt>> = BTreeMap::new();
    for Checkout { session, key, expected_total, outcome } in checkouts.iter().cloned() {
        tried.entry(session).or_default().push(Attempt { key, expected_total, outcome });
    }
    let tried: Arc<Vec<(String, Vec<Attempt>)>> = Arc::new(tried.into_iter().collect());
    loop {
        let first = read_ledger(&sources.http, &sources.provider).await;
        let (sessions, mut gaps) = read_sessions(&sources.client, &tried).await;
        let second = read_ledger(&sources.http, &sources.provider).await;
        let stable = matches!((&first, &second), (Ok(first), Ok(second)) if first.charges == second.charges);
        let open = !gaps.is_empty() || sessions.iter().any(is_open);
        if (stable && !open) || started.elapsed() >= sources.quiesce {
            // Without the ledger nothing can be said about money.
            let ledger_after = second.context("the provider's ledger could not be read")?.charges;
            if !stable {
                gaps.push("the provider's ledger did not come to rest".to_owned());
            }
            return Ok(Evidence { sessions, ledger_before, ledger_after, exclusive, gaps });
        }
        sleep(ROUND_PAUSE).await;
    }
}

fn is_open(session: &SessionEvidence) -> bool {
    let expects =
        |attempt: &&Attempt| matches!(attempt.outcome, Outcome::Acknowledged { .. } | Outcome::Unknown { .. });
    let explained = session.orders.len() >= session.attempts.iter().filter(expects).count();
    let nameless = session.attempts.iter().any(|attempt| attempt.outcome == Outcome::Unknown { order: None });
    let open = |order: &Order| matches!(order.state.as_str(), "accepted" | "needs_attention");
    session.orders.iter().any(open) || (nameless && !explained)
}

type Found = Vec<(usize, anyhow::Result<Vec<Order>>)>;

async fn read_sessions(
    client: &Arc<Client>,
    tried: &Arc<Vec<(String, Vec<Attempt>)>>,
) -> (Vec<SessionEvidence>, Vec<String>) {
    let mut readers: JoinSet<Found> = JoinSet::new();
    for number in 0..READERS {
        let (client, tried) = (Arc::clone(client), Arc::clone(tried));
        readers.spawn(async move {
            let dice = seams::dice(0, u32::try_from(number).unwrap_or(0));
            // Its own tally: the reads of the audit are no customers' experience.
            let mut caller = Caller::new(client, Arc::default(), dice, number);
            let mut found = Vec::new();
            for (index, (token, attempts)) in tried.iter().enumerate().skip(number).step_by(READERS) {
                found.push((index, orders_of(&mut caller, token, attempts).await));
            }
            found
        });
    }
    let mut gaps = Vec::new();
    let mut sessions: BTreeMap<usize, SessionEvidence> = BTreeMap::new();
    while let Some(found) = readers.join_next().await {
        match found {
            Ok(found) => {
                for (index, orders) in found {
                    let attempts = tried[index].1.clone();
                    match orders {
                        Ok(orders) => drop(sessions.insert(index, SessionEvidence { attempts, orders })),
                        Err(error) => gaps.push(format!("a session's orders could not be read: {error:#}")),
                    }
                }
            }
            Err(error) => gaps.push(format!("a reader of the audit failed: {error}")),
        }
    }
    (sessions.into_values().collect(), gaps)
}

/// The listed orders, and by id those that are known but not listed (declined and refused ones are not).
async fn orders_of(caller: &mut Caller, token: &str, attempts: &[Attempt]) -> anyhow::Result<Vec<Order>> {
    let mut orders: Vec<Order> = Vec::new();
    let mut after: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let mut query = vec![("limit", "100")];
        query.extend(after.as_deref().map(|after| ("after", after)));
        let answer = get(caller, &with_query("/api/orders", &query), token).await?;
        anyhow::ensure!(answer.status == 200, "GET /api/orders answered {}", answer.kind());
        let page: OrderPage = answer.json()?;
        orders.extend(page.items);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    anyhow::ensure!(after.is_none(), "GET /api/orders has more than {PAGES_MAX} pages for one session");
    for attempt in attempts {
        let id = match &attempt.outcome {
            Outcome::Acknowledged { order: id, .. } | Outcome::Unknown { order: Some(id) } => id,
            _ => continue,
        };
        if orders.iter().any(|order| order.id == *id) {
            continue;
        }
        let answer = get(caller, &format!("/api/orders/{id}"), token).await?;
        match answer.status {
            200 | 202 => orders.push(answer.json()?),
            404 => {}
            _ => anyhow::bail!("GET /api/orders/{id} answered {}", answer.kind()),
        }
    }
    Ok(orders)
}

async fn get(caller: &mut Caller, path: &str, token: &str) -> anyhow::Result<Answer> {
    let call = Call::get(Step::Order, path, Some(token));
    caller.send(&call).await.map_err(|gave_up| anyhow::anyhow!("GET {path} got no answer ({})", gave_up.last))
}

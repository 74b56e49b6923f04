//! Collects the evidence once the customers have gone home: waits for rest, then reads databases, ledger, mailbox and
//! the carts as their owners see them.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use reqwest::Url;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    checker::{
        dump::{Dump, Source},
        history::{Sent, What},
    },
    client::{Call, Caller, Client, read_ledger, read_stats},
    measure::Step,
    seams,
    wire::{Cart, Charge},
};

const REST_WITHIN: Duration = Duration::from_secs(75);
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Carts read at the end; the newest, because a run of hours has more than can be read quickly.
const CARTS_MAX: usize = 2_000;
const READERS: usize = 8;

/// Quantity by sku, by session.
type Carts = BTreeMap<String, BTreeMap<String, i64>>;

/// Where the evidence is.
#[derive(Debug)]
pub(crate) struct Sources {
    pub(crate) source: Source,
    pub(crate) provider: Url,
    pub(crate) http: reqwest::Client,
    pub(crate) client: Arc<Client>,
}

impl Sources {
    pub(crate) async fn ledger(&self) -> anyhow::Result<Vec<Charge>> {
        let ledger = read_ledger(&self.http, &self.provider).await.context("the provider's ledger cannot be read")?;
        Ok(ledger.charges)
    }

    /// The most calls that the provider has had at once.
    pub(crate) async fn calls_at_once(&self) -> anyhow::Result<u64> {
        let stats = read_stats(&self.http, &self.provider).await.context("the provider's counts cannot be read")?;
        Ok(stats.max_in_flight)
    }

    /// Waits until nothing is open and nothing is left to be done; how long that took, in milliseconds.
    pub(crate) async fn rest(&self, gaps: &mut Vec<String>) -> Option<u64> {
        let started = Instant::now();
        let mut last = Ok((0, 0));
        while started.elapsed() < REST_WITHIN {
            last = self.source.unrest().await;
            if matches!(last, Ok((0, 0))) {
                return Some(u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX));
            }
            sleep(LOOK_EVERY).await;
        }
        if let Err(error) = last {
            gaps.push(format!("whether the shop is at rest cannot be read: {error:#}"));
        }
        None
    }

    pub(crate) async fn dump(&self, data: &Path) -> anyhow::Result<Dump> {
        self.source.dump(&data.join("mailbox")).await
    }

    /// The carts of the sessions that changed theirs, as their owners see them, and the sessions that are not known any more.
    pub(crate) async fn carts(&self, sent: &[Sent], gaps: &mut Vec<String>) -> (Carts, BTreeSet<String>) {
        let mut newest: Vec<&str> = Vec::new();
        let mut known = BTreeSet::new();
        for sent in sent.iter().rev().filter(|sent| matches!(sent.what, What::Add { .. })) {
            if newest.len() < CARTS_MAX && known.insert(sent.session.as_str()) {
                newest.push(&sent.session);
            }
        }
        let sessions: Arc<Vec<String>> = Arc::new(newest.into_iter().map(str::to_owned).collect());
        let mut readers = JoinSet::new();
        for number in 0..READERS {
            let (sessions, client) = (Arc::clone(&sessions), Arc::clone(&self.client));
            readers.spawn(async move {
                let dice = seams::dice(0, u32::try_from(number).unwrap_or(0));
                let mut caller = Caller::new(client, Arc::default(), dice, number);
                let mut found = Vec::new();
                for session in sessions.iter().skip(number).step_by(READERS) {
                    let call = Call::get(Step::Cart, "/api/cart", Some(session));
                    let cart = match caller.send(&call).await {
                        Ok(answer) if answer.status == 200 => {
                            answer.json::<Cart>().map(Some).map_err(|error| error.to_string())
                        }
                        Ok(answer) if answer.status == 401 => Ok(None),
                        Ok(answer) => Err(answer.kind()),
                        Err(gave_up) => Err(gave_up.last),
                    };
                    found.push((session.clone(), cart));
                }
                found
            });
        }
        let lines = |cart: Cart| cart.lines.into_iter().map(|line| (line.sku, line.quantity)).collect();
        let (mut carts, mut forgotten, mut unread) = (Carts::new(), BTreeSet::new(), BTreeMap::<String, usize>::new());
        for (session, cart) in readers.join_all().await.into_iter().flatten() {
            match cart {
                Ok(Some(cart)) => drop(carts.insert(session, lines(cart))),
                Ok(None) => drop(forgotten.insert(session)),
                Err(why) => *unread.entry(why).or_default() += 1,
            }
        }
        for (why, count) in unread {
            gaps.push(format!("{count} of {} carts could not be read at the end: {why}", sessions.len()));
        }
        (carts, forgotten)
    }
}

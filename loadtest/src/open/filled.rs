//! Carts filled before the run, for customers who come only to pay: so a run can offer a share of payments that no refusal
//! on the way to them makes smaller.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use hyper::{Method, Uri};
use tokio::time::sleep;

use super::{
    actions::{Places, key_header},
    sender::{Ask, Sender},
    sessions::{Session, Sessions},
};
use crate::{InvalidRun, seams, wire::Cart};

/// Carts filled before a run at most; customers who find none left fill their own.
pub(crate) const CARTS_MAX: usize = 2_000;
/// Carts filled at a time.
const FILLERS: usize = 4;
/// A shop that refuses while nothing else is asked of it recovers at once.
const TRIES_MAX: u32 = 5;
const PAUSE: Duration = Duration::from_millis(200);

/// A cart and whose it is.
#[derive(Debug)]
pub(crate) struct Filled {
    pub(crate) session: Arc<Session>,
    pub(crate) cart: Cart,
}

/// The carts of a run.
#[derive(Debug, Default)]
pub(crate) struct FilledCarts(Mutex<Vec<Filled>>);

impl FilledCarts {
    /// Fills so many carts, one for each session.
    pub(crate) async fn fill(
        sender: &Sender,
        sessions: &Sessions,
        places: &Places,
        count: usize,
    ) -> anyhow::Result<Self> {
        let owned: Vec<_> = (0..count).map_while(|number| Some((number, sessions.own()?))).collect();
        let carts: Vec<_> = stream::iter(owned)
            .map(async |(number, session)| {
                let (_, add) = places.product(number);
                match filled(sender, number, &session, add.clone()).await {
                    Ok(cart) => Ok(Filled { session, cart }),
                    Err(problem) => Err(InvalidRun(format!("filling carts before the run: {problem}"))),
                }
            })
            .buffer_unordered(FILLERS)
            .try_collect()
            .await?;
        Ok(Self(Mutex::new(carts)))
    }

    /// The next; `None` when all are paid for.
    pub(crate) fn take(&self) -> Option<Filled> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

async fn filled(sender: &Sender, target: usize, session: &Session, add: Bytes) -> Result<Cart, String> {
    let bearer = Some(session.bearer.clone());
    // One key for all tries, or a lost answer would put the product in twice.
    let (key, uri) = (key_header(&seams::fresh_key()), Uri::from_static("/api/cart/lines"));
    let add = Ask { method: Method::POST, uri, bearer: bearer.clone(), key, body: Some(add), keep: false };
    let uri = Uri::from_static("/api/cart");
    let view = Ask { method: Method::GET, uri, bearer, key: None, body: None, keep: true };
    let mut problem = String::new();
    for _ in 0..TRIES_MAX {
        match added_and_read(sender, target, &add, &view).await {
            Ok(cart) => return Ok(cart),
            Err(why) => problem = why,
        }
        sleep(PAUSE).await;
    }
    Err(problem)
}

async fn added_and_read(sender: &Sender, target: usize, add: &Ask, view: &Ask) -> Result<Cart, String> {
    for ask in [add, view] {
        let reply = sender.send(target, ask).await.map_err(|trouble| trouble.name().to_owned())?;
        if !(200..300).contains(&reply.answer.status) {
            return Err(reply.answer.kind());
        }
        if ask.keep {
            return reply.answer.json::<Cart>().map_err(|error| format!("{error:#}"));
        }
    }
    Err("the cart was not read".to_owned())
}

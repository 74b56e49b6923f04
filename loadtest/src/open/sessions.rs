//! The customers' sessions, opened before the run and topped up during it.
//!
//! Opening them within the run would measure logins and not shopping. Looks at carts and adds share sessions, about one
//! for each arrival a second; a checkout has one for itself, since two at once would be a quarrel about one cart. Sessions
//! wear out: carts that grow for ever would measure the cart.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use hyper::{Method, Uri, header::HeaderValue};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};

use super::sender::{Ask, Sender};
use crate::{InvalidRun, wire};

/// Adds of a shared session before it is replaced.
const ADDS_MAX: u32 = 50;
/// Checkouts of one session: the audit reads all orders of each.
const CHECKOUTS_MAX: u32 = 20;
/// Sessions opened at a time before the run.
const OPENERS: usize = 8;
/// One session is opened in milliseconds; a shop that takes this long is not there.
const OPEN_WITHIN: Duration = Duration::from_secs(10);
/// A shop that has no place now has one later; topping up must not become a load of its own.
const PAUSE: Duration = Duration::from_millis(200);

/// A customer's session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) token: String,
    /// The `Authorization` header.
    pub(crate) bearer: HeaderValue,
    uses: AtomicU32,
}

/// Which session is to be replaced.
#[derive(Debug)]
enum Worn {
    Shared(usize),
    Own,
}

/// The sessions of a run.
#[derive(Debug)]
pub(crate) struct Sessions {
    shared: Mutex<Vec<Arc<Session>>>,
    next: AtomicUsize,
    own: Mutex<Vec<Arc<Session>>>,
    /// At most one message for each session there is.
    worn: mpsc::UnboundedSender<Worn>,
}

/// Tells [`top_up`] what is worn.
#[derive(Debug)]
pub(crate) struct WornOut(mpsc::UnboundedReceiver<Worn>);

impl Sessions {
    /// Opens `shared` and `own` sessions.
    pub(crate) async fn open(sender: &Arc<Sender>, shared: usize, own: usize) -> anyhow::Result<(Self, WornOut)> {
        let mut sessions: Vec<_> = stream::iter(0..shared + own)
            .map(async |number| {
                let opened = timeout(OPEN_WITHIN, open(sender, number)).await;
                let opened = opened.unwrap_or_else(|_| Err(format!("no answer within {OPEN_WITHIN:?}")));
                opened.map(Arc::new).map_err(|problem| InvalidRun(format!("POST /api/session: {problem}")))
            })
            .buffer_unordered(OPENERS)
            .try_collect()
            .await?;
        let own = sessions.split_off(shared);
        let (worn, worn_out) = mpsc::unbounded_channel();
        let sessions = Self { shared: Mutex::new(sessions), next: AtomicUsize::new(0), own: Mutex::new(own), worn };
        Ok((sessions, WornOut(worn_out)))
    }

    /// A session that others use too, one after the other; an add wears it.
    pub(crate) fn shared(&self, adds: bool) -> Option<Arc<Session>> {
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = self.next.fetch_add(1, Ordering::Relaxed).checked_rem(shared.len())?;
        let session = &shared[slot];
        // Told once, and used until the new one is there.
        if adds && session.uses.fetch_add(1, Ordering::Relaxed) + 1 == ADDS_MAX {
            let _ = self.worn.send(Worn::Shared(slot));
        }
        Some(Arc::clone(session))
    }

    /// A session for one checkout, to be given back; `None` if all are in use.
    pub(crate) fn own(&self) -> Option<Arc<Session>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Takes a session back. One whose cart is in an unknown state is not used again.
    pub(crate) fn give_back(&self, session: Arc<Session>, sound: bool) {
        if sound && session.uses.fetch_add(1, Ordering::Relaxed) + 1 < CHECKOUTS_MAX {
            self.own.lock().unwrap_or_else(PoisonError::into_inner).push(session);
        } else {
            let _ = self.worn.send(Worn::Own);
        }
    }
}

/// Replaces worn sessions, one at a time, until it is dropped.
pub(crate) async fn top_up(sessions: Arc<Sessions>, sender: Arc<Sender>, WornOut(mut worn): WornOut) {
    let mut number = 0;
    while let Some(what) = worn.recv().await {
        let session = loop {
            number += 1;
            match timeout(OPEN_WITHIN, open(&sender, number)).await {
                Ok(Ok(session)) => break Arc::new(session),
                _ => sleep(PAUSE).await,
            }
        };
        match what {
            Worn::Shared(slot) => sessions.shared.lock().unwrap_or_else(PoisonError::into_inner)[slot] = session,
            Worn::Own => sessions.own.lock().unwrap_or_else(PoisonError::into_inner).push(session),
        }
    }
}

/// How a session is asked for.
pub(crate) fn opening() -> Ask {
    let uri = Uri::from_static("/api/session");
    Ask { method: Method::POST, uri, bearer: None, key: None, body: None, keep: true }
}

/// The session that an answer brings.
pub(crate) fn opened(body: &[u8]) -> Option<Session> {
    let wire::Session { token } = serde_json::from_slice(body).ok()?;
    let bearer = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
    Some(Session { token, bearer, uses: AtomicU32::new(0) })
}

async fn open(sender: &Sender, target: usize) -> Result<Session, String> {
    let reply = sender.send(target, &opening()).await.map_err(|trouble| trouble.name().to_owned())?;
    opened(&reply.answer.body).ok_or_else(|| reply.answer.kind())
}

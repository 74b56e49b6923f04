//! Customers: they fill carts and buy, lose patience, send twice at once, use a key again for something else, and keep a
//! record of all that they were told.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use contract::{
    CallError, Fingerprint, NoKey, OperationId, Outcome, PrincipalId, RequestId, SessionId, Sku,
    orders::Answer,
    payments::PaymentToken,
    shop::{AddToCart, Checkout, CheckoutRefusal, CheckoutReply, ShowCart},
};
use rpc::Client;
use tokio::time::sleep;

use crate::{chance::Chance, counts::Counts};

/// What customers pay with, as the provider knows it.
const TOKENS: [&str; 8] = [
    "tok_ok",
    "tok_ok",
    "tok_declined",
    "tok_charge_then_timeout",
    "tok_charge_then_500",
    "tok_500_no_charge",
    "tok_429",
    "tok_late",
];
/// How often a customer sends one thing before giving up.
const SENDS_MAX: u32 = 12;

/// How a checkout ended for its customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// Bought.
    Acknowledged(OperationId),
    /// Definitely not bought under this key: an answer on record.
    Refused,
    /// Not now, and the key was left unused. A copy that is still on its way may yet buy under it.
    TurnedAway,
    /// The customer left without an answer.
    Unknown,
}

/// One checkout as its customer saw it.
#[derive(Clone, Debug)]
pub(crate) struct Purchase {
    pub(crate) principal: PrincipalId,
    pub(crate) key: RequestId,
    pub(crate) told: Told,
}

/// What all customers did and were told.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) purchases: Mutex<Vec<Purchase>>,
    /// Pieces by customer and product: put into the cart for certain, and perhaps.
    pub(crate) added: Mutex<BTreeMap<(PrincipalId, Sku), (u32, u32)>>,
    /// What must never be said, said.
    pub(crate) lies: Mutex<Vec<String>>,
}

/// One customer.
pub(crate) struct Customer {
    pub(crate) name: String,
    pub(crate) principal: PrincipalId,
    pub(crate) shop: Client,
    pub(crate) chance: Arc<Chance>,
    pub(crate) counts: Arc<Counts>,
    pub(crate) history: Arc<History>,
    pub(crate) products: Vec<Sku>,
}

impl Customer {
    pub(crate) fn session(&self) -> SessionId {
        SessionId::of_token(&self.name)
    }

    pub(crate) async fn shop(&self, purchases: u32) {
        for _ in 0..purchases {
            self.pause(1_500).await;
            for _ in 0..self.chance.between(1, 4) {
                self.add().await;
            }
            self.buy().await;
        }
    }

    async fn pause(&self, most_ms: u64) {
        sleep(Duration::from_millis(self.chance.below(most_ms))).await;
    }

    async fn add(&self) {
        let (sku, quantity) = (self.chance.pick(&self.products).clone(), 1 + u32::from(self.chance.permille(300)));
        let request = AddToCart { session: self.session(), request: self.new_key(), sku: sku.clone(), quantity };
        let mut certain = false;
        for _ in 0..SENDS_MAX {
            Counts::add(&self.counts.operations);
            if self.shop.call(&request, NoKey).await.is_ok() {
                certain = true;
                break;
            }
            self.pause(400).await;
        }
        let mut added = self.history.added.lock().unwrap();
        let (sure, perhaps) = added.entry((self.principal, sku)).or_default();
        *(if certain { sure } else { perhaps }) += quantity;
    }

    async fn buy(&self) {
        Counts::add(&self.counts.operations);
        let Ok(cart) = self.shop.call(&ShowCart { session: self.session() }, NoKey).await else { return };
        if cart.lines.is_empty() {
            return;
        }
        let key = self.new_key();
        let token = *self.chance.pick(&TOKENS);
        let request = Checkout {
            session: self.session(),
            fingerprint: Fingerprint::of(format!("{} {token}", cart.total).as_bytes()),
            payment: PaymentToken(token.to_owned()),
            expected_total: cart.total,
            address: None,
        };
        self.chance.note(&format!("{} buys with {token} under {}", self.name, key.as_str()));
        let sends = if self.chance.permille(150) { 1 } else { SENDS_MAX };
        let told = if self.chance.permille(250) {
            let (one, two) = tokio::join!(self.insist(&request, &key, sends), self.insist(&request, &key, sends));
            self.agree(one, two)
        } else {
            self.insist(&request, &key, sends).await
        };
        self.chance.note(&format!("{} was told {told:?} under {}", self.name, key.as_str()));
        Counts::add(match told {
            Told::Acknowledged(_) => &self.counts.acknowledged,
            Told::Refused => &self.counts.declined,
            Told::TurnedAway => &self.counts.turned_away,
            Told::Unknown => &self.counts.unknown,
        });
        let purchase = Purchase { principal: self.principal, key: key.clone(), told };
        self.history.purchases.lock().unwrap().push(purchase.clone());
        if self.chance.permille(200) && !matches!(purchase.told, Told::Unknown) {
            self.again(&request, &purchase).await;
        }
        if self.chance.permille(100) {
            self.misuse(request, &purchase).await;
        }
    }

    /// Sends until the answer is definite or patience ends.
    async fn insist(&self, request: &Checkout, key: &RequestId, sends: u32) -> Told {
        let mut told = Told::Unknown;
        for _ in 0..sends {
            Counts::add(&self.counts.operations);
            // Some customers hang up in the middle.
            let patience = if self.chance.permille(100) { self.chance.below(300) } else { 20_000 };
            let call = self.shop.call(request, key.clone());
            match tokio::time::timeout(Duration::from_millis(patience), call).await {
                Ok(outcome) => match self.read(outcome) {
                    Some(definite) => return definite,
                    None => told = Told::Unknown,
                },
                Err(_hung_up) => told = Told::Unknown,
            }
            self.pause(2_500).await;
        }
        told
    }

    fn read(&self, outcome: Outcome<Checkout>) -> Option<Told> {
        match outcome {
            Ok(CheckoutReply::Ended { answer: Answer::Completed(order), .. }) => Some(Told::Acknowledged(order.id)),
            Ok(CheckoutReply::Ended { .. }) => Some(Told::Refused),
            Err(CallError::Refused(refusal)) => match refusal {
                CheckoutRefusal::InProgress { .. } => None,
                CheckoutRefusal::KeyReused => {
                    self.lie("the first request of a key was told that the key is used".to_owned());
                    Some(Told::TurnedAway)
                }
                _ => Some(Told::TurnedAway),
            },
            Ok(CheckoutReply::Pending { .. }) | Err(CallError::NotExecuted(_) | CallError::Unknown(_)) => None,
        }
    }

    fn agree(&self, one: Told, two: Told) -> Told {
        match (&one, &two) {
            // Of two copies, one may look at an older cart than the other, and be turned away while the other buys. The lines
            // of the cart are bought once all the same (E17).
            (Told::Unknown, _) | (Told::TurnedAway, Told::Refused | Told::Acknowledged(_)) => two,
            (_, Told::Unknown) | (Told::Refused | Told::Acknowledged(_), Told::TurnedAway) => one,
            _ if one == two => one,
            _ => {
                self.lie(format!("one key, two answers: {one:?} and {two:?}"));
                one
            }
        }
    }

    /// E2: a definite answer is the same for ever.
    async fn again(&self, request: &Checkout, purchase: &Purchase) {
        for _ in 0..2 {
            Counts::add(&self.counts.operations);
            let outcome = self.shop.call(request, purchase.key.clone()).await;
            let Some(told) = self.read(outcome) else { continue };
            Counts::add(&self.counts.replays);
            if purchase.told != Told::TurnedAway && told != purchase.told {
                self.lie(format!("{:?} became {told:?} under {}", purchase.told, purchase.key.as_str()));
            }
            if matches!(told, Told::Acknowledged(_)) {
                let mut purchases = self.history.purchases.lock().unwrap();
                purchases.iter_mut().find(|entry| entry.key == purchase.key).unwrap().told = told;
            }
        }
    }

    /// E3: the same key for another request is refused and changes nothing, once the key stands for something.
    async fn misuse(&self, request: Checkout, purchase: &Purchase) {
        Counts::add(&self.counts.operations);
        let poisoned = Checkout { fingerprint: Fingerprint::of(b"something else"), ..request };
        let outcome = self.shop.call(&poisoned, purchase.key.clone()).await;
        if let (Told::Acknowledged(_) | Told::Refused, Ok(reply)) = (&purchase.told, &outcome) {
            self.lie(format!("a reused key was answered: {reply:?}"));
        }
        Counts::add(&self.counts.poisoned);
    }

    fn new_key(&self) -> RequestId {
        self.chance.uuid().to_string().parse().unwrap()
    }

    fn lie(&self, what: String) {
        self.history.lies.lock().unwrap().push(what);
    }
}

/// The orders that customers know of.
pub(crate) fn acknowledged(history: &History) -> BTreeSet<OperationId> {
    let purchases = history.purchases.lock().unwrap();
    purchases
        .iter()
        .filter_map(|purchase| match purchase.told {
            Told::Acknowledged(order) => Some(order),
            _ => None,
        })
        .collect()
}

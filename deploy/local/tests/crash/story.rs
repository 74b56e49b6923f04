//! What customers and operators do while a point is armed, each time to its end: the machine must get there whoever died.

use contract::orders::Inspect;
use futures_util::future::join_all;
use orders::store::OrderStore as _;
use runtime::Seams;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{buyer::Buyer, case::Client, lane::Lane, operator, points::Story};

impl Story {
    pub(crate) const fn payment(self) -> &'static str {
        match self {
            Self::Declined => "tok_declined",
            Self::Attested => "tok_charge_then_timeout",
            Self::Bought | Self::PutOff | Self::Refunded | Self::Lapsed => "tok_ok",
        }
    }

    /// The state that the order ends in; none if there is no order then.
    pub(crate) const fn ends_as(self) -> Option<&'static str> {
        match self {
            Self::Bought | Self::PutOff | Self::Attested => Some("completed"),
            Self::Refunded => Some("refunded"),
            Self::Declined | Self::Lapsed => None,
        }
    }

    /// The status of the definite answer.
    pub(crate) const fn status(self) -> u16 {
        match self {
            Self::Bought | Self::PutOff | Self::Attested | Self::Refunded => 201,
            Self::Declined => 402,
            Self::Lapsed => 409,
        }
    }

    /// What comes before the point is armed.
    pub(crate) async fn prepare(self, lane: &Lane, buyers: &[Buyer]) {
        if self == Self::Refunded {
            for buyer in buyers {
                buyer.until_definite(&lane.shop).await;
            }
            lane.until_settled().await;
        }
    }

    /// Plays it for each buyer; the last one's client is the case's, the others repeat.
    pub(crate) async fn play(self, lane: &Lane, buyers: &[Buyer], client: Client, died: &CancellationToken) {
        match self {
            Self::PutOff => {
                lane.provider(json!({"rate_limit": true})).await;
                let heal = async {
                    died.cancelled().await;
                    lane.provider(json!({"rate_limit": false})).await;
                };
                tokio::join!(heal, self.all_at_once(lane, buyers, client, died));
            }
            Self::Lapsed => {
                lane.provider(json!({"rate_limit": true})).await;
                let heal = async {
                    // All at once: the first may have ended, and be shown no more, when the second's time is over.
                    join_all(buyers.iter().map(|buyer| until_over(lane, buyer))).await;
                    lane.provider(json!({"rate_limit": false})).await;
                };
                tokio::join!(heal, self.all_at_once(lane, buyers, client, died));
            }
            Self::Bought | Self::Declined | Self::Attested | Self::Refunded => {
                for (number, buyer) in buyers.iter().enumerate() {
                    let is_last = number + 1 == buyers.len();
                    self.play_one(lane, buyer, if is_last { client } else { Client::Repeats }, died).await;
                    if !is_last {
                        lane.until_settled().await;
                    }
                }
            }
        }
    }

    async fn all_at_once(self, lane: &Lane, buyers: &[Buyer], client: Client, died: &CancellationToken) {
        join_all(buyers.iter().map(|buyer| self.buy(lane, buyer, client, died))).await;
    }

    async fn play_one(self, lane: &Lane, buyer: &Buyer, client: Client, died: &CancellationToken) {
        match self {
            Self::Refunded => {
                let order = buyer.until_order(&lane.shop, "completed").await;
                operator::decide(&lane.shop, &order, &json!("refund"), client).await;
                buyer.until_order(&lane.shop, "refunded").await;
            }
            Self::Attested => {
                tokio::join!(attest(lane, client), self.buy(lane, buyer, client, died));
            }
            _ => self.buy(lane, buyer, client, died).await,
        }
    }

    async fn buy(self, lane: &Lane, buyer: &Buyer, client: Client, died: &CancellationToken) {
        if client == Client::Repeats || died.is_cancelled() {
            let answer = buyer.until_definite(&lane.shop).await;
            assert_eq!(answer.status, self.status(), "{answer}");
        } else {
            buyer.send_and_leave(&lane.shop, died).await;
        }
        match self.ends_as() {
            Some(state) => _ = buyer.until_order(&lane.shop, state).await,
            None => buyer.until_no_order(&lane.shop).await,
        }
    }
}

/// A charge that was sent in time is with the provider by then, also on a busy machine. One that it meets later, healed,
/// would be declined as too late, which is another story.
const ARRIVED_WITHIN_MS: i64 = 1_000;

/// Waits until the checkout's charge may not be executed any more, and none is on its way.
async fn until_over(lane: &Lane, buyer: &Buyer) {
    let order = buyer.until_order(&lane.shop, "accepted").await;
    let inspect = Inspect { id: order.parse().unwrap() };
    let not_after_ms = lane.orders.inspect(inspect).await.unwrap().unwrap().not_after_ms.unwrap();
    let seams = Seams::system();
    lane.shop.until("its time is over", async || seams.now_ms() > not_after_ms + ARRIVED_WITHIN_MS).await;
}

/// The provider has charged and its answer is lost; nothing more is heard of it. An operator looks there and says so.
async fn attest(lane: &Lane, client: Client) {
    let (shop, provider) = (&lane.shop, lane.shop.provider_url());
    let before = shop.ledger().await.len();
    lane.provider(json!({"webhook_hold": true})).await;
    shop.until("the provider has charged", async || shop.ledger().await.len() > before).await;
    lane.provider(json!({"black_hole": true})).await;
    let order = shop.ledger().await.last().unwrap()["reference"].as_str().unwrap().to_owned();
    let charge: Value = shop.get_json(&format!("{provider}/charges/by-reference/{order}")).await;
    operator::decide(shop, &order, &json!({"charged": {"provider_id": charge["id"]}}), client).await;
    lane.provider(json!({"black_hole": false, "webhook_hold": false})).await;
}

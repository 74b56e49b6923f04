//! One case: a point is armed, its story is played, somebody dies, and then everything must be as if nobody had.

use std::{fmt, time::Duration};

use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    buyer::Buyer,
    lane::{Lane, Seen},
    points::{Point, Story},
    report::Row,
};

/// Longest time from a death to the end of everything that was begun (CO-15).
const RESOLVED_WITHIN: Duration = Duration::from_secs(60);

/// What the customer, or the operator, does when nothing definite comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Client {
    Repeats,
    Gone,
}

#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) point: &'static Point,
    pub(crate) hit: u32,
    pub(crate) client: Client,
    pub(crate) repetition: u32,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { point, hit, client, repetition } = self;
        write!(f, "{} hit {hit}, client {client:?}, repetition {repetition}", point.name)
    }
}

impl Case {
    /// Plays the case.
    ///
    /// # Panics
    /// When anything is not as it must be.
    pub(crate) async fn run(&self, lane: &Lane) -> Row {
        let Self { point, hit, client, .. } = *self;
        lane.until_ready().await;
        let before = lane.look().await;
        let mut buyers = Vec::new();
        for _ in 0..hit {
            buyers.push(lane.buyer(point.story.payment()).await);
        }
        point.story.prepare(lane, &buyers).await;
        lane.arm(point, hit);
        let died = CancellationToken::new();
        let death = async {
            let death = lane.death(point).await;
            died.cancel();
            death
        };
        let play = async {
            point.story.play(lane, &buyers, client, &died).await;
            lane.until_settled().await;
            Instant::now()
        };
        let ((pid, died_at), mut resolved_at) = tokio::join!(death, play);
        if resolved_at < died_at {
            // Died at the very end, after all had been delivered; what it left must be over too.
            lane.until_settled().await;
            resolved_at = Instant::now();
        }
        let resolution = resolved_at.duration_since(died_at);
        assert!(resolution <= RESOLVED_WITHIN, "resolved only after {resolution:?}");
        lane.until_ready().await;
        let after = lane.look().await;
        one_died(point, pid, &before, &after);
        self.one_of_each(lane, &buyers, &before, &after).await;
        Row { point, hit, client, resolution }
    }

    /// Exactly one order, charge, receipt and sold piece for each buyer, or none of any.
    async fn one_of_each(&self, lane: &Lane, buyers: &[Buyer], before: &Seen, after: &Seen) {
        let story = self.point.story;
        let (ledger, refunds) = (&after.ledger[before.ledger.len()..], &after.refunds[before.refunds.len()..]);
        let receipts: Vec<_> = after.receipts.difference(&before.receipts).map(|name| lane.receipt(name)).collect();
        let bought = if story.ends_as().is_some() { buyers.len() } else { 0 };
        assert_eq!(ledger.len(), bought, "charges: {ledger:?}");
        assert_eq!(receipts.len(), bought, "receipts: {receipts:?}");
        assert_eq!(refunds.len(), if story == Story::Refunded { bought } else { 0 }, "refunds: {refunds:?}");
        let sold = |seen: &Seen| seen.sold.values().sum::<i64>();
        assert_eq!(sold(after) - sold(before), i64::try_from(bought).unwrap(), "pieces sold");
        for buyer in buyers {
            let orders = buyer.orders(&lane.shop).await;
            if let Some(state) = story.ends_as() {
                let [order] = &orders[..] else { panic!("not one order: {orders:?}") };
                assert_eq!((&order["state"], &order["total"]), (&Value::from(state), &buyer.total));
                let of_order = |rows: &[Value]| rows.iter().filter(|row| row["reference"] == order["id"]).count();
                assert_eq!(of_order(ledger), 1, "charges of {order}: {ledger:?}");
                let charge = ledger.iter().find(|row| row["reference"] == order["id"]);
                assert_eq!(charge.map(|charge| &charge["amount"]), Some(&buyer.total), "CO-13");
                let id = order["id"].as_str().unwrap();
                assert_eq!(receipts.iter().filter(|text| text.contains(id)).count(), 1, "receipts of {id}");
                if story == Story::Refunded {
                    assert_eq!(of_order(refunds), 1, "refunds of {order}: {refunds:?}");
                }
            } else {
                assert!(orders.is_empty(), "{orders:?}");
            }
            let left_in_cart = usize::from(story.ends_as().is_none());
            assert_eq!(buyer.cart_lines(&lane.shop).await, left_in_cart, "lines in the cart");
            // Also of a client who was gone and comes back: the stored answer, the same bytes each time (IK-10).
            let first = buyer.until_definite(&lane.shop).await;
            assert_eq!(first.status, story.status(), "{first}");
            assert_eq!(buyer.until_definite(&lane.shop).await, first, "a repeat's answer is byte-identical");
        }
        assert_eq!(lane.shop.ledger().await.len(), after.ledger.len(), "a repeat charges nothing");
    }
}

/// The process that died was a node of the point's family, and is the only one that did.
fn one_died(point: &Point, pid: u32, before: &Seen, after: &Seen) {
    let dead = before.nodes.iter().find(|node| node["pid"] == pid).unwrap_or_else(|| panic!("{pid} is no node"));
    assert_eq!(dead["family"], point.family(), "{} came to {}", dead["id"], point.name);
    for (was, is) in before.nodes.iter().zip(&after.nodes) {
        assert_eq!(was["id"], is["id"]);
        let deaths = is["restarts"].as_u64().unwrap() - was["restarts"].as_u64().unwrap();
        assert_eq!((deaths == 1, is["pid"] != was["pid"]), (was["id"] == dead["id"], was["id"] == dead["id"]), "{is}");
    }
}

//! Forgets what is kept only for a time: stored answers, then keys, of checkouts that are over (IK-13). Nothing depends on
//! when it comes by: whether an answer is still told is judged when it is read.

use std::{sync::Arc, time::Duration};

use runtime::{Seams, Tasks};

use crate::store::OrderStore;

/// Rows of one transaction, so that no customer waits long for its end.
const BATCH: u32 = 500;
/// Batches of one round: a backlog is worked off over several rounds instead of all at once.
const BATCHES_MAX: u32 = 20;
/// Time between rounds, and as much again at random, halved: the nodes of a family do not come by together.
const EVERY_MS: u64 = 60_000;

/// A round each minute or so, until the node drains.
pub(crate) async fn run(orders: Arc<dyn OrderStore>, seams: Seams, tasks: Tasks) {
    while tasks.pause(Duration::from_millis(EVERY_MS / 2 + seams.below(EVERY_MS))).await {
        round(&*orders).await;
    }
}

async fn round(orders: &dyn OrderStore) {
    for _ in 0..BATCHES_MAX {
        match orders.reap(BATCH).await {
            Ok(reaped) if reaped.answers.max(reaped.keys) == 0 => return,
            Ok(reaped) => {
                tracing::info!(answers = reaped.answers, keys = reaped.keys, "forgotten, as their time was over");
                if reaped.answers.max(reaped.keys) < u64::from(BATCH) {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the reaper comes back later");
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use contract::{
        CartId, ExactlyOnce, Fingerprint, Money, OperationId, PrincipalId, Strategy as _,
        orders::{Driver, Find, Found, Open, Refuse, RefuseReason, Snapshot},
        payments::PaymentToken,
    };
    use store::simulated::no_faults;

    use super::*;
    use crate::store::{Periods, SimulatedOrders};

    /// One that ended is forgotten, with nobody's help but time's; one that is open is not (E15).
    #[tokio::test(start_paused = true)]
    #[expect(clippy::disallowed_methods, reason = "the test stands in for the server that would issue the permit")]
    async fn it_comes_by_again_and_again() {
        let seams = Seams::system();
        let at_once = Periods { result_ms: 0, key_ms: 0, ..Periods::default() };
        let store: Arc<dyn OrderStore> =
            Arc::new(SimulatedOrders::new(seams.clone(), no_faults()).with_periods(at_once));
        let reaper = run(store.clone(), seams.clone(), Tasks::new());
        tokio::pin!(reaper);
        let one = |key: &str| Find {
            principal: PrincipalId(uuid::Uuid::from_u128(7)),
            key: format!("the-request-key-{key}").parse().unwrap(),
            fingerprint: Fingerprint::of(b"one"),
        };
        for round in 0..2 {
            let (kept, gone) = (one(&format!("{round}-kept")), one(&format!("{round}-gone")));
            for (find, ends) in [(&kept, false), (&gone, true)] {
                let cart = CartId(seams.uuid());
                let (operation, once) = (OperationId(seams.uuid()), ExactlyOnce::permit(find.key.clone(), b"{}"));
                let request = Open {
                    principal: find.principal,
                    fingerprint: find.fingerprint.clone(),
                    operation,
                    snapshot: Snapshot {
                        lines: vec![],
                        total: Money::gbp(1),
                        address: None,
                        cart,
                        epoch: 0,
                        ops: vec![],
                    },
                    payment: PaymentToken("tok_ok".to_owned()),
                    driver: Driver(seams.uuid()),
                };
                store.open(&once, request).await.unwrap().unwrap();
                if ends {
                    store.refuse(&once, Refuse { operation, reason: RefuseReason::Closed }).await.unwrap().unwrap();
                }
            }
            assert!(matches!(store.find(gone.clone()).await.unwrap(), Ok(Found::Expired { .. })));
            // Paused time goes on as soon as everybody waits.
            let next = tokio::time::sleep(Duration::from_millis(EVERY_MS * 3 / 2));
            tokio::select! {
                () = next => {}
                () = &mut reaper => unreachable!("it runs for ever"),
            }
            assert_eq!(store.find(gone).await.unwrap(), Ok(Found::Nothing));
            assert!(matches!(store.find(kept).await.unwrap(), Ok(Found::Open { .. })));
        }
    }
}

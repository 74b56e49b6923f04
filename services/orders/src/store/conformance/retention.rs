//! What is kept for how long (IK-12, IK-13). The second store of a pair keeps nothing: for it all time is over.

use contract::{
    CartId, Fingerprint,
    orders::{Answer, Complete, Find, Found, Get, KeyReused, Opened, OrderState, Taken},
};

use super::{Case, Pair, complete, declined, once, open, refuse, take};
use crate::store::Reaped;

/// E14. What was not wiped yet is told no more all the same; nothing is ever run again.
pub(super) async fn answers_expire_when_they_are_read([store, timeless]: Pair) {
    let case = Case::new();
    let operation = case.opened(&*store).await.operation;
    assert_eq!(case.found(&*timeless).await, Found::Open { operation }, "what is not over does not expire (E15)");
    let answer = complete(&*store, operation).await;
    assert_eq!(case.found(&*store).await, Found::Ended(answer));
    let expired = Found::Expired { operation, state: OrderState::Completed };
    assert_eq!(case.found(&*timeless).await, expired);
    let (permit, again) = case.open();
    assert_eq!(open(&*timeless, &permit, again).await, Ok(Opened::Existing(expired)));
    let taken = take(&*timeless, operation, case.driver()).await;
    assert_eq!(taken, Taken::Expired { state: OrderState::Completed });
    let late = Complete { operation, provider_id: "ch_2".to_owned() };
    let late = timeless.complete(&once(&operation.to_string()), late).await;
    assert!(late.is_err(), "there is no answer to give, and none is made up: {late:?}");
    let other = Find { fingerprint: Fingerprint::of(b"other"), ..case.find() };
    assert_eq!(timeless.find(other).await.expect("find"), Err(KeyReused::KeyReused), "the key is remembered longer");
}

pub(super) async fn the_reaper_takes_only_what_is_over([store, timeless]: Pair) {
    let (ended, open_one, asked) = (Case::new(), Case::new(), Case::new());
    let operation = ended.opened(&*store).await.operation;
    let (unfinished, waits) = (open_one.opened(&*store).await, asked.opened(&*store).await);
    let ask = contract::orders::Postpone { attention: true, ..super::postpone(waits.operation, waits.driver) };
    assert_eq!(store.postpone(ask).await.expect("postpone"), Ok(OrderState::NeedsAttention));
    let answer = complete(&*store, operation).await;

    assert_eq!(store.reap(100).await.expect("reap"), Reaped::default(), "its time is not over");
    assert_eq!(ended.found(&*store).await, Found::Ended(answer));
    assert_eq!(timeless.reap(100).await.expect("reap"), Reaped { answers: 1, keys: 1 });
    assert_eq!(timeless.reap(100).await.expect("reap"), Reaped::default(), "once is enough");
    assert_eq!(ended.found(&*store).await, Found::Nothing, "the key stands for nothing now");
    for (case, request) in [(&open_one, &unfinished), (&asked, &waits)] {
        assert_eq!(case.found(&*store).await, Found::Open { operation: request.operation }, "E15");
        assert!(matches!(complete(&*store, request.operation).await, Answer::Completed(_)));
    }
    let order = store.get(Get { principal: ended.principal, order: operation }).await.expect("get").expect("for ever");
    assert_eq!(order.state, OrderState::Completed);
    let (permit, mut anew) = ended.open();
    anew.snapshot.cart = CartId(ended.seams.uuid());
    anew.snapshot.ops = vec![contract::OpId::new(anew.snapshot.cart, "add")];
    let opened = open(&*store, &permit, anew).await;
    assert!(matches!(opened, Ok(Opened::Claimed(_))), "a forgotten key may be used for something new: {opened:?}");
}

pub(super) async fn the_reaper_takes_no_more_than_it_is_told([store, _]: Pair) {
    for _ in 0..5 {
        let operation = Case::new().opened(&*store).await.operation;
        refuse(&*store, operation, declined()).await;
    }
    for expected in [2, 2, 1, 0] {
        assert_eq!(store.reap(2).await.expect("reap"), Reaped { answers: expected, keys: expected });
    }
}

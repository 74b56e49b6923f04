//! What a back end of the catalogue must do, as a suite: each back end runs it unchanged, and a new one is right when it
//! passes.
#![expect(clippy::unwrap_used, reason = "a suite's verdict is a panic")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use contract::{
    ExactlyOnce, Once, OperationId, RequestId, Sku, Strategy as _,
    catalogue::{EndRefusal, ReserveRefusal},
};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{
    NewProduct, parse,
    store::{Level, ProductStore, StockStore},
};

/// Three products: 10 of `aaa`, 1 of `bbb`, 0 of `ccc`.
const PRODUCTS: &str = r#"[
{"sku":"aaa","title":"A","creator":"X","category":"One","description":"D.","year":1900,"price_minor":100,"stock":10},
{"sku":"ccc","title":"C","creator":"X","category":"Two","description":"D.","year":1900,"price_minor":300,"stock":0},
{"sku":"bbb","title":"B","creator":"Y","category":"One","description":"D.","year":1900,"price_minor":200,"stock":1}
]"#;

/// Runs the suite. `make` opens a new, empty store each time.
///
/// # Panics
/// When the store breaks one of its promises.
pub async fn suite<S: ProductStore + StockStore + 'static>(make: impl AsyncFn() -> Arc<S>) {
    products_are_put_once(&*stocked(&make).await).await;
    a_reservation_takes_all_or_nothing(&*stocked(&make).await).await;
    a_repeat_changes_nothing(&*stocked(&make).await).await;
    a_release_undoes_and_keeps_late_ones_out(&*stocked(&make).await).await;
    a_settlement_sells(&*stocked(&make).await).await;
    many_are_settled_at_once_and_none_holds_up_another(&*stocked(&make).await).await;
    settlements_that_overlap_sell_once(stocked(&make).await).await;
    the_last_pieces_go_to_as_many(stocked(&make).await).await;
    one_id_has_one_effect(stocked(&make).await).await;
    ends_that_race_end_once(stocked(&make).await).await;
}

async fn stocked<S: ProductStore + StockStore + 'static>(make: &impl AsyncFn() -> Arc<S>) -> Arc<S> {
    let store = make().await;
    assert_eq!(store.put_missing(&three_products()).await.unwrap(), 3);
    store
}

fn three_products() -> Vec<NewProduct> {
    parse(PRODUCTS).unwrap()
}

async fn products_are_put_once(store: &(impl ProductStore + StockStore)) {
    reserve(store, 1, &[("aaa", 4)]).await.unwrap();
    assert_eq!(store.put_missing(&three_products()).await.unwrap(), 0);
    let mut more = three_products();
    more[1].sku = "ddd".parse().unwrap();
    assert_eq!(store.put_missing(&more).await.unwrap(), 1);
    let all = store.all().await.unwrap();
    let skus: Vec<&str> = all.iter().map(|placed| placed.product.sku.as_str()).collect();
    assert_eq!(skus, ["aaa", "ccc", "bbb", "ddd"], "the file's order, new ones behind");
    assert!(all.is_sorted_by(|one, two| one.position < two.position));
    let product = &all[0].product;
    assert_eq!((product.available, product.price.amount_minor, product.category.as_str()), (6, 100, "One"));
}

async fn a_reservation_takes_all_or_nothing(store: &impl StockStore) {
    assert_eq!(reserve(store, 1, &[("aaa", 4), ("bbb", 1)]).await, Ok(()));
    assert_eq!(levels(store).await["aaa"], [6, 4, 0]);
    let refused = reserve(store, 2, &[("aaa", 1), ("bbb", 1)]).await;
    assert_eq!(refused, Err(ReserveRefusal::OutOfStock { sku: sku("bbb"), available: 0 }));
    let refused = reserve(store, 3, &[("aaa", 7)]).await;
    assert_eq!(refused, Err(ReserveRefusal::OutOfStock { sku: sku("aaa"), available: 6 }));
    let refused = reserve(store, 4, &[("aaa", 1), ("no-such", 1)]).await;
    assert_eq!(refused, Err(ReserveRefusal::OutOfStock { sku: sku("no-such"), available: 0 }));
    assert_eq!(levels(store).await["aaa"], [6, 4, 0], "a refused reservation took something");
}

async fn a_repeat_changes_nothing(store: &impl StockStore) {
    for _ in 0..3 {
        assert_eq!(reserve(store, 1, &[("aaa", 4)]).await, Ok(()));
        assert_eq!(levels(store).await["aaa"], [6, 4, 0]);
    }
    assert_eq!(reserve(store, 1, &[("aaa", 5)]).await, Err(ReserveRefusal::IdReused));
    // A refusal is remembered too: pieces that come back do not turn it.
    let short = Err(ReserveRefusal::OutOfStock { sku: sku("aaa"), available: 6 });
    assert_eq!(reserve(store, 2, &[("aaa", 7)]).await, short);
    store.release(operation(1)).await.unwrap().unwrap();
    assert_eq!(reserve(store, 2, &[("aaa", 7)]).await, short);
    assert_eq!(levels(store).await["aaa"], [10, 0, 0]);
    assert_eq!(reserve(store, 1, &[("aaa", 4)]).await, Ok(()), "the answer stays what it was");
    assert_eq!(levels(store).await["aaa"], [10, 0, 0], "a repeat after the end took pieces");
}

async fn a_release_undoes_and_keeps_late_ones_out(store: &impl StockStore) {
    reserve(store, 1, &[("aaa", 4), ("bbb", 1)]).await.unwrap();
    for _ in 0..2 {
        assert_eq!(store.release(operation(1)).await.unwrap(), Ok(()));
        assert_eq!(levels(store).await["aaa"], [10, 0, 0]);
        assert_eq!(levels(store).await["bbb"], [1, 0, 0]);
    }
    assert_eq!(settle(store, 1).await, Err(EndRefusal::EndedOtherwise));
    for _ in 0..2 {
        assert_eq!(store.release(operation(2)).await.unwrap(), Ok(()), "nothing preceded");
    }
    assert_eq!(reserve(store, 2, &[("aaa", 1)]).await, Err(ReserveRefusal::Ended));
    assert_eq!(settle(store, 2).await, Err(EndRefusal::EndedOtherwise));
    assert_eq!(levels(store).await["aaa"], [10, 0, 0]);
}

async fn a_settlement_sells(store: &impl StockStore) {
    assert_eq!(settle(store, 1).await, Err(EndRefusal::NotReserved));
    reserve(store, 1, &[("aaa", 4)]).await.unwrap();
    for _ in 0..2 {
        assert_eq!(settle(store, 1).await, Ok(()));
        assert_eq!(levels(store).await["aaa"], [6, 0, 4]);
    }
    assert_eq!(store.release(operation(1)).await.unwrap(), Err(EndRefusal::EndedOtherwise));
    assert_eq!(levels(store).await["aaa"], [6, 0, 4]);
    // Refused for want of stock, so there is nothing to settle.
    reserve(store, 2, &[("ccc", 1)]).await.unwrap_err();
    assert_eq!(settle(store, 2).await, Err(EndRefusal::NotReserved));
}

async fn the_last_pieces_go_to_as_many<S: StockStore + 'static>(store: Arc<S>) {
    let mut tries = JoinSet::new();
    for n in 0..64 {
        let store = store.clone();
        tries.spawn(async move { reserve(&*store, n, &[("aaa", 1)]).await });
    }
    let answers = tries.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 10);
    let short = Err(ReserveRefusal::OutOfStock { sku: sku("aaa"), available: 0 });
    assert_eq!(answers.iter().filter(|answer| **answer == short).count(), 54);
    assert_eq!(levels(&*store).await["aaa"], [0, 10, 0]);
}

async fn one_id_has_one_effect<S: StockStore + 'static>(store: Arc<S>) {
    let mut tries = JoinSet::new();
    for _ in 0..64 {
        let store = store.clone();
        tries.spawn(async move { reserve(&*store, 1, &[("aaa", 1), ("bbb", 1)]).await });
    }
    assert!(tries.join_all().await.iter().all(|answer| *answer == Ok(())));
    assert_eq!(levels(&*store).await["aaa"], [9, 1, 0]);
    assert_eq!(levels(&*store).await["bbb"], [0, 1, 0]);
}

async fn ends_that_race_end_once<S: StockStore + 'static>(store: Arc<S>) {
    for n in 0..10 {
        reserve(&*store, n, &[("aaa", 1)]).await.unwrap();
        let mut ends = JoinSet::new();
        for round in 0..8 {
            let store = store.clone();
            ends.spawn(async move {
                let sold = round % 2 == 0;
                let answer = if sold { settle(&*store, n).await } else { store.release(operation(n)).await.unwrap() };
                (sold, answer)
            });
        }
        let answers = ends.join_all().await;
        let sold = answers.contains(&(true, Ok(())));
        for (as_sold, answer) in answers {
            assert_eq!(answer, if as_sold == sold { Ok(()) } else { Err(EndRefusal::EndedOtherwise) });
        }
    }
    let [available, reserved, sold] = levels(&*store).await["aaa"];
    assert_eq!((available + sold, reserved), (10, 0));
}

async fn many_are_settled_at_once_and_none_holds_up_another(store: &impl StockStore) {
    for (n, lines) in [(1, &[("aaa", 4), ("bbb", 1)][..]), (2, &[("aaa", 1)]), (3, &[("aaa", 2)]), (4, &[("aaa", 1)])] {
        reserve(store, n, lines).await.unwrap();
    }
    assert_eq!(settle(store, 2).await, Ok(()));
    store.release(operation(3)).await.unwrap().unwrap();
    for _ in 0..2 {
        let refused = store.settle(&(1..=5).map(operation).collect()).await.unwrap();
        let (otherwise, nothing) = (EndRefusal::EndedOtherwise, EndRefusal::NotReserved);
        assert_eq!(refused, [(operation(3), otherwise), (operation(5), nothing)]);
        assert_eq!(levels(store).await["aaa"], [4, 0, 6]);
        assert_eq!(levels(store).await["bbb"], [0, 0, 1]);
    }
    assert_eq!(store.settle(&BTreeSet::new()).await.unwrap(), []);
}

/// They share products and some of them share checkouts: none waits for another in a circle, and each piece is sold once.
async fn settlements_that_overlap_sell_once<S: StockStore + 'static>(store: Arc<S>) {
    for n in 0..8 {
        reserve(&*store, n, &[("aaa", 1)]).await.unwrap();
    }
    reserve(&*store, 8, &[("aaa", 2), ("bbb", 1)]).await.unwrap();
    let mut batches = JoinSet::new();
    for first in 0..8 {
        let store = store.clone();
        batches.spawn(async move { store.settle(&(first..9).map(operation).collect()).await.unwrap() });
    }
    assert!(batches.join_all().await.iter().all(Vec::is_empty));
    assert_eq!(levels(&*store).await["aaa"], [0, 0, 10]);
    assert_eq!(levels(&*store).await["bbb"], [0, 0, 1]);
}

async fn settle(store: &impl StockStore, n: u128) -> Result<(), EndRefusal> {
    match store.settle(&BTreeSet::from([operation(n)])).await.unwrap().as_slice() {
        [] => Ok(()),
        [(refused, why)] if *refused == operation(n) => Err(*why),
        other => panic!("{other:?}"),
    }
}

async fn reserve(store: &impl StockStore, n: u128, lines: &[(&str, u32)]) -> Result<(), ReserveRefusal> {
    let lines: BTreeMap<Sku, u32> = lines.iter().map(|(name, quantity)| (sku(name), *quantity)).collect();
    store.reserve(&once(operation(n), &format!("{lines:?}")), operation(n), &lines).await.unwrap()
}

/// Available, reserved and sold pieces by sku; checks CO-12 on the way.
async fn levels(store: &impl StockStore) -> BTreeMap<String, [i64; 3]> {
    let row = |level: Level| {
        let pieces = [level.available, level.reserved, level.sold];
        assert_eq!(pieces.iter().sum::<i64>(), level.stocked, "CO-12: {level:?}");
        assert!(pieces.iter().all(|count| *count >= 0), "CO-12: {level:?}");
        (level.sku.to_string(), pieces)
    };
    store.levels().await.unwrap().into_iter().map(row).collect()
}

fn sku(name: &str) -> Sku {
    name.parse().unwrap()
}

fn operation(n: u128) -> OperationId {
    OperationId(Uuid::from_u128(n))
}

#[expect(clippy::disallowed_methods, reason = "the suite stands where the server stands: it calls a store")]
fn once(operation: OperationId, body: &str) -> Once {
    ExactlyOnce::permit(RequestId::from(operation), body.as_bytes())
}

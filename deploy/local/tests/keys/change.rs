//! What changes after the first try: E16, E21.

use catalogue::store::MIGRATIONS;
use serde_json::{Value, json};
use store::{Database, sql};

use crate::{
    customer::Customer,
    place::{BOOK, OTHER_BOOK, Place, bought_once, charges_of, insist, orders, provider, slug},
};

const KEY: &str = "one-key-for-one-purchase";

#[tokio::test(flavor = "multi_thread")]
async fn e16_a_late_repeat_of_a_refunded_order_gets_the_first_answer() {
    let place = Place::on_sqlite().await;
    let shop = &place.shop;
    let customer = Customer::arrive(shop).await;
    let total = customer.add(BOOK, 1).await["total"].clone();
    let first = customer.checkout_for(1, KEY, "tok_ok", &total).await;
    assert_eq!(first.status, 201, "{}", first.text());
    let order = bought_once(shop, &customer, &total).await;
    let id = order["id"].as_str().unwrap();
    for _ in 0..2 {
        let refund = shop.trestle(&["attention", "refund", id, "--operator", "ada", "--note", "never arrived"]);
        assert!(refund.status.success(), "{}", String::from_utf8_lossy(&refund.stderr));
    }
    for frontend in [1, 2] {
        let late = customer.checkout_for(frontend, KEY, "tok_ok", &total).await;
        assert_eq!((late.status, late.replayed, &late.bytes), (201, true, &first.bytes), "{}", late.text());
        // The link shows how it stands now (IK-14).
        assert_eq!(customer.get(&late.location.unwrap()).await["state"], "refunded");
    }
    assert_eq!(orders(&customer).await.len(), 1, "no new order");
    assert_eq!(charges_of(shop, &order).await.len(), 1);
    let refunds: Value = shop.get_json(&format!("{}/refunds", shop.provider_url())).await;
    let refunds = refunds["refunds"].as_array().unwrap();
    assert_eq!(refunds.len(), 1, "{refunds:?}");
    assert_eq!((&refunds[0]["reference"], &refunds[0]["amount"]), (&order["id"], &total));
}

async fn set_price(place: &Place, sku: &str, price_minor: i64) {
    let uri = place.database("catalogue").parse().unwrap();
    let database = Database::open(&uri, "catalogue", &MIGRATIONS).await.unwrap();
    let mut tx = database.begin().await.unwrap();
    let change = sql("UPDATE products SET price_minor = $1 WHERE sku = $2").bind(price_minor).bind(sku);
    assert_eq!(tx.execute(change).await.unwrap(), 1);
    Database::commit(tx).await.unwrap();
}

/// The first try is frozen: a repeat buys for that, whatever the price is by then. A new key must agree to the new one.
async fn a_frozen_price_stays(place: &Place) {
    let shop = &place.shop;
    let customer = Customer::arrive(shop).await;
    customer.add(OTHER_BOOK, 1).await;
    let total = customer.add(BOOK, 2).await["total"].clone();
    provider(shop, json!({"black_hole": true})).await;
    let first = customer.checkout_for(1, KEY, "tok_ok", &total).await;
    assert_eq!(first.status, 202, "{}", first.text());
    set_price(place, BOOK, 4_242).await;
    shop.until("the new price is shown", async || {
        customer.get(&format!("/api/products/{BOOK}")).await["price"]["amount_minor"] == 4_242
    })
    .await;
    let again = customer.checkout_for(2, KEY, "tok_ok", &total).await;
    assert!([202, 409].contains(&again.status), "{}", again.text());
    assert_eq!(shop.ledger().await.len(), 0);
    provider(shop, json!({"black_hole": false})).await;
    // Other parameters under the same key would be refused by the provider, and this would never be bought.
    let bought = insist(shop, &customer, KEY, "tok_ok", &total).await;
    assert_eq!(bought.json()["total"], total);
    bought_once(shop, &customer, &total).await;

    let new_total = customer.add(BOOK, 2).await["total"].clone();
    assert_eq!(new_total["amount_minor"], 2 * 4_242);
    let old = json!({"amount_minor": 1, "currency": new_total["currency"]});
    let refused = customer.checkout_for(1, "the-key-of-the-second-purchase", "tok_ok", &old).await;
    assert_eq!((refused.status, slug(&refused).as_str()), (409, "total-changed"), "{}", refused.text());
    assert_eq!((&refused.json()["total"], &refused.json()["safe_new_key"]), (&new_total, &json!(true)));
}

#[tokio::test(flavor = "multi_thread")]
async fn e21_the_price_of_the_first_try_is_paid_on_sqlite() {
    a_frozen_price_stays(&Place::on_sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn e21_the_price_of_the_first_try_is_paid_on_postgresql() {
    a_frozen_price_stays(&Place::on_postgresql().await).await;
}

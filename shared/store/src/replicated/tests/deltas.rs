//! Who gets the difference, and who the whole.

use super::{add, cart_id, has, is_clean, net::Net, until};

#[tokio::test(start_paused = true)]
async fn who_has_the_rest_gets_the_difference_and_who_missed_something_the_whole() {
    let net = Net::new(1, 2);
    let nodes: Vec<_> = (0..2).map(|number| net.listen(number)).collect();
    for number in 0..10 {
        add(&nodes[0].data, 1, &number.to_string()).await;
        assert_eq!(net.dots(), number + 1, "one dot for each add");
    }
    net.deafen(1, true);
    add(&nodes[0].data, 1, "missed").await;
    net.deafen(1, false);
    let before = net.dots();
    add(&nodes[0].data, 1, "last").await;
    assert_eq!(net.dots(), before + 12);
    assert!(has(&nodes[1].data, 1, "missed") && is_clean(&nodes[0]));
    assert_eq!(nodes[0].data.get(&cart_id(1)), nodes[1].data.get(&cart_id(1)));
}

/// The first try reached one node of two before its sender died. The repeat there changes nothing, and is acknowledged.
#[tokio::test(start_paused = true)]
async fn a_repeat_goes_whole_to_who_never_got_the_first_try() {
    let net = Net::new(1, 3);
    let nodes: Vec<_> = (0..3).map(|number| net.listen(number)).collect();
    add(&nodes[1].data, 1, "earlier").await;
    net.deafen(2, true);
    add(&nodes[0].data, 1, "request").await;
    net.kill(&nodes[0]);
    net.deafen(2, false);
    assert!(has(&nodes[1].data, 1, "request") && !has(&nodes[2].data, 1, "request"));
    add(&nodes[1].data, 1, "request").await;
    assert!(has(&nodes[2].data, 1, "request"));
}

/// CART-8: every node forgets by its own sweep, and the digests agree in the end.
#[tokio::test(start_paused = true)]
async fn an_epoch_that_is_long_over_is_forgotten_on_all_nodes() {
    let net = Net::new(1, 2);
    let nodes = net.start_all().await;
    add(&nodes[0].data, 1, "bought").await;
    let now_ms = net.seams.now_ms();
    let clear = |known: Option<contract::cart::Cart>| {
        let mut cart = known.unwrap_or_default();
        let ops: Vec<_> = cart.seen.keys().copied().collect();
        cart.clear(0, &ops, now_ms);
        Ok::<_, ()>((cart, ()))
    };
    nodes[0].data.update(cart_id(1), clear).await.unwrap().unwrap();
    assert!(has(&nodes[1].data, 1, "bought"), "a late repeat of the add must be known");
    net.clock.advance_ms(25 * 3_600_000);
    nodes[0].data.sweep().await;
    until(|| nodes.iter().all(|node| !has(&node.data, 1, "bought"))).await;
    assert_eq!(nodes[0].data.get(&cart_id(1)), nodes[1].data.get(&cart_id(1)));
}

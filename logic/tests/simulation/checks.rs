//! What must hold when everything has healed and come to rest, whatever happened before.

use std::collections::BTreeMap;

use catalogue::store::StockStore as _;
use contract::{
    NoKey, OperationId, PrincipalId, Sku,
    orders::{List, Order, OrderState},
    shop::ShowCart,
};
use orders::store::OrderStore as _;

use crate::{
    counts::Counts,
    customers::{Customer, History, Told, acknowledged},
    world::World,
};

/// Every order that is not declined or refused, by customer.
pub(crate) async fn orders(world: &World, principals: &[PrincipalId]) -> BTreeMap<PrincipalId, Vec<Order>> {
    let mut all = BTreeMap::new();
    for principal in principals {
        let list = List { principal: *principal, after: None, limit: 100 };
        all.insert(*principal, world.orders.list(list).await.unwrap().items);
    }
    all
}

/// Every broken promise; empty when all are kept.
pub(crate) async fn broken(world: &World, history: &History, customers: &[Customer]) -> Vec<String> {
    let principals: Vec<_> = customers.iter().map(|customer| customer.principal).collect();
    let orders = orders(world, &principals).await;
    let mut broken: Vec<String> = history.lies.lock().unwrap().clone();
    one_order_one_charge(world, history, &orders, &mut broken);
    stock(world, &orders, &mut broken).await;
    for customer in customers {
        cart(customer, history, &orders[&customer.principal], &mut broken).await;
    }
    receipts(world, &orders, &mut broken);
    if world.provider.most_at_once() > crate::world::PERMITS {
        broken.push(format!("{} calls at the provider at once", world.provider.most_at_once()));
    }
    broken
}

/// K1 to K6.
fn one_order_one_charge(
    world: &World,
    history: &History,
    orders: &BTreeMap<PrincipalId, Vec<Order>>,
    broken: &mut Vec<String>,
) {
    let charges = world.provider.charges();
    let known = acknowledged(history);
    let mut completed: BTreeMap<OperationId, &Order> = BTreeMap::new();
    for order in orders.values().flatten() {
        match order.state {
            OrderState::Completed => drop(completed.insert(order.id, order)),
            state => broken.push(format!("K5: order {} is still {state:?}", order.id)),
        }
    }
    for order in &known {
        if !completed.contains_key(order) {
            broken.push(format!("K1: order {order} was acknowledged and is not there"));
        }
    }
    for (id, order) in &completed {
        let of_it: Vec<_> = charges.iter().filter(|charge| charge.reference == id.to_string()).collect();
        match of_it.as_slice() {
            [] => broken.push(format!("K4: order {id} was not paid")),
            [charge] if charge.amount != order.total => {
                broken.push(format!("K6: order {id} costs {}, {} was charged", order.total, charge.amount));
            }
            [_] => {}
            many => broken.push(format!("K3: order {id} was charged {} times", many.len())),
        }
        if order.total.amount_minor != order.lines.iter().map(|line| line.line_total.amount_minor).sum::<i64>() {
            broken.push(format!("K6: order {id} does not cost the sum of its lines"));
        }
        if !known.contains(id) {
            Counts::add(&world.counts.recovered);
        }
    }
    for charge in &charges {
        let ours = charge.reference.parse().is_ok_and(|id: OperationId| completed.contains_key(&id));
        if !ours {
            broken.push(format!(
                "K2: {} was charged under {} and there is no such order",
                charge.amount, charge.reference
            ));
        }
    }
    // Every completed order is some purchase's, and none is two purchases'. A refused purchase has none: it can only show
    // here as one order too many.
    for (principal, orders) in orders {
        let purchases = history.purchases.lock().unwrap();
        let of = |wanted: fn(&Told) -> bool| {
            purchases.iter().filter(|purchase| purchase.principal == *principal && wanted(&purchase.told)).count()
        };
        let (sure, perhaps) = (
            of(|told| matches!(told, Told::Acknowledged(_))),
            of(|told| matches!(told, Told::Unknown | Told::TurnedAway)),
        );
        let there = orders.iter().filter(|order| order.state == OrderState::Completed).count();
        if !(sure..=sure + perhaps).contains(&there) {
            broken.push(format!("K4: {there} orders; {sure} purchases were acknowledged and {perhaps} are left open"));
        }
    }
}

/// K12: at least one for each order, and one after those of one event are taken for one.
fn receipts(world: &World, orders: &BTreeMap<PrincipalId, Vec<Order>>, broken: &mut Vec<String>) {
    let sent = world.receipts.lock().unwrap();
    for order in orders.values().flatten().filter(|order| order.state == OrderState::Completed) {
        let events = sent.values().filter(|(of, _)| *of == order.id).count();
        if events != 1 {
            broken.push(format!("K12: {events} receipts for order {}", order.id));
        }
    }
}

/// K7, CO-12.
async fn stock(world: &World, orders: &BTreeMap<PrincipalId, Vec<Order>>, broken: &mut Vec<String>) {
    let mut sold: BTreeMap<&Sku, i64> = BTreeMap::new();
    for line in orders.values().flatten().filter(|order| order.state == OrderState::Completed).flat_map(|o| &o.lines) {
        *sold.entry(&line.sku).or_default() += i64::from(line.quantity);
    }
    for level in world.catalogue.levels().await.unwrap() {
        let expected = sold.get(&level.sku).copied().unwrap_or_default();
        if level.sold != expected || level.reserved != 0 || level.available + level.sold != level.stocked {
            broken.push(format!("K7: {level:?}, and {expected} are in orders"));
        }
    }
}

/// K8: what was put into the cart is in it or was bought; nothing twice, nothing lost.
async fn cart(customer: &Customer, history: &History, orders: &[Order], broken: &mut Vec<String>) {
    let cart = customer.shop.call(&ShowCart { session: customer.session() }, NoKey).await.unwrap();
    let mut there: BTreeMap<Sku, u32> = BTreeMap::new();
    let bought = orders.iter().filter(|order| order.state == OrderState::Completed).flat_map(|order| &order.lines);
    for line in cart.lines.iter().chain(bought) {
        *there.entry(line.sku.clone()).or_default() += line.quantity;
    }
    let added = history.added.lock().unwrap();
    let own = added.iter().filter(|((principal, _), _)| *principal == customer.principal);
    for ((_, sku), (sure, perhaps)) in own {
        let count = there.remove(sku).unwrap_or_default();
        if !(*sure..=sure + perhaps).contains(&count) {
            broken.push(format!(
                "K8: {sure} (perhaps {perhaps} more) of {sku} were added, {count} are in cart and orders"
            ));
        }
    }
}

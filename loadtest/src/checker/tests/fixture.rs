//! A small world in which everything is in order, to be spoilt one thing at a time.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    checker::{
        Evidence, Phases, Sometimes,
        dump::{Dump, Intent, Operation, Receipt, Reservation, Stock},
        history::{Reply, Sent, Told, What},
    },
    wire::{Charge, Money},
};

/// Price of one piece of "A", in minor units; "B" costs the same.
const PRICE: i64 = 100;
/// The faults are over.
const HEALED_MS: u64 = 10_000;

#[derive(Debug, Clone)]
pub(super) struct World(pub(super) Evidence);

/// The words of an answer.
pub(super) fn told(status: u16, problem: &str, body: &Value, order: Option<&str>) -> Reply {
    let (problem, body, order) = (problem.to_owned(), body.to_string(), order.map(str::to_owned));
    Reply::Told(Told { status, problem, body, replayed: false, order })
}

pub(super) fn cart(lines: &[(&str, i64)]) -> Value {
    let lines: Vec<_> = lines.iter().map(|(sku, quantity)| json!({"sku": sku, "quantity": quantity})).collect();
    json!({"id": "c", "lines": lines, "total": {"amount_minor": 0, "currency": "GBP"}})
}

pub(super) fn order(id: &str, sku: &str, quantity: i64) -> Value {
    let money = |amount_minor: i64| json!({"amount_minor": amount_minor, "currency": "GBP"});
    let total = money(PRICE * quantity);
    let line = json!({"sku": sku, "quantity": quantity, "unit_price": money(PRICE), "line_total": total});
    json!({"id": id, "state": "completed", "lines": [line], "total": total})
}

pub(super) fn bought(id: &str, sku: &str, quantity: i64) -> Reply {
    told(201, "", &order(id, sku, quantity), Some(id))
}

pub(super) fn refused(status: u16, problem: &str, order: Option<&str>) -> Reply {
    told(status, problem, &json!({"type": problem, "operation_ref": order}), order)
}

impl World {
    /// One attempt.
    pub(super) fn send(&mut self, session: &str, what: What, key: &str, at_ms: u64, reply: Reply) -> &mut Sent {
        let end_ms = matches!(reply, Reply::Told(_) | Reply::NotSent).then_some(at_ms + 10);
        let key = Some(key.to_owned()).filter(|key| !key.is_empty());
        let (session, fingerprint) = (session.to_owned(), String::new());
        self.0.sent.push(Sent { session, what, key, fingerprint, begin_ms: at_ms, end_ms, reply });
        let last = self.0.sent.len() - 1;
        &mut self.0.sent[last]
    }

    pub(super) fn add(&mut self, session: &str, sku: &str, quantity: i64, at_ms: u64, shows: &[(&str, i64)]) {
        let what = What::Add { sku: sku.to_owned(), quantity };
        let key = format!("add-{session}-{at_ms}");
        self.send(session, what, &key, at_ms, told(200, "", &cart(shows), None));
    }

    pub(super) fn view(&mut self, session: &str, at_ms: u64, shows: &[(&str, i64)]) {
        self.send(session, What::View, "", at_ms, told(200, "", &cart(shows), None));
    }

    /// A checkout of this many pieces.
    pub(super) fn checkout(&mut self, session: &str, key: &str, pieces: i64, at_ms: u64, reply: Reply) {
        let total = json!({"amount_minor": PRICE * pieces, "currency": "GBP"});
        let body = json!({"payment": {"token": "tok_ok"}, "expected_total": total});
        self.send(session, What::Checkout, key, at_ms, reply).fingerprint = body.to_string();
    }

    /// What the databases hold of a checkout, all owners together.
    pub(super) fn row(&mut self, id: &str, principal: &str, key: &str, state: &str, sku: &str, quantity: i64) {
        let paid = matches!(state, "completed" | "refunded");
        let lines = BTreeMap::from([(sku.to_owned(), (quantity, PRICE * quantity))]);
        let dump = &mut self.0.dump;
        dump.operations.push(Operation {
            id: id.to_owned(),
            principal: principal.to_owned(),
            key: key.to_owned(),
            state: state.to_owned(),
            total_minor: PRICE * quantity,
            currency: "GBP".to_owned(),
            lines,
            ops: vec![format!("op-{id}")],
            answered: true,
            keeps_payment: false,
        });
        let settled = if paid { "settled" } else { "released" };
        let reservation =
            Reservation { state: settled.to_owned(), lines: BTreeMap::from([(sku.to_owned(), quantity)]) };
        dump.reservations.insert(id.to_owned(), reservation);
        dump.intents.push(Intent {
            operation: id.to_owned(),
            state: if paid { "charged" } else { "declined" }.to_owned(),
            amount_minor: Some(PRICE * quantity),
            currency: Some("GBP".to_owned()),
            attempts: 1,
            maybe_sent: 1,
        });
        if paid {
            dump.claimed.push((format!("op-{id}"), id.to_owned()));
            let (event, principal) = (format!("event-{id}"), principal.to_owned());
            dump.receipts.push(Receipt { event, principal, order: id.to_owned() });
            self.0.ledger.push(charge(id, PRICE * quantity));
            let stock = self.stock(sku);
            (stock.available, stock.sold) = (stock.available - quantity, stock.sold + quantity);
        }
    }

    pub(super) fn stock(&mut self, sku: &str) -> &mut Stock {
        self.0.dump.stock.iter_mut().find(|stock| stock.sku == sku).unwrap()
    }

    pub(super) fn operation(&mut self, id: &str) -> &mut Operation {
        self.0.dump.operations.iter_mut().find(|row| row.id == id).unwrap()
    }

    pub(super) fn intent(&mut self, id: &str) -> &mut Intent {
        self.0.dump.intents.iter_mut().find(|row| row.operation == id).unwrap()
    }

    /// The cart at the end.
    pub(super) fn left(&mut self, session: &str, lines: &[(&str, i64)]) {
        let lines = lines.iter().map(|(sku, quantity)| ((*sku).to_owned(), *quantity)).collect();
        self.0.carts.insert(session.to_owned(), lines);
    }
}

pub(super) fn charge(id: &str, amount_minor: i64) -> Charge {
    let amount = Money { amount_minor, currency: "GBP".to_owned() };
    Charge { key: id.to_owned(), reference: id.to_owned(), amount, time: "2026-01-01T00:00:00Z".to_owned() }
}

/// Six customers: one who bought during the faults, one who never learned that it did, one declined, one whose product
/// was out of stock, one who bought in the control phase, and one who only ever met a busy shop.
pub(super) fn good() -> World {
    let mut world = World(Evidence::default());
    let shelf = |sku: &str| Stock { sku: sku.to_owned(), stocked: 10, available: 10, reserved: 0, sold: 0 };
    world.0.dump = Dump { stock: vec![shelf("A"), shelf("B")], ..Dump::default() };
    world.0.ledger_before = vec![charge("old", 5)];
    world.0.ledger = world.0.ledger_before.clone();

    world.add("s1", "A", 2, 100, &[("A", 2)]);
    world.view("s1", 200, &[("A", 2)]);
    world.checkout("s1", "k1", 2, 300, bought("o1", "A", 2));
    world.checkout("s1", "k1", 2, 500, bought("o1", "A", 2));
    world.view("s1", 600, &[]);
    world.row("o1", "p1", "k1", "completed", "A", 2);
    world.left("s1", &[]);

    world.add("s2", "B", 3, 100, &[("B", 3)]);
    world.checkout("s2", "k2", 3, 300, Reply::Lost);
    world.row("o2", "p2", "k2", "completed", "B", 3);
    world.left("s2", &[]);

    world.add("s3", "A", 1, 100, &[("A", 1)]);
    world.checkout("s3", "k3", 1, 300, refused(402, "declined", Some("o3")));
    world.row("o3", "p3", "k3", "declined", "A", 1);
    world.left("s3", &[("A", 1)]);

    world.add("s4", "B", 9, 100, &[("B", 9)]);
    let none = json!({"operation_ref": "o4", "sku": "B", "available": 7});
    world.checkout("s4", "k4", 9, 1_000, told(409, "out-of-stock", &none, Some("o4")));
    world.row("o4", "p4", "k4", "refused", "B", 9);
    world.left("s4", &[("B", 9)]);
    world.0.dump.reservations.get_mut("o4").unwrap().lines.clear();
    world.intent("o4").state = "closed".to_owned();

    world.add("s5", "A", 1, HEALED_MS + 100, &[("A", 1)]);
    world.checkout("s5", "k5", 1, HEALED_MS + 3_000, bought("o5", "A", 1));
    world.row("o5", "p5", "k5", "completed", "A", 1);
    world.left("s5", &[]);

    world.checkout("s6", "k6", 1, 300, refused(503, "busy", None));
    for number in 0..100 {
        world.send("", What::Other, "", HEALED_MS + number * 50, told(200, "", &Value::Null, None));
    }
    // B: o2 took its 3 after o4 looked only if 10 were left then; 7 are, so it took them before.
    world.0.phases =
        Phases { healed_ms: HEALED_MS, control_ms: (HEALED_MS + 2_000, HEALED_MS + 6_000), rest_after_ms: Some(20) };
    world.0.sometimes = Sometimes {
        faults_ms: BTreeMap::from([("kill".to_owned(), vec![150, 900])]),
        tricks: BTreeMap::from([("plain".to_owned(), 3)]),
    };
    world
}

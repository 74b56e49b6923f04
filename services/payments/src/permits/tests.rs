//! Nodes that lease shares on a simulated clock: they die, stand still, lose the database and hear it late, and the provider
//! must never have more calls than there are permits.

use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::desk::{CallId, Desk, Purpose, RENEW_EVERY, TRANSIT_MAX};
use crate::store::{Ask, SHARE_PERMITS, Table};

const HANDLING: Duration = Duration::from_secs(10);
/// One step of the simulation.
const STEP: Duration = Duration::from_millis(100);

/// What happens in one step to one of the nodes.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// So many charges come; each takes a permit and is sent, if there is one.
    Charges(u8),
    /// Its oldest call is answered: the provider ended its work.
    Answered,
    /// Its oldest call is given up: the provider works on, for as long as it may.
    GivenUp,
    /// It stands still for so many steps.
    Pause(u8),
    /// It ends like by SIGKILL and starts anew.
    Dies,
    /// Its requests fail before they are made, for so many steps.
    DatabaseLost(u8),
    /// Its next request is made, and the answer to it is lost.
    AnswerLost,
    /// Its next request arrives only after the one behind it.
    HeldUp,
}

#[derive(Debug)]
struct Node {
    desk: Desk,
    lives: u32,
    calls: Vec<(CallId, Instant)>,
    asked_at: Option<Instant>,
    asleep_until: Instant,
    cut_until: Instant,
    lose_answer: bool,
    hold_up: bool,
    held_up: Option<Ask>,
    waiting: u64,
}

#[derive(Debug)]
struct World {
    permits: u16,
    start: Instant,
    now: Instant,
    table: Table,
    nodes: Vec<Node>,
    /// Until when each call may be worked on by the provider. A call that is answered goes.
    provider: Vec<(usize, u32, CallId, Instant)>,
    most: usize,
    sent: Vec<usize>,
}

impl World {
    fn new(nodes: usize, permits: u16) -> Self {
        let now = Instant::now();
        let node = |number: usize| Node {
            desk: Desk::new(format!("{number}/0"), permits, HANDLING),
            lives: 0,
            calls: Vec::new(),
            asked_at: None,
            asleep_until: now,
            cut_until: now,
            lose_answer: false,
            hold_up: false,
            held_up: None,
            waiting: 0,
        };
        let (sent, nodes) = (vec![0; nodes], (0..nodes).map(node).collect());
        let (table, provider) = (Table::default(), Vec::new());
        Self { permits, start: now, now, table, nodes, provider, most: 0, sent }
    }

    fn step(&mut self, happens: &[(usize, Event)]) {
        self.now += STEP;
        for (number, event) in happens {
            self.happen(number % self.nodes.len(), *event);
        }
        for number in 0..self.nodes.len() {
            self.renew(number);
        }
        let now = self.now;
        self.provider.retain(|(.., until)| now < *until);
        self.most = self.most.max(self.provider.len());
    }

    fn happen(&mut self, number: usize, event: Event) {
        let (now, steps) = (self.now, |count: u8| STEP * u32::from(count));
        let node = &mut self.nodes[number];
        match event {
            Event::Pause(count) => node.asleep_until = now + steps(count),
            Event::Dies => {
                node.lives += 1;
                node.desk = Desk::new(format!("{number}/{}", node.lives), self.permits, HANDLING);
                (node.calls, node.asked_at, node.held_up, node.asleep_until) = (Vec::new(), None, None, now);
            }
            Event::DatabaseLost(count) => node.cut_until = now + steps(count),
            Event::AnswerLost => node.lose_answer = true,
            Event::HeldUp => node.hold_up = true,
            _ if now < node.asleep_until => {}
            Event::Charges(count) => self.charge(number, count),
            Event::Answered if !node.calls.is_empty() => {
                let (call, _) = node.calls.remove(0);
                node.desk.free(call, now);
                let lives = node.lives;
                self.provider.retain(|(by, life, id, _)| (*by, *life, *id) != (number, lives, call));
            }
            Event::GivenUp if !node.calls.is_empty() => {
                let (call, sent_at) = node.calls.remove(0);
                node.desk.hold(call, sent_at);
            }
            Event::Answered | Event::GivenUp => {}
        }
    }

    fn charge(&mut self, number: usize, count: u8) {
        let (now, node) = (self.now, &mut self.nodes[number]);
        node.waiting = 0;
        for _ in 0..count {
            // Some calls settle: with these all permits are in use.
            match node.desk.take(Purpose::Charge, now).or_else(|| node.desk.take(Purpose::Settle, now)) {
                Some(call) if node.desk.may_send(call, now) => {
                    node.calls.push((call, now));
                    // The worst: it comes as late as it can and takes as long as it can.
                    self.provider.push((number, node.lives, call, now + TRANSIT_MAX + HANDLING));
                    self.sent[number] += 1;
                }
                _ => node.waiting += 1,
            }
        }
    }

    fn renew(&mut self, number: usize) {
        let (now, node) = (self.now, &mut self.nodes[number]);
        let due = node.asked_at.is_none_or(|at| now >= at + RENEW_EVERY) || node.waiting > 0;
        if now < node.asleep_until || !due {
            return;
        }
        node.asked_at = Some(now);
        let ask = node.desk.ask(now, std::mem::take(&mut node.waiting), false);
        if now < node.cut_until {
            return;
        }
        if std::mem::take(&mut node.hold_up) {
            node.held_up = Some(ask);
            return;
        }
        let now_ms = 1_000_000 + i64::try_from((now - self.start).as_millis()).unwrap();
        let answer = self.table.lease(&ask, now_ms).unwrap();
        if !std::mem::take(&mut node.lose_answer) {
            node.desk.leased(now, &answer);
        }
        if let Some(late) = node.held_up.take() {
            self.table.lease(&late, now_ms).unwrap_err();
        }
    }
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (1..30_u8).prop_map(Event::Charges),
        8 => Just(Event::Answered),
        2 => Just(Event::GivenUp),
        1 => (1..60_u8).prop_map(Event::Pause),
        1 => Just(Event::Dies),
        1 => (1..60_u8).prop_map(Event::DatabaseLost),
        1 => Just(Event::AnswerLost),
        1 => Just(Event::HeldUp),
    ]
}

fn cases() -> u32 {
    if std::env::var("TRESTLE_PROOF").is_ok_and(|size| size == "nightly") { 5_000 } else { 200 }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_provider_never_has_more_calls_than_permits(
        nodes in 1..4_usize,
        permits in prop_oneof![Just(50_u16), Just(12), Just(5), Just(3)],
        steps in proptest::collection::vec(proptest::collection::vec((0..4_usize, event()), 0..3), 100..400),
    ) {
        let mut world = World::new(nodes, permits);
        for happens in &steps {
            world.step(happens);
            prop_assert!(world.most <= usize::from(permits), "{} calls at {:?}", world.most, world.now - world.start);
        }
        // Whatever happened, it heals: when the other nodes are gone for good, the first one can have every permit.
        for _ in 0..200 {
            let answered: Vec<_> = (0..nodes).map(|number| (number, Event::Answered)).collect();
            world.step(&answered);
        }
        let others: Vec<_> = (1..nodes).map(|number| (number, Event::Dies)).collect();
        world.step(&others);
        for node in &mut world.nodes[1..] {
            node.asleep_until = world.now + Duration::from_secs(3_600);
        }
        let quiet = HANDLING + Duration::from_secs(20);
        for _ in 0..quiet.as_millis() / STEP.as_millis() {
            world.step(&[]);
        }
        for _ in 0..usize::from(permits) {
            world.step(&[(0, Event::Charges(60))]);
        }
        prop_assert_eq!(world.provider.len(), usize::from(permits));
    }
}

/// Both want everything; each has about half of what is done.
#[test]
fn two_busy_nodes_share_and_an_idle_one_leaves_the_permits_to_the_other() {
    let mut world = World::new(2, 50);
    let answer_all: Vec<_> = (0..60).map(|_| (0, Event::Answered)).collect();
    for _ in 0..20 {
        world.step(&[(0, Event::Charges(60))]);
        world.step(&answer_all);
    }
    assert_eq!(world.nodes[0].desk.figures().2, 9, "alone: all but the one of the idle node");
    let answer_both: Vec<_> = (0..120).map(|n| (n % 2, Event::Answered)).collect();
    world.sent = vec![0, 0];
    for _ in 0..100 {
        world.step(&[(0, Event::Charges(60)), (1, Event::Charges(60))]);
        world.step(&answer_both);
    }
    assert_eq!([0, 1].map(|node| world.nodes[node].desk.figures().2), [5, 5]);
    assert!(world.sent[1] * 10 >= world.sent[0] * 8, "{:?}", world.sent);
    assert_eq!(world.most, 50);
    // Node 0 falls idle: it keeps one share.
    for _ in 0..100 {
        world.step(&answer_both);
        world.step(&[(1, Event::Charges(60))]);
    }
    assert_eq!([0, 1].map(|node| world.nodes[node].desk.figures().2), [1, 9]);
}

#[test]
fn a_call_that_was_given_up_keeps_its_permit_until_the_provider_must_have_ended() {
    let mut world = World::new(1, SHARE_PERMITS);
    world.step(&[]);
    world.step(&[(0, Event::Charges(5))]);
    world.step(&[(0, Event::Charges(5))]);
    assert_eq!(world.sent, [5], "not before there are shares");
    let sent_at = world.now;
    for _ in 0..5 {
        world.step(&[(0, Event::GivenUp)]);
    }
    while world.sent == [5] {
        world.step(&[(0, Event::Charges(1))]);
    }
    assert!(world.now - sent_at >= HANDLING && world.now - sent_at < HANDLING + Duration::from_secs(1));
    assert_eq!(world.most, 5);
}

/// A node with every permit of the cluster.
fn alone(permits: u16) -> (Desk, Instant) {
    let (mut desk, mut table, now) = (Desk::new("1".to_owned(), permits, HANDLING), Table::default(), Instant::now());
    let ask = desk.ask(now, u64::from(permits), false);
    desk.leased(now, &table.lease(&ask, 0).unwrap());
    (desk, now)
}

#[test]
fn some_permits_are_kept_for_settling() {
    for (permits, reserved) in [(50, 2), (25, 1), (24, 0), (5, 0)] {
        let (mut desk, now) = alone(permits);
        let charges = (0..100).filter(|_| desk.take(Purpose::Charge, now).is_some()).count();
        let settled = (0..100).filter(|_| desk.take(Purpose::Settle, now).is_some()).count();
        assert_eq!((charges + settled, settled), (permits.into(), reserved), "of {permits}");
    }
}

#[test]
fn the_wait_is_that_of_littles_law() {
    let (mut desk, now) = alone(50);
    assert_eq!(desk.wait(0, now), Duration::ZERO);
    for _ in 0..1_000 {
        desk.pace().took(Duration::from_secs(1));
    }
    while desk.take(Purpose::Charge, now).is_some() {}
    let (none, some) = (desk.wait(0, now).as_millis(), desk.wait(95, now).as_millis());
    assert!((18..=21).contains(&none) && (1_960..=2_000).contains(&some), "{none} ms, behind 95 others {some} ms");
}

//! The order and the bounds of sending, without network or waiting.

use std::time::Duration;

use tokio::time::Instant;

use super::{ATTEMPTS_MAX, Event, Next, Queue, SHUFFLE_MAX, Waiting, WebhookCounts};
use crate::faults::Delivery;

const PLAIN: Delivery = Delivery { copies: 1, shuffle: false, hold: false };
const SHUFFLED: Delivery = Delivery { shuffle: true, ..PLAIN };
const HELD: Delivery = Delivery { hold: true, ..PLAIN };

fn event(number: u8) -> Event {
    Event { body: [number].into(), signature: "sha256=".into() }
}

fn due(queue: &mut Queue, delivery: Delivery, now: Instant) -> Waiting {
    match queue.next(delivery, now) {
        Next::Send(waiting) => waiting,
        other => panic!("nothing is due: {other:?}"),
    }
}

/// Delivers everything that is due, and returns it in the order in which it was sent.
fn drain(queue: &mut Queue, delivery: Delivery, now: Instant) -> Vec<u8> {
    let mut numbers = Vec::new();
    while let Next::Send(waiting) = queue.next(delivery, now) {
        numbers.push(waiting.event.body[0]);
        queue.sent(waiting, true, now);
    }
    numbers
}

#[test]
fn events_are_sent_in_order_as_often_as_asked() {
    let (mut queue, now) = (Queue::new(10, 1), Instant::now());
    queue.announce(&event(1), PLAIN, now);
    queue.announce(&event(2), Delivery { copies: 3, ..PLAIN }, now);
    assert_eq!(drain(&mut queue, PLAIN, now), [1, 2, 2, 2]);
    assert_eq!(queue.next(PLAIN, now), Next::Nothing);
    assert_eq!(queue.counts(), WebhookCounts { delivered: 4, ..WebhookCounts::default() });
    assert_eq!(queue.reset(), WebhookCounts::default());
}

#[test]
fn a_failure_is_tried_again_later_and_later_and_then_dropped() {
    let (mut queue, mut now) = (Queue::new(10, 1), Instant::now());
    queue.announce(&event(1), PLAIN, now);
    let mut pauses_ms = Vec::new();
    for attempt in 1..=ATTEMPTS_MAX {
        let waiting = due(&mut queue, PLAIN, now);
        queue.sent(waiting, false, now);
        assert_eq!(queue.counts().failed_attempts, u64::from(attempt));
        if let Next::Due(next) = queue.next(PLAIN, now) {
            pauses_ms.push((next - now).as_millis());
            now = next;
        }
    }
    assert_eq!(pauses_ms, [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000, 5_000, 5_000]);
    assert_eq!(queue.next(PLAIN, now + Duration::from_secs(60)), Next::Nothing);
    let expected = WebhookCounts { waiting: 0, delivered: 0, failed_attempts: 12, dropped: 1 };
    assert_eq!(queue.counts(), expected);
}

#[test]
fn the_queue_is_bounded_and_counts_what_it_drops() {
    let (mut queue, now) = (Queue::new(2, 1), Instant::now());
    queue.announce(&event(1), PLAIN, now);
    let sending = due(&mut queue, PLAIN, now);
    queue.announce(&event(2), Delivery { copies: 2, ..PLAIN }, now);
    assert_eq!((queue.counts().waiting, queue.counts().dropped), (2, 1), "what is being sent counts");
    queue.sent(sending, false, now);
    assert_eq!(queue.counts().waiting, 2, "and has its place when it comes back");
}

#[test]
fn nothing_is_sent_while_held() {
    let (mut queue, now) = (Queue::new(10, 1), Instant::now());
    queue.announce(&event(1), HELD, now);
    assert_eq!(queue.next(HELD, now + Duration::from_secs(3_600)), Next::Nothing);
    assert_eq!(drain(&mut queue, PLAIN, now), [1]);
}

#[test]
fn shuffled_events_are_held_back_and_sent_in_another_order() {
    for seed in 0..20 {
        let (mut queue, now) = (Queue::new(100, seed), Instant::now());
        let ordered: Vec<u8> = (0..20).collect();
        for number in &ordered {
            queue.announce(&event(*number), SHUFFLED, now);
        }
        assert_eq!(drain(&mut queue, SHUFFLED, now), [0; 0], "seed {seed}: they are held back");
        let mut sent = Vec::new();
        let mut at = now;
        while let Next::Due(next) = queue.next(SHUFFLED, at) {
            assert!(next <= now + SHUFFLE_MAX, "seed {seed}");
            at = next;
            sent.extend(drain(&mut queue, SHUFFLED, at));
        }
        assert_ne!(sent, ordered, "seed {seed}");
        sent.sort_unstable();
        assert_eq!(sent, ordered, "seed {seed}: each is sent once");
    }
}

#[test]
fn what_piled_up_in_a_hold_is_shuffled_as_a_whole() {
    let (mut queue, now) = (Queue::new(100, 7), Instant::now());
    for number in 0..20 {
        queue.announce(&event(number), Delivery { hold: true, ..PLAIN }, now + Duration::from_secs(number.into()));
    }
    let mut sent = drain(&mut queue, SHUFFLED, now + Duration::from_secs(60));
    assert!(!sent.is_sorted());
    sent.sort_unstable();
    assert_eq!(sent, (0..20).collect::<Vec<u8>>());
}

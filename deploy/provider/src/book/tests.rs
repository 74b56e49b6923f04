//! The rules of keys and references, without clock, file or network.

use std::sync::Arc;

use super::{ATTEMPTS_MAX, Admission, Attempts, Book, Decision, Entry, Outcome, Rules};
use crate::request::{ChargeRequest, Token, sample};

/// Every promise is kept.
const KEPT: Rules = Rules { key_window_ms: None, permanent_reference: true, enforce_not_after: true };

fn decide(book: &mut Book, key: &str, token: Token, reference: &str, now_ms: i64) -> Arc<Entry> {
    decide_by(&KEPT, book, key, &sample(token, reference), now_ms)
}

fn decide_by(rules: &Rules, book: &mut Book, key: &str, request: &ChargeRequest, now_ms: i64) -> Arc<Entry> {
    assert_eq!(book.admit(key, request, now_ms, rules), Admission::Execute);
    match book.decide(key, request, now_ms, rules) {
        Decision::Record(entry) => entry,
        other => panic!("expected an entry, got {other:?}"),
    }
}

fn admit(book: &mut Book, key: &str, request: &ChargeRequest) -> Admission {
    book.admit(key, request, 5, &KEPT)
}

#[test]
fn an_entry_is_unknown_until_it_is_on_the_disk() {
    let mut book = Book::new();
    let entry = decide(&mut book, "k", Token::Ok, "r", 5);
    assert_eq!(admit(&mut book, "k", &sample(Token::Ok, "r")), Admission::InProgress);
    assert_eq!(book.by_reference("r"), None);
    assert!(book.charges().is_empty());
    book.commit(&entry);
    assert_eq!(admit(&mut book, "k", &sample(Token::Ok, "r")), Admission::Decided(entry.clone()));
    assert_eq!(book.by_reference("r"), Some(entry.clone()));
    assert_eq!(book.charges(), [entry]);
}

#[test]
fn every_parameter_counts_as_one() {
    let mut book = Book::new();
    let entry = decide(&mut book, "k", Token::Ok, "r", 5);
    let mut others = vec![sample(Token::Slow, "r"), sample(Token::Ok, "r2")];
    for change in 0..3 {
        let mut other = sample(Token::Ok, "r");
        match change {
            0 => other.amount.amount_minor += 1,
            1 => "USD".clone_into(&mut other.amount.currency),
            _ => other.not_after_ms += 1,
        }
        others.push(other);
    }
    for other in &others {
        assert_eq!(admit(&mut book, "k", other), Admission::KeyReused, "while executing: {other:?}");
    }
    book.commit(&entry);
    for other in &others {
        assert_eq!(admit(&mut book, "k", other), Admission::KeyReused, "when decided: {other:?}");
    }
}

#[test]
fn not_after_is_the_last_millisecond_that_charges() {
    let mut book = Book::new();
    assert_eq!(decide(&mut book, "in-time", Token::Ok, "r1", 10_000).outcome, Outcome::Charged);
    assert_eq!(decide(&mut book, "late", Token::Ok, "r2", 10_001).outcome, Outcome::TooLate);
    assert_eq!(decide(&mut book, "late-decline", Token::Declined, "r3", 10_001).outcome, Outcome::TooLate);
}

#[test]
fn a_reference_is_charged_once_and_a_decline_leaves_it_free() {
    let mut book = Book::new();
    let declined = decide(&mut book, "k0", Token::Declined, "r", 5);
    book.commit(&declined);
    let charged = decide(&mut book, "k1", Token::Ok, "r", 5);
    let other = sample(Token::Ok, "r");
    assert_eq!(admit(&mut book, "k2", &other), Admission::Execute);
    assert_eq!(book.decide("k2", &other, 5, &KEPT), Decision::ReferenceBusy);
    book.commit(&charged);
    assert_eq!(book.decide("k2", &other, 5, &KEPT), Decision::ReferenceUsed);
    book.give_up("k2");
    assert_eq!(admit(&mut book, "k2", &other), Admission::Execute, "a key that came to nothing is free again");
}

#[test]
fn giving_up_never_frees_a_decided_key() {
    let mut book = Book::new();
    let entry = decide(&mut book, "k", Token::Ok, "r", 5);
    book.commit(&entry);
    book.give_up("k");
    assert_eq!(admit(&mut book, "k", &sample(Token::Ok, "r")), Admission::Decided(entry));
}

#[test]
fn first_calls_fail_as_often_as_the_token_says() {
    let mut book = Book::new();
    let (limited, failing) = (sample(Token::RateLimited, "r1"), sample(Token::Fail500NoCharge, "r2"));
    assert_eq!(admit(&mut book, "k1", &limited), Admission::RateLimited);
    assert_eq!(admit(&mut book, "k1", &limited), Admission::RateLimited);
    assert_eq!(admit(&mut book, "k1", &limited), Admission::Execute);
    assert_eq!(admit(&mut book, "k2", &failing), Admission::FailWithoutEffect);
    assert_eq!(admit(&mut book, "k2", &failing), Admission::Execute);
}

#[test]
fn replay_remembers_and_names_damage() {
    let mut book = Book::new();
    let entry = Entry {
        line: 1,
        outcome: Outcome::Charged,
        key: "k".to_owned(),
        request: sample(Token::Ok, "r"),
        time_ms: 5,
        key_again: false,
        reference_again: false,
    };
    book.replay(entry.clone()).unwrap();
    assert_eq!(book.charges().len(), 1);
    let same_key = Entry { line: 2, ..entry.clone() };
    assert!(book.replay(same_key).unwrap_err().contains("key k was decided before"));
    let same_reference = Entry { line: 2, key: "k2".to_owned(), ..entry.clone() };
    assert!(book.replay(same_reference).unwrap_err().contains("reference r was charged before"));
    let gap = Entry { line: 3, key: "k2".to_owned(), request: sample(Token::Ok, "r2"), ..entry };
    assert!(book.replay(gap).unwrap_err().contains("numbered 3 but should be 2"));
    assert_eq!(decide(&mut book, "k3", Token::Ok, "r3", 5).line, 2);
}

#[test]
fn counted_attempts_are_bounded_and_the_oldest_goes_first() {
    let mut attempts = Attempts::default();
    for key in 0..=ATTEMPTS_MAX {
        assert!(attempts.next_is_within(&key.to_string(), 1));
    }
    assert_eq!(attempts.by_key.len(), ATTEMPTS_MAX);
    assert_eq!(attempts.keys_by_age.len(), ATTEMPTS_MAX);
    assert!(!attempts.next_is_within("1", 1), "the second oldest is still known");
    assert!(attempts.next_is_within("0", 1), "the oldest was forgotten");
    attempts.forget("0");
    assert_eq!((attempts.by_key.len(), attempts.keys_by_age.len()), (ATTEMPTS_MAX - 1, ATTEMPTS_MAX - 1));
}

#[test]
fn a_key_older_than_the_window_is_a_new_request() {
    let rules = Rules { key_window_ms: Some(100), ..KEPT };
    let mut book = Book::new();
    let (request, other) = (sample(Token::Declined, "r"), sample(Token::Ok, "r"));
    let first = decide_by(&rules, &mut book, "k", &request, 1_000);
    book.commit(&first);
    assert_eq!(book.admit("k", &request, 1_100, &rules), Admission::Decided(first.clone()), "the last millisecond");
    assert_eq!(book.admit("k", &other, 1_100, &rules), Admission::KeyReused);
    assert_eq!(book.admit("k", &other, 1_101, &KEPT), Admission::KeyReused, "without a window nothing is forgotten");
    assert_eq!(book.admit("k", &other, 1_101, &rules), Admission::Execute, "other parameters are new too");
    book.give_up("k");
    assert_eq!(book.admit("k", &request, 1_100, &rules), Admission::Decided(first.clone()), "the old line is known");
    let second = decide_by(&rules, &mut book, "k", &other, 1_101);
    assert_eq!((first.key_again, second.key_again), (false, true));
    book.commit(&second);
    let mut again = Book::new();
    again.replay(Entry::clone(&first)).unwrap();
    assert!(again.replay(Entry { key_again: false, ..Entry::clone(&second) }).is_err(), "not marked: damage");
    again.replay(Entry::clone(&second)).unwrap();
    assert_eq!(admit(&mut again, "k", &other), Admission::Decided(second), "the latest line of a key counts");
}

#[test]
fn references_that_are_not_unique_are_charged_again_and_the_oldest_is_found() {
    let rules = Rules { permanent_reference: false, ..KEPT };
    let mut book = Book::new();
    let request = sample(Token::Ok, "r");
    let first = decide_by(&rules, &mut book, "k1", &request, 5);
    let second = decide_by(&rules, &mut book, "k2", &request, 5);
    assert_eq!((first.reference_again, second.reference_again), (false, true));
    book.commit(&second);
    book.commit(&first);
    assert_eq!(book.by_reference("r"), Some(first.clone()));
    assert_eq!(book.charges(), [first.clone(), second.clone()]);
    let mut again = Book::new();
    again.replay(Entry::clone(&first)).unwrap();
    again.replay(Entry::clone(&second)).unwrap();
    assert_eq!(again.charges().len(), 2);
    assert_eq!(admit(&mut again, "k3", &request), Admission::Execute);
    assert_eq!(again.decide("k3", &request, 5, &KEPT), Decision::ReferenceUsed, "unique again from now on");
}

#[test]
fn not_after_can_be_ignored() {
    let rules = Rules { enforce_not_after: false, ..KEPT };
    let late = decide_by(&rules, &mut Book::new(), "k", &sample(Token::Ok, "r"), 10_001);
    assert_eq!(late.outcome, Outcome::Charged);
}

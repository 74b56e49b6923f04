//! The rules of refunds, without clock, file or network.

use std::sync::Arc;

use super::{RefundDecision, RefundEntry};
use crate::book::{Admission, Book, Decision, Entry, Rules};
use crate::request::{Amount, RefundRequest, Token, sample};

const WHOLE: i64 = 1299;

fn charge(book: &mut Book, key: &str, rules: &Rules) -> Arc<Entry> {
    let request = sample(Token::Ok, "r");
    assert_eq!(book.admit(key, &request, 5, rules), Admission::Execute);
    let Decision::Record(entry) = book.decide(key, &request, 5, rules) else { panic!("not charged") };
    entry
}

fn book_with_charge() -> Book {
    let mut book = Book::new();
    let entry = charge(&mut book, "k", &Rules::default());
    book.commit(&entry);
    book
}

fn request(reference: &str, amount_minor: i64) -> RefundRequest {
    RefundRequest { reference: reference.to_owned(), amount: Amount { amount_minor, currency: "GBP".to_owned() } }
}

fn refund(book: &mut Book, key: &str) -> RefundDecision {
    book.refund(key, &request("r", WHOLE), 5, &Rules::default())
}

fn recorded(decision: RefundDecision) -> Arc<RefundEntry> {
    match decision {
        RefundDecision::Record(entry) => entry,
        other => panic!("expected an entry, got {other:?}"),
    }
}

#[test]
fn a_charge_is_refunded_once() {
    let mut book = book_with_charge();
    let entry = recorded(refund(&mut book, "k1"));
    assert_eq!((entry.line, entry.charge_line), (2, 1));
    assert_eq!(refund(&mut book, "k1"), RefundDecision::InProgress, "not on the disk yet");
    assert_eq!(refund(&mut book, "k2"), RefundDecision::InProgress, "not on the disk yet");
    assert!(book.refunds().is_empty());
    book.commit_refund(&entry);
    assert_eq!(refund(&mut book, "k1"), RefundDecision::Decided(entry.clone()));
    assert_eq!(refund(&mut book, "k2"), RefundDecision::AlreadyRefunded);
    assert_eq!(book.refund("k1", &request("r2", WHOLE), 5, &Rules::default()), RefundDecision::KeyReused);
    assert_eq!(book.refunds(), [entry]);
}

#[test]
fn only_the_whole_amount_of_a_known_charge() {
    let mut book = book_with_charge();
    for amount_minor in [WHOLE - 1, WHOLE + 1] {
        assert_eq!(book.refund("k1", &request("r", amount_minor), 5, &Rules::default()), RefundDecision::NotWhole);
    }
    assert_eq!(book.refund("k1", &request("r2", WHOLE), 5, &Rules::default()), RefundDecision::NotFound);
    recorded(refund(&mut book, "k1"));
}

#[test]
fn a_charge_on_its_way_to_the_disk_is_neither_found_nor_missing() {
    let mut book = Book::new();
    let entry = charge(&mut book, "k", &Rules::default());
    assert_eq!(refund(&mut book, "k1"), RefundDecision::InProgress);
    book.commit(&entry);
    recorded(refund(&mut book, "k1"));
}

#[test]
fn a_forgotten_key_still_refunds_no_charge_twice() {
    let mut book = book_with_charge();
    let rules = Rules { key_window_ms: Some(100), ..Rules::default() };
    let entry = recorded(book.refund("k1", &request("r", WHOLE), 1_000, &rules));
    book.commit_refund(&entry);
    assert_eq!(book.refund("k1", &request("r", WHOLE), 1_100, &rules), RefundDecision::Decided(entry));
    assert_eq!(book.refund("k1", &request("r", WHOLE), 1_101, &rules), RefundDecision::AlreadyRefunded);
}

#[test]
fn charges_of_one_reference_are_refunded_oldest_first() {
    let rules = Rules { permanent_reference: false, ..Rules::default() };
    let mut book = Book::new();
    for key in ["k1", "k2"] {
        let entry = charge(&mut book, key, &rules);
        book.commit(&entry);
    }
    for (key, charge_line) in [("k1", 1), ("k2", 2)] {
        let entry = recorded(refund(&mut book, key));
        assert_eq!(entry.charge_line, charge_line);
        book.commit_refund(&entry);
    }
    assert_eq!(refund(&mut book, "k3"), RefundDecision::AlreadyRefunded);
}

#[test]
fn replay_remembers_and_names_damage() {
    let mut book = book_with_charge();
    let entry = RefundEntry::clone(&recorded(refund(&mut book, "k1")));
    let damages = [
        (RefundEntry { line: 3, ..entry.clone() }, "numbered 3 but should be 2"),
        (RefundEntry { charge_line: 7, ..entry.clone() }, "refunds line 7, which is no charge"),
        (RefundEntry { request: request("r", 1), ..entry.clone() }, "differs from the charge in line 1"),
    ];
    for (damage, expected) in damages {
        let why = book_with_charge().replay_refund(damage).unwrap_err();
        assert!(why.contains(expected), "{why}");
    }
    let mut again = book_with_charge();
    again.replay_refund(entry.clone()).unwrap();
    assert_eq!(refund(&mut again, "k1"), RefundDecision::Decided(Arc::new(entry.clone())));
    assert!(again.replay_refund(RefundEntry { line: 3, ..entry }).unwrap_err().contains("was refunded before"));
}

//! The ledger file: what is remembered, what is repaired, what stops the start.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};

use super::{Job, LedgerError, Record, open, write};
use crate::book::{Entry, Outcome, Rules};
use crate::request::{Token, sample};

fn entry(line: u64, outcome: Outcome) -> Entry {
    Entry {
        line,
        outcome,
        key: format!("key-{line}"),
        request: sample(Token::Ok, &format!("ref-{line}")),
        time_ms: 1_700_000_000_000,
        key_again: false,
        reference_again: false,
    }
}

/// A ledger of one charge, one decline and one too-late mark, written by the writer itself.
fn ledger_of_three() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.jsonl");
    let ledger = open(&path).unwrap();
    assert_eq!(ledger.warning, None);
    let (sender, queue) = mpsc::channel(8);
    let mut replies = Vec::new();
    for (line, outcome) in [(1, Outcome::Charged), (2, Outcome::Declined), (3, Outcome::TooLate)] {
        let (done, reply) = oneshot::channel();
        sender.try_send(Job { record: Record::Charge(Arc::new(entry(line, outcome))), done }).unwrap();
        replies.push(reply);
    }
    drop(sender);
    write(ledger.file, queue).unwrap();
    for mut reply in replies {
        reply.try_recv().unwrap();
    }
    (folder, path)
}

fn append(path: &PathBuf, bytes: &[u8]) {
    let mut content = fs::read(path).unwrap();
    content.extend_from_slice(bytes);
    fs::write(path, content).unwrap();
}

#[test]
fn what_was_written_is_read_again() {
    let (_folder, path) = ledger_of_three();
    let mut ledger = open(&path).unwrap();
    assert_eq!(ledger.warning, None);
    assert_eq!(ledger.book.charges(), [Arc::new(entry(1, Outcome::Charged))]);
    for (line, outcome) in [(1, Outcome::Charged), (2, Outcome::Declined), (3, Outcome::TooLate)] {
        let expected = entry(line, outcome);
        let admission = ledger.book.admit(&expected.key, &expected.request, 0, &Rules::default());
        assert_eq!(admission, crate::book::Admission::Decided(Arc::new(expected)));
    }
}

#[test]
fn a_torn_last_line_is_cut_off_wherever_it_was_torn() {
    let (_folder, path) = ledger_of_three();
    let whole = fs::read(&path).unwrap();
    let last_line = serde_json::to_vec(&entry(4, Outcome::Charged)).unwrap();
    for length in 1..last_line.len() {
        fs::write(&path, &whole).unwrap();
        append(&path, &last_line[..length]);
        let ledger = open(&path).unwrap();
        assert!(ledger.warning.unwrap().contains("torn last line"), "torn after {length} bytes");
        assert_eq!(ledger.book.charges().len(), 1);
        assert_eq!(fs::read(&path).unwrap(), whole);
    }
}

#[test]
fn a_last_line_that_lacks_only_its_end_is_kept() {
    let (_folder, path) = ledger_of_three();
    let mut whole = fs::read(&path).unwrap();
    append(&path, &serde_json::to_vec(&entry(4, Outcome::Charged)).unwrap());
    let ledger = open(&path).unwrap();
    assert!(ledger.warning.unwrap().contains("completed the last line"));
    assert_eq!(ledger.book.charges().len(), 2);
    serde_json::to_writer(&mut whole, &entry(4, Outcome::Charged)).unwrap();
    whole.push(b'\n');
    assert_eq!(fs::read(&path).unwrap(), whole);
}

#[test]
fn any_other_damage_is_named_with_its_line_and_left_alone() {
    let (_folder, path) = ledger_of_three();
    let whole = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let damages = [
        (format!("{}\n{}\n", lines[0], lines[2]), 2, "numbered 3 but should be 2"),
        (format!("{}\nnonsense\n{}\n", lines[0], lines[2]), 2, "expected"),
        (format!("{}\n\n{}\n", lines[0], lines[1]), 2, "EOF"),
        (format!("{}\n{}\n", lines[0], lines[0].replace("\"line\":1", "\"line\":2")), 2, "was decided before"),
        (format!("{whole}{}", "x".repeat(5_000)), 4, "expected"),
        (whole.replace("\"outcome\"", "\"extra\":1,\"outcome\""), 1, "unknown field"),
    ];
    for (content, damaged_line, expected_reason) in damages {
        fs::write(&path, &content).unwrap();
        match open(&path).unwrap_err() {
            LedgerError::Damaged { line, reason, .. } => {
                assert_eq!(line, damaged_line, "{reason}");
                assert!(reason.contains(expected_reason), "{reason}");
            }
            other => panic!("expected damage, got {other}"),
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
    }
}

#[test]
fn a_second_provider_is_refused() {
    let (_folder, path) = ledger_of_three();
    let first = open(&path).unwrap();
    assert!(matches!(open(&path).unwrap_err(), LedgerError::InUse { .. }));
    drop(first);
    open(&path).unwrap();
}

#[test]
fn the_longest_line_fits() {
    let mut longest = entry(u64::MAX, Outcome::TooLate);
    longest.key = "\"".repeat(255);
    longest.request.reference = "\\".repeat(255);
    longest.request.token = Token::ChargeThenTimeout;
    longest.request.amount.amount_minor = i64::MIN;
    (longest.key_again, longest.reference_again) = (true, true);
    (longest.request.not_after_ms, longest.time_ms) = (i64::MIN, i64::MIN);
    let bytes = serde_json::to_vec(&longest).unwrap().len() as u64 + 1;
    assert!(bytes < super::LINE_MAX_BYTES, "{bytes} bytes");
}

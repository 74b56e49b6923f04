//! Planted histories: each check must reject its bad history and accept the good twin.

use super::*;
use crate::wire::Line;

fn pounds(amount_minor: i64) -> Money {
    Money { amount_minor, currency: "GBP".to_owned() }
}

fn order(id: &str, total: i64) -> Order {
    let lines = vec![
        Line { sku: "A".to_owned(), quantity: 2, unit_price: pounds(100), line_total: pounds(200) },
        Line { sku: "B".to_owned(), quantity: 1, unit_price: pounds(total - 200), line_total: pounds(total - 200) },
    ];
    Order { id: id.to_owned(), state: "completed".to_owned(), lines, total: pounds(total) }
}

fn in_state(state: &str, order: Order) -> Order {
    Order { state: state.to_owned(), ..order }
}

fn charge(id: &str, amount: i64) -> Charge {
    let (key, reference) = (id.to_owned(), id.to_owned());
    Charge { key, reference, amount: pounds(amount), time: "2026-01-01T00:00:00Z".to_owned() }
}

fn attempt(key: &str, total: i64, outcome: Outcome) -> Attempt {
    Attempt { key: key.to_owned(), expected_total: pounds(total), outcome }
}

fn acknowledged(id: &str, total: i64) -> Attempt {
    attempt(&format!("key-{id}"), total, Outcome::Acknowledged { order: id.to_owned(), total: pounds(total) })
}

fn session(attempts: &[Attempt], orders: &[Order]) -> SessionEvidence {
    SessionEvidence { attempts: attempts.to_vec(), orders: orders.to_vec() }
}

/// Two acknowledged checkouts, and one older charge of somebody else: everything in order.
fn good() -> Evidence {
    Evidence {
        sessions: vec![
            session(&[acknowledged("o1", 1_299)], &[order("o1", 1_299)]),
            session(&[acknowledged("o2", 500)], &[order("o2", 500)]),
        ],
        ledger_before: vec![charge("old", 1)],
        ledger_after: vec![charge("old", 1), charge("o1", 1_299), charge("o2", 500)],
        exclusive: true,
        gaps: Vec::new(),
    }
}

fn with_session(attempts: &[Attempt], orders: &[Order], charges: &[Charge]) -> Evidence {
    let mut evidence = good();
    evidence.sessions.push(session(attempts, orders));
    evidence.ledger_after.extend_from_slice(charges);
    evidence
}

#[track_caller]
fn passes(evidence: &Evidence) -> Audit {
    let audit = judge(evidence);
    assert_eq!(audit.verdict, Verdict::Pass, "{audit:?}");
    audit
}

#[track_caller]
fn fails(evidence: &Evidence, because: &str) {
    let audit = judge(evidence);
    assert_eq!(audit.verdict, Verdict::Fail, "{audit:?}");
    assert!(audit.discrepancies.iter().any(|sentence| sentence.contains(because)), "{because}: {audit:?}");
}

#[test]
fn the_good_history_passes_and_its_numbers_agree() {
    let audit = passes(&good());
    assert_eq!((audit.orders, audit.charges, audit.acknowledged, audit.recovered), (2, 2, 2, 0));
}

#[test]
fn a_lost_order_fails() {
    let mut evidence = good();
    evidence.sessions[0].orders.clear();
    fails(&evidence, "order o1 was acknowledged but is lost; charges: 1");
}

#[test]
fn an_acknowledged_order_in_another_state_fails() {
    for state in ["refunded", "declined", "accepted", "needs_attention"] {
        let mut evidence = good();
        evidence.sessions[0].orders[0].state = state.to_owned();
        fails(&evidence, &format!("acknowledged as completed but is {state}"));
    }
}

#[test]
fn a_double_charge_fails() {
    let mut evidence = good();
    evidence.ledger_after.push(Charge { key: "again".to_owned(), ..charge("o1", 1_299) });
    fails(&evidence, "order o1 was charged 2 times");
    evidence.exclusive = false;
    fails(&evidence, "order o1 was charged 2 times");
    // The same row twice, too: equal rows must not merge.
    let mut evidence = good();
    evidence.ledger_after.push(charge("o1", 1_299));
    fails(&evidence, "order o1 was charged 2 times");
}

#[test]
fn a_wrong_amount_fails_and_so_does_a_wrong_currency() {
    let mut evidence = good();
    evidence.ledger_after[1].amount = pounds(1_300);
    fails(&evidence, "order o1 costs 1299 minor units GBP but 1300 minor units GBP was charged");
    let mut evidence = good();
    evidence.ledger_after[1].amount.currency = "USD".to_owned();
    fails(&evidence, "1299 minor units USD was charged");
}

#[test]
fn a_charge_under_a_foreign_key_fails() {
    let mut evidence = good();
    evidence.ledger_after[1].key = "per-attempt".to_owned();
    fails(&evidence, "foreign key per-attempt");
}

#[test]
fn lines_must_add_up_to_the_total() {
    let mut evidence = good();
    evidence.sessions[0].orders[0].lines[1].line_total = pounds(1);
    fails(&evidence, "do not add up");
    let mut evidence = good();
    evidence.sessions[0].orders[0].lines.pop();
    fails(&evidence, "do not add up");
    let mut evidence = good();
    evidence.sessions[0].orders[0].lines.clear();
    fails(&evidence, "do not add up");
}

#[test]
fn the_customer_pays_what_was_agreed() {
    let mut evidence = good();
    evidence.sessions[0].attempts[0].expected_total = pounds(999);
    fails(&evidence, "agreed on 999 minor units GBP");
}

#[test]
fn an_acknowledgement_without_a_charge_fails() {
    let mut evidence = good();
    evidence.ledger_after.remove(1);
    fails(&evidence, "order o1 has no charge");
}

#[test]
fn a_charge_nobody_ordered_fails_when_the_run_is_exclusive() {
    let mut evidence = good();
    evidence.ledger_after.push(charge("stranger", 7));
    fails(&evidence, "for stranger, which is no order of ours");
    evidence.exclusive = false;
    let audit = passes(&evidence);
    assert_eq!(audit.charges, 2);
    // The twin: made before the run.
    let mut evidence = good();
    evidence.ledger_before.push(charge("stranger", 7));
    evidence.ledger_after.push(charge("stranger", 7));
    passes(&evidence);
}

#[test]
fn a_ledger_that_forgets_fails() {
    let mut evidence = good();
    evidence.ledger_after.remove(0);
    fails(&evidence, "the ledger lost or changed the charge for old");
}

#[test]
fn an_unknown_may_end_with_order_and_charge_or_with_neither() {
    let unknown = |order: Option<&str>| [attempt("key-u", 700, Outcome::Unknown { order: order.map(str::to_owned) })];
    for named in [None, Some("u")] {
        let audit = passes(&with_session(&unknown(named), &[order("u", 700)], &[charge("u", 700)]));
        assert_eq!((audit.orders, audit.charges, audit.acknowledged, audit.recovered), (3, 3, 2, 1));
        let declined = in_state("declined", order("u", 700));
        let audit = passes(&with_session(&unknown(named), &[declined], &[]));
        assert_eq!((audit.recovered, audit.unknown_without_effect), (0, 1));
        fails(&with_session(&unknown(named), &[order("u", 700)], &[]), "order u has no charge");
        let open = in_state("needs_attention", order("u", 700));
        fails(&with_session(&unknown(named), &[open], &[charge("u", 700)]), "order u is still open");
        let declined = in_state("declined", order("u", 700));
        fails(&with_session(&unknown(named), &[declined], &[charge("u", 700)]), "order u is declined but charged");
    }
    assert_eq!(passes(&with_session(&unknown(None), &[], &[])).unknown_without_effect, 1);
    fails(&with_session(&unknown(Some("u")), &[], &[]), "answered with 202, then vanished");
    fails(&with_session(&unknown(None), &[], &[charge("u", 700)]), "which is no order of ours");
}

#[test]
fn one_unknown_explains_one_order_only() {
    let unknown = [attempt("key-u", 700, Outcome::Unknown { order: None })];
    let two = [order("u", 700), order("v", 700)];
    fails(&with_session(&unknown, &two, &[charge("u", 700), charge("v", 700)]), "never asked");
}

#[test]
fn a_refused_checkout_leaves_no_order_and_no_charge() {
    let declined = [attempt("key-d", 700, Outcome::Declined { operation: Some("d".to_owned()) })];
    passes(&with_session(&declined, &[], &[]));
    fails(&with_session(&declined, &[], &[charge("d", 700)]), "operation d was refused to its customer, but charged");
    fails(&with_session(&declined, &[order("d", 700)], &[charge("d", 700)]), "told otherwise");
    let problem = "total-changed".to_owned();
    let refused = attempt("key-c", 600, Outcome::Refused { problem, operation: None });
    passes(&with_session(&[refused.clone(), acknowledged("o3", 700)], &[order("o3", 700)], &[charge("o3", 700)]));
    fails(&with_session(&[refused], &[order("o3", 700)], &[charge("o3", 700)]), "told otherwise");
}

#[test]
fn two_keys_may_not_get_the_same_order() {
    let other = Attempt { key: "key-z".to_owned(), ..acknowledged("o3", 700) };
    let twice = [acknowledged("o3", 700), other];
    fails(&with_session(&twice, &[order("o3", 700)], &[charge("o3", 700)]), "answered two different keys");
}

#[test]
fn an_order_shown_to_two_sessions_fails() {
    let mut evidence = good();
    evidence.sessions[1].orders.push(order("o1", 1_299));
    fails(&evidence, "order o1 is listed more than once");
}

#[test]
fn nothing_acknowledged_or_unread_evidence_is_unknown_and_not_a_pass() {
    let empty = judge(&Evidence { exclusive: true, ..Evidence::default() });
    assert_eq!(empty.verdict, Verdict::Unknown);
    let unread = Evidence { gaps: vec!["a session could not be read".to_owned()], ..good() };
    assert_eq!(judge(&unread).verdict, Verdict::Unknown);
    // The charges of a session that could not be read are unjudged, not strangers.
    let mut half = unread.clone();
    half.sessions.pop();
    assert_eq!(judge(&half).verdict, Verdict::Unknown);
    // A proven fault outweighs a gap.
    let mut both = unread;
    both.sessions[0].orders.clear();
    assert_eq!(judge(&both).verdict, Verdict::Fail);
}

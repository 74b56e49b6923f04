//! What an operator sees: ages instead of times, amounts instead of minor units, and sentences.

use contract::{
    orders::{Action, AttentionItem, AttentionKind, OrderState},
    shop::Inspected,
};
use runtime::rfc3339;
use uuid::Uuid;

/// Longest reason in a table, in characters; `show` has all of it.
const REASON_CHARS_MAX: usize = 60;

/// The queue as a table.
pub(super) fn list(items: &[AttentionItem], now_ms: i64) -> String {
    if items.is_empty() {
        return "nothing waits for a person".to_owned();
    }
    let headings = ["ID", "KIND", "AGE", "AMOUNT", "TRIES", "REASON"].map(str::to_owned);
    let row = |item: &AttentionItem| {
        [
            item.id.to_string(),
            kind(item.kind).to_owned(),
            age(item.since_ms, now_ms),
            item.amount.map_or_else(|| "-".to_owned(), |amount| amount.to_string()),
            item.attempts.to_string(),
            shortened(&item.reason),
        ]
    };
    let rows: Vec<[String; 6]> = std::iter::once(headings).chain(items.iter().map(row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..6).map(width).collect();
    let line = |row: &[String; 6]| {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// All about one item.
pub(super) fn item(shown: &Inspected, now_ms: i64) -> String {
    let (detail, item) = (&shown.detail, &shown.detail.item);
    let mut lines = vec![format!("{} {}", kind(item.kind), item.id)];
    let mut fact = |name: &str, value: Option<String>| {
        lines.extend(value.map(|value| format!("  {name:<12}{value}")));
    };
    fact("state", detail.state.map(|state| name(state).to_owned()));
    fact("reference", item.operation.map(|operation| operation.to_string()));
    fact("amount", item.amount.map(|amount| amount.to_string()));
    fact("opened", detail.created_at_ms.map(|at_ms| format!("{} ({} ago)", rfc3339(at_ms), age(at_ms, now_ms))));
    fact("last charge", detail.not_after_ms.map(rfc3339));
    fact("since", Some(format!("{} ({} ago)", rfc3339(item.since_ms), age(item.since_ms, now_ms))));
    fact("reason", Some(item.reason.clone()));
    lines.push("\nWhat is known".to_owned());
    lines.extend(shown.proven.iter().map(|sentence| format!("  {sentence}")));
    if !detail.attempts.is_empty() {
        lines.push(format!("\nTries ({} in all, the last ones here)", item.attempts));
        lines.extend(detail.attempts.iter().map(|attempt| format!("  {}  {}", rfc3339(attempt.at_ms), attempt.reason)));
    }
    if !detail.actions.is_empty() {
        lines.push("\nWhat people did".to_owned());
        let told = detail.actions.iter().map(|action| {
            let (at, what) = (rfc3339(action.at_ms), action_name(&action.action));
            format!("  {at}  {} said {what}: {}", action.operator, action.note)
        });
        lines.extend(told);
    }
    lines.join("\n")
}

/// The answer to a decision.
pub(super) fn done(id: Uuid, state: Option<OrderState>) -> String {
    match state {
        Some(state) => format!("done: {id} is {}", name(state)),
        None => format!("done: {id}"),
    }
}

const fn kind(kind: AttentionKind) -> &'static str {
    match kind {
        AttentionKind::Checkout => "checkout",
        AttentionKind::Event => "event",
        AttentionKind::Mismatch => "mismatch",
    }
}

const fn name(state: OrderState) -> &'static str {
    match state {
        OrderState::Accepted => "accepted",
        OrderState::NeedsAttention => "needs attention",
        OrderState::Completed => "completed",
        OrderState::Declined => "declined",
        OrderState::Refused => "refused",
        OrderState::Refunded => "refunded",
    }
}

fn action_name(action: &Action) -> String {
    match action {
        Action::Retry => "retry".to_owned(),
        Action::Charged { provider_id } => format!("charged ({provider_id})"),
        Action::NotCharged => "not charged".to_owned(),
        Action::Refunded { refund_id } => format!("refund ({refund_id})"),
    }
}

fn shortened(reason: &str) -> String {
    let one_line = reason.replace(['\n', '\r'], " ");
    if one_line.chars().count() <= REASON_CHARS_MAX {
        return one_line;
    }
    let start: String = one_line.chars().take(REASON_CHARS_MAX - 3).collect();
    format!("{start}...")
}

/// In the largest unit that fits twice, so that "1 h" never stands for 119 minutes.
fn age(since_ms: i64, now_ms: i64) -> String {
    let seconds = now_ms.saturating_sub(since_ms).max(0) / 1_000;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use contract::{
        Money, OperationId,
        orders::{ActionRecord, AttemptRecord, AttentionDetail},
    };

    use super::*;

    fn waiting(kind: AttentionKind, amount: Option<Money>, reason: &str) -> AttentionItem {
        let id = Uuid::from_u128(1);
        let operation = Some(OperationId(id));
        AttentionItem { id, kind, operation, reason: reason.to_owned(), amount, since_ms: 0, attempts: 20 }
    }

    #[test]
    fn the_queue_is_a_table_with_ages_and_amounts() {
        let items = [
            waiting(AttentionKind::Checkout, Some(Money::gbp(1299)), "charge: timeout"),
            waiting(AttentionKind::Mismatch, None, &"very ".repeat(40)),
        ];
        let text = list(&items, 7_200_000);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "ID                                    KIND      AGE  AMOUNT  TRIES  REASON");
        assert_eq!(lines[1], "00000000-0000-0000-0000-000000000001  checkout  2 h  £12.99  20     charge: timeout");
        assert!(lines[2].contains("mismatch  2 h  -       20     very") && lines[2].ends_with("..."), "{text}");
        assert_eq!(list(&[], 0), "nothing waits for a person");
        assert_eq!(["0 s", "119 s", "2 min"], [0, 119_999, 120_000].map(|now_ms| age(0, now_ms)));
        assert_eq!(["119 min", "47 h", "2 d"], [7_199_999, 172_799_999, 172_800_000].map(|now_ms| age(0, now_ms)));
        assert_eq!(age(5_000, 0), "0 s", "a database whose clock is ahead");
    }

    #[test]
    fn an_item_tells_what_is_proven_and_who_did_what() {
        let detail = AttentionDetail {
            item: waiting(AttentionKind::Checkout, Some(Money::gbp(1299)), "charge: timeout"),
            state: Some(OrderState::NeedsAttention),
            created_at_ms: Some(0),
            not_after_ms: Some(3_600_000),
            attempts: vec![AttemptRecord { at_ms: 1_000, reason: "charge: 504".to_owned() }],
            actions: vec![ActionRecord {
                at_ms: 2_000,
                action: Action::Retry,
                operator: "ada".to_owned(),
                note: "provider is back".to_owned(),
            }],
        };
        let proven = vec!["Not proven either way: 1 of 1 tries may have reached the provider.".to_owned()];
        let text = item(&Inspected { detail, charge: None, proven }, 60_000);
        for part in [
            "checkout 00000000-0000-0000-0000-000000000001\n  state       needs attention\n",
            "  reference   00000000-0000-0000-0000-000000000001\n  amount      £12.99\n",
            "What is known\n  Not proven either way: 1 of 1 tries",
            "  1970-01-01T00:00:01Z  charge: 504\n",
            "  1970-01-01T00:00:02Z  ada said retry: provider is back",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }
}

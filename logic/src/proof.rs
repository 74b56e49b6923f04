//! What the records about an item prove, and what they do not: in sentences, for the person who decides (CO-21). Whoever
//! reads "not found at the provider" as "not charged" loses or doubles money; so it is spelled out here.

use contract::{
    orders::{AttentionDetail, AttentionKind},
    payments::{ChargeRecord, ChargeStatus},
};
use runtime::rfc3339;

/// The sentences, most important first. `now_ms` is this node's clock, used for wording only.
pub(crate) fn sentences(detail: &AttentionDetail, charge: Option<&ChargeRecord>, now_ms: i64) -> Vec<String> {
    let mut proven = Vec::new();
    match detail.item.kind {
        AttentionKind::Checkout => {}
        AttentionKind::Event => {
            proven.push("The checkout has ended; what follows from it was not delivered, and waits.".to_owned());
        }
        AttentionKind::Mismatch if detail.item.operation.is_none() => {
            proven.push("The provider's reference is none of this shop's checkouts.".to_owned());
        }
        AttentionKind::Mismatch => {
            proven.push("The provider's ledger and ours were both read, and they differ.".to_owned());
        }
    }
    if detail.item.operation.is_some() {
        proven.extend(of_charge(charge));
    }
    if let Some(not_after_ms) = detail.not_after_ms.filter(|_| is_open(charge)) {
        let until = rfc3339(not_after_ms);
        proven.push(if now_ms <= not_after_ms {
            format!("Until {until} the provider may still execute a first charge.")
        } else {
            format!("Since {until} the provider executes no first charge any more.")
        });
    }
    proven
}

fn is_open(charge: Option<&ChargeRecord>) -> bool {
    matches!(
        charge,
        Some(ChargeRecord { status: Some(ChargeStatus::Pending { .. } | ChargeStatus::Lapsed { .. }), .. })
    )
}

fn of_charge(charge: Option<&ChargeRecord>) -> Vec<String> {
    let Some(record) = charge else {
        return vec!["Proven: nothing was ever sent to the provider for this checkout.".to_owned()];
    };
    let sends = |attempts: u32, maybe_sent: u32| {
        if maybe_sent == 0 {
            format!("Proven: none of {attempts} tries has left this shop, so nothing was charged.")
        } else {
            format!("Not proven either way: {maybe_sent} of {attempts} tries may have reached the provider.")
        }
    };
    let mut proven = match &record.status {
        Some(ChargeStatus::Charged { provider_id }) => {
            vec![format!("Proven: money was taken, once, as {provider_id}.")]
        }
        Some(ChargeStatus::Declined { code }) => {
            vec![format!("Proven: the provider declined ({code}); nothing was charged.")]
        }
        Some(ChargeStatus::Pending { reason, .. }) => {
            vec![sends(record.attempts, record.maybe_sent), format!("Seen last: {reason}.")]
        }
        Some(ChargeStatus::Lapsed { reason }) => vec![
            sends(record.attempts, record.maybe_sent),
            format!("Seen last: {reason}. That a look-up shows no charge is no proof that there is none."),
        ],
        None if record.maybe_sent == 0 => vec!["Proven: closed before anything was sent.".to_owned()],
        None => vec![
            "Closed on a person's word.".to_owned(),
            format!("Not proven: {} of {} tries may have reached the provider.", record.maybe_sent, record.attempts),
        ],
    };
    proven.extend(record.note.as_ref().map(|note| format!("A person said: {note}")));
    proven.extend(record.refund_id.as_ref().map(|refund| format!("Proven: the money was paid back, as {refund}.")));
    proven
}

#[cfg(test)]
mod tests {
    use contract::{
        Money, OperationId,
        orders::{AttentionItem, OrderState},
    };
    use uuid::Uuid;

    use super::*;

    fn detail(kind: AttentionKind) -> AttentionDetail {
        let id = Uuid::from_u128(1);
        let item = AttentionItem {
            id,
            kind,
            operation: Some(OperationId(id)),
            reason: "charge: timeout".to_owned(),
            amount: Some(Money::gbp(1299)),
            since_ms: 0,
            attempts: 20,
        };
        let state = Some(OrderState::NeedsAttention);
        AttentionDetail {
            item,
            state,
            created_at_ms: Some(0),
            not_after_ms: Some(60_000),
            attempts: Vec::new(),
            actions: Vec::new(),
        }
    }

    fn said(status: Option<ChargeStatus>, maybe_sent: u32, now_ms: i64) -> String {
        let record = ChargeRecord { status, attempts: 3, maybe_sent, note: None, refund_id: None };
        sentences(&detail(AttentionKind::Checkout), Some(&record), now_ms).join(" ")
    }

    #[test]
    fn only_what_cannot_be_otherwise_is_called_proven() {
        let reason = || "404".to_owned();
        let lapsed = || Some(ChargeStatus::Lapsed { reason: reason() });
        assert!(said(lapsed(), 1, 0).starts_with("Not proven either way: 1 of 3 tries"));
        assert!(said(lapsed(), 1, 0).contains("Until 1970-01-01T00:01:00Z the provider may still"));
        assert!(said(lapsed(), 0, 60_001).starts_with("Proven: none of 3 tries has left this shop"));
        assert!(said(lapsed(), 0, 60_001).contains("Since 1970-01-01T00:01:00Z the provider executes no first"));
        let pending = Some(ChargeStatus::Pending { reason: reason(), retry_after_ms: 0 });
        assert!(said(pending, 2, 0).starts_with("Not proven either way: 2 of 3 tries"));
        let charged = Some(ChargeStatus::Charged { provider_id: "ch_1".to_owned() });
        assert_eq!(said(charged, 1, 0), "Proven: money was taken, once, as ch_1.");
        assert!(said(None, 0, 0).starts_with("Proven: closed before anything was sent."));
        assert!(said(None, 1, 0).contains("Not proven: 1 of 3"), "a person's word is not a proof");
        let nothing = sentences(&detail(AttentionKind::Checkout), None, 0);
        assert_eq!(nothing, ["Proven: nothing was ever sent to the provider for this checkout."]);
    }
}

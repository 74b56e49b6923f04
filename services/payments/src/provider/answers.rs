//! What each of the provider's answers proves (CO-17). Data, to be reviewed line by line against the provider's
//! document; what is not listed proves nothing.

/// What an answer proves about the charge under its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// Taken, if the body names the same charge.
    Charged,
    /// Never taken under this key.
    Declined,
    /// This attempt did nothing, and another like it will not either.
    Rejected,
    /// This attempt did nothing.
    NotExecuted,
    /// Nothing.
    Unknown,
}

/// Status, code, proof. The code is the body's `code`, or its `status` where it has no code.
const CHARGES: &[(u16, &str, Proof)] = &[
    (200, "charged", Proof::Charged),
    // Remembered by the provider under the key.
    (402, "card_declined", Proof::Declined),
    // Remembered too: the provider's clock passed `not_after_ms` with nothing charged.
    (410, "too_late", Proof::Declined),
    // Unusable parameters, which every attempt under this key shares (CO-4); but also a body that broke off on the way,
    // which says nothing about other attempts.
    (400, "bad_request", Proof::Rejected),
    // Refused before the key is looked at.
    (429, "rate_limited", Proof::NotExecuted),
    (503, "overloaded", Proof::NotExecuted),
    // Another attempt under this key is executing; how it ends is open.
    (409, "in_progress", Proof::Unknown),
    // Key and reference are both our operation id, so these two mean that somebody else uses our ids, or that we broke
    // CO-4. Neither is a decline: money may have been taken.
    (409, "reference_used", Proof::Unknown),
    (422, "key_reused", Proof::Unknown),
    (500, "internal_error", Proof::Unknown),
];

/// What an answer proves about the refund under its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RefundProof {
    /// Paid back, if the body names the same charge.
    Refunded,
    /// Never paid back.
    Refused,
    /// Nothing for good.
    Unknown,
}

/// Status, code, proof. A refund that was made has no code.
const REFUNDS: &[(u16, &str, RefundProof)] = &[
    (200, "", RefundProof::Refunded),
    // The provider's charge has another amount, and always will have.
    (422, "full_amount_only", RefundProof::Refused),
    // A person did it by hand, under a key of their own: paid back, but not by us, and so for a person to look at.
    (409, "already_refunded", RefundProof::Unknown),
    // No charge so far; one may still be on its way.
    (404, "not_found", RefundProof::Unknown),
    (409, "in_progress", RefundProof::Unknown),
    (422, "key_reused", RefundProof::Unknown),
    (400, "bad_request", RefundProof::Unknown),
    (429, "rate_limited", RefundProof::Unknown),
    (503, "overloaded", RefundProof::Unknown),
    (500, "internal_error", RefundProof::Unknown),
];

/// What an answer to a charge proves.
pub(super) fn proof(status: u16, code: &str) -> Option<Proof> {
    listed(CHARGES, status, code)
}

/// What an answer to a refund proves.
pub(super) fn refund_proof(status: u16, code: &str) -> Option<RefundProof> {
    listed(REFUNDS, status, code)
}

/// None for an answer that is not listed: who has given it, and whether the provider works on, is open too.
fn listed<P: Copy>(table: &[(u16, &str, P)], status: u16, code: &str) -> Option<P> {
    table.iter().find(|(known, name, _)| (*known, *name) == (status, code)).map(|(_, _, proof)| *proof)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_listed_proves_nothing() {
        assert_eq!(proof(410, "too_late"), Some(Proof::Declined));
        for (status, code) in [
            (200, ""),
            (200, "pending"),
            (402, ""),
            (402, "new_code"),
            (404, "not_found"),
            (429, ""),
            (500, "rate_limited"),
            (503, ""),
        ] {
            assert_eq!(proof(status, code), None, "{status} {code}");
        }
    }

    #[test]
    fn only_a_refund_that_is_named_is_one() {
        assert_eq!(refund_proof(200, ""), Some(RefundProof::Refunded));
        assert_eq!(refund_proof(422, "full_amount_only"), Some(RefundProof::Refused));
        for (status, code) in [(404, "not_found"), (409, "already_refunded"), (500, "internal_error")] {
            assert_eq!(refund_proof(status, code), Some(RefundProof::Unknown), "{status} {code}");
        }
        for (status, code) in [(200, "pending"), (422, ""), (500, ""), (402, "card_declined")] {
            assert_eq!(refund_proof(status, code), None, "{status} {code}");
        }
    }

    #[test]
    fn no_answer_is_listed_twice() {
        none_twice(CHARGES);
        none_twice(REFUNDS);
    }

    fn none_twice<P>(table: &[(u16, &str, P)]) {
        for (at, (status, code, _)) in table.iter().enumerate() {
            assert!(!table[..at].iter().any(|(other, name, _)| (other, name) == (status, code)), "{status} {code}");
        }
    }
}

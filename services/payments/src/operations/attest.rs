//! `payments.attest`: a person has seen the charge at the provider.

use contract::{
    CallError, Outcome, Repeatable,
    payments::{Attest, AttestRefusal},
};

use super::{check_evidence, check_text};
use crate::{
    App,
    store::{Sighted, Sighting},
};

pub(crate) async fn attest(app: App, op: Attest, _: Repeatable) -> Outcome<Attest> {
    check_evidence(&op.evidence)?;
    check_text("the provider's name for the charge", &op.provider_id)?;
    let Attest { operation, provider_id, evidence } = op;
    let sighting = Sighting { operation, provider_id, amount: None, evidence: Some(evidence) };
    match app.gateway.charges().sight(&sighting).await? {
        Sighted::News | Sighted::Known => Ok(()),
        Sighted::NoIntent => Err(CallError::Refused(AttestRefusal::NoIntent)),
        Sighted::Contradicts { .. } => Err(CallError::Refused(AttestRefusal::DecidedOtherwise)),
    }
}

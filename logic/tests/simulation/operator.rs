//! The person who decides what the machine cannot (CO-20 to CO-22): looks into the provider's book and says what is there.

use contract::{
    OperationId,
    orders::{AttentionItem, AttentionKind},
    shop::{Decision, Resolve},
};

use crate::{counts::Counts, world::World};

/// Decides all that waits for a person. What is refused, because the provider may still act, is decided another time.
pub(crate) async fn decide(world: &World, waiting: &[AttentionItem]) {
    for item in waiting.iter().filter(|item| item.kind == AttentionKind::Checkout) {
        let charges = world.provider.charges();
        let charge = charges.iter().find(|charge| charge.reference == item.id.to_string());
        let decision =
            charge.map_or(Decision::NotCharged, |charge| Decision::Charged { provider_id: charge.id.clone() });
        let (operator, note) = ("ada".to_owned(), "seen in the provider's book".to_owned());
        let request = Resolve { id: item.id, decision, operator, note };
        let done = world.shop.call(&request, OperationId(world.chance.uuid()).into()).await;
        world.chance.note(&format!("operator: {} {:?}: {done:?}", item.id, request.decision));
        if done.is_ok() {
            Counts::add(&world.counts.attention);
        }
    }
}

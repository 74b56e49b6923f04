//! The variants: which must hold, and which property must catch each of the others.

use crate::properties::{
    ANSWER_STANDS, ENDS, NO_ORDER_NO_CHARGE, ONE_CHARGE, ONE_ORDER, ORDER_IS_PAID, RECORD_IS_TRUE, SOLD_IS_ORDERED,
    STOCK_FOLLOWS,
};
use crate::variant::{FULL, Forgets, Mutant, Variant, WEAK, World};

const fn sound_as(name: &'static str, world: World) -> Variant {
    Variant { name, world, mutant: Mutant::None, caught_by: &[] }
}

const fn mutant(name: &'static str, world: World, mutant: Mutant, caught_by: &'static [&'static str]) -> Variant {
    Variant { name, world, mutant, caught_by }
}

/// Only `not_after`, and keys outlive every request that is under way.
const NO_REFERENCE: World = World { reference: false, forgets: Forgets::NothingUnderWay, ..FULL };
/// Contradicts itself: after it forgot a key it says "too late" of a charge that was made, but not before we recorded it.
const CONTRADICTS: World = World { reference: false, forgets: Forgets::AllRecorded, ..FULL };
/// Keys are forgotten while requests are under way, and only `not_after` is left.
const PAUSED: World = World { reference: false, ..FULL };
const UNTRUSTED: World = World { too_late_declines: false, ..PAUSED };

pub(crate) fn sound() -> Vec<Variant> {
    vec![
        sound_as("the protocol", FULL),
        sound_as("no lease", World { lease: false, ..FULL }),
        sound_as("provider without reference, requests bounded", NO_REFERENCE),
        sound_as("provider without both, requests bounded", WEAK),
        sound_as("provider contradicts a recorded charge", CONTRADICTS),
        sound_as("pause, only not_after, \"too late\" proves nothing", UNTRUSTED),
        Variant { mutant: Mutant::CloseEarly, ..sound_as("an unsent charge is closed before not_after", FULL) },
    ]
}

pub(crate) fn mutants() -> Vec<Variant> {
    let pause = Forgets::Anytime;
    vec![
        mutant("timeout stored as final", FULL, Mutant::TimeoutFinal, &[NO_ORDER_NO_CHARGE]),
        mutant("no guard on update", FULL, Mutant::NoGuard, &[ONE_ORDER]),
        mutant("not found: abandon", FULL, Mutant::NotFoundAbandons, &[NO_ORDER_NO_CHARGE]),
        mutant("re-send after key expiry", WEAK, Mutant::ResendAfterExpiry, &[ONE_CHARGE]),
        mutant("new key per attempt", NO_REFERENCE, Mutant::KeyPerAttempt, &[ONE_CHARGE]),
        mutant("reaper deletes unfinished", FULL, Mutant::GreedyReaper, &[ONE_CHARGE]),
        mutant(
            "pause before the send, provider without both",
            World { forgets: pause, ..WEAK },
            Mutant::None,
            &[ONE_CHARGE],
        ),
        mutant("pause, only the reference", World { not_after: false, ..FULL }, Mutant::None, &[NO_ORDER_NO_CHARGE]),
        mutant("pause, only not_after", PAUSED, Mutant::None, &[NO_ORDER_NO_CHARGE]),
        mutant("release leaves no mark", FULL, Mutant::ReleaseWithoutMark, &[STOCK_FOLLOWS]),
        mutant("close leaves no mark", FULL, Mutant::CloseWithoutMark, &[NO_ORDER_NO_CHARGE]),
        mutant("refused without a close", FULL, Mutant::RefuseWithoutClose, &[NO_ORDER_NO_CHARGE]),
        mutant("close though maybe sent", FULL, Mutant::CloseMaybeSent, &[NO_ORDER_NO_CHARGE]),
        mutant("settle before complete", FULL, Mutant::SettleBeforeComplete, &[SOLD_IS_ORDERED]),
        mutant("settle before charge", FULL, Mutant::SettleBeforeCharge, &[SOLD_IS_ORDERED]),
        mutant("decide overwrites the first decision", CONTRADICTS, Mutant::DecideOverwrites, &[RECORD_IS_TRUE]),
        mutant("reserve after release", FULL, Mutant::ReserveAfterRelease, &[STOCK_FOLLOWS]),
        mutant("out of stock not remembered", FULL, Mutant::OutOfStockForgotten, &[NO_ORDER_NO_CHARGE]),
        mutant("loser of the claim drives its own id", FULL, Mutant::LoserDrives, &[NO_ORDER_NO_CHARGE]),
        mutant("take-over reads prices again", FULL, Mutant::ResumeReprices, &[ORDER_IS_PAID]),
        mutant("intent after the send", FULL, Mutant::IntentAfterSend, &[NO_ORDER_NO_CHARGE]),
        mutant("unknown attempt taken back", FULL, Mutant::UnknownTakenBack, &[NO_ORDER_NO_CHARGE]),
        mutant("a rejection decides alone", FULL, Mutant::RejectDecides, &[NO_ORDER_NO_CHARGE]),
        mutant("client told before the order", FULL, Mutant::AnswerBeforeComplete, &[ANSWER_STANDS]),
        mutant("event forgotten before delivery", FULL, Mutant::AckBeforeDelivery, &[STOCK_FOLLOWS]),
        mutant("outbox apart from the end", FULL, Mutant::OutboxApart, &[STOCK_FOLLOWS]),
        mutant("no completer", FULL, Mutant::NoCompleter, &[ENDS]),
    ]
}

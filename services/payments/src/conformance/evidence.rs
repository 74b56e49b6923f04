//! Closing with evidence, sightings, refunds, and what is shown of them.

use std::sync::Arc;

use contract::{
    Money,
    payments::{ChargeRecord, ChargeStatus, CloseRefusal, Evidence},
};
use tokio::task::JoinSet;

use super::{
    LATER_MS, begin, begin_again_would_be_late, charged, decide, declined, intent, not_sent, once, short_window,
};
use crate::store::{
    Begin, BeginRefund, Booked, Decision, Intent, Outcome, PaymentStore, RefundDecision, RefundStanding, Sighted,
    Sighting, Standing,
};

pub(super) async fn suite(make: &impl AsyncFn() -> Arc<dyn PaymentStore>) {
    evidence_closes_what_may_have_been_sent(&*make().await).await;
    a_sighting_is_a_decision(&*make().await).await;
    sightings_and_decisions_that_race_agree(make().await).await;
    a_charge_is_paid_back_once(&*make().await).await;
    what_cannot_be_paid_back(&*make().await).await;
    refunds_that_race_agree(make().await).await;
    pages_show_all_rows_once(&*make().await).await;
}

fn evidence() -> Evidence {
    Evidence { operator: "ada".to_owned(), note: "not in the console".to_owned() }
}

async fn evidence_closes_what_may_have_been_sent(store: &dyn PaymentStore) {
    let early = intent(1, LATER_MS);
    begin(store, &early).await;
    let refused = Err(CloseRefusal::MayStillHappen);
    assert_eq!(store.close(early.operation, Some(&evidence())).await.unwrap(), refused, "the window is open");
    let maybe = short_window(store, 2).await;
    let never = short_window(store, 3).await;
    not_sent(store, &never).await;
    begin_again_would_be_late(store, &never).await;
    assert_eq!(store.close(maybe.operation, None).await.unwrap(), refused);
    for _ in 0..2 {
        assert_eq!(store.close(maybe.operation, Some(&evidence())).await.unwrap(), Ok(()));
    }
    assert_eq!(begin(store, &maybe).await, Begin::Stands(Standing::Closed));
    let record = store.inspect(maybe.operation).await.unwrap().unwrap();
    let note = Some("ada: not in the console".to_owned());
    assert_eq!(record, ChargeRecord { status: None, attempts: 2, maybe_sent: 2, note, refund_id: None });
}

fn seen(intent: &Intent, provider_id: &str, amount: Option<Money>) -> Sighting {
    let evidence = amount.is_none().then(evidence);
    Sighting { operation: intent.operation, provider_id: provider_id.to_owned(), amount, evidence }
}

async fn a_sighting_is_a_decision(store: &dyn PaymentStore) {
    let sight = async |sighting: &Sighting| store.sight(sighting).await.unwrap();
    let one = intent(1, LATER_MS);
    let (by_event, by_person) = (seen(&one, "ch_1", Some(one.amount)), seen(&one, "ch_1", None));
    assert_eq!(sight(&by_event).await, Sighted::NoIntent);
    begin(store, &one).await;
    let other_amount = seen(&one, "ch_1", Some(Money::gbp(1)));
    assert!(matches!(sight(&other_amount).await, Sighted::Contradicts { .. }));
    assert_eq!(store.look(&one).await.unwrap(), Standing::Open);
    assert_eq!(sight(&by_event).await, Sighted::News);
    assert_eq!(sight(&by_event).await, Sighted::Known);
    assert_eq!(sight(&by_person).await, Sighted::Known);
    assert!(matches!(sight(&seen(&one, "ch_2", None)).await, Sighted::Contradicts { .. }));
    assert_eq!(store.look(&one).await.unwrap(), Standing::Decided(charged("ch_1")));
    assert_eq!(decide(store, &one, &declined("late")).await, Standing::Decided(charged("ch_1")));

    let two = intent(2, LATER_MS);
    begin(store, &two).await;
    assert_eq!(sight(&seen(&two, "ch_2", None)).await, Sighted::News);
    let record = store.inspect(two.operation).await.unwrap().unwrap();
    assert_eq!(record.note.as_deref(), Some("ada: not in the console"));
    assert_eq!(record.status, Some(ChargeStatus::Charged { provider_id: "ch_2".to_owned() }));

    let (three, four) = (intent(3, LATER_MS), intent(4, LATER_MS));
    begin(store, &three).await;
    decide(store, &three, &declined("no")).await;
    store.close(four.operation, None).await.unwrap().unwrap();
    for (ended, stands) in [(three, Standing::Decided(declined("no"))), (four, Standing::Closed)] {
        assert!(matches!(sight(&seen(&ended, "ch_9", Some(ended.amount))).await, Sighted::Contradicts { .. }));
        assert_eq!(store.look(&ended).await.unwrap(), stands, "the record stands");
    }
}

async fn sightings_and_decisions_that_race_agree(store: Arc<dyn PaymentStore>) {
    let intent = intent(1, LATER_MS);
    begin(&*store, &intent).await;
    let mut tries = JoinSet::new();
    for n in 0..16 {
        let (store, intent) = (store.clone(), intent.clone());
        tries.spawn(async move {
            if n % 2 == 0 {
                let decision = Decision::Declined { code: n.to_string() };
                decide(&*store, &intent, &decision).await == Standing::Decided(decision)
            } else {
                store.sight(&seen(&intent, &n.to_string(), None)).await.unwrap() == Sighted::News
            }
        });
    }
    let won = tries.join_all().await;
    assert_eq!(won.iter().filter(|won| **won).count(), 1, "{won:?}");
}

async fn begin_refund(store: &dyn PaymentStore, intent: &Intent, amount: Money) -> BeginRefund {
    store.begin_refund(&once(intent), intent.operation, amount, &evidence()).await.unwrap()
}

async fn a_charge_is_paid_back_once(store: &dyn PaymentStore) {
    let one = intent(1, LATER_MS);
    begin(store, &one).await;
    let open = BeginRefund::Stands(RefundStanding::ChargeOpen);
    assert_eq!(begin_refund(store, &one, one.amount).await, open, "it is not known whether there is a charge");
    decide(store, &one, &charged("ch_1")).await;
    let other = BeginRefund::Stands(RefundStanding::OtherAmount);
    assert_eq!(begin_refund(store, &one, Money::gbp(1)).await, other);
    for _ in 0..2 {
        assert_eq!(begin_refund(store, &one, one.amount).await, BeginRefund::Send);
    }
    assert_eq!(begin_refund(store, &one, Money::gbp(1)).await, other);
    let refunded = RefundDecision::Refunded { refund_id: "re_1".to_owned() };
    for late in [refunded.clone(), RefundDecision::Refused { code: "late".to_owned() }] {
        let stands = store.decide_refund(&once(&one), one.operation, &late).await.unwrap();
        assert_eq!(stands, refunded.clone().into(), "the first decision stands");
    }
    assert_eq!(begin_refund(store, &one, one.amount).await, BeginRefund::Stands(refunded.into()));
    let record = store.inspect(one.operation).await.unwrap().unwrap();
    assert_eq!(record.refund_id.as_deref(), Some("re_1"));
    assert_eq!(record.note.as_deref(), Some("ada: not in the console"));
    assert_eq!(store.look(&one).await.unwrap(), Standing::Decided(charged("ch_1")), "it stays a charge");
}

async fn what_cannot_be_paid_back(store: &dyn PaymentStore) {
    let (refused, closed, unseen) = (intent(1, LATER_MS), intent(2, LATER_MS), intent(3, LATER_MS));
    begin(store, &refused).await;
    decide(store, &refused, &declined("no")).await;
    let other = BeginRefund::Stands(RefundStanding::OtherAmount);
    assert_eq!(begin_refund(store, &refused, Money::gbp(1)).await, other);
    store.close(closed.operation, None).await.unwrap().unwrap();
    // The provider may have made them all the same, and knows.
    for there in [&refused, &closed, &unseen] {
        assert_eq!(begin_refund(store, there, there.amount).await, BeginRefund::Send);
    }
    let no = RefundDecision::Refused { code: "full_amount_only".to_owned() };
    let stands = store.decide_refund(&once(&closed), closed.operation, &no).await.unwrap();
    assert_eq!(stands, no.clone().into());
    assert_eq!(begin_refund(store, &closed, closed.amount).await, BeginRefund::Stands(no.clone().into()));
    store.decide_refund(&once(&closed), intent(9, LATER_MS).operation, &no).await.unwrap_err();
}

async fn refunds_that_race_agree(store: Arc<dyn PaymentStore>) {
    let one = intent(1, LATER_MS);
    begin(&*store, &one).await;
    decide(&*store, &one, &charged("ch_1")).await;
    let mut tries = JoinSet::new();
    for n in 0..16 {
        let (store, one) = (store.clone(), one.clone());
        tries.spawn(async move {
            begin_refund(&*store, &one, one.amount).await;
            let decision = RefundDecision::Refunded { refund_id: format!("re_{n}") };
            store.decide_refund(&once(&one), one.operation, &decision).await.unwrap()
        });
    }
    let answers = tries.join_all().await;
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

async fn pages_show_all_rows_once(store: &dyn PaymentStore) {
    for n in 1..=5 {
        let intent = intent(n, LATER_MS);
        begin(store, &intent).await;
        match n {
            1 => {}
            2 => assert_eq!(decide(store, &intent, &declined("no")).await, Standing::Decided(declined("no"))),
            _ => assert_eq!(decide(store, &intent, &charged("ch")).await, Standing::Decided(charged("ch"))),
        }
    }
    store.close(intent(6, LATER_MS).operation, None).await.unwrap().unwrap();
    let five = intent(5, LATER_MS);
    begin_refund(store, &five, five.amount).await;
    let done = RefundDecision::Refunded { refund_id: "re_1".to_owned() };
    store.decide_refund(&once(&five), five.operation, &done).await.unwrap();
    let four = intent(4, LATER_MS);
    begin_refund(store, &four, four.amount).await;

    let (mut rows, mut after) = (Vec::<Booked>::new(), None);
    loop {
        let page = store.page(after, 2).await.unwrap();
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        after = Some(last.operation);
        rows.extend(page);
    }
    let now_ms = store.now_ms().await.unwrap();
    assert!(rows.iter().all(|row| (now_ms - 60_000..=now_ms).contains(&row.changed_at_ms)), "{rows:?}");
    let shown: Vec<_> = rows.iter().map(|row| (row.operation.0.as_u128(), row.outcome, row.refunded)).collect();
    let (yes, no, closed) = (Some(Outcome::Charged), Some(Outcome::Declined), Some(Outcome::Closed));
    let all = [(1, None, false), (2, no, false), (3, yes, false), (4, yes, false), (5, yes, true), (6, closed, false)];
    assert_eq!(shown, all);
    assert_eq!((rows[0].amount, rows[5].amount), (Some(five.amount), None));
}

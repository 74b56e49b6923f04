//! A charge: from the parsed request to its answer, and what the test tokens do in between.

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::answer::Answer;
use crate::book::{Admission, Decision, Outcome};
use crate::clock;
use crate::handling::{Limits, Waited, wait, written};
use crate::ledger::{Job, Record};
use crate::provider::Provider;
use crate::request::{ChargeRequest, Token};

pub(crate) async fn charge(provider: &Provider, key: &str, request: &ChargeRequest, limits: &Limits) -> Answer {
    let rules = provider.faults.rules();
    let admission = provider.book().admit(key, request, clock::now_ms(), &rules);
    match admission {
        Admission::Execute => execute(provider, key, request, limits).await,
        Admission::Decided(entry) => Answer::decided(entry),
        Admission::KeyReused => Answer::KeyReused,
        Admission::InProgress => Answer::InProgress,
        Admission::RateLimited => Answer::RateLimited,
        Admission::FailWithoutEffect => Answer::Failed,
        Admission::Full => FULL,
    }
}

pub(crate) const FULL: Answer = Answer::Overloaded("the ledger is full; start the provider with a new file");

async fn execute(provider: &Provider, key: &str, request: &ChargeRequest, limits: &Limits) -> Answer {
    let waits = provider.waits;
    if request.token == Token::Late {
        let turn = limits.late().min(Instant::now() + waits.late);
        if let Waited::CutShort = wait(turn, &provider.abandon).await {
            provider.book().give_up(key);
            return Answer::HangUp;
        }
    }
    let answer = record(provider, key, request, limits).await;
    let before_end = |time| limits.end().min(Instant::now() + time);
    match (request.token, answer) {
        (Token::Slow, answer @ Answer::Charged(_)) => match wait(before_end(waits.slow), &provider.abandon).await {
            Waited::Whole => answer,
            Waited::CutShort => Answer::HangUp,
        },
        (Token::ChargeThenTimeout, Answer::Charged(_)) => {
            wait(before_end(waits.hold), &provider.stop).await;
            Answer::HangUp
        }
        (Token::ChargeThen500, Answer::Charged(_)) => Answer::Failed,
        (_, answer) => answer,
    }
}

/// Decides an admitted call and waits until the decision is on the disk.
pub(crate) async fn record(provider: &Provider, key: &str, request: &ChargeRequest, limits: &Limits) -> Answer {
    let rules = provider.faults.rules();
    let (entry, done) = {
        let mut book = provider.book();
        // After a pause of the whole process, for example: its caller was promised that this is over.
        if Instant::now() > limits.decide_by() {
            book.give_up(key);
            return Answer::HangUp;
        }
        // The place in the queue comes first, under the lock: lines are numbered in the order they are written.
        let Ok(place) = provider.queue.try_reserve() else {
            book.give_up(key);
            return Answer::Overloaded("the ledger cannot keep up");
        };
        match book.decide(key, request, clock::now_ms(), &rules) {
            Decision::Record(entry) => {
                let (sender, done) = oneshot::channel();
                place.send(Job { record: Record::Charge(entry.clone()), done: sender });
                (entry, done)
            }
            refusal => {
                book.give_up(key);
                return match refusal {
                    Decision::ReferenceUsed => Answer::ReferenceUsed,
                    Decision::ReferenceBusy => Answer::InProgress,
                    Decision::Record(_) | Decision::Full => FULL,
                };
            }
        }
    };
    if !written(provider, done, limits).await {
        return Answer::HangUp;
    }
    provider.book().commit(&entry);
    if entry.outcome == Outcome::Charged {
        provider.webhooks.announce(&entry, provider.faults.delivery());
    }
    Answer::decided(entry)
}

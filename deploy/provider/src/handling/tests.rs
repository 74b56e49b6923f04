//! The end of the handling time, which a test over HTTP cannot bring about: a disk that does not answer, a process
//! that was paused.

use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use tokio::sync::mpsc;

use super::Limits;
use crate::answer::Answer;
use crate::book::{Admission, Book, Rules};
use crate::charges::record;
use crate::ledger::Job;
use crate::provider::Provider;
use crate::request::{ChargeRequest, Token, sample};
use crate::webhooks::Webhooks;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    options: crate::Options,
}

/// A provider whose ledger never writes anything.
fn provider() -> (Provider, mpsc::Receiver<Job>) {
    let options = Cli::parse_from(["provider", "--ledger", "unused", "--max-handling-ms", "1000"]).options;
    let (queue, jobs) = mpsc::channel(1);
    let webhooks = Webhooks::new(&options).unwrap();
    (Provider::new(Book::new(), queue, options.waits(), 1, webhooks), jobs)
}

fn admitted(provider: &Provider) -> ChargeRequest {
    let request = ChargeRequest { not_after_ms: i64::MAX, ..sample(Token::Ok, "r") };
    assert_eq!(provider.book().admit("k", &request, 5, &Rules::default()), Admission::Execute);
    request
}

#[tokio::test]
async fn a_write_that_misses_the_end_stops_the_provider() {
    let (provider, jobs) = provider();
    let request = admitted(&provider);
    let limits = Limits::from_now(&provider.waits);
    let answer = record(&provider, "k", &request, &limits).await;
    assert!(matches!(answer, Answer::HangUp), "{answer:?}");
    assert!(tokio::time::Instant::now() >= limits.end());
    assert!(provider.overdue.is_cancelled());
    drop(jobs);
}

#[tokio::test]
async fn nothing_is_decided_when_its_time_is_over() {
    let (provider, mut jobs) = provider();
    let request = admitted(&provider);
    let mut limits = Limits::from_now(&provider.waits);
    limits.max = Duration::ZERO;
    let answer = record(&provider, "k", &request, &limits).await;
    assert!(matches!(answer, Answer::HangUp), "{answer:?}");
    assert!(jobs.try_recv().is_err(), "it was decided after all");
    assert!(!provider.overdue.is_cancelled());
    assert_eq!(provider.book().admit("k", &request, 5, &Rules::default()), Admission::Execute, "the key is free");
}

#[test]
fn the_waits_leave_time_for_the_disk() {
    let (provider, _jobs) = provider();
    let limits = Limits::from_now(&Arc::new(provider).waits);
    let after = [limits.body(), limits.late(), limits.decide_by(), limits.end()];
    assert_eq!(after.map(|at| (at - limits.arrived).as_millis()), [500, 800, 900, 1_000]);
}

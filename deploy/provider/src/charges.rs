//! `POST /charges`: from the request to its answer, and the misbehaviour in between.
//!
//! Whatever has an effect runs in a task of its own, because a handler ends when its caller hangs up and the effect
//! must not: that difference is what the test tokens exist to show. The waits before an answer have no effect, so
//! they stay in the handler and end with the caller.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::answer::{Answer, HangUp};
use crate::book::{Admission, Book, Decision};
use crate::clock;
use crate::faults::{Fault, FaultSwitches};
use crate::ledger::Job;
use crate::request::{BODY_MAX_BYTES, ChargeRequest, Token, idempotency_key};
use crate::stats::Stats;

/// Ledgers being built at once; each is a copy of the whole ledger.
const LEDGER_READS_MAX: usize = 4;
/// A body up to this size is read to its end, so that its sender can read the refusal instead of a reset.
const BODY_READ_MAX_BYTES: usize = 4 * BODY_MAX_BYTES;
/// Longest wait for a body.
const BODY_WAIT_MAX: Duration = Duration::from_secs(10);

/// How long the misbehaving answers take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waits {
    pub(crate) slow: Duration,
    pub(crate) late: Duration,
    pub(crate) hold: Duration,
    pub(crate) black_hole: Duration,
}

/// Everything that lives as long as the process.
#[derive(Debug)]
pub(crate) struct Provider {
    book: Mutex<Book>,
    queue: mpsc::Sender<Job>,
    waits: Waits,
    permits: Arc<Semaphore>,
    pub(crate) ledger_reads: Semaphore,
    pub(crate) faults: FaultSwitches,
    pub(crate) stats: Arc<Stats>,
    pub(crate) tasks: TaskTracker,
    /// No new connections; waits that end without an answer end now.
    pub(crate) stop: CancellationToken,
    /// The time to finish is over.
    pub(crate) abandon: CancellationToken,
}

impl Provider {
    /// `charges_max` bounds the charges at once, with or without a caller; more are answered 503.
    pub(crate) fn new(book: Book, queue: mpsc::Sender<Job>, waits: Waits, charges_max: u16) -> Self {
        Self {
            book: Mutex::new(book),
            queue,
            waits,
            permits: Arc::new(Semaphore::new(charges_max.into())),
            ledger_reads: Semaphore::new(LEDGER_READS_MAX),
            faults: FaultSwitches::default(),
            stats: Arc::new(Stats::default()),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            abandon: CancellationToken::new(),
        }
    }

    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        // Every method of the book checks first and changes last, so a panicked holder leaves it consistent.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides an admitted call and waits until the decision is on the disk.
    async fn record(&self, key: &str, request: &ChargeRequest) -> Answer {
        let (entry, written) = {
            let mut book = self.book();
            // The place in the queue comes first, under the lock: lines are numbered in the order they are written.
            let Ok(place) = self.queue.try_reserve() else {
                book.give_up(key);
                return Answer::Overloaded("the ledger cannot keep up");
            };
            match book.decide(key, request, clock::now_ms()) {
                Decision::Record(entry) => {
                    let (done, written) = oneshot::channel();
                    place.send(Job { entry: entry.clone(), done });
                    (entry, written)
                }
                Decision::ReferenceUsed => {
                    book.give_up(key);
                    return Answer::ReferenceUsed;
                }
                Decision::ReferenceBusy => {
                    book.give_up(key);
                    return Answer::InProgress;
                }
            }
        };
        if written.await.is_err() {
            // The writer failed, so the process is about to end; what is on the disk is for the next start to say.
            return Answer::HangUp;
        }
        self.book().commit(&entry);
        Answer::decided(entry)
    }
}

pub(crate) async fn post_charge(State(provider): State<Arc<Provider>>, request: Request) -> Response {
    let in_flight = provider.stats.enter();
    let response = answer(&provider, request).await.into_response();
    if response.extensions().get::<HangUp>().is_none() {
        in_flight.answered(response.status());
    }
    response
}

async fn answer(provider: &Arc<Provider>, request: Request) -> Answer {
    let (head, body) = request.into_parts();
    let body = match read_body(body).await {
        Ok(body) => body,
        Err(why) => return Answer::BadInput(why),
    };
    let Ok(permit) = provider.permits.clone().try_acquire_owned() else {
        return Answer::Overloaded("too many charges at once");
    };
    match provider.faults.next() {
        Some(Fault::BlackHole) => {
            wait(provider.waits.black_hole, &provider.stop).await;
            return Answer::HangUp;
        }
        Some(Fault::RateLimit) => return Answer::RateLimited,
        Some(Fault::Fail) => return Answer::Failed,
        None => {}
    }
    let (key, request) = match (idempotency_key(&head.headers), ChargeRequest::parse(&body)) {
        (Ok(key), Ok(request)) => (key, request),
        (Err(why), _) | (_, Err(why)) => return Answer::BadInput(why),
    };
    let admission = provider.book().admit(&key, &request);
    match admission {
        Admission::Execute => execute(provider, key, request, permit).await,
        Admission::Decided(entry) => Answer::decided(entry),
        Admission::KeyReused => Answer::KeyReused,
        Admission::InProgress => Answer::InProgress,
        Admission::RateLimited => Answer::RateLimited,
        Admission::FailWithoutEffect => Answer::Failed,
        Admission::Full => Answer::Overloaded("the ledger is full; start the provider with a new file"),
    }
}

async fn read_body(body: Body) -> Result<Bytes, String> {
    match tokio::time::timeout(BODY_WAIT_MAX, axum::body::to_bytes(body, BODY_READ_MAX_BYTES)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(_)) => Err(format!("the body is larger than {BODY_MAX_BYTES} bytes, or broke off")),
        Err(_) => Err(format!("the body took longer than {} s", BODY_WAIT_MAX.as_secs())),
    }
}

async fn execute(
    provider: &Arc<Provider>,
    key: String,
    request: ChargeRequest,
    permit: OwnedSemaphorePermit,
) -> Answer {
    let (token, waits) = (request.token, provider.waits);
    // The permit covers both: work whose caller has left, and a caller who waits for an answer to work that is done.
    let permit = Arc::new(permit);
    let work = provider.tasks.spawn(carry_out(provider.clone(), key, request, permit.clone()));
    // The work is never aborted, so an error here is its panic, and its outcome is unknown.
    let answer = work.await.unwrap_or(Answer::HangUp);
    let answer = match (token, answer) {
        (Token::Slow, answer @ Answer::Charged(_)) => match wait(waits.slow, &provider.abandon).await {
            Waited::Whole => answer,
            Waited::CutShort => Answer::HangUp,
        },
        (Token::ChargeThenTimeout, Answer::Charged(_)) => {
            wait(waits.hold, &provider.stop).await;
            Answer::HangUp
        }
        (Token::ChargeThen500, Answer::Charged(_)) => Answer::Failed,
        (_, answer) => answer,
    };
    drop(permit);
    answer
}

/// The part with an effect. It does not end with its caller.
async fn carry_out(
    provider: Arc<Provider>,
    key: String,
    request: ChargeRequest,
    _permit: Arc<OwnedSemaphorePermit>,
) -> Answer {
    if request.token == Token::Late
        && let Waited::CutShort = wait(provider.waits.late, &provider.abandon).await
    {
        provider.book().give_up(&key);
        return Answer::HangUp;
    }
    provider.record(&key, &request).await
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waited {
    Whole,
    CutShort,
}

async fn wait(time: Duration, cut_short: &CancellationToken) -> Waited {
    tokio::select! {
        () = tokio::time::sleep(time) => Waited::Whole,
        () = cut_short.cancelled() => Waited::CutShort,
    }
}

//! Everything that lives as long as the process.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::book::Book;
use crate::faults::FaultSwitches;
use crate::ledger::Job;
use crate::stats::Stats;
use crate::webhooks::Webhooks;

/// Ledgers being built at once; each is a copy of the whole ledger.
const LEDGER_READS_MAX: usize = 4;

/// How long the misbehaving answers take; none takes longer than `handling_max`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waits {
    pub(crate) slow: Duration,
    pub(crate) late: Duration,
    pub(crate) hold: Duration,
    pub(crate) black_hole: Duration,
    /// From the arrival of a request to the end of everything it does.
    pub(crate) handling_max: Duration,
}

#[derive(Debug)]
pub(crate) struct Provider {
    book: Mutex<Book>,
    pub(crate) queue: mpsc::Sender<Job>,
    pub(crate) waits: Waits,
    pub(crate) permits: Arc<Semaphore>,
    pub(crate) ledger_reads: Semaphore,
    pub(crate) faults: FaultSwitches,
    pub(crate) stats: Arc<Stats>,
    pub(crate) webhooks: Webhooks,
    pub(crate) tasks: TaskTracker,
    /// No new connections; waits that end without an answer end now.
    pub(crate) stop: CancellationToken,
    /// The time to finish is over.
    pub(crate) abandon: CancellationToken,
    /// A write to the ledger missed the end of its handling time. The process ends, because what it promised ("decided
    /// by then") can be kept only by a new start, which reads what is on the disk.
    pub(crate) overdue: CancellationToken,
}

impl Provider {
    /// `charges_max` bounds the charges and refunds at once, with or without a caller; more are answered 503.
    pub(crate) fn new(
        book: Book,
        queue: mpsc::Sender<Job>,
        waits: Waits,
        charges_max: u16,
        webhooks: Webhooks,
    ) -> Self {
        Self {
            book: Mutex::new(book),
            queue,
            waits,
            permits: Arc::new(Semaphore::new(charges_max.into())),
            ledger_reads: Semaphore::new(LEDGER_READS_MAX),
            faults: FaultSwitches::default(),
            stats: Arc::new(Stats::default()),
            webhooks,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            abandon: CancellationToken::new(),
            overdue: CancellationToken::new(),
        }
    }

    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        // Every method of the book checks first and changes last, so a panicked holder leaves it consistent.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

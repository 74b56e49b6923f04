//! The node's own copy of all products, from which every read is served.
//!
//! Products are read at every page and every add to a cart, and change seldom; what does change is how many are left.
//! So a copy may be old, by at most [`STALE_MAX`]: `available` is what a page shows, never what decides. A checkout
//! reserves in the table. Sharing: nothing; a new node reads the table again.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use runtime::Tasks;
use store::StoreError;
use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    time::Instant,
};

use crate::{snapshot::Snapshot, store::ProductStore};

/// Oldest copy that is served. A reader that finds an older one waits for a new one.
const STALE_MAX: Duration = Duration::from_secs(1);
/// Age at which a reader has a new copy made without waiting for it, so that under load nobody ever waits.
const RENEW_AFTER: Duration = Duration::from_millis(500);
/// The same after a change by this node: soon, but a copy is the whole table, and while checkouts go on there is always a
/// change.
const RENEW_AFTER_CHANGE: Duration = Duration::from_millis(300);

#[derive(Debug)]
pub(crate) struct Shelf {
    store: Arc<dyn ProductStore>,
    tasks: Tasks,
    copy: RwLock<Option<Copy>>,
    changed: AtomicBool,
    /// Held while the table is read: one reader reads for all.
    reading: Arc<Mutex<()>>,
}

#[derive(Clone, Debug)]
struct Copy {
    products: Arc<Snapshot>,
    /// Before the table was read, so that age is never judged too small.
    read_at: Instant,
}

impl Shelf {
    pub(crate) fn new(store: Arc<dyn ProductStore>, tasks: Tasks) -> Self {
        let (copy, changed, reading) = (RwLock::new(None), AtomicBool::new(false), Arc::new(Mutex::new(())));
        Self { store, tasks, copy, changed, reading }
    }

    /// All products as they were at most [`STALE_MAX`] ago.
    pub(crate) async fn products(self: &Arc<Self>) -> Result<Arc<Snapshot>, StoreError> {
        if let Some(copy) = self.usable() {
            self.renew_soon(copy.read_at.elapsed());
            return Ok(copy.products);
        }
        let reading = self.reading.clone().lock_owned().await;
        match self.usable() {
            Some(copy) => Ok(copy.products),
            None => self.read(reading).await,
        }
    }

    /// This node changed some stock.
    pub(crate) fn changed(&self) {
        self.changed.store(true, Ordering::Relaxed);
    }

    fn usable(&self) -> Option<Copy> {
        let copy = self.copy.read().unwrap_or_else(PoisonError::into_inner).clone();
        copy.filter(|copy| copy.read_at.elapsed() < STALE_MAX)
    }

    fn renew_soon(self: &Arc<Self>, age: Duration) {
        let wait = if self.changed.load(Ordering::Relaxed) { RENEW_AFTER_CHANGE } else { RENEW_AFTER };
        if age < wait {
            return;
        }
        if let Ok(reading) = self.reading.clone().try_lock_owned() {
            let shelf = self.clone();
            drop(self.tasks.spawn(async move {
                if let Err(error) = shelf.read(reading).await {
                    tracing::warn!(%error, "products could not be read; the copy is kept until it is too old");
                }
            }));
        }
    }

    async fn read(&self, _reading: OwnedMutexGuard<()>) -> Result<Arc<Snapshot>, StoreError> {
        self.changed.store(false, Ordering::Relaxed);
        let read_at = Instant::now();
        let products = Arc::new(Snapshot::new(self.store.all().await?));
        let copy = Copy { products: products.clone(), read_at };
        *self.copy.write().unwrap_or_else(PoisonError::into_inner) = Some(copy);
        Ok(products)
    }
}

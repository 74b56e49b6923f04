//! A store that is not there yet. Machines start in any order, and a database takes its time: a node that ended at once would
//! be started again and again, and an engine gives up after a few times. So it waits, says so, and is not ready meanwhile.
//! What waiting cannot cure, such as a wrong password, ends the node at once.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::StoreError;

/// Longest that a node waits; then it ends with the reason, and whoever started it may think again.
const WAIT_MAX: Duration = Duration::from_secs(120);
/// First pause between tries; doubles.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
/// Longest pause: a store that comes up is used this soon.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Opens a store as soon as it answers. `setting` names the option in the log.
///
/// # Errors
/// Any but [`StoreError::Absent`] at once, and that one after two minutes.
pub async fn when_there<T>(
    setting: &str,
    mut open: impl AsyncFnMut() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let (began, mut pause) = (Instant::now(), PAUSE_FIRST);
    loop {
        let reason = match open().await {
            Err(StoreError::Absent(reason)) if began.elapsed() < WAIT_MAX => reason,
            done => {
                let waited_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                if pause > PAUSE_FIRST && done.is_ok() {
                    tracing::info!(setting, waited_ms, "the store is there now");
                }
                return done;
            }
        };
        tracing::warn!(setting, reason, ?pause, "the store does not answer yet; this node is not ready until it does");
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_store_that_comes_up_is_used_and_one_that_never_does_is_given_up() {
        let began = Instant::now();
        let opened = when_there("--store", async || match began.elapsed() < Duration::from_secs(20) {
            true => Err(StoreError::Absent("connection refused".to_owned())),
            false => Ok(began.elapsed()),
        });
        let after = opened.await.unwrap();
        assert!(after >= Duration::from_secs(20) && after <= Duration::from_secs(22), "{after:?}");

        let (began, mut tries) = (Instant::now(), 0);
        let never = when_there("--store", async || {
            tries += 1;
            Err::<(), _>(StoreError::Absent("connection refused".to_owned()))
        });
        assert!(matches!(never.await, Err(StoreError::Absent(_))));
        assert!(began.elapsed() >= WAIT_MAX && began.elapsed() < WAIT_MAX + PAUSE_MAX, "{:?}", began.elapsed());
        assert!((60..70).contains(&tries), "{tries} tries");
    }

    #[tokio::test(start_paused = true)]
    async fn what_waiting_does_not_cure_is_said_at_once() {
        let began = Instant::now();
        let opened = when_there("--store", async || Err::<(), _>(StoreError::NotExecuted("wrong password".to_owned())));
        assert!(matches!(opened.await, Err(StoreError::NotExecuted(_))));
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}

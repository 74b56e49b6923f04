//! What was done to the shop, when, and what the customers saw of it: as text, and as a page (`timeline/page.rs`).

pub(crate) mod page;

use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use tokio::time::Instant;

use crate::checker::history::{Sent, What};

/// One thing that was done, from its begin to its end.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Bar {
    /// A node, `provider`, `database`, or `run` for the phases.
    pub(crate) lane: String,
    /// `kill`, `pause`, `provider`, `database`, `phase`.
    pub(crate) kind: &'static str,
    pub(crate) what: String,
    pub(crate) from_ms: u64,
    /// `None` while it lasts.
    pub(crate) to_ms: Option<u64>,
}

/// All bars; time starts with the run.
#[derive(Debug)]
pub(crate) struct Timeline {
    start: Instant,
    bars: Mutex<Vec<Bar>>,
}

impl Timeline {
    pub(crate) fn new(start: Instant) -> Self {
        Self { start, bars: Mutex::default() }
    }

    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn with<R>(&self, work: impl FnOnce(&mut Vec<Bar>) -> R) -> R {
        work(&mut self.bars.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Something begins; the number is for [`Self::end`].
    pub(crate) fn begin(&self, lane: &str, kind: &'static str, what: &str) -> usize {
        let bar = Bar { lane: lane.to_owned(), kind, what: what.to_owned(), from_ms: self.now_ms(), to_ms: None };
        self.with(|bars| {
            bars.push(bar);
            bars.len() - 1
        })
    }

    pub(crate) fn end(&self, number: usize) {
        let now_ms = self.now_ms();
        self.with(|bars| bars[number].to_ms = Some(now_ms));
    }

    pub(crate) fn bars(&self) -> Vec<Bar> {
        self.with(|bars| bars.clone())
    }
}

/// What the customers saw in one second.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Second {
    /// Attempts that were answered as they should be.
    pub(crate) answered: u32,
    /// Checkouts answered with the order.
    pub(crate) bought: u32,
    /// 429 and 5xx.
    pub(crate) refused: u32,
    /// No connection, or no answer.
    pub(crate) silent: u32,
}

/// Attempts by the second in which they ended; those without an answer by the second in which they began.
pub(crate) fn seconds(sent: &[Sent], until_ms: u64) -> Vec<Second> {
    let mut seconds = vec![Second::default(); usize::try_from(until_ms / 1_000).unwrap_or(0) + 1];
    for sent in sent {
        let at = usize::try_from(sent.end_ms.unwrap_or(sent.begin_ms) / 1_000).unwrap_or(0);
        let Some(second) = seconds.get_mut(at) else { continue };
        match sent.told() {
            Some(told) if told.status == 429 || told.status >= 500 => second.refused += 1,
            Some(told) => {
                second.answered += 1;
                second.bought += u32::from(told.status == 201 && !told.replayed && sent.what == What::Checkout);
            }
            None => second.silent += u32::from(sent.failed()),
        }
    }
    seconds
}

/// One line for each fault: when, what, how long, and what the customers saw until a second after it began.
pub(crate) fn text(bars: &[Bar], seconds: &[Second]) -> Vec<String> {
    let mut lines = Vec::new();
    for Bar { lane, kind, what, from_ms, to_ms } in bars {
        let at = usize::try_from(from_ms / 1_000).unwrap_or(0);
        let both = seconds.iter().skip(at).take(2);
        let saw = both.fold(Second::default(), |sum, second| Second {
            answered: sum.answered + second.answered,
            bought: sum.bought + second.bought,
            refused: sum.refused + second.refused,
            silent: sum.silent + second.silent,
        });
        let lasted = to_ms.map_or("to the end".to_owned(), |to_ms| format!("{} ms", to_ms.saturating_sub(*from_ms)));
        let event = if *kind == "phase" { what.clone() } else { format!("{kind} {lane}: {what}") };
        let Second { answered, bought, refused, silent } = saw;
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of one run, far below 2^53")]
        let time_s = *from_ms as f64 / 1_000.0;
        lines.push(format!(
            "{time_s:>8.2} s  {event:<44} {lasted:>9}   customers: {bought:>3} bought, {answered:>4} answered, {refused:>3} \
             refused, {silent:>3} unanswered"
        ));
    }
    lines
}

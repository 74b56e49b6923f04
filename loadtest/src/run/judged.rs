//! The verdict of a run: its thresholds and its comparison with an earlier one.

use serde::Serialize;

use super::{compare::Comparison, summary::Summary};
use crate::{End, threshold::Outcome};

/// Everything that decides the exit code, beside the validity that the figures carry themselves.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Judged {
    pub(crate) thresholds: Vec<Outcome>,
    pub(crate) comparison: Option<Comparison>,
}

impl Judged {
    /// Not valid comes first: the thresholds of such a run, met or missed, say nothing about the shop.
    pub(crate) fn end(&self, summary: &Summary) -> End {
        let holds = self.thresholds.iter().all(|one| one.holds);
        let regressed = self.comparison.as_ref().is_some_and(Comparison::has_regression);
        match () {
            () if !summary.generator.invalid.is_empty() => End::Invalid,
            () if !holds || regressed => End::Failed,
            () => End::Pass,
        }
    }
}

//! The figures of `operations.md` 1.3: what was measured, what it must be, what we aim at, and the verdict. "Must" binds,
//! "aim" is reported. A figure whose run may not be believed is neither passed nor failed.

use serde::Serialize;

use crate::report;

/// What a measured number is held against.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Bound {
    pub(crate) fn holds(self, measured: f64) -> bool {
        match self {
            Self::AtMost(most) => measured <= most,
            Self::AtLeast(least) => measured >= least,
        }
    }

    pub(crate) fn shown(self, unit: Unit) -> String {
        match self {
            Self::AtMost(most) => format!("<= {}", unit.shown(most)),
            Self::AtLeast(least) => format!(">= {}", unit.shown(least)),
        }
    }
}

/// How a number is written. Shares are kept as 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    Percent,
    Times,
    Ms,
    Seconds,
    Count,
    Mib,
}

impl Unit {
    pub(crate) fn shown(self, number: f64) -> String {
        match self {
            Self::Percent => format!("{:.1} %", 100.0 * number),
            Self::Times => format!("{number:.2}x"),
            Self::Ms => format!("{number:.1} ms"),
            Self::Seconds => format!("{number:.1} s"),
            Self::Count => format!("{number:.0}"),
            Self::Mib => format!("{number:.0} MiB"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Verdict {
    Pass,
    Fail,
    /// The run may not be believed.
    Invalid,
    /// Shown for comparison; nothing is promised of it.
    Shown,
}

impl Verdict {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::Invalid => "INVALID",
            Self::Shown => "shown",
        }
    }
}

/// One figure.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figure {
    pub(crate) id: &'static str,
    pub(crate) what: String,
    /// `None` when there was nothing to measure, which is never a pass.
    pub(crate) measured: Option<f64>,
    pub(crate) unit: Unit,
    pub(crate) must: Option<Bound>,
    pub(crate) aim: Option<Bound>,
    pub(crate) verdict: Verdict,
    /// Whether the aim was reached; `None` if there is none.
    pub(crate) aim_reached: Option<bool>,
    /// Whether a run behind it may not be believed; a failure stays one.
    pub(crate) doubted: bool,
    /// What it was made of, and why it may not be believed.
    pub(crate) remarks: Vec<String>,
}

impl Figure {
    pub(crate) fn new(id: &'static str, what: impl Into<String>, unit: Unit, measured: Option<f64>) -> Self {
        let measured = measured.filter(|measured| measured.is_finite());
        let (what, verdict) = (what.into(), Verdict::Shown);
        Self {
            id,
            what,
            measured,
            unit,
            must: None,
            aim: None,
            verdict,
            aim_reached: None,
            doubted: false,
            remarks: Vec::new(),
        }
    }

    /// What it must be, and what we aim at.
    pub(crate) fn must(self, must: Bound, aim: Bound) -> Self {
        let holds = |bound: Bound| self.measured.is_some_and(|measured| bound.holds(measured));
        let verdict = if holds(must) { Verdict::Pass } else { Verdict::Fail };
        Self { verdict, aim_reached: Some(holds(aim)), must: Some(must), aim: Some(aim), ..self }
    }

    /// What it was made of.
    pub(crate) fn of(mut self, remark: impl Into<String>) -> Self {
        self.remarks.push(remark.into());
        self
    }

    /// Takes a verdict back if a run behind it may not be believed. A failure stays: a sick run does not make it better.
    pub(crate) fn unless(mut self, doubts: &[String]) -> Self {
        if !doubts.is_empty() && self.verdict == Verdict::Pass {
            self.verdict = Verdict::Invalid;
        }
        self.doubted |= !doubts.is_empty();
        for doubt in doubts.iter().map(|doubt| format!("invalid: {doubt}")) {
            if !self.remarks.contains(&doubt) {
                self.remarks.push(doubt);
            }
        }
        self
    }

    pub(crate) fn measured_shown(&self) -> String {
        self.measured.map_or_else(|| "nothing".to_owned(), |measured| self.unit.shown(measured))
    }

    pub(crate) fn print(&self) {
        let bound = |bound: Option<Bound>| bound.map_or_else(|| "-".to_owned(), |bound| bound.shown(self.unit));
        let verdict = match (self.verdict, self.aim_reached) {
            (Verdict::Pass, Some(false)) => "PASS (aim missed)",
            (verdict, _) => verdict.name(),
        };
        report::line(&format!(
            "{:<4} {:<58} {:>10}   must {:<10} aim {:<10} {verdict}",
            self.id,
            self.what,
            self.measured_shown(),
            bound(self.must),
            bound(self.aim)
        ));
        for remark in &self.remarks {
            report::line(&format!("       {remark}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn must_binds_aim_is_reported_and_nothing_measured_is_no_pass() {
        let judge = |measured| {
            let figure = Figure::new("F1", "goodput", Unit::Percent, measured);
            figure.must(Bound::AtLeast(0.9), Bound::AtLeast(0.95))
        };
        assert_eq!((judge(Some(0.96)).verdict, judge(Some(0.96)).aim_reached), (Verdict::Pass, Some(true)));
        assert_eq!((judge(Some(0.92)).verdict, judge(Some(0.92)).aim_reached), (Verdict::Pass, Some(false)));
        assert_eq!(judge(Some(0.89)).verdict, Verdict::Fail);
        assert_eq!(judge(None).verdict, Verdict::Fail);
        assert_eq!(judge(Some(f64::NAN)).verdict, Verdict::Fail);
        let doubts = ["the machine was busy".to_owned()];
        assert_eq!(judge(Some(0.96)).unless(&doubts).verdict, Verdict::Invalid);
        assert_eq!(judge(Some(0.96)).unless(&[]).verdict, Verdict::Pass);
        assert_eq!(judge(Some(0.5)).unless(&doubts).verdict, Verdict::Fail);
        assert_eq!(Figure::new("F8", "for comparison", Unit::Times, Some(9.0)).verdict, Verdict::Shown);
    }

    #[test]
    fn numbers_are_written_in_their_unit() {
        assert_eq!(Bound::AtMost(0.02).shown(Unit::Percent), "<= 2.0 %");
        assert_eq!(Bound::AtLeast(3.0).shown(Unit::Times), ">= 3.00x");
    }
}

//! When customers come: stages of a rate, and the moments of the arrivals in them.
//!
//! Open loop: the moments are fixed by the plan and the dice before anything is sent, so a slow shop cannot slow its
//! customers down. Both patterns are one idea: the n-th arrival comes when the integral of the rate reaches n (constant),
//! or reaches the sum of n exponential draws (Poisson). Ramps need no special case.

use std::time::Duration;

use rand::{RngExt, rngs::StdRng};

use crate::cli::parse_duration;

/// Highest rate that may be asked for, in arrivals a second; far above what one thread can send.
const RATE_MAX: f64 = 100_000.0;
const LASTS_MAX: Duration = Duration::from_secs(24 * 3_600);
const HELP: &str = "write DURATION@RATE or DURATION@FROM..TO, separated by commas, like '10s@50, 20s@50..200, 30s@50'";

/// A stretch of time in which the rate goes evenly from one value to another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Stage {
    /// Arrivals a second at its beginning.
    pub(crate) from: f64,
    /// Arrivals a second at its end.
    pub(crate) to: f64,
    pub(crate) lasts: Duration,
}

impl Stage {
    pub(crate) fn steady(rate: f64, lasts: Duration) -> Self {
        Self { from: rate, to: rate, lasts }
    }

    /// Arrivals expected in the whole stage.
    pub(crate) fn arrivals(&self) -> f64 {
        f64::midpoint(self.from, self.to) * self.lasts.as_secs_f64()
    }

    /// Seconds after its beginning at which `count` arrivals are expected to have come.
    fn moment_s(&self, count: f64) -> f64 {
        // from*t + slope/2*t^2 = count, solved in the form that does not cancel digits and allows a slope of zero.
        let slope = (self.to - self.from) / self.lasts.as_secs_f64();
        let root = (self.from * self.from + 2.0 * slope * count).max(0.0).sqrt();
        if count <= 0.0 { 0.0 } else { 2.0 * count / (self.from + root) }
    }
}

/// How arrivals are spread around the rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Pattern {
    /// Independent customers: gaps are exponential, so bursts happen as they do in life.
    Poisson,
    /// Evenly spaced.
    Constant,
}

/// The moments of all arrivals, in order, as seconds after the beginning.
#[derive(Debug)]
pub(crate) struct Arrivals {
    stages: Vec<Stage>,
    pattern: Pattern,
    dice: StdRng,
    /// The integral of the rate at the arrival given last.
    reached: f64,
    stage: usize,
    /// The integral, and the time, at the beginning of the stage.
    stage_reached: f64,
    stage_began: Duration,
}

impl Arrivals {
    pub(crate) fn new(stages: Vec<Stage>, pattern: Pattern, dice: StdRng) -> Self {
        // Half a gap first, so that a stage of n arrivals has n of them and not n + 1.
        let reached = if pattern == Pattern::Constant { -0.5 } else { 0.0 };
        Self { stages, pattern, dice, reached, stage: 0, stage_reached: 0.0, stage_began: Duration::ZERO }
    }
}

impl Iterator for Arrivals {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.reached += match self.pattern {
            Pattern::Constant => 1.0,
            Pattern::Poisson => -(1.0 - self.dice.random::<f64>()).ln(),
        };
        loop {
            let stage = self.stages.get(self.stage)?;
            let within = self.reached - self.stage_reached;
            if within < stage.arrivals() {
                return Some(self.stage_began + Duration::from_secs_f64(stage.moment_s(within)).min(stage.lasts));
            }
            self.stage_reached += stage.arrivals();
            self.stage_began += stage.lasts;
            self.stage += 1;
        }
    }
}

/// The whole length of a plan.
pub(crate) fn length(stages: &[Stage]) -> Duration {
    stages.iter().map(|stage| stage.lasts).sum()
}

/// The highest rate of a plan.
pub(crate) fn peak(stages: &[Stage]) -> f64 {
    stages.iter().map(|stage| stage.from.max(stage.to)).fold(0.0, f64::max)
}

/// The rate that the plan asks for at a moment; zero after its end.
pub(crate) fn rate_at(stages: &[Stage], at: Duration) -> f64 {
    let mut began = Duration::ZERO;
    for stage in stages {
        if at < began + stage.lasts {
            let share = (at - began).as_secs_f64() / stage.lasts.as_secs_f64();
            return stage.from + (stage.to - stage.from) * share;
        }
        began += stage.lasts;
    }
    0.0
}

/// `10s@50, 20s@50..200, 10s@500, 30s@50`: steady, ramp, spike, recovery.
pub(crate) fn parse_stages(text: &str) -> Result<Vec<Stage>, String> {
    let stages: Vec<Stage> = text.split(',').map(|part| parse_stage(part.trim())).collect::<Result<_, _>>()?;
    if length(&stages) > LASTS_MAX {
        return Err("the stages together last longer than 24h".to_owned());
    }
    if stages.iter().map(Stage::arrivals).sum::<f64>() < 1.0 {
        return Err("in these stages nobody comes; raise a rate or a duration".to_owned());
    }
    Ok(stages)
}

fn parse_stage(text: &str) -> Result<Stage, String> {
    let (lasts, rates) = text.split_once('@').ok_or_else(|| format!("`{text}` has no `@`; {HELP}"))?;
    let (from, to) = rates.split_once("..").unwrap_or((rates, rates));
    Ok(Stage { from: parse_rate(from)?, to: parse_rate(to)?, lasts: parse_duration(lasts.trim())? })
}

/// Arrivals a second: `100`, `0.5`, also `100/s`.
pub(crate) fn parse_rate(text: &str) -> Result<f64, String> {
    let number = text.trim().trim_end_matches("/s");
    let rate = number.parse().ok().filter(|rate| (0.0..=RATE_MAX).contains(rate));
    rate.ok_or_else(|| format!("`{text}` is no rate: arrivals a second from 0 to {RATE_MAX}; {HELP}"))
}

#[cfg(test)]
#[path = "arrivals/tests.rs"]
mod tests;

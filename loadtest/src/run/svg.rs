//! Plots as inline SVG: a frame with axes, and marks in it. No script, no network, readable on a phone.
//!
//! Texts are in units of the picture and grow by a media query of the page's style when the picture shrinks.

use std::fmt::Write as _;

pub(crate) const WIDTH: f64 = 760.0;
const LEFT: f64 = 74.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 34.0;

/// A plot with a linear x axis; y is linear from zero, or logarithmic.
#[derive(Debug)]
pub(crate) struct Plot {
    height: f64,
    x_max: f64,
    y_min: f64,
    y_max: f64,
    logarithmic: bool,
    body: String,
}

impl Plot {
    /// y from 0 to a round number at or above `y_max`.
    pub(crate) fn linear(height: f64, x_max: f64, y_max: f64) -> Self {
        let step = round_step(y_max.max(1.0) / 4.0);
        let y_max = (y_max.max(1.0) / step).ceil() * step;
        let mut plot = Self { height, x_max, y_min: 0.0, y_max, logarithmic: false, body: String::new() };
        let mut y = 0.0;
        while y <= y_max + step / 2.0 {
            plot.y_tick(y, &short(y));
            y += step;
        }
        plot
    }

    /// y from a power of ten at or below `y_min` to a round number above `y_max`; labels by `label`.
    pub(crate) fn logarithmic(height: f64, x_max: f64, (y_min, y_max): (f64, f64), label: fn(f64) -> String) -> Self {
        let low = 10_f64.powf(y_min.max(1e-3).log10().floor());
        let mut plot = Self {
            height,
            x_max,
            y_min: low,
            y_max: round_step(y_max.max(low * 10.0)),
            logarithmic: true,
            body: String::new(),
        };
        let decades = (plot.y_max / low).log10();
        let mut decade = low;
        while decade <= plot.y_max * 1.001 {
            // All of 1, 2 and 5 only while there is room for their labels.
            let marks: &[f64] = if decades > 2.5 { &[1.0] } else { &[1.0, 2.0, 5.0] };
            let most = plot.y_max * 1.001;
            for y in marks.iter().map(|mark| mark * decade).filter(|y| *y <= most) {
                plot.y_tick(y, &label(y));
            }
            decade *= 10.0;
        }
        if decades > 2.5 && plot.y_max < 9.0 * decade / 10.0 && plot.y_max > 1.5 * decade / 10.0 {
            // The top is no power of ten: it is named too, or the highest marks would have no measure.
            plot.y_tick(plot.y_max, &label(plot.y_max));
        }
        plot
    }

    pub(crate) fn x(&self, x: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * (x / self.x_max).clamp(0.0, 1.0)
    }

    pub(crate) fn y(&self, y: f64) -> f64 {
        let share = if self.logarithmic {
            (y.max(self.y_min) / self.y_min).log10() / (self.y_max / self.y_min).log10()
        } else {
            y / self.y_max
        };
        self.bottom() - (self.bottom() - TOP) * share.clamp(0.0, 1.0)
    }

    fn bottom(&self) -> f64 {
        self.height - BOTTOM
    }

    fn y_tick(&mut self, y: f64, label: &str) {
        let (at, right) = (self.y(y), WIDTH - RIGHT);
        let _ = write!(
            self.body,
            "<path d=\"M{LEFT} {at:.1}H{right}\" stroke=\"var(--grid)\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            LEFT - 8.0,
            at + 4.0
        );
    }

    pub(crate) fn x_tick(&mut self, x: f64, label: &str) {
        let (at, bottom) = (self.x(x), self.bottom());
        // The last label must not be cut off by the border.
        let anchor = if at > WIDTH - RIGHT - 30.0 { "end" } else { "middle" };
        let _ = write!(
            self.body,
            "<path d=\"M{at:.1} {bottom:.1}v5\" stroke=\"var(--soft)\"/>\
             <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{label}</text>",
            bottom + 22.0
        );
    }

    /// Ticks of a time axis in seconds, at most eight.
    pub(crate) fn seconds(&mut self) {
        let steps = [
            0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0, 7_200.0,
            14_400.0,
        ];
        let step = steps.into_iter().find(|step| self.x_max / step <= 7.0).unwrap_or(14_400.0);
        let mut at = 0.0;
        while at <= self.x_max + step / 1e3 {
            let label = match () {
                () if step >= 3_600.0 => format!("{:.0} h", at / 3_600.0),
                () if step >= 60.0 => format!("{:.0} min", at / 60.0),
                () if step < 1.0 => format!("{at:.1} s"),
                () => format!("{at:.0} s"),
            };
            self.x_tick(at, &label);
            at += step;
        }
    }

    /// A column from `low` to `high`, in y's units.
    pub(crate) fn column(&mut self, (from, to): (f64, f64), (low, high): (f64, f64), colour: &str) {
        let (x, y) = (self.x(from), self.y(high));
        // A hair of paper between columns while they are wide enough to bear it.
        let gap = if self.x(to) - x > 4.0 { 1.0 } else { 0.0 };
        let (width, tall) = ((self.x(to) - x - gap).max(0.3), self.y(low) - y);
        let _ = write!(
            self.body,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{tall:.1}\" fill=\"var(--{colour})\"/>"
        );
    }

    /// What a stretch of x says when it is pointed at.
    pub(crate) fn hint(&mut self, (from, to): (f64, f64), text: &str) {
        let x = self.x(from);
        let (width, tall) = ((self.x(to) - x).max(0.3), self.bottom() - TOP);
        let _ = write!(
            self.body,
            "<rect x=\"{x:.1}\" y=\"{TOP}\" width=\"{width:.1}\" height=\"{tall:.1}\" fill=\"transparent\"><title>{}</title></rect>",
            escape(text)
        );
    }

    /// A line through the points that are there; a gap where one is missing.
    pub(crate) fn line(&mut self, points: &[(f64, Option<f64>)], colour: &str, style: &str) {
        let (mut path, mut pen_down) = (String::new(), false);
        for (x, y) in points {
            let Some(y) = y else {
                pen_down = false;
                continue;
            };
            let _ = write!(path, "{}{:.1} {:.1}", if pen_down { 'L' } else { 'M' }, self.x(*x), self.y(*y));
            pen_down = true;
        }
        let _ = write!(
            self.body,
            "<path d=\"{path}\" fill=\"none\" stroke=\"var(--{colour})\" stroke-linejoin=\"round\" stroke-linecap=\"round\" {style}/>"
        );
    }

    /// The finished picture; `name` is read to those who cannot see it.
    pub(crate) fn finish(self, name: &str) -> String {
        let (bottom, right) = (self.bottom(), WIDTH - RIGHT);
        format!(
            "<svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"{}\">{}<path d=\"M{LEFT} {bottom}H{right}\" stroke=\"var(--soft)\"/></svg>",
            self.height,
            escape(name),
            self.body
        )
    }
}

/// 1, 2 or 5 times a power of ten, at or above `least`.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * power).find(|step| *step >= least * 0.999).unwrap_or(least)
}

/// `1 200`, `12k`, `0.5`: a number for an axis.
fn short(value: f64) -> String {
    match value {
        v if v >= 10_000.0 => format!("{}k", v / 1_000.0),
        v if v.fract() > 0.001 => format!("{v:.1}"),
        v => format!("{v:.0}"),
    }
}

pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_round_and_marks_stay_inside() {
        let plot = Plot::linear(200.0, 10.0, 87.0);
        assert!((plot.y_max - 100.0).abs() < 1e-9, "{}", plot.y_max);
        assert!((plot.y(0.0) - 166.0).abs() < 1e-9 && (plot.y(100.0) - TOP).abs() < 1e-9);
        assert!((plot.y(1e9) - TOP).abs() < 1e-9, "beyond the axis is its end");
        let plot = Plot::logarithmic(200.0, 10.0, (0.7, 950.0), |ms| format!("{ms}"));
        assert!((plot.y_min - 0.1).abs() < 1e-9);
        assert!((plot.y(0.0) - plot.bottom()).abs() < 1e-9 && plot.y(1.0) > plot.y(10.0));
        for (least, step) in [(0.3, 0.5), (1.0, 1.0), (1.1, 2.0), (22.0, 50.0), (51.0, 100.0)] {
            assert!((round_step(least) - step).abs() < 1e-9, "{least}");
        }
    }

    #[test]
    fn a_missing_point_is_a_gap_and_not_a_zero() {
        let mut plot = Plot::linear(200.0, 3.0, 10.0);
        plot.line(&[(0.0, Some(1.0)), (1.0, None), (2.0, Some(2.0)), (3.0, Some(3.0))], "p50", "");
        let path = plot.body.rsplit("<path d=\"").next().unwrap();
        assert_eq!(path.split('"').next().unwrap().matches('M').count(), 2, "{path}");
    }
}

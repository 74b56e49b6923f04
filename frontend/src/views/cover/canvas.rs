//! A string that is drawn upon: the few SVG shapes that covers are made of.
//!
//! Every number is rounded to a tenth and every text is escaped here, so that no layout can produce broken markup.

use std::f64::consts::TAU;

/// Width of every cover, in user units.
pub(super) const WIDTH: f64 = 240.0;
/// Height of every cover, in user units.
pub(super) const HEIGHT: f64 = 360.0;

/// Replaces what has a meaning in XML, and drops the control characters that XML 1.0 cannot hold even escaped.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\u{fffe}' | '\u{ffff}' => {}
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

fn n(value: f64) -> String {
    let rounded = (value * 10.0).round() / 10.0;
    // Adding zero turns -0 into 0.
    format!("{}", rounded + 0.0)
}

/// `x,y` for path data.
pub(super) fn at(x: f64, y: f64) -> String {
    format!("{},{}", n(x), n(y))
}

/// The shapes drawn so far.
#[derive(Debug)]
pub(super) struct Canvas {
    body: String,
    id: String,
}

impl Canvas {
    pub(super) fn new(id: &str) -> Self {
        Self { body: String::with_capacity(8 * 1024), id: id.to_owned() }
    }

    pub(super) fn into_body(self) -> String {
        self.body
    }

    pub(super) fn rect(&mut self, x: f64, y: f64, w: f64, h: f64, fill: &str) {
        self.rounded([x, y, w, h], 0.0, fill);
    }

    /// A rectangle `[x, y, width, height]` with round corners.
    pub(super) fn rounded(&mut self, [x, y, w, h]: [f64; 4], radius: f64, fill: &str) {
        let round = if radius > 0.0 { format!(r#" rx="{}""#, n(radius)) } else { String::new() };
        self.body.push_str(&format!(
            r#"<rect x="{}" y="{}" width="{}" height="{}"{round} fill="{fill}"/>"#,
            n(x),
            n(y),
            n(w),
            n(h)
        ));
    }

    pub(super) fn circle(&mut self, cx: f64, cy: f64, r: f64, fill: &str) {
        self.body.push_str(&format!(r#"<circle cx="{}" cy="{}" r="{}" fill="{fill}"/>"#, n(cx), n(cy), n(r)));
    }

    pub(super) fn ring(&mut self, cx: f64, cy: f64, r: f64, colour: &str, width: f64) {
        self.body.push_str(&format!(
            r#"<circle cx="{}" cy="{}" r="{}" fill="none" stroke="{colour}" stroke-width="{}"/>"#,
            n(cx),
            n(cy),
            n(r),
            n(width)
        ));
    }

    /// A filled path; `d` is made of numbers and [`at`].
    pub(super) fn path(&mut self, d: &str, fill: &str) {
        self.body.push_str(&format!(r#"<path d="{d}" fill="{fill}"/>"#));
    }

    pub(super) fn stroke(&mut self, d: &str, colour: &str, width: f64) {
        self.body.push_str(&format!(
            r#"<path d="{d}" fill="none" stroke="{colour}" stroke-width="{}" stroke-linecap="round"/>"#,
            n(width)
        ));
    }

    /// A line of short cross pieces, such as sleepers under rails.
    pub(super) fn dashes(&mut self, d: &str, colour: &str, width: f64) {
        self.body.push_str(&format!(
            r#"<path d="{d}" fill="none" stroke="{colour}" stroke-width="{}" stroke-dasharray="4 6"/>"#,
            n(width)
        ));
    }

    /// An unfilled rectangle, inset from the cover's edge by the same distance on all sides.
    pub(super) fn frame(&mut self, inset: f64, colour: &str, width: f64) {
        self.body.push_str(&format!(
            r#"<rect x="{i}" y="{i}" width="{}" height="{}" fill="none" stroke="{colour}" stroke-width="{}"/>"#,
            n(WIDTH - 2.0 * inset),
            n(HEIGHT - 2.0 * inset),
            n(width),
            i = n(inset)
        ));
    }

    /// A star with `points` long points, or a flower when `inner` is near 1.
    pub(super) fn star(&mut self, (cx, cy): (f64, f64), points: usize, (outer, inner): (f64, f64), fill: &str) {
        let corners: Vec<String> = (0..points * 2)
            .map(|i| {
                let r = if i % 2 == 0 { outer } else { outer * inner };
                let angle = TAU * (i as f64 / (points * 2) as f64 - 0.25);
                at(cx + r * angle.cos(), cy + r * angle.sin())
            })
            .collect();
        self.path(&format!("M{}Z", corners.join("L")), fill);
    }

    /// Everything drawn until [`Canvas::end_group`] is moved, made larger or paler.
    pub(super) fn group(&mut self, x: f64, y: f64, scale: f64, opacity: f64) {
        self.body.push_str(&format!(
            r#"<g transform="translate({} {}) scale({scale})" opacity="{opacity}">"#,
            n(x),
            n(y)
        ));
    }

    pub(super) fn end_group(&mut self) {
        self.body.push_str("</g>");
    }

    /// One centred line of text; `spacing` is added between letters.
    pub(super) fn text(&mut self, text: &str, (cx, baseline): (f64, f64), size: f64, spacing: f64, fill: &str) {
        let spaced = if spacing > 0.0 { format!(r#" letter-spacing="{}""#, n(spacing)) } else { String::new() };
        self.body.push_str(&format!(
            r#"<text x="{}" y="{}" font-size="{}"{spaced} text-anchor="middle" fill="{fill}">{}</text>"#,
            n(cx),
            n(baseline),
            n(size),
            escape(text)
        ));
    }

    /// The spine's fold and a breath of light, which make a coloured rectangle look like a bound book.
    pub(super) fn binding(&mut self) {
        let id = &self.id;
        self.body.push_str(&format!(
            concat!(
                r##"<linearGradient id="{id}g"><stop offset="0" stop-color="#000" stop-opacity=".28"/>"##,
                r##"<stop offset=".035" stop-color="#fff" stop-opacity=".16"/>"##,
                r##"<stop offset=".06" stop-color="#000" stop-opacity=".2"/>"##,
                r##"<stop offset=".1" stop-color="#fff" stop-opacity=".05"/>"##,
                r##"<stop offset="1" stop-color="#000" stop-opacity=".1"/></linearGradient>"##,
                r##"<rect width="240" height="360" fill="url(#{id}g)"/>"##
            ),
            id = id
        ));
    }
}

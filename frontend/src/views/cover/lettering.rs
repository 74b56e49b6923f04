//! Fits words into a place: estimates widths, wraps, shrinks, and cuts only as the last resort.
//!
//! The server has no fonts, and the reader's `serif` may be wider than Georgia. The widths below are those of the widest
//! common serif face, so a line that fits here fits everywhere; a narrower face only leaves more margin.

use super::canvas::Canvas;

/// Where a text goes: centred on `cx`, between `top` and `top + height`, never wider than `width`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Area {
    pub(super) cx: f64,
    pub(super) top: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// How a text may look: sizes in user units, the largest that fits is used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Face {
    pub(super) largest: f64,
    pub(super) smallest: f64,
    pub(super) max_lines: usize,
    pub(super) spacing: f64,
}

/// Titles are large when short, and may take six lines.
pub(super) const TITLE: Face = Face { largest: 33.0, smallest: 11.0, max_lines: 6, spacing: 0.0 };

/// Authors are in spaced capitals, one line or two.
pub(super) const AUTHOR: Face = Face { largest: 10.5, smallest: 7.0, max_lines: 2, spacing: 1.0 };

/// Lines are this far apart, as a share of the size.
const LEADING: f64 = 1.16;

/// A text broken into lines of one size.
#[derive(Debug, PartialEq)]
pub(super) struct Block {
    pub(super) size: f64,
    pub(super) lines: Vec<String>,
}

/// Upper estimate of a line's width in user units.
pub(super) fn width_of(line: &str, size: f64, spacing: f64) -> f64 {
    line.chars().map(|c| em(c) * size + spacing).sum()
}

fn em(c: char) -> f64 {
    match c {
        ' ' | '.' | ',' | ':' | ';' | '\'' | '’' | '|' | 'i' | 'l' | 'j' => 0.34,
        't' | 'f' | 'I' | '(' | ')' | '!' | '-' => 0.44,
        'r' | 's' | '?' => 0.54,
        'm' | 'w' => 0.95,
        'M' | 'W' | '&' | '—' | '…' => 1.05,
        'a'..='z' | '0'..='9' => 0.65,
        'A'..='Z' => 0.85,
        // Accented Latin, Greek, Cyrillic; then everything that is as wide as it is high, or an emoji.
        '\u{80}'..='\u{52f}' => 0.88,
        _ => 1.3,
    }
}

/// Breaks at spaces; a word wider than the line is broken where it must be.
fn wrap(text: &str, size: f64, spacing: f64, width: f64) -> (Vec<String>, bool) {
    let (mut lines, mut line, mut broken) = (Vec::new(), String::new(), false);
    for word in text.split_whitespace() {
        let joined = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
        if width_of(&joined, size, spacing) <= width {
            line = joined;
            continue;
        }
        if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        for c in word.chars() {
            line.push(c);
            if width_of(&line, size, spacing) > width && line.chars().count() > 1 {
                line.pop();
                lines.push(std::mem::replace(&mut line, c.to_string()));
                broken = true;
            }
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    (lines, broken)
}

/// Wraps into as few lines as needed, then narrows the column as far as that count allows: no lonely last word.
fn balanced(text: &str, size: f64, spacing: f64, width: f64) -> (Vec<String>, bool) {
    let (mut best, broken) = wrap(text, size, spacing, width);
    for step in 1..=10_u32 {
        let (lines, now_broken) = wrap(text, size, spacing, width * (1.0 - 0.05 * f64::from(step)));
        if lines.len() > best.len() || now_broken != broken {
            break;
        }
        best = lines;
    }
    (best, broken)
}

/// The largest setting of `text` that fits; at the smallest size the rest is cut with an ellipsis.
pub(super) fn fit(text: &str, area: Area, face: Face) -> Block {
    let fits = |lines: usize, size: f64| lines <= face.max_lines && lines as f64 * size * LEADING <= area.height;
    let mut size = face.largest;
    while size > face.smallest {
        let (lines, broken) = balanced(text, size, face.spacing, area.width);
        if !broken && fits(lines.len(), size) {
            return Block { size, lines };
        }
        size -= 1.0;
    }
    let size = face.smallest;
    let (mut lines, _) = balanced(text, size, face.spacing, area.width);
    let (all, mut kept) = (lines.len(), lines.len());
    while kept > 1 && !fits(kept, size) {
        kept -= 1;
    }
    lines.truncate(kept);
    if let (true, Some(last)) = (kept < all, lines.last_mut()) {
        while !last.is_empty() && width_of(last, size, face.spacing) + em('…') * size + face.spacing > area.width {
            last.pop();
        }
        last.push('…');
    }
    Block { size, lines }
}

/// Writes `text` into the middle of `area`.
pub(super) fn write(canvas: &mut Canvas, text: &str, area: Area, face: Face, fill: &str) {
    let block = fit(text, area, face);
    let step = block.size * LEADING;
    let first = area.top + (area.height - step * block.lines.len() as f64) / 2.0 + block.size * 0.92;
    for (i, line) in block.lines.iter().enumerate() {
        canvas.text(line, (area.cx, first + step * i as f64), block.size, face.spacing, fill);
    }
}

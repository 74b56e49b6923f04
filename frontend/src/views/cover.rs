//! Draws a cover for every product, so that the shop needs no image files and no foreign rights.
//!
//! A cover is a pure function of the product's own words: the hash of the sku picks the palette, the layout and the
//! small variations. The same sku therefore looks the same on every node and after every restart, and the answer may be
//! cached for ever. Nothing here reads a clock, a random source or a file.

mod books;
mod canvas;
mod lettering;
mod trains;

use canvas::{Canvas, HEIGHT, WIDTH, escape};
use lettering::{AUTHOR, Area, TITLE};

/// The category whose products are drawn as a train in its box instead of as a book.
const TRAIN_SETS: &str = "Train sets";

/// The five colours of one cover. `ink` is readable on `ground` and on `shade`; `ground` is readable on `ink`.
#[derive(Debug, Clone, Copy)]
struct Palette {
    ground: &'static str,
    shade: &'static str,
    accent: &'static str,
    second: &'static str,
    ink: &'static str,
}

const fn palette(
    ground: &'static str,
    shade: &'static str,
    accent: &'static str,
    second: &'static str,
    ink: &'static str,
) -> Palette {
    Palette { ground, shade, accent, second, ink }
}

const PALETTES: [Palette; 10] = [
    palette("#1f2d4d", "#142038", "#d9a441", "#7f93b8", "#f6ecd6"),
    palette("#6f1f2c", "#4c131d", "#e2b56d", "#b8584f", "#f9ecd8"),
    palette("#24493c", "#17332a", "#d3ad5e", "#6f9a7c", "#f1ead6"),
    palette("#f3e8d2", "#e2d0ac", "#b8472f", "#3f6b73", "#2d2420"),
    palette("#1d5a66", "#124049", "#f2a860", "#6fb0b0", "#f8eedb"),
    palette("#49294d", "#311a35", "#e39a8d", "#8d6a9b", "#f5e7e3"),
    palette("#e3b04b", "#d0983a", "#8f2f23", "#f6dd9c", "#2f1d10"),
    palette("#37444f", "#263039", "#e8c07d", "#8fb3ba", "#f1f2ec"),
    palette("#a8472a", "#7d3018", "#f4cf8c", "#d9835a", "#fdf1df"),
    palette("#d3e0e0", "#b4cbcd", "#c8563a", "#2f5d73", "#1c2c3a"),
];

/// Changes every cover at once. This value gives the shop's first pages neighbours of different colour and layout.
const SALT: u64 = 7699;

/// What a layout leaves free for words, and in which colours.
#[derive(Debug, Clone, Copy)]
struct Lettered {
    title: Area,
    title_ink: &'static str,
    author: Area,
    author_ink: &'static str,
}

/// Small repeatable choices, all from one sku (splitmix64).
#[derive(Debug)]
struct Dice(u64);

impl Dice {
    fn of(sku: &str) -> Self {
        // FNV-1a: short, stable between releases, unlike the hasher of the standard library.
        let hash = sku.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
        Self(hash ^ SALT)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..bound`; 0 when the bound is 0.
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % (bound.max(1) as u64)).unwrap_or(0)
    }

    /// A number between the two ends, in 64 steps.
    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.below(65) as f64 / 64.0
    }
}

/// The cover of a product as a self-contained SVG (viewBox 0 0 240 360, no scripts, no references outside).
///
/// Any text is accepted and escaped; a title too long for its place is shrunk, then cut with an ellipsis, but stays whole
/// in the `<title>` that screen readers speak.
pub(crate) fn cover_svg(title: &str, creator: &str, category: &str, sku: &str) -> String {
    let mut dice = Dice::of(sku);
    // Several covers may stand inline in one page, where ids are shared: each needs its own.
    let id = format!("c{:x}", dice.0);
    let colours = PALETTES[dice.below(PALETTES.len())];
    let mut canvas = Canvas::new(&id);
    canvas.rect(0.0, 0.0, WIDTH, HEIGHT, colours.ground);
    let lettered = if category == TRAIN_SETS {
        trains::draw(&mut canvas, colours, &mut dice, sku)
    } else {
        books::draw(&mut canvas, colours, &mut dice)
    };
    lettering::write(&mut canvas, title, lettered.title, TITLE, lettered.title_ink);
    lettering::write(&mut canvas, &creator.to_uppercase(), lettered.author, AUTHOR, lettered.author_ink);
    if category != TRAIN_SETS {
        canvas.binding();
    }
    let spoken = escape(&if creator.is_empty() { title.to_owned() } else { format!("{title} by {creator}") });
    format!(
        concat!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 240 360" role="img" aria-labelledby="{id}t">"#,
            r#"<title id="{id}t">{spoken}</title>"#,
            r#"<defs><clipPath id="{id}"><rect width="240" height="360" rx="4"/></clipPath></defs>"#,
            r##"<g clip-path="url(#{id})" font-family="Georgia, serif">{body}</g></svg>"##
        ),
        id = id,
        spoken = spoken,
        body = canvas.into_body()
    )
}

#[cfg(test)]
mod tests;

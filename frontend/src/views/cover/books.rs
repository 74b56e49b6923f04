//! Nine layouts for books. Each draws its ornament and says which places it left free for the words.

use std::f64::consts::TAU;

use super::canvas::{Canvas, HEIGHT, WIDTH, at};
use super::lettering::Area;
use super::{Dice, Lettered, Palette};

type Layout = fn(&mut Canvas, Palette, &mut Dice) -> Lettered;

const LAYOUTS: [Layout; 9] = [framed, banded, sun, mountains, arch, stripes, waves, rays, tiles];
const MIDDLE: f64 = WIDTH / 2.0 + 4.0; // the spine takes a little on the left

/// Draws one of the layouts.
pub(super) fn draw(canvas: &mut Canvas, colours: Palette, dice: &mut Dice) -> Lettered {
    LAYOUTS[dice.below(LAYOUTS.len())](canvas, colours, dice)
}

fn area(top: f64, width: f64, height: f64) -> Area {
    Area { cx: MIDDLE, top, width, height }
}

fn lettered(title: Area, author: Area, ink: &'static str) -> Lettered {
    Lettered { title, title_ink: ink, author, author_ink: ink }
}

/// A classic cloth binding: two rules, corner pieces and a rosette.
fn framed(canvas: &mut Canvas, p: Palette, dice: &mut Dice) -> Lettered {
    canvas.frame(16.0, p.accent, 2.5);
    canvas.frame(22.0, p.accent, 0.8);
    for (x, y) in [(22.0, 22.0), (WIDTH - 22.0, 22.0), (22.0, HEIGHT - 22.0), (WIDTH - 22.0, HEIGHT - 22.0)] {
        canvas.circle(x, y, 13.0, p.ground);
        canvas.ring(x, y, 10.0, p.accent, 1.2);
        canvas.star((x, y), 4, (8.0, 0.38), p.accent);
    }
    let (y, points) = (236.0, 6 + dice.below(4));
    canvas.circle(WIDTH / 2.0, y, 40.0, p.shade);
    canvas.ring(WIDTH / 2.0, y, 40.0, p.accent, 1.2);
    canvas.star((WIDTH / 2.0, y), points * 2, (34.0, dice.between(0.55, 0.75)), p.second);
    canvas.star((WIDTH / 2.0, y), points, (32.0, dice.between(0.3, 0.5)), p.accent);
    canvas.circle(WIDTH / 2.0, y, 7.0, p.ground);
    canvas.circle(WIDTH / 2.0, y, 3.5, p.accent);
    for side in [-1.0, 1.0] {
        let (from, to) = (WIDTH / 2.0 + side * 48.0, WIDTH / 2.0 + side * 78.0);
        canvas.stroke(&format!("M{}L{}", at(from, y), at(to, y)), p.accent, 1.2);
        canvas.star((to, y), 4, (5.0, 0.4), p.accent);
    }
    let mut words = lettered(area(46.0, 170.0, 132.0), area(293.0, 160.0, 30.0), p.ink);
    (words.title.cx, words.author.cx) = (WIDTH / 2.0, WIDTH / 2.0);
    words
}

/// The paperback of three bands, with a coloured device above the author.
fn banded(canvas: &mut Canvas, p: Palette, dice: &mut Dice) -> Lettered {
    let (top, bottom) = (dice.between(78.0, 92.0), dice.between(252.0, 266.0));
    canvas.rect(0.0, 0.0, WIDTH, top, p.accent);
    canvas.rect(0.0, bottom, WIDTH, HEIGHT - bottom, p.accent);
    canvas.rect(0.0, top, WIDTH, bottom - top, p.ink);
    for (i, y) in [top - 12.0, top - 6.0, bottom + 4.0, bottom + 10.0].into_iter().enumerate() {
        canvas.rect(0.0, y, WIDTH, if i % 3 == 0 { 1.0 } else { 2.5 }, p.ground);
    }
    let many = 3 + dice.below(3) * 2;
    for i in 0..many {
        let x = MIDDLE + (i as f64 - (many - 1) as f64 / 2.0) * 24.0;
        let far = (i as f64 - (many - 1) as f64 / 2.0).abs();
        canvas.circle(x, top / 2.0 - 5.0, 16.0 - far * 2.6, p.ground);
        canvas.star((x, top / 2.0 - 5.0), 8, (12.0 - far * 2.0, 0.45), p.accent);
    }
    canvas.rounded([MIDDLE - 88.0, bottom + 32.0, 176.0, 44.0], 22.0, p.ground);
    let mut words = lettered(area(top + 12.0, 188.0, bottom - top - 24.0), area(bottom + 38.0, 150.0, 32.0), p.ink);
    words.title_ink = p.ground;
    words
}

/// A low sun of rings over a calm sea.
fn sun(canvas: &mut Canvas, p: Palette, dice: &mut Dice) -> Lettered {
    let (cx, cy) = (dice.between(70.0, 170.0), 262.0);
    let rings = 4 + dice.below(3);
    for i in (1..=rings).rev() {
        // At most 96: a larger ring would cross the title.
        let r = 52.0 + 44.0 * i as f64 / rings as f64;
        canvas.ring(cx, cy, r, p.second, 0.8 + 2.2 * (1.0 - i as f64 / rings as f64));
    }
    canvas.circle(cx, cy, 52.0, p.accent);
    canvas.rect(0.0, cy, WIDTH, HEIGHT - cy, p.shade);
    for i in 0..6_u32 {
        let (y, half) = (cy + 7.0 + f64::from(i) * 7.5, 50.0 - f64::from(i) * 8.0 + dice.between(-5.0, 5.0));
        canvas.rounded([cx - half, y, half * 2.0, 2.6], 1.3, p.accent);
    }
    lettered(area(26.0, 190.0, 136.0), area(316.0, 190.0, 30.0), p.ink)
}

/// Ridges one behind the other, with a moon.
fn mountains(canvas: &mut Canvas, p: Palette, dice: &mut Dice) -> Lettered {
    canvas.circle(dice.between(60.0, 190.0), dice.between(186.0, 206.0), 25.0, p.accent);
    for (i, (fill, opacity)) in [(p.second, 0.5), (p.second, 0.95), (p.shade, 1.0)].into_iter().enumerate() {
        let base = 236.0 + i as f64 * 30.0;
        let mut d = format!("M{}", at(-4.0, HEIGHT + 4.0));
        let mut x = -4.0;
        let mut up = dice.below(2) == 0;
        while x < WIDTH + 40.0 {
            let y = base + if up { -dice.between(12.0, 40.0) } else { dice.between(2.0, 20.0) };
            d.push_str(&format!("L{}", at(x, y)));
            x += dice.between(24.0, 48.0);
            up = !up;
        }
        d.push_str(&format!("L{}Z", at(x, HEIGHT + 4.0)));
        canvas.group(0.0, 0.0, 1.0, opacity);
        canvas.path(&d, fill);
        canvas.end_group();
    }
    // Below the nearest ridge's lowest valley, so that the author always stands on one colour.
    lettered(area(24.0, 194.0, 124.0), area(320.0, 194.0, 26.0), p.ink)
}

/// A tall window on a night sky.
fn arch(canvas: &mut Canvas, p: Palette, dice: &mut Dice) -> Lettered {
    let (half, spring) = (dice.between(62.0, 76.0), 104.0);
    for (grow, fill) in [(12.0, p.second), (7.0, p.ground), (4.0, p.accent), (0.0, p.shade)] {
        let w = half + grow;
        let foot = 206.0 + grow;
        let d = format!("M{}V{}A{w},{w} 0 0 1 {}V{}Z", at(MIDDLE - w, foot), spring, at(MIDDLE + w, spring), foot);
        canvas.path(&d, fill);
    }
    let moon = MIDDLE + dice.between(-20.0, 20.0);
    canvas.circle(moon, 92.0, 22.0, p.accent);
    canvas.circle(moon + dice.between(7.0, 11.0), 87.0, 19.0, p.shade);
    for _ in 0..14 {
        let (x, y) = (MIDDLE + dice.between(4.0 - half, half - 4.0), dice.between(112.0, 168.0));
        canvas.star((x, y), 4, (dice.between(1.6, 4.2), 0.35), p.ink);
    }
    let (l, r) = (MIDDLE - half, MIDDLE + half);
    let hill = format!("M{}C{} {} {}V206H{l}Z", at(l, 186.0), at(l + 40.0, 160.0), at(r - 50.0, 204.0), at(r, 176.0));
    canvas.path(&hill, p.second);
    lettered(area(224.0, 196.0, 84.0), area(316.0, 196.0, 28.0), p.ink)
}

/// Slanted stripes behind a label.
fn stripes(canvas: &mut Canvas, p: Palette, dice: &mut Dice) -> Lettered {
    let lean = if dice.below(2) == 0 { 150.0 } else { -150.0 };
    let mut x = -200.0;
    let mut turn = dice.below(3);
    while x < WIDTH + 200.0 {
        let w = [22.0, 9.0, 15.0][turn % 3];
        let fill = [p.shade, p.accent, p.second][turn % 3];
        let d = format!("M{}L{}L{}L{}Z", at(x, -2.0), at(x + w, -2.0), at(x + w + lean, 362.0), at(x + lean, 362.0));
        canvas.path(&d, fill);
        x += w + dice.between(7.0, 16.0);
        turn += 1;
    }
    let top = dice.between(62.0, 96.0);
    canvas.rect(26.0, top, 196.0, 196.0, p.ink);
    canvas.rect(31.0, top + 5.0, 186.0, 186.0, p.ground);
    canvas.rect(32.5, top + 6.5, 183.0, 183.0, p.ink);
    canvas.rect(MIDDLE - 18.0, top + 149.0, 36.0, 1.6, p.accent);
    lettered(area(top + 18.0, 162.0, 124.0), area(top + 154.0, 160.0, 30.0), p.ground)
}

/// Rows of scales, like a Japanese wave pattern.
fn waves(canvas: &mut Canvas, p: Palette, dice: &mut Dice) -> Lettered {
    let r = [20.0, 24.0, 30.0][dice.below(3)];
    let mut y = 210.0;
    let mut row = 0_u32;
    while y < HEIGHT + r {
        let mut x = if row.is_multiple_of(2) { 0.0 } else { r };
        while x < WIDTH + r {
            let fill = if dice.below(7) == 0 { p.accent } else { p.second };
            for (share, colour) in [(1.0, p.ground), (0.92, fill), (0.68, p.shade), (0.6, fill), (0.32, p.shade)] {
                canvas.circle(x, y, r * share, colour);
            }
            x += 2.0 * r;
        }
        y += r / 2.0;
        row += 1;
    }
    lettered(area(22.0, 196.0, 112.0), area(142.0, 190.0, 28.0), p.ink)
}

/// Beams from the horizon behind a round label.
fn rays(canvas: &mut Canvas, p: Palette, dice: &mut Dice) -> Lettered {
    let (cx, cy) = (MIDDLE, 150.0);
    let beams = 14 + dice.below(6) * 2;
    let turn = dice.between(0.0, 1.0);
    for i in 0..beams {
        let from = TAU * (i as f64 + turn) / beams as f64;
        let to = from + TAU / beams as f64 / 2.0;
        let corner = |angle: f64| at(cx + 320.0 * angle.cos(), cy + 320.0 * angle.sin());
        canvas.path(&format!("M{}L{}L{}Z", at(cx, cy), corner(from), corner(to)), p.shade);
    }
    canvas.circle(cx, cy, 104.0, p.accent);
    canvas.circle(cx, cy, 98.0, p.ground);
    canvas.ring(cx, cy, 92.0, p.accent, 1.0);
    for angle in [0.0, 0.25, 0.5, 0.75] {
        canvas.star((cx + 101.0 * (TAU * angle).cos(), cy + 101.0 * (TAU * angle).sin()), 4, (11.0, 0.45), p.ink);
    }
    canvas.rect(0.0, 292.0, WIDTH, 40.0, p.accent);
    canvas.rect(0.0, 295.0, WIDTH, 34.0, p.ground);
    lettered(area(100.0, 152.0, 100.0), area(297.0, 196.0, 30.0), p.ink)
}

/// Geometric tiles of quarter circles, below or above the words.
fn tiles(canvas: &mut Canvas, p: Palette, dice: &mut Dice) -> Lettered {
    let above = dice.below(2) == 0;
    let side = 40.0;
    let start = if above { 0.0 } else { HEIGHT - 4.0 * side };
    for row in 0..4_u32 {
        for column in 0..6_u32 {
            let (x, y) = (f64::from(column) * side, start + f64::from(row) * side);
            let choice = dice.below(4);
            canvas.rect(x, y, side, side, [p.shade, p.second, p.shade, p.ink][choice]);
            let fill = [p.accent, p.ground, p.second, p.accent][choice];
            let (left, top) = (dice.below(2) == 0, dice.below(2) == 0);
            let (cx, cy) = (if left { x } else { x + side }, if top { y } else { y + side });
            let (ex, ey) = (if left { x + side } else { x }, if top { y + side } else { y });
            if dice.below(5) == 0 {
                canvas.circle(x + side / 2.0, y + side / 2.0, side * 0.36, fill);
            } else {
                let sweep = u8::from(left == top);
                let d = format!("M{}L{}A{side},{side} 0 0 {sweep} {}Z", at(cx, cy), at(ex, cy), at(cx, ey));
                canvas.path(&d, fill);
            }
        }
    }
    let (edge, top) = if above { (160.0, 178.0) } else { (196.0, 20.0) };
    canvas.rect(0.0, edge, WIDTH, 4.0, p.accent);
    lettered(area(top, 194.0, 122.0), area(top + 130.0, 190.0, 30.0), p.ink)
}

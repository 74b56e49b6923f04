//! The boxes of train sets: a painted scene with the words above and the maker below.
//!
//! A word in the sku chooses the scene that fits the product (a viaduct, a piece of track); otherwise the dice do.

use super::canvas::{Canvas, HEIGHT, WIDTH, at};
use super::lettering::Area;
use super::{Dice, Lettered, Palette};

/// Top of the painted scene; the words are above.
const SCENE: f64 = 116.0;
/// Bottom of the scene; the maker's band is below.
const FLOOR: f64 = 312.0;
const DARK: &str = "#26292e";
const STEEL: &str = "#9aa3aa";
const GLASS: &str = "#fbe9b0";

#[derive(Debug, Clone, Copy, PartialEq)]
enum Scene {
    Steam,
    Express,
    Viaduct,
    Tunnel,
    Track,
}

fn scene_of(sku: &str, dice: &mut Dice) -> Scene {
    let any = |words: &[&str]| words.iter().any(|word| sku.contains(word));
    if any(&["viaduct", "bridge"]) {
        Scene::Viaduct
    } else if any(&["tunnel", "underground", "alpine"]) {
        Scene::Tunnel
    } else if any(&["track", "points", "turntable", "junction"]) {
        Scene::Track
    } else if any(&["steam", "clockwork", "quarry", "logging"]) {
        Scene::Steam
    } else if any(&["railcar", "container", "mail"]) {
        Scene::Express
    } else {
        [Scene::Steam, Scene::Express, Scene::Steam, Scene::Tunnel][dice.below(4)]
    }
}

/// Draws the scene and the box around it.
pub(super) fn draw(canvas: &mut Canvas, p: Palette, dice: &mut Dice, sku: &str) -> Lettered {
    let scene = scene_of(sku, dice);
    let night = sku.contains("night") || dice.below(5) == 0;
    let (sky, far, near) = if night { ("#22345a", "#2d4a63", "#27503f") } else { ("#bfe0e6", "#8dbb9b", "#5f9a64") };
    canvas.rect(0.0, SCENE, WIDTH, FLOOR - SCENE, sky);
    backdrop(canvas, dice, night, far, near);
    match scene {
        Scene::Steam => steam(canvas, p, dice),
        Scene::Express => express(canvas, p, dice),
        Scene::Viaduct => viaduct(canvas, p),
        Scene::Tunnel => tunnel(canvas, p),
        Scene::Track => track(canvas, p, dice),
    }
    canvas.rect(0.0, 0.0, WIDTH, SCENE, p.ground);
    canvas.rect(0.0, SCENE, WIDTH, 5.0, p.accent);
    canvas.rect(0.0, FLOOR, WIDTH, HEIGHT - FLOOR, p.ground);
    canvas.rect(0.0, FLOOR, WIDTH, 5.0, p.accent);
    canvas.frame(3.5, p.accent, 2.0);
    let words = |top, height| Area { cx: WIDTH / 2.0, top, width: 196.0, height };
    Lettered { title: words(16.0, 92.0), title_ink: p.ink, author: words(FLOOR + 10.0, 30.0), author_ink: p.ink }
}

fn backdrop(canvas: &mut Canvas, dice: &mut Dice, night: bool, far: &str, near: &str) {
    let x = dice.between(40.0, 200.0);
    canvas.circle(x, 160.0, 17.0, if night { "#f4eccb" } else { "#f7d774" });
    if night {
        canvas.circle(x + 7.0, 156.0, 14.0, "#22345a");
        for _ in 0..16 {
            canvas.circle(dice.between(4.0, 236.0), dice.between(126.0, 210.0), 0.9, "#f4eccb");
        }
    } else {
        for _ in 0..2 {
            let (cx, cy) = (dice.between(20.0, 220.0), dice.between(136.0, 164.0));
            for (dx, r) in [(-12.0, 6.0), (0.0, 9.0), (12.0, 7.0)] {
                canvas.circle(cx + dx, cy, r, "#f4fafa");
            }
        }
    }
    let hump = |from: f64, y: f64, lift: f64| {
        format!("M{}Q{} {}T{}V320H-10Z", at(-10.0, y), at(from, y - lift), at(from * 1.6, y), at(260.0, y))
    };
    canvas.path(&hump(dice.between(40.0, 70.0), 232.0, dice.between(40.0, 70.0)), far);
    canvas.path(&hump(dice.between(60.0, 100.0), 262.0, dice.between(20.0, 40.0)), near);
    for _ in 0..6 {
        let x = dice.between(6.0, 234.0);
        canvas.rect(x - 1.0, 246.0, 2.0, 10.0, "#5b4630");
        canvas.star((x, 240.0), 3, (dice.between(9.0, 13.0), 0.5), if night { "#1d3d33" } else { "#3f7a52" });
    }
}

/// Ballast, sleepers and rail with their upper edge at `y`.
fn rails(canvas: &mut Canvas, y: f64) {
    canvas.rect(0.0, y + 3.0, WIDTH, 12.0, "#8a7a68");
    for i in 0..16_u32 {
        canvas.rect(f64::from(i) * 16.0, y + 3.0, 9.0, 5.0, "#4d3a2a");
    }
    canvas.rect(0.0, y, WIDTH, 3.0, STEEL);
}

fn wheel(canvas: &mut Canvas, x: f64, r: f64, rim: &str) {
    canvas.circle(x, -r, r, DARK);
    canvas.ring(x, -r, r * 0.72, rim, 1.6);
    canvas.circle(x, -r, r * 0.24, rim);
}

/// A tank engine facing right: 0..106 wide, standing on y = 0.
fn engine(canvas: &mut Canvas, body: &str, trim: &str) {
    canvas.rounded([84.0, -74.0, 10.0, 24.0], 1.0, DARK);
    canvas.rounded([81.0, -77.0, 16.0, 6.0], 2.0, trim);
    canvas.circle(56.0, -52.0, 8.0, trim);
    canvas.rounded([26.0, -54.0, 62.0, 32.0], 5.0, body);
    for x in [44.0, 66.0] {
        canvas.rect(x, -54.0, 2.6, 32.0, trim);
    }
    canvas.rounded([84.0, -55.0, 15.0, 34.0], 3.0, DARK);
    canvas.circle(101.0, -44.0, 4.0, GLASS);
    canvas.rect(0.0, -64.0, 32.0, 44.0, body);
    canvas.rounded([5.0, -58.0, 20.0, 16.0], 3.0, GLASS);
    canvas.rounded([-5.0, -69.0, 42.0, 7.0], 3.0, DARK);
    canvas.rect(-3.0, -23.0, 106.0, 6.0, trim);
    canvas.rounded([101.0, -23.0, 7.0, 8.0], 2.0, DARK);
    for x in [16.0, 44.0, 72.0] {
        wheel(canvas, x, 12.0, trim);
    }
    wheel(canvas, 94.0, 7.0, trim);
    canvas.stroke(&format!("M{}L{}", at(16.0, -10.0), at(72.0, -10.0)), STEEL, 3.0);
}

/// A coach or van, 0..`w` wide, standing on y = 0.
fn coach(canvas: &mut Canvas, w: f64, body: &str, trim: &str) {
    canvas.rounded([-2.0, -56.0, w + 4.0, 7.0], 3.0, DARK);
    canvas.rounded([0.0, -51.0, w, 37.0], 3.0, body);
    canvas.rect(0.0, -28.0, w, 4.0, trim);
    let mut x = 7.0;
    while x + 13.0 < w {
        canvas.rounded([x, -45.0, 12.0, 13.0], 2.0, GLASS);
        x += 18.0;
    }
    canvas.rect(-6.0, -17.0, w + 12.0, 4.0, DARK);
    for x in [14.0, w - 14.0] {
        wheel(canvas, x, 7.5, trim);
    }
}

fn smoke(canvas: &mut Canvas, x: f64, y: f64) {
    for (dx, dy, r) in [(0.0, 0.0, 6.0), (-10.0, -9.0, 8.5), (-25.0, -15.0, 11.0), (-45.0, -19.0, 13.0)] {
        canvas.group(0.0, 0.0, 1.0, 0.9);
        canvas.circle(x + dx, y + dy, r, "#fbfaf5");
        canvas.end_group();
    }
}

/// Engine and livery colours that stand out against grass and sky, whatever the box's palette is.
fn livery(dice: &mut Dice) -> (&'static str, &'static str) {
    [("#a92f2b", "#e8b94f"), ("#1f5c3f", "#e8c46a"), ("#1f3f77", "#e9b44c"), ("#3a2f45", "#d8a07a")][dice.below(4)]
}

fn steam(canvas: &mut Canvas, p: Palette, dice: &mut Dice) {
    let (body, trim) = livery(dice);
    rails(canvas, 292.0);
    canvas.group(108.0, 292.0, 1.14, 1.0);
    smoke(canvas, 88.0, -88.0);
    engine(canvas, body, trim);
    canvas.end_group();
    canvas.group(-4.0, 292.0, 1.14, 1.0);
    coach(canvas, 88.0, if p.ink.starts_with("#f") { p.ink } else { p.ground }, body);
    canvas.end_group();
}

fn express(canvas: &mut Canvas, p: Palette, dice: &mut Dice) {
    let (body, trim) = livery(dice);
    rails(canvas, 292.0);
    canvas.group(-34.0, 292.0, 1.1, 1.0);
    coach(canvas, 112.0, body, trim);
    canvas.end_group();
    canvas.group(100.0, 292.0, 1.1, 1.0);
    canvas.path("M0,-14V-52H70Q104,-50 116,-24Q119,-14 110,-14Z", body);
    canvas.path("M0,-26H115L118,-20H0Z", trim);
    canvas.path("M78,-47Q96,-44 105,-32H78Z", GLASS);
    for x in [8.0, 26.0, 44.0] {
        canvas.rounded([x, -45.0, 13.0, 13.0], 2.0, GLASS);
    }
    canvas.circle(112.0, -23.0, 3.2, "#fffbe0");
    canvas.rounded([-2.0, -56.0, 76.0, 6.0], 3.0, p.shade);
    canvas.rect(-6.0, -16.0, 112.0, 4.0, DARK);
    for x in [16.0, 32.0, 78.0, 94.0] {
        wheel(canvas, x, 7.0, trim);
    }
    canvas.end_group();
}

fn viaduct(canvas: &mut Canvas, p: Palette) {
    let (deck, stone, joint) = (228.0, "#c9b596", "#a8926f");
    canvas.rect(0.0, 290.0, WIDTH, 30.0, "#6aa7b8");
    let mut d = format!("M-2,{deck}H242V320H-2Z");
    for i in 0..4_u32 {
        let left = 6.0 + f64::from(i) * 60.0;
        // Drawn against the direction of the wall, which makes it a hole.
        d.push_str(&format!("M{},320V276A24,24 0 0 0 {left},276V320Z", left + 48.0));
    }
    canvas.path(&d, stone);
    for i in 0..4_u32 {
        let left = 6.0 + f64::from(i) * 60.0;
        canvas.stroke(&format!("M{left},276A24,24 0 0 1 {},276", left + 48.0), joint, 3.0);
    }
    canvas.rect(0.0, deck, WIDTH, 6.0, joint);
    canvas.rect(0.0, deck - 3.0, WIDTH, 3.0, STEEL);
    canvas.group(150.0, deck - 3.0, 0.72, 1.0);
    smoke(canvas, 88.0, -88.0);
    engine(canvas, "#a92f2b", "#e8b94f");
    canvas.end_group();
    for (i, x) in [78.0, 4.0].into_iter().enumerate() {
        canvas.group(x, deck - 3.0, 0.72, 1.0);
        coach(canvas, 90.0, if i == 0 { "#f4e6c8" } else { p.second }, "#a92f2b");
        canvas.end_group();
    }
}

fn tunnel(canvas: &mut Canvas, p: Palette) {
    canvas.path("M-10,312V196Q40,150 96,196Q132,236 140,312Z", "#3f7a52");
    canvas.path("M-10,312V226Q30,196 70,230Q96,262 100,312Z", "#4f8d5e");
    canvas.path("M8,312V236A44,44 0 0 1 96,236V312Z", "#b3a082");
    canvas.path("M18,312V238A34,34 0 0 1 86,238V312Z", DARK);
    rails(canvas, 292.0);
    canvas.group(26.0, 292.0, 1.0, 1.0);
    coach(canvas, 84.0, p.second, "#e8b94f");
    canvas.end_group();
    canvas.rect(8.0, 236.0, 10.0, 76.0, "#b3a082");
    canvas.path("M18,312V238A34,34 0 0 1 38,208V312Z", DARK);
    canvas.group(120.0, 292.0, 1.06, 1.0);
    smoke(canvas, 88.0, -88.0);
    engine(canvas, "#1f3f77", "#e9b44c");
    canvas.end_group();
}

/// The track itself seen from above, with a small train on it.
fn track(canvas: &mut Canvas, p: Palette, dice: &mut Dice) {
    canvas.rect(0.0, SCENE, WIDTH, FLOOR - SCENE, p.shade);
    let oval = "M78,152H162A62,62 0 0 1 162,276H78A62,62 0 0 1 78,152Z";
    let branch =
        ["M78,276C130,276 140,214 224,206", "M162,152C110,152 100,214 16,222", "M92,152C140,160 100,268 150,276"]
            [dice.below(3)];
    for d in [branch, oval] {
        canvas.dashes(d, "#7c6a55", 20.0);
        canvas.stroke(d, STEEL, 12.0);
        canvas.stroke(d, p.shade, 8.0);
    }
    for (x, fill) in [(90.0, "#e8b94f"), (124.0, "#a92f2b")] {
        canvas.rounded([x, 143.0, 30.0, 18.0], 4.0, fill);
        canvas.rounded([x + 4.0, 147.0, 22.0, 10.0], 2.0, GLASS);
    }
    canvas.circle(148.0, 152.0, 4.0, DARK);
    canvas.rounded([100.0, 196.0, 40.0, 24.0], 3.0, "#c9b596");
    canvas.rect(100.0, 207.0, 40.0, 2.0, "#8a7a68");
}

//! What the storefront relies on: safe markup, words inside the cover, the same picture every time.

use super::lettering::{AUTHOR, TITLE, fit, width_of};
use super::{Area, cover_svg};

const LONG: &str = "A Philosophical Enquiry into the Origin of Our Ideas of the Sublime and Beautiful";

fn place(width: f64, height: f64) -> Area {
    Area { cx: 120.0, top: 20.0, width, height }
}

/// The text of all `<text>` elements, in order.
fn words(svg: &str) -> String {
    let mut out = Vec::new();
    for part in svg.split("<text").skip(1) {
        let (_, after) = part.split_once('>').expect("a text element");
        out.push(after.split_once("</text>").expect("its end").0.to_owned());
    }
    out.join(" ")
}

/// A check of nesting that is small enough to trust: every element opened is closed in order.
fn assert_well_formed(svg: &str) {
    let mut open = Vec::new();
    for tag in svg.split('<').skip(1) {
        let (tag, text) = tag.split_once('>').expect("every tag ends");
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        assert!(!text.contains('"'), "{text}");
        let name = tag.trim_start_matches('/').split([' ', '/']).next().expect("a name");
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn markup_in_words_is_escaped() {
    let svg = cover_svg("<script>alert(\"x\")</script> & 'co'", "A <b> \u{7}", "Fiction", "a\"<b>");
    assert!(!svg.contains("<script") && !svg.contains("<b>"), "{svg}");
    assert!(svg.contains("&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; &amp; &#39;co&#39;"), "{svg}");
    assert!(!svg.contains('\u{7}'));
    assert_well_formed(&svg);
}

#[test]
fn every_layout_is_well_formed_and_keeps_all_words_of_a_normal_title() {
    for i in 0..300 {
        for category in ["Fiction", "Train sets"] {
            let svg = cover_svg("The Count of Monte Cristo", "Alexandre Dumas", category, &format!("sku-{i}"));
            assert_well_formed(&svg);
            assert!(svg.starts_with("<svg ") && svg.contains(r#"role="img""#));
            assert!(svg.contains(">The Count of Monte Cristo by Alexandre Dumas</title>"));
            assert_eq!(words(&svg), "The Count of Monte Cristo ALEXANDRE DUMAS", "sku-{i} {category}");
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "sku-{i}");
            assert!(svg.len() < 96 * 1024, "{} bytes", svg.len());
        }
    }
}

#[test]
fn long_titles_stay_inside_their_place() {
    let endless = "word ".repeat(400);
    let one_word = "x".repeat(500);
    let wide = "🚂".repeat(60);
    for text in [LONG, &endless, &one_word, &wide, "WWWWW MMMMM", "", "  "] {
        for area in [place(142.0, 104.0), place(196.0, 84.0), place(160.0, 28.0)] {
            for face in [TITLE, AUTHOR] {
                let block = fit(text, area, face);
                assert!(block.lines.len() <= face.max_lines, "{block:?}");
                assert!(block.lines.len() as f64 * block.size <= area.height, "{block:?}");
                for line in &block.lines {
                    assert!(width_of(line, block.size, face.spacing) <= area.width, "{line:?} at {}", block.size);
                }
            }
        }
    }
}

#[test]
fn the_longest_title_in_the_shop_is_shown_whole_and_an_endless_one_is_cut() {
    for i in 0..60 {
        let svg = cover_svg(LONG, "Edmund Burke", "Philosophy", &format!("long-{i}"));
        assert_eq!(words(&svg), format!("{LONG} EDMUND BURKE"), "long-{i}");
    }
    let block = fit(&"word ".repeat(400), place(190.0, 120.0), TITLE);
    assert!(block.lines.last().is_some_and(|line| line.ends_with('…')), "{block:?}");
}

#[test]
fn short_titles_are_larger_than_long_ones() {
    let area = place(190.0, 120.0);
    assert!(fit("Emma", area, TITLE).size > fit(LONG, area, TITLE).size);
}

#[test]
fn the_same_product_looks_the_same_and_others_differ() {
    let draw = |sku: &str| cover_svg("Poems", "John Donne", "Poetry", sku);
    assert_eq!(draw("poems-donne"), draw("poems-donne"));
    let all: std::collections::BTreeSet<String> = (0..500).map(|i| draw(&format!("poems-{i}"))).collect();
    assert_eq!(all.len(), 500);
    assert_ne!(draw("poems-donne"), cover_svg("Poems", "John Donne", "Train sets", "poems-donne"));
}

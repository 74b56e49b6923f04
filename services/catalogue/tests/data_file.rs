//! Keeps the shop's data file within the bounds that the rest of the shop assumes.
//!
//! The file is read when a shop starts for the first time, so a wrong line would otherwise show as a failed start, a
//! broken link (sku) or a product that nobody can buy (price, stock). The test has its own small struct on purpose: it
//! checks the file, not the loader.
#![expect(clippy::expect_used, reason = "a test that cannot go on may panic, also in its helpers")]

use std::collections::{BTreeMap, BTreeSet};

/// Embedded, so that the test runs from any folder.
const FILE: &str = include_str!("../data/products.json");
const TRAINS: &str = "Train sets";
/// The catalogue's default page; what a visitor sees first.
const FIRST_PAGE: usize = 20;

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    sku: String,
    title: String,
    creator: String,
    category: String,
    description: String,
    year: i32,
    price_minor: i64,
    stock: i64,
}

impl Line {
    fn is_train_set(&self) -> bool {
        self.category == TRAINS
    }
}

fn lines() -> Vec<Line> {
    serde_json::from_str(FILE).expect("the data file is a JSON array of products")
}

#[test]
fn enough_books_and_train_sets_in_enough_categories() {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for line in lines() {
        *counts.entry(line.category).or_default() += 1;
    }
    let trains = counts.remove(TRAINS).unwrap_or(0);
    assert!(trains >= 24, "{trains} train sets");
    assert!(counts.values().sum::<usize>() >= 520, "{counts:?}");
    assert!((7..=11).contains(&counts.len()), "{counts:?}");
    for (category, count) in &counts {
        assert!(*count >= 30, "only {count} books in {category}");
    }
}

#[test]
fn first_page_shows_a_bit_of_everything() {
    let lines = lines();
    let page = &lines[..FIRST_PAGE];
    assert!(page.iter().filter(|line| line.is_train_set()).count() >= 2);
    let categories: BTreeSet<&str> = page.iter().map(|line| line.category.as_str()).collect();
    assert!(categories.len() >= 8, "{categories:?}");
}

#[test]
fn skus_are_unique_slugs() {
    let mut seen = BTreeSet::new();
    for line in lines() {
        let slug = line.sku.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        assert!(slug && (3..=40).contains(&line.sku.len()), "bad sku {:?}", line.sku);
        assert!(seen.insert(line.sku.clone()), "sku twice: {}", line.sku);
    }
}

#[test]
fn no_book_is_listed_twice() {
    let mut seen = BTreeSet::new();
    for line in lines() {
        assert!(seen.insert((line.title.clone(), line.creator.clone())), "twice: {} by {}", line.title, line.creator);
    }
}

#[test]
fn texts_are_filled_in_and_bounded() {
    for line in lines() {
        for (text, max) in [(&line.title, 100), (&line.creator, 60), (&line.category, 20), (&line.description, 300)] {
            assert!(!text.is_empty() && text.trim() == text, "empty or padded text in {}", line.sku);
            assert!(text.chars().count() <= max, "{text:?} of {} is longer than {max}", line.sku);
            assert!(!text.chars().any(char::is_control), "control character in {}", line.sku);
        }
        assert!(line.description.ends_with(['.', '?', '!']), "{}: {}", line.sku, line.description);
    }
}

#[test]
fn prices_and_stock_are_in_range() {
    let lines = lines();
    for line in &lines {
        let (prices, stock) = if line.is_train_set() { (1999..=24_999, 5..=60) } else { (299..=2_999, 1..=500) };
        assert!(prices.contains(&line.price_minor), "price of {}: {}", line.sku, line.price_minor);
        assert_eq!(line.price_minor % 100, 99, "price of {}", line.sku);
        assert!(stock.contains(&line.stock), "stock of {}: {}", line.sku, line.stock);
        assert!(line.stock <= 3 || line.stock >= 5, "stock of {}: {}", line.sku, line.stock);
    }
    // A handful must sell out within a few clicks; if many did, a load test would mostly see refusals.
    let scarce = lines.iter().filter(|line| line.stock <= 3).count();
    assert!((3..=12).contains(&scarce), "{scarce} products with at most 3 in stock");
    let plenty = lines.iter().filter(|line| !line.is_train_set() && line.stock > 3).all(|line| line.stock >= 20);
    assert!(plenty, "a book is neither scarce nor plentiful");
}

#[test]
fn books_are_old_enough_to_be_in_the_public_domain() {
    for line in lines() {
        if line.is_train_set() {
            assert!((2024..=2026).contains(&line.year), "{}: {}", line.sku, line.year);
        } else {
            assert!((1400..=1928).contains(&line.year), "{}: {}", line.sku, line.year);
        }
    }
}

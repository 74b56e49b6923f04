//! The products a shop starts with: built in, or from `--products`.
//!
//! Checked before anything is written, because a wrong price or stock would be sold before anybody saw it.

use std::collections::BTreeSet;

use contract::Sku;
use serde::Deserialize;

/// Most products of one file. The node keeps all of them in memory and searches them one by one; a catalogue beyond
/// this wants an index.
const PRODUCTS_MAX: usize = 10_000;
const PRICE_MAX_MINOR: i64 = 100_000_000;
const STOCK_MAX: i64 = 1_000_000;
const NAME_MAX_CHARS: usize = 200;
const DESCRIPTION_MAX_CHARS: usize = 2_000;

/// One product as the file gives it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewProduct {
    /// Its stable name.
    pub sku: Sku,
    /// Title, 1 to 200 characters.
    pub title: String,
    /// Author or maker, 1 to 200 characters.
    pub creator: String,
    /// Shelf, 1 to 200 characters.
    pub category: String,
    /// A sentence or two, 1 to 2,000 characters.
    pub description: String,
    /// Year of first publication. Part of the file's facts; the shop does not show it yet.
    pub year: i32,
    /// Price of one piece in pence, 1 to 100,000,000.
    pub price_minor: i64,
    /// Pieces to put on the shelf, 0 to 1,000,000.
    pub stock: i64,
}

/// Why a file of products cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataFileError {
    /// Not JSON, or a field is missing, unknown or of the wrong type; serde names field, line and column.
    #[error("expected a JSON array of products: {0}")]
    Form(#[from] serde_json::Error),
    /// A value is out of its bounds.
    #[error("product {number} (\"{sku}\"): {field} {rule}")]
    Value {
        /// Its place in the file, from 1.
        number: usize,
        /// Its sku.
        sku: Sku,
        /// Which field.
        field: &'static str,
        /// What is allowed.
        rule: String,
    },
    /// None at all, or more than fit.
    #[error("{0} products; 1 to {PRODUCTS_MAX} are allowed")]
    Count(usize),
}

/// Reads and checks a file's text.
///
/// # Errors
/// [`DataFileError`], which names line or product and field.
pub fn parse(text: &str) -> Result<Vec<NewProduct>, DataFileError> {
    let products: Vec<NewProduct> = serde_json::from_str(text)?;
    if products.is_empty() || products.len() > PRODUCTS_MAX {
        return Err(DataFileError::Count(products.len()));
    }
    let mut seen = BTreeSet::new();
    for (index, product) in products.iter().enumerate() {
        let wrong = |(field, rule)| DataFileError::Value { number: index + 1, sku: product.sku.clone(), field, rule };
        check(product).map_err(wrong)?;
        if !seen.insert(&product.sku) {
            return Err(wrong(("sku", "occurs twice".to_owned())));
        }
    }
    Ok(products)
}

fn check(product: &NewProduct) -> Result<(), (&'static str, String)> {
    for (field, text, max) in [
        ("title", &product.title, NAME_MAX_CHARS),
        ("creator", &product.creator, NAME_MAX_CHARS),
        ("category", &product.category, NAME_MAX_CHARS),
        ("description", &product.description, DESCRIPTION_MAX_CHARS),
    ] {
        if text.trim().is_empty() || text.chars().count() > max {
            return Err((field, format!("must have 1 to {max} characters")));
        }
    }
    if !(1..=PRICE_MAX_MINOR).contains(&product.price_minor) {
        return Err(("price_minor", format!("must be 1 to {PRICE_MAX_MINOR} pence")));
    }
    if !(0..=STOCK_MAX).contains(&product.stock) {
        return Err(("stock", format!("must be 0 to {STOCK_MAX} pieces")));
    }
    Ok(())
}

/// The products built into the program.
///
/// # Errors
/// Never in a released program: a test reads the same text.
pub fn embedded() -> Result<Vec<NewProduct>, DataFileError> {
    parse(include_str!("../data/products.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(sku: &str, price: i64, stock: i64) -> String {
        format!(
            r#"{{"sku":"{sku}","title":"T","creator":"C","category":"K","description":"D.","year":1900,"price_minor":{price},"stock":{stock}}}"#
        )
    }

    fn error(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn the_built_in_products_can_be_used() {
        assert!(embedded().unwrap().len() >= 500);
    }

    #[test]
    fn a_wrong_file_is_refused_with_its_place() {
        let good = line("good-one", 1, 0);
        assert_eq!(parse(&format!("[{good}]")).unwrap().len(), 1);
        let wrong = error(&format!("[{good},\n{}]", line("bad one", 1, 0)));
        assert!(wrong.contains("line 2") && wrong.contains("a sku has"), "{wrong}");
        let wrong = error(&format!("[{good},\n{{\"sku\":\"abc\"}}]"));
        assert!(wrong.contains("line 2") && wrong.contains("title"), "{wrong}");
        assert_eq!(error(&format!("[{good},{good}]")), "product 2 (\"good-one\"): sku occurs twice");
        assert!(error(&format!("[{}]", line("abc", 0, 0))).contains("product 1 (\"abc\"): price_minor must be"));
        assert!(error(&format!("[{}]", line("abc", 1, -1))).contains("stock must be 0 to"));
        assert!(error("[]").contains("0 products"));
    }
}

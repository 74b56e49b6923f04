//! Addresses inside the shop. The only place that writes a query string, so that a title or category with `&`, `'` or a
//! space cannot break a link.

use contract::catalogue::Product;
use sha2::{Digest as _, Sha256};

/// Raise it when covers are drawn differently: it is part of their version, and old ones are cached for a year.
const DRAWING: &str = "1";

/// What a customer browses: the part of the address that says so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Browse {
    /// Search words; empty for all.
    pub(crate) query: String,
    /// Shelf; none for all.
    pub(crate) category: Option<String>,
    /// Cursor of the page before.
    pub(crate) after: Option<String>,
}

impl Browse {
    /// Whether this is the front page, with nothing chosen.
    pub(crate) const fn is_front(&self) -> bool {
        self.query.is_empty() && self.category.is_none() && self.after.is_none()
    }

    /// Its address.
    pub(crate) fn href(&self) -> String {
        let query = (!self.query.is_empty()).then_some(&self.query);
        let parts = [("q", query), ("category", self.category.as_ref()), ("after", self.after.as_ref())];
        let mut href = String::from("/");
        for (name, value) in parts.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            href.push(if href.len() == 1 { '?' } else { '&' });
            href.push_str(name);
            href.push('=');
            encode(value, &mut href);
        }
        href
    }
}

/// Percent-encodes everything but RFC 3986's unreserved characters.
fn encode(text: &str, into: &mut String) {
    use std::fmt::Write as _;
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            into.push(char::from(byte));
        } else {
            let _ = write!(into, "%{byte:02X}");
        }
    }
}

/// Names what a cover shows: it changes with the words on it, so a cover of this version may be cached for ever.
pub(crate) fn cover_version(product: &Product) -> String {
    let mut hash = Sha256::new();
    for part in [DRAWING, &product.title, &product.creator, &product.category] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.finalize().iter().take(4).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// Where a product's cover is.
pub(crate) fn cover_link(product: &Product) -> String {
    format!("/covers/{}.svg?v={}", product.sku, cover_version(product))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_chosen_is_in_the_address() {
        assert_eq!(Browse::default().href(), "/");
        let mut browse = Browse { category: Some("Children's".to_owned()), ..Browse::default() };
        assert_eq!(browse.href(), "/?category=Children%27s");
        browse.query = "tea & toast+\"ü\"".to_owned();
        browse.after = Some("a=b".to_owned());
        assert_eq!(browse.href(), "/?q=tea%20%26%20toast%2B%22%C3%BC%22&category=Children%27s&after=a%3Db");
        assert!(!browse.is_front());
    }

    #[test]
    fn a_cover_has_a_new_version_when_its_words_change() {
        let product = super::super::shelf::tests::product();
        let renamed = Product { creator: "Somebody Else".to_owned(), ..product.clone() };
        assert_ne!(cover_version(&product), cover_version(&renamed));
        assert_eq!(cover_version(&product), cover_version(&product.clone()));
    }
}

//! All products at one moment, and how they are searched. Pure.

use std::collections::BTreeMap;

use contract::{
    Sku,
    catalogue::{List, ListRefusal, Product, ProductPage},
};

use crate::store::Placed;

/// Words of a query that are looked at; the edge allows 100 characters, so this bounds only foreign callers.
const WORDS_MAX: usize = 50;
const LIMIT_MAX: u32 = 100;

#[derive(Debug)]
pub(crate) struct Snapshot {
    entries: Vec<Entry>,
    by_sku: BTreeMap<Sku, usize>,
    categories: Vec<(String, u32)>,
}

#[derive(Debug)]
struct Entry {
    placed: Placed,
    /// Title and creator in lower case, on two lines, so that no word matches across both.
    search: String,
}

impl Snapshot {
    /// Expects the products in the shop's order.
    pub(crate) fn new(products: Vec<Placed>) -> Self {
        let mut categories = BTreeMap::new();
        let entry = |placed: Placed| {
            let search = format!("{}\n{}", placed.product.title, placed.product.creator).to_lowercase();
            *categories.entry(placed.product.category.clone()).or_default() += 1;
            Entry { placed, search }
        };
        let entries: Vec<Entry> = products.into_iter().map(entry).collect();
        let by_sku = entries.iter().enumerate().map(|(at, entry)| (entry.placed.product.sku.clone(), at)).collect();
        Self { entries, by_sku, categories: categories.into_iter().collect() }
    }

    pub(crate) fn get(&self, sku: &Sku) -> Option<&Product> {
        self.by_sku.get(sku).map(|at| &self.entries[*at].placed.product)
    }

    /// By name.
    pub(crate) fn categories(&self) -> Vec<(String, u32)> {
        self.categories.clone()
    }

    pub(crate) fn page(&self, list: &List) -> Result<ProductPage, ListRefusal> {
        let after = list.after.as_deref().map(position_of).transpose()?.unwrap_or(i64::MIN);
        let query = list.query.to_lowercase();
        let words: Vec<&str> = query.split_whitespace().take(WORDS_MAX).collect();
        let limit = list.limit.clamp(1, LIMIT_MAX) as usize;
        let mut found = self
            .entries
            .iter()
            .filter(|entry| entry.placed.position > after)
            .filter(|entry| list.category.as_ref().is_none_or(|category| *category == entry.placed.product.category))
            .filter(|entry| words.iter().all(|word| entry.search.contains(word)))
            .map(|entry| &entry.placed);
        let page: Vec<&Placed> = found.by_ref().take(limit).collect();
        let next = found.next().and(page.last()).map(|last| cursor_of(last.position));
        Ok(ProductPage { items: page.into_iter().map(|placed| placed.product.clone()).collect(), next })
    }
}

/// A cursor survives new products and sold-out ones, because it is a place and not a count.
fn cursor_of(position: i64) -> String {
    format!("p{position}")
}

fn position_of(cursor: &str) -> Result<i64, ListRefusal> {
    let position = cursor.strip_prefix('p').and_then(|digits| digits.parse().ok());
    position.filter(|position| cursor_of(*position) == cursor).ok_or(ListRefusal::BadCursor)
}

#[cfg(test)]
mod tests {
    use contract::Money;

    use super::*;

    fn snapshot() -> Snapshot {
        let product = |(position, (sku, title, creator, category)): (usize, (&str, &str, &str, &str))| Placed {
            position: position as i64 * 10,
            product: Product {
                sku: sku.parse().unwrap(),
                title: title.to_owned(),
                creator: creator.to_owned(),
                category: category.to_owned(),
                description: "D.".to_owned(),
                price: Money::gbp(1),
                available: 1,
            },
        };
        let lines = [
            ("jane-eyre", "Jane Eyre", "Charlotte Brontë", "Fiction"),
            ("emma", "Emma", "Jane Austen", "Fiction"),
            ("percent", "100% Wool", "A_B", "Craft"),
            ("therese", "THÉRÈSE RAQUIN", "Émile Zola", "Fiction"),
        ];
        Snapshot::new(lines.into_iter().enumerate().map(product).collect())
    }

    fn skus(query: &str, category: Option<&str>) -> Vec<String> {
        let list = List { query: query.to_owned(), category: category.map(str::to_owned), after: None, limit: 100 };
        snapshot().page(&list).unwrap().items.into_iter().map(|product| product.sku.to_string()).collect()
    }

    #[test]
    fn every_word_must_occur_in_title_or_creator() {
        assert_eq!(skus("jane", None), ["jane-eyre", "emma"]);
        assert_eq!(skus("  BRONTË jane ", None), ["jane-eyre"]);
        assert_eq!(skus("thérèse émile", None), ["therese"]);
        assert_eq!(skus("jane zola", None), [""; 0]);
        assert_eq!(skus("%", None), ["percent"]);
        assert_eq!(skus("_", None), ["percent"]);
        assert_eq!(skus("", Some("Fiction")).len(), 3);
        assert_eq!(skus("", Some("fiction")), [""; 0]);
    }

    #[test]
    fn pages_join_to_the_whole_and_the_last_has_no_next() {
        let snapshot = snapshot();
        for limit in [0, 1, 2, 3, 4, 5, 1_000] {
            let (mut after, mut seen, mut pages) = (None, Vec::new(), 0);
            loop {
                let page = snapshot.page(&List { query: String::new(), category: None, after, limit }).unwrap();
                seen.extend(page.items.into_iter().map(|product| product.sku.to_string()));
                pages += 1;
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(seen, ["jane-eyre", "emma", "percent", "therese"]);
            assert_eq!(pages, 4_usize.div_ceil(limit.clamp(1, 100) as usize));
        }
    }

    #[test]
    fn foreign_cursors_are_refused() {
        for bad in ["", "p", "x1", "1", "p1 ", "p+1", "p01", "p99999999999999999999"] {
            let list = List { query: String::new(), category: None, after: Some(bad.to_owned()), limit: 1 };
            assert_eq!(snapshot().page(&list), Err(ListRefusal::BadCursor), "{bad:?}");
        }
    }

    #[test]
    fn categories_are_counted() {
        assert_eq!(snapshot().categories(), [("Craft".to_owned(), 1), ("Fiction".to_owned(), 3)]);
    }
}

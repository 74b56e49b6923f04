//! Pages that show products: the front page, shelves, search results, and one product.

use askama::Template;
use contract::catalogue::Product;

use super::{Browse, Shell, cover_link};

/// Below this many pieces the shop says how many are left.
const FEW: u32 = 5;

/// One product as a card on a shelf.
#[derive(Clone, Debug)]
pub(crate) struct Card {
    sku: String,
    title: String,
    creator: String,
    price: String,
    cover: String,
    sold_out: bool,
}

impl From<&Product> for Card {
    fn from(product: &Product) -> Self {
        Self {
            sku: product.sku.to_string(),
            title: product.title.clone(),
            creator: product.creator.clone(),
            price: product.price.to_string(),
            cover: cover_link(product),
            sold_out: product.available == 0,
        }
    }
}

/// One category as a stop on the line of shelves.
#[derive(Clone, Debug)]
pub(crate) struct Stop {
    /// Its name.
    pub(crate) name: String,
    /// Its address.
    pub(crate) href: String,
    /// Whether the customer is there.
    pub(crate) here: bool,
}

impl Stop {
    /// The line: all shelves first, then each category.
    pub(crate) fn line(categories: &[(String, u32)], browse: &Browse) -> Vec<Self> {
        let all = Self { name: "All shelves".to_owned(), href: "/".to_owned(), here: browse.category.is_none() };
        let stops = categories.iter().map(|(name, _)| {
            let there = Browse { category: Some(name.clone()), ..Browse::default() };
            Self { name: name.clone(), href: there.href(), here: browse.category.as_ref() == Some(name) }
        });
        std::iter::once(all).chain(stops).collect()
    }
}

/// The front page, a shelf, or search results.
#[derive(Debug, Template)]
#[template(path = "shelf.html")]
pub(crate) struct ShelfPage {
    /// The frame.
    pub(crate) shell: Shell,
    /// Whether this is the front page, with its picture.
    pub(crate) front: bool,
    /// What is above the covers.
    pub(crate) heading: String,
    /// The category that a search stays in.
    pub(crate) category: Option<String>,
    /// The line of shelves.
    pub(crate) stops: Vec<Stop>,
    /// The products.
    pub(crate) cards: Vec<Card>,
    /// Trains for the front page; may be empty.
    pub(crate) trains: Vec<Card>,
    /// The next page.
    pub(crate) next: Option<String>,
    /// The first page, from a later one.
    pub(crate) first: Option<String>,
    /// The same search on all shelves.
    pub(crate) everywhere: Option<String>,
}

/// One product.
#[derive(Debug, Template)]
#[template(path = "product.html")]
pub(crate) struct ProductPage {
    shell: Shell,
    card: Card,
    category: String,
    shelf: String,
    description: String,
    stock: String,
    stock_level: &'static str,
    quantity_max: u32,
    more: Vec<Card>,
}

impl ProductPage {
    /// The page of a product, with others of its shelf.
    pub(crate) fn new(assets: &str, product: &Product, more: &[Product]) -> Self {
        let mut shell = Shell::new(assets, &product.title);
        shell.summary.clone_from(&product.description);
        let (stock, stock_level) = match product.available {
            0 => ("Sold out".to_owned(), "none"),
            1 => ("The last one".to_owned(), "few"),
            few @ 2..=FEW => (format!("Only {few} left"), "few"),
            _ => ("In stock".to_owned(), "many"),
        };
        let more = more.iter().filter(|other| other.sku != product.sku).take(6).map(Card::from).collect();
        Self {
            shell,
            card: Card::from(product),
            category: product.category.clone(),
            shelf: Browse { category: Some(product.category.clone()), ..Browse::default() }.href(),
            description: product.description.clone(),
            stock,
            stock_level,
            quantity_max: product.available.clamp(1, contract::cart::QUANTITY_MAX),
            more,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use contract::Money;

    use super::*;

    pub(in crate::views) fn product() -> Product {
        Product {
            sku: "tea-and-toast".parse().unwrap(),
            title: "Tea <script>alert(1)</script> & \"Toast\"".to_owned(),
            creator: "O'Brien <b>".to_owned(),
            category: "Children's".to_owned(),
            description: "Crumbs </p><img src=x>".to_owned(),
            price: Money::gbp(1299),
            available: 3,
        }
    }

    fn shelf(browse: &Browse) -> String {
        let page = ShelfPage {
            shell: Shell { query: browse.query.clone(), ..Shell::new("/static/v", "Books") },
            front: false,
            heading: "Results".to_owned(),
            category: browse.category.clone(),
            stops: Stop::line(&[("Children's".to_owned(), 3), ("Poetry".to_owned(), 2)], browse),
            cards: vec![Card::from(&product())],
            trains: Vec::new(),
            next: Some(Browse { after: Some("cursor&1".to_owned()), ..browse.clone() }.href()),
            first: None,
            everywhere: None,
        };
        page.render().unwrap()
    }

    #[test]
    fn a_products_words_cannot_become_markup() {
        let page = ProductPage::new("/static/v", &product(), &[]).render().unwrap();
        for forbidden in ["<script>alert", "<img src=x>", "<b>", "</p><img"] {
            assert!(!page.contains(forbidden), "{forbidden} in {page}");
        }
        assert!(page.contains("Tea &#60;script&#62;alert(1)&#60;/script&#62;"), "{page}");
        assert!(page.contains("Only 3 left") && page.contains("£12.99"));
        assert!(page.contains("href=\"/?category=Children%27s\""));
    }

    #[test]
    fn search_words_come_back_escaped_and_links_keep_the_choice() {
        let query = "\"><script>x</script>".to_owned();
        let page = shelf(&Browse { query, category: Some("Children's".to_owned()), after: None });
        assert!(!page.contains("<script>x"), "{page}");
        assert!(page.contains("href=\"/products/tea-and-toast\""));
        assert!(page.contains("category=Children%27s&#38;after=cursor%261"), "{page}");
    }

    #[test]
    fn the_line_of_shelves_marks_where_the_customer_is() {
        let browse = Browse { category: Some("Poetry".to_owned()), ..Browse::default() };
        let stops = Stop::line(&[("Children's".to_owned(), 3), ("Poetry".to_owned(), 2)], &browse);
        let here: Vec<_> = stops.iter().filter(|stop| stop.here).map(|stop| stop.name.as_str()).collect();
        assert_eq!(here, ["Poetry"]);
        assert_eq!(shelf(&browse).matches("aria-current=\"page\"").count(), 1);
    }

    #[test]
    fn a_sold_out_product_cannot_be_put_into_the_cart() {
        let sold_out = Product { available: 0, ..product() };
        let page = ProductPage::new("/static/v", &sold_out, &[]).render().unwrap();
        assert!(page.contains("Sold out") && !page.contains("data-add"));
    }
}

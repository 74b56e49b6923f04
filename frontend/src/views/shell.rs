//! What every page shares: title, search words, the address of the static files.

/// The frame around a page.
#[derive(Clone, Debug)]
pub(crate) struct Shell {
    /// In front of the shop's name in the window title; empty for the front page.
    pub(crate) title: String,
    /// One sentence for search engines and link previews.
    pub(crate) summary: String,
    /// The words in the search field.
    pub(crate) query: String,
    /// The folder of the static files, with their version: see `pages::assets`.
    pub(crate) assets: String,
}

impl Shell {
    /// A page of this title.
    pub(crate) fn new(assets: &str, title: &str) -> Self {
        let summary = "A small bookshop with trains: classic books and model railway sets.".to_owned();
        Self { title: title.to_owned(), summary, query: String::new(), assets: assets.to_owned() }
    }
}

//! The front page, shelves and search: one address, told apart by what was chosen. Works without script.

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
};
use contract::{
    CallError, NoKey, Outcome,
    shop::{Categories, Products},
};
use serde::Deserialize;

use super::{assets, page, trouble};
use crate::{
    app::App,
    views::{Browse, Card, ShelfPage, Shell, Stop},
};

/// Products on one page: whole rows of two, three, four and six.
const PAGE_SIZE: u32 = 24;
/// Trains on the front page.
const TRAINS: u32 = 6;
/// The shelf they stand on.
const TRAIN_SETS: &str = "Train sets";
/// Characters of a search that count. A form cannot send more; from a link the rest is cut off.
const QUERY_MAX: usize = 100;

/// What the address may say. Other fields are ignored: links from elsewhere carry all sorts of them.
#[derive(Debug, Deserialize)]
pub(super) struct Choice {
    #[serde(default)]
    q: String,
    category: Option<String>,
    after: Option<String>,
}

impl From<Choice> for Browse {
    fn from(choice: Choice) -> Self {
        let chosen = |text: Option<String>| text.filter(|text| !text.is_empty());
        Self {
            query: choice.q.trim().chars().take(QUERY_MAX).collect(),
            category: chosen(choice.category),
            after: chosen(choice.after),
        }
    }
}

/// `GET /`
pub(super) async fn shelf(State(app): State<App>, choice: Result<Query<Choice>, QueryRejection>) -> Response {
    let Ok(Query(choice)) = choice else { return trouble::bad_address() };
    let browse = Browse::from(choice);
    let categories = async { app.logic.call(&Categories {}, NoKey).await };
    let (products, categories, trains) =
        tokio::join!(products(&app, &browse, PAGE_SIZE), categories, trains(&app, browse.is_front()));
    let products = match products {
        Ok(products) => products,
        // A cursor from before a change of the shop's order: the first page is what the customer can still have.
        Err(CallError::Refused(_)) => {
            return Redirect::to(&Browse { after: None, ..browse }.href()).into_response();
        }
        Err(error) => return trouble::not_now(&error, browse.href()),
    };
    // The line of shelves and the trains are extras: without them the page is poorer, not broken.
    let categories = categories.unwrap_or_default();
    let heading = heading(&browse);
    let mut shell = Shell::new(assets::folder(), if browse.is_front() { "" } else { &heading });
    shell.query.clone_from(&browse.query);
    let searched_one_shelf = !browse.query.is_empty() && browse.category.is_some();
    let shelf = ShelfPage {
        shell,
        front: browse.is_front(),
        heading,
        category: browse.category.clone(),
        stops: Stop::line(&categories, &browse),
        cards: products.items.iter().map(Card::from).collect(),
        trains,
        next: products.next.map(|next| Browse { after: Some(next), ..browse.clone() }.href()),
        first: browse.after.is_some().then(|| Browse { after: None, ..browse.clone() }.href()),
        everywhere: searched_one_shelf.then(|| Browse { category: None, after: None, ..browse.clone() }.href()),
    };
    page(StatusCode::OK, &shelf)
}

async fn products(app: &App, browse: &Browse, limit: u32) -> Outcome<Products> {
    let Browse { query, category, after } = browse.clone();
    app.logic.call(&Products { query, category, after, limit }, NoKey).await
}

async fn trains(app: &App, front: bool) -> Vec<Card> {
    if !front {
        return Vec::new();
    }
    let trains = Browse { category: Some(TRAIN_SETS.to_owned()), ..Browse::default() };
    products(app, &trains, TRAINS).await.map(|page| page.items.iter().map(Card::from).collect()).unwrap_or_default()
}

fn heading(browse: &Browse) -> String {
    match (browse.query.as_str(), &browse.category) {
        ("", None) if browse.after.is_none() => "On the front table".to_owned(),
        ("", None) => "All shelves".to_owned(),
        ("", Some(category)) => category.clone(),
        (query, None) => format!("Results for “{query}”"),
        (query, Some(category)) => format!("“{query}” in {category}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_left_empty_is_the_front_page_and_a_long_search_is_cut() {
        let empty = Choice { q: "  ".to_owned(), category: Some(String::new()), after: None };
        assert!(Browse::from(empty).is_front());
        let long = Choice { q: "ü".repeat(300), category: None, after: None };
        assert_eq!(Browse::from(long).query.chars().count(), QUERY_MAX);
    }
}

//! Pages for when there is nothing to show: not there, or not now.

use std::fmt::Debug;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use contract::CallError;

use super::{assets, page};
use crate::views::{Shell, Trouble};

/// Nothing is at this address.
pub(crate) fn not_found() -> Response {
    let trouble = Trouble {
        shell: Shell::new(assets::folder(), "Not found"),
        heading: "This line ends here",
        advice: "There is no such page. It may have moved, or the address has a typing error.",
        way_out: ("/".to_owned(), "Back to the shelves"),
    };
    page(StatusCode::NOT_FOUND, &trouble)
}

/// The address cannot be read.
pub(super) fn bad_address() -> Response {
    let trouble = Trouble {
        shell: Shell::new(assets::folder(), "Address not understood"),
        heading: "We cannot read this address",
        advice: "Something in the link is damaged. Please start again from the shelves.",
        way_out: ("/".to_owned(), "Back to the shelves"),
    };
    page(StatusCode::BAD_REQUEST, &trouble)
}

/// The shop's inner tiers did not answer a read. Which of the two kinds it was makes no difference to somebody who only
/// looks: reading again is always safe.
pub(super) fn not_now(error: &CallError<impl Debug>, href: String) -> Response {
    tracing::warn!(%error, href, "a page could not be filled");
    let trouble = Trouble {
        shell: Shell::new(assets::folder(), "One moment, please"),
        heading: "Signal at danger: please wait a moment",
        advice: "The shop is busy or a part of it is just starting. Nothing is lost; try again in a few seconds.",
        way_out: (href, "Try again"),
    };
    let mut response = page(StatusCode::SERVICE_UNAVAILABLE, &trouble);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_shop_that_does_not_answer_is_a_page_that_says_when_to_come_back() {
        let error: CallError<()> = CallError::NotExecuted("no logic node is known".to_owned());
        let response = not_now(&error, "/?q=a&b".to_owned());
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "2");
        let html = axum::body::to_bytes(response.into_body(), 100_000).await.unwrap();
        let html = String::from_utf8(html.to_vec()).unwrap();
        assert!(html.contains("href=\"/?q=a&#38;b\""), "{html}");
        assert!(!html.contains("logic node"), "inner details stay inside: {html}");
    }
}

//! The pages through the whole router, over a logic node in this process that knows one product.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header},
};
use contract::{
    CallError, Money, Outcome, Repeatable,
    catalogue::{ListRefusal, Product, ProductPage},
    orders::NotFound,
    shop::{Categories, Products, ShowProduct},
};
use rpc::{Client, ClientOptions, InProcess, Ops};
use runtime::{Node, Seams, Secret};
use tower::ServiceExt as _;

use crate::app::{App, router};

fn emma() -> Product {
    Product {
        sku: "emma".parse().unwrap(),
        title: "Emma & <Friends>".to_owned(),
        creator: "Jane Austen".to_owned(),
        category: "Fiction".to_owned(),
        description: "Handsome, clever, and rich.".to_owned(),
        price: Money::gbp(999),
        available: 7,
    }
}

async fn list((): (), op: Products, _: Repeatable) -> Outcome<Products> {
    match op.after.as_deref() {
        None => Ok(ProductPage { items: vec![emma()], next: Some("two".to_owned()) }),
        Some("two") => Ok(ProductPage { items: Vec::new(), next: None }),
        Some(_) => Err(CallError::Refused(ListRefusal::BadCursor)),
    }
}

async fn categories((): (), _: Categories, _: Repeatable) -> Outcome<Categories> {
    Ok(vec![("Fiction".to_owned(), 1), ("Children's".to_owned(), 0)])
}

async fn show((): (), op: ShowProduct, _: Repeatable) -> Outcome<ShowProduct> {
    if op.sku == emma().sku { Ok(emma()) } else { Err(CallError::Refused(NotFound::NotFound)) }
}

fn node(family: &'static str) -> Node {
    let node = Node::assemble(family, "1", Seams::system(), Secret::new("0123456789abcdef").unwrap()).unwrap();
    node.readiness.set_ready();
    node
}

/// A frontend whose logic nodes serve these operations.
async fn frontend(logic: Ops<()>) -> App {
    let (transport, node_of_logic, node) = (InProcess::default(), node("logic"), node("frontend"));
    transport.add("a:1", logic.build(&node_of_logic));
    let client = Client::new(&node, Arc::new(transport), "static://a:1".parse().unwrap(), ClientOptions::default());
    client.discover().await;
    App::new(&node, client, false)
}

async fn shop() -> App {
    frontend(Ops::new(()).serve(list).serve(categories).serve(show)).await
}

async fn get(app: &App, path: &str, extra: &[(HeaderName, HeaderValue)]) -> (StatusCode, HeaderMap, String) {
    let mut request = Request::get(path).header(header::HOST, "shop.example").body(Body::empty()).unwrap();
    request.headers_mut().extend(extra.iter().cloned());
    let response = router(app).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, 1_000_000).await.unwrap();
    (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn browsing_needs_no_script_and_links_lead_to_the_next_page() {
    let app = shop().await;
    let (status, headers, html) = get(&app, "/?q=emma&category=Fiction", &[]).await;
    assert_eq!(status, StatusCode::OK);
    assert!(headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap().contains("script-src 'self'"));
    assert!(html.contains("href=\"/?q=emma&#38;category=Fiction&#38;after=two\""), "{html}");
    assert!(html.contains("href=\"/?category=Children%27s\"") && html.contains("/products/emma"));
    assert!(html.contains("name=\"category\" value=\"Fiction\""), "a search stays on its shelf");
    let (status, _, html) = get(&app, "/?q=emma&after=two", &[]).await;
    assert!(status == StatusCode::OK && html.contains("Nothing on the shelves matches"), "{html}");
    let (status, headers, _) = get(&app, "/?q=emma&after=nonsense", &[]).await;
    assert_eq!((status, headers[header::LOCATION].to_str().unwrap()), (StatusCode::SEE_OTHER, "/?q=emma"));
}

#[tokio::test]
async fn what_is_not_there_is_a_page_too() {
    let app = shop().await;
    for path in ["/products/none-such", "/products/NO!", "/orders/12", "/covers/none-such.svg", "/covers/emma.png"] {
        let (status, headers, html) = get(&app, path, &[]).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert!(headers[header::CONTENT_TYPE].to_str().unwrap().starts_with("text/html"), "{path}");
        assert!(html.contains("href=\"/\""), "{path}: a way out");
    }
}

#[tokio::test]
async fn pages_of_one_customer_hold_nothing_of_anybody() {
    let app = shop().await;
    for path in ["/cart", "/checkout", "/orders", "/orders/01920000-0000-7000-8000-000000000001", "/login"] {
        let (status, headers, html) = get(&app, path, &[]).await;
        assert_eq!((status, &headers[header::CACHE_CONTROL]), (StatusCode::OK, &HeaderValue::from_static("no-cache")));
        assert!(html.contains("<noscript>"), "{path} says what it needs");
        assert!(!headers.contains_key(header::SET_COOKIE), "{path}");
    }
}

#[tokio::test]
async fn a_cover_is_kept_for_ever_under_its_version_only() {
    let app = shop().await;
    let (_, _, html) = get(&app, "/products/emma", &[]).await;
    let link = html.split('"').find(|part| part.starts_with("/covers/emma.svg?v=")).unwrap();
    let (status, headers, svg) = get(&app, link, &[]).await;
    assert_eq!((status, headers[header::CONTENT_TYPE].to_str().unwrap()), (StatusCode::OK, "image/svg+xml"));
    assert!(headers[header::CACHE_CONTROL].to_str().unwrap().contains("immutable"));
    assert!(svg.starts_with("<svg") && !svg.contains("<Friends>"));
    let (_, headers, _) = get(&app, "/covers/emma.svg", &[]).await;
    assert_eq!(headers[header::CACHE_CONTROL], "public, max-age=3600");
    let tag = [(header::IF_NONE_MATCH, headers[header::ETAG].clone())];
    let (status, _, body) = get(&app, "/covers/emma.svg", &tag).await;
    assert_eq!((status, body.len()), (StatusCode::NOT_MODIFIED, 0));
}

#[tokio::test]
async fn a_shop_that_is_down_says_when_to_come_back_and_extras_may_fail() {
    let down = frontend(Ops::new(())).await;
    for path in ["/", "/?q=emma", "/products/emma", "/covers/emma.svg"] {
        let (status, headers, html) = get(&down, path, &[]).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert!(headers.contains_key(header::RETRY_AFTER) && html.contains("Try again"), "{path}");
        assert_eq!(headers[header::CACHE_CONTROL], "no-store", "{path}");
    }
    let no_categories = frontend(Ops::new(()).serve(list)).await;
    let (status, _, html) = get(&no_categories, "/", &[]).await;
    assert!(status == StatusCode::OK && html.contains("/products/emma"), "{html}");
}

//! The documents: complete, and from this binary alone.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::fake::{Call, Edge};

/// The public API as product.md section 6 lists it; black-box checks depend on it.
const ROUTES: [&str; 13] = [
    "DELETE /api/cart/lines/{sku}",
    "DELETE /api/session",
    "GET /api/cart",
    "GET /api/orders",
    "GET /api/orders/{id}",
    "GET /api/products",
    "GET /api/products/{sku}",
    "GET /api/session",
    "POST /api/accounts",
    "POST /api/cart/lines",
    "POST /api/checkout",
    "POST /api/session",
    "PUT /api/cart/lines/{sku}",
];

#[tokio::test]
async fn the_document_lists_exactly_the_routes() {
    let reply = Edge::new().send(Call::new("GET", "/api/openapi.json")).await;
    let document = reply.json();
    let mut listed = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            listed.insert(format!("{} {path}", method.to_uppercase()));
            let default = &operation["responses"]["default"]["content"]["application/problem+json"];
            assert!(default.is_object(), "{method} {path} may fail");
            let is_public = path.starts_with("/api/products")
                || path == "/api/accounts"
                || method == "post" && path == "/api/session";
            assert_eq!(operation["security"].is_array(), !is_public, "{method} {path}");
        }
    }
    assert_eq!(listed, ROUTES.into_iter().map(str::to_owned).collect());
    let schemes = document["components"]["securitySchemes"].as_object().unwrap();
    assert_eq!(schemes.keys().collect::<Vec<_>>(), ["bearer", "cookie"]);
    assert_eq!(reply.header("cache-control"), Some("no-cache"));
}

#[tokio::test]
async fn every_reference_in_the_document_leads_somewhere() {
    let document = Edge::new().send(Call::new("GET", "/api/openapi.json")).await.json();
    let mut references = Vec::new();
    collect(&document, &mut references);
    assert!(references.len() > 10, "{references:?}");
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

fn collect(value: &Value, references: &mut Vec<String>) {
    if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
        references.push(reference.to_owned());
    }
    let members = value.as_object().into_iter().flat_map(|map| map.values());
    members.chain(value.as_array().into_iter().flatten()).for_each(|inner| collect(inner, references));
}

#[tokio::test]
async fn the_browser_of_the_document_needs_nothing_from_elsewhere() {
    let edge = Edge::new();
    assert_eq!(edge.send(Call::new("GET", "/docs")).await.header("location"), Some("/docs/"));
    for file in ["", "swagger-ui.css", "swagger-ui-bundle.js", "swagger-initializer.js"] {
        let reply = edge.send(Call::new("GET", &format!("/docs/{file}"))).await;
        assert_eq!(reply.status, 200, "{file}");
    }
    let page = String::from_utf8(edge.send(Call::new("GET", "/docs/")).await.body).unwrap();
    assert!(!page.contains("http"), "{page}");
    let start = String::from_utf8(edge.send(Call::new("GET", "/docs/swagger-initializer.js")).await.body).unwrap();
    assert!(start.contains("/api/openapi.json"), "{start}");
}

#[tokio::test]
async fn the_page_of_problems_explains_each() {
    let page = String::from_utf8(Edge::new().send(Call::new("GET", "/docs/problems")).await.body).unwrap();
    for slug in ["declined", "in-progress", "outcome-unknown", "key-malformed"] {
        assert!(page.contains(&format!("<dt id=\"{slug}\">")), "{slug}");
    }
}

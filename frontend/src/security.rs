//! What protects the browser of a customer: headers on every answer, and a refusal of what other sites make it send.

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use crate::{
    identity::Presented,
    problem::{Kind, Problem},
};

/// On every answer that does not bring its own. Scripts and styles come from files only, so injected markup is inert.
const HEADERS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'self'; img-src 'self' data:; style-src 'self'; script-src 'self'; frame-ancestors 'none'; \
         base-uri 'none'; form-action 'self'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    // For browsers that do not know frame-ancestors.
    (header::X_FRAME_OPTIONS, "DENY"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// Adds the headers that an answer lacks.
pub(crate) async fn set_headers(request: Request, next: Next) -> Response {
    let is_api = request.uri().path().starts_with("/api/");
    let mut response = next.run(request).await;
    complete(response.headers_mut(), is_api);
    response
}

/// Adds the headers that an answer of the API or of a page lacks.
pub(crate) fn complete(headers: &mut HeaderMap, is_api: bool) {
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if is_api {
        // Carts, orders, sessions and problems are one customer's. What is everybody's says so itself.
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
}

/// Refuses an unsafe request that another site's page sent. A request with a bearer passes: no site can make a browser
/// add one without asking us first, and we allow no site. So does a program, which sends none of the two headers. One
/// without any session is refused too, or another site could replace the customer's session by a fresh one.
/// The rule is Go's `CrossOriginProtection`; tower-http has it as a layer that cannot look at `Authorization`.
pub(crate) async fn refuse_cross_site(request: Request, next: Next) -> Response {
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if is_safe || matches!(Presented::read(request.headers()), Presented::Bearer(_)) || is_own(&request) {
        return next.run(request).await;
    }
    Problem::new(Kind::CrossSite, "a page of another site may not use the session cookie").into_response()
}

/// Whether a page of this shop, or no page at all, sent the request.
fn is_own(request: &Request) -> bool {
    let headers = request.headers();
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    // Browsers before 2020-2023 know Origin only.
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let origin_host = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    origin_host.is_some() && origin_host == host(request, headers)
}

fn host<'a>(request: &'a Request, headers: &'a HeaderMap) -> Option<&'a str> {
    let of_uri = request.uri().authority().map(axum::http::uri::Authority::as_str);
    of_uri.or_else(|| headers.get(header::HOST).and_then(|host| host.to_str().ok()))
}

//! The documents: `/api/openapi.json`, `/docs` to browse it, `/docs/problems`. All from the binary, nothing from elsewhere.

use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, header},
    middleware::{Next, from_fn},
    response::{Html, Response},
    routing::get,
};
use utoipa::{
    Modify, OpenApi,
    openapi::{
        ContentBuilder, PathItem, Ref, ResponseBuilder,
        path::Operation,
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::shapes::Problem;
use crate::{app::App, problem};

/// Where the document is.
const DOCUMENT: &str = "/api/openapi.json";

/// The parts of the document that no handler has.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Trestle",
        description = "A bookshop: books, and train sets. Errors are problem documents (RFC 9457), see \
                       [/docs/problems](/docs/problems). Payments are a sandbox: tok_ok pays, tok_declined does not."
    ),
    components(schemas(Problem)),
    modifiers(&Security)
)]
pub(super) struct Document;

/// The two ways to show a session.
struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let bearer =
            HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("the token of POST /api/session"));
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer.build()));
        let cookie = ApiKey::Cookie(ApiKeyValue::with_description("session", "set by POST /api/session"));
        components.add_security_scheme("cookie", SecurityScheme::ApiKey(cookie));
    }
}

pub(super) fn routes(mut document: utoipa::openapi::OpenApi) -> Router<App> {
    document.paths.paths.values_mut().flat_map(operations).for_each(may_fail);
    // No badge of an outside validator.
    let config = Config::new([DOCUMENT]).validator_url("none").try_it_out_enabled(true);
    let browser: Router<App> = SwaggerUi::new("/docs").url(DOCUMENT, document).config(config).into();
    browser
        .layer(from_fn(allow_inline_styles))
        .route("/docs/problems", get(async || Html(problem::page())))
        .layer(from_fn(always_ask_again))
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let all = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete];
    all.into_iter().filter_map(Option::as_mut)
}

/// Any call may be refused with a problem; handlers name only those answers that a client must tell apart.
fn may_fail(operation: &mut Operation) {
    let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let any = ResponseBuilder::new().description("What is wrong, and what to do").content(problem::MEDIA_TYPE, problem);
    operation.responses.responses.insert("default".to_owned(), any.build().into());
}

/// The browser of the document draws its logo with inline styles. Scripts stay as strict as everywhere.
async fn allow_inline_styles(request: Request, next: Next) -> Response {
    let policy = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; script-src 'self'; \
                  frame-ancestors 'none'; base-uri 'none'; form-action 'self'";
    let mut response = next.run(request).await;
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    response
}

/// The same for everybody, so it may be kept, but asked for again: a new release has another document.
async fn always_ask_again(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

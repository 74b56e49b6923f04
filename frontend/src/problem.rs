//! Every way this API says no: RFC 9457 problem documents, one [`Kind`] each, in one table. The table is also the page
//! `/docs/problems` that each document's `type` links to (IK-19), so a problem cannot exist without its description.

use std::any::Any;

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use contract::{CallError, OperationId, orders::OrderState};
use serde_json::{Map, Value};

/// Media type of problem documents.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";
/// Longest `detail`, in characters: it may quote the client, and must not echo a body back.
const DETAIL_CHARS_MAX: usize = 300;
/// When asking again makes sense if nothing better is known, in seconds.
pub(crate) const RETRY_AFTER_S: u32 = 1;
/// The same for a site that is cut off: links between sites take longer to mend than nodes to start.
const HOME_RETRY_AFTER_S: u32 = 5;

/// Declares the kinds with their facts side by side, because two tables would drift.
macro_rules! kinds {
    ($($name:ident, $status:ident, $slug:literal, $title:literal, $advice:literal;)+) => {
        /// What is wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Kind { $(#[doc = $title] $name,)+ }

        impl Kind {
            /// All of them, in the order of the page.
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)+];

            pub(crate) const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)+ }
            }

            /// The last part of the problem's `type`.
            pub(crate) const fn slug(self) -> &'static str {
                match self { $(Self::$name => $slug,)+ }
            }

            pub(crate) const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)+ }
            }

            /// What the client should do.
            pub(crate) const fn advice(self) -> &'static str {
                match self { $(Self::$name => $advice,)+ }
            }
        }
    };
}

kinds! {
    BadJson, BAD_REQUEST, "bad-json", "The body is not JSON", "Send UTF-8 JSON without duplicate keys, nested at most 100 deep.";
    BadPath, BAD_REQUEST, "bad-path", "The path cannot be read", "Percent-encode UTF-8.";
    KeyMissing, BAD_REQUEST, "key-missing", "Idempotency-Key is missing", "Mint a random key, keep it, send it with this request and with every repeat of it.";
    KeyMalformed, BAD_REQUEST, "key-malformed", "Idempotency-Key is malformed", "Send one header line with 16 to 255 of A-Z a-z 0-9 _ and -, or a quoted string of 16 to 255 printable ASCII characters.";
    Unauthenticated, UNAUTHORIZED, "unauthenticated", "No live session", "Get a session by POST /api/session; send its token as cookie or bearer.";
    WrongCredentials, UNAUTHORIZED, "wrong-credentials", "Wrong e-mail address or password", "Check both. Too many wrong passwords slow further tries down.";
    BadSignature, UNAUTHORIZED, "bad-signature", "The signature does not fit", "Sign the body as it is sent with the secret that the shop has.";
    Declined, PAYMENT_REQUIRED, "declined", "The payment was declined", "Nothing was charged. Choose another means of payment and send it under a new key.";
    CrossSite, FORBIDDEN, "cross-site", "Another site sent this", "Call from the shop's own pages, or with a bearer token instead of the cookie.";
    NotFound, NOT_FOUND, "not-found", "Nothing is here", "See /docs for what is.";
    UnknownSku, NOT_FOUND, "unknown-sku", "No such product", "List products by GET /api/products.";
    UnknownOrder, NOT_FOUND, "unknown-order", "No such order of yours", "List your orders by GET /api/orders.";
    MethodNotAllowed, METHOD_NOT_ALLOWED, "method-not-allowed", "Not with this method", "See the Allow header.";
    BodyTimeout, REQUEST_TIMEOUT, "body-timeout", "The body did not arrive in time", "Send it again, faster.";
    EmailTaken, CONFLICT, "email-taken", "The e-mail address has an account", "Log in, or choose another address.";
    CartFull, CONFLICT, "cart-full", "The cart has taken its bound of changes", "Check out, or start a new session.";
    CartEmpty, CONFLICT, "cart-empty", "There is nothing to buy", "Put something into the cart first.";
    TotalChanged, CONFLICT, "total-changed", "The total is another than expected", "Nothing began and the key is unused. Show the customer the new total and ask again.";
    CartClaimed, CONFLICT, "cart-claimed", "Another checkout is buying these lines", "Look at that order; do not send this again.";
    InProgress, CONFLICT, "in-progress", "This request is being worked on", "Send the same request with the same key after Retry-After.";
    OutOfStock, CONFLICT, "out-of-stock", "Too few pieces are left", "Nothing was charged. Change the cart and check out under a new key.";
    OperationAbandoned, CONFLICT, "operation-abandoned", "The checkout was closed without a charge", "If safe_new_key is true nothing was charged: try again under a new key. If not, a person said so without proof: contact the shop first.";
    ResultExpired, CONFLICT, "operation-result-expired", "The answer is kept no more", "This key did its work long ago and does it no more. Look at the order at Location.";
    BodyTooLarge, PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large", "No request of this API needs more than 64 KiB.";
    NotJson, UNSUPPORTED_MEDIA_TYPE, "not-json", "The body is not marked as JSON", "Send Content-Type: application/json.";
    BadBody, UNPROCESSABLE_ENTITY, "bad-body", "The body does not fit", "See the detail, and the schema in /docs.";
    BadQuery, UNPROCESSABLE_ENTITY, "bad-query", "A query parameter does not fit", "See the detail, and /docs.";
    BadQuantity, UNPROCESSABLE_ENTITY, "bad-quantity", "Not a quantity", "Send 1 to 999.";
    BadEmail, UNPROCESSABLE_ENTITY, "bad-email", "Not an e-mail address", "Send one address of at most 254 characters.";
    BadPassword, UNPROCESSABLE_ENTITY, "bad-password", "Not a password we take", "Send 8 to 128 bytes.";
    BadPaymentToken, UNPROCESSABLE_ENTITY, "bad-payment-token", "Not a payment token", "Send 3 to 64 of A-Z a-z 0-9 and _.";
    BadAddress, UNPROCESSABLE_ENTITY, "bad-address", "The address does not fit", "Each field that is sent has 1 to 200 characters.";
    KeyReused, UNPROCESSABLE_ENTITY, "key-reused", "The key belongs to another request", "Repeat the first request unchanged, or mint a new key for a new intent.";
    Throttled, TOO_MANY_REQUESTS, "throttled", "Too many wrong passwords", "Wait for Retry-After; nothing was looked at.";
    TooFast, TOO_MANY_REQUESTS, "too-fast", "This session asks too much", "Nothing happened. Send the same after Retry-After, and at most so many a second.";
    Panic, INTERNAL_SERVER_ERROR, "internal-error", "A defect of the shop", "Repeat with the same key: a started checkout goes on by itself.";
    Busy, SERVICE_UNAVAILABLE, "busy", "Not executed", "Nothing happened. Send the same again after Retry-After, with the same key if it has one.";
    PaymentsBusy, SERVICE_UNAVAILABLE, "payments-busy", "Too many are paying at this moment", "Nothing began and the key is unused. Send the same again after Retry-After.";
    HomeSiteUnreachable, SERVICE_UNAVAILABLE, "home-site-unreachable", "The home site cannot be reached", "This request began nothing, and the cart is kept. Orders and accounts live at another site: send the same again, with the same key if it has one, when the sites reach each other.";
    OutcomeUnknown, SERVICE_UNAVAILABLE, "outcome-unknown", "It may or may not have happened", "Send the same again after Retry-After, with the same key: it counts once.";
}

/// One problem document with its headers.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    kind: Kind,
    detail: String,
    /// Members beyond those of RFC 9457, sorted: a stored answer must be the same bytes each time (IK-10).
    /// Boxed, since a problem is the error half of every handler.
    members: Box<Map<String, Value>>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let detail = detail.into().chars().take(DETAIL_CHARS_MAX).collect();
        Self { kind, detail, members: Box::default(), headers: Vec::new() }
    }

    /// The session is missing, malformed, unknown, over or logged out; which of these is nobody's business.
    pub(crate) fn unauthenticated() -> Self {
        let challenge = HeaderValue::from_static("Bearer");
        Self::new(Kind::Unauthenticated, "this call needs a live session").header(header::WWW_AUTHENTICATE, challenge)
    }

    /// This site is cut off from the one that keeps orders and accounts.
    pub(crate) fn home_unreachable(site: &str) -> Self {
        let detail = format!("this site cannot reach {site}, where orders and accounts are kept; nothing was begun");
        Self::new(Kind::HomeSiteUnreachable, detail).retry_after_s(HOME_RETRY_AFTER_S)
    }

    pub(crate) fn unknown_sku(sku: &str) -> Self {
        Self::new(Kind::UnknownSku, format!("no product is called \"{sku}\""))
    }

    /// What a failed call means for the client. Reasons name inner addresses, so they are logged and not sent.
    pub(crate) fn of_failure<R>(error: CallError<R>, refused: impl FnOnce(R) -> Self) -> Self {
        match error {
            CallError::Refused(refusal) => refused(refusal),
            CallError::NotExecuted(reason) => {
                // Common under load, when lines cost most; the request metric counts them.
                tracing::debug!(reason, "a call was not executed");
                Self::new(Kind::Busy, "nothing happened; the shop is busy or restarting").retry_after_s(RETRY_AFTER_S)
            }
            CallError::Unknown(reason) => {
                tracing::warn!(reason, "the outcome of a call is unknown");
                let detail = "the answer was lost; the same request again finds out";
                Self::new(Kind::OutcomeUnknown, detail).retry_after_s(RETRY_AFTER_S)
            }
        }
    }

    /// The answer to a request whose handler panicked. The message stays inside: it may hold anything.
    #[expect(clippy::needless_pass_by_value, reason = "the signature that the panic layer calls")]
    pub(crate) fn of_panic(panic: Box<dyn Any + Send + 'static>) -> Response {
        let text = panic.downcast_ref::<&str>().copied().map(str::to_owned);
        let message = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        tracing::error!(message, "a handler panicked");
        Self::new(Kind::Panic, "this was logged under the trace id of the answer").into_response()
    }

    /// What a keyed request needs to know (semantics 2.3): which operation, where it stands, and whether another try may
    /// use a new key.
    pub(crate) fn keyed(self, operation: Option<(OperationId, OrderState)>, safe_new_key: bool) -> Self {
        let keyed = self.member("safe_new_key", safe_new_key);
        match operation {
            Some((order, state)) => keyed
                .member("operation_ref", order.to_string())
                .member("operation_state", serde_json::to_value(state).unwrap_or_default()),
            None => keyed,
        }
    }

    pub(crate) fn member(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(crate) fn retry_after_s(self, seconds: u32) -> Self {
        self.header(header::RETRY_AFTER, seconds.into())
    }
}

impl Problem {
    /// Its parts as they go out.
    pub(crate) fn document(self) -> (StatusCode, HeaderMap, String) {
        let mut document = *self.members;
        document.insert("type".to_owned(), format!("/docs/problems#{}", self.kind.slug()).into());
        document.insert("title".to_owned(), self.kind.title().into());
        document.insert("status".to_owned(), self.kind.status().as_u16().into());
        document.insert("detail".to_owned(), self.detail.into());
        let mut headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE))]);
        for (name, value) in self.headers {
            headers.insert(name, value);
        }
        (self.kind.status(), headers, Value::Object(document).to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, headers, body) = self.document();
        (status, headers, body).into_response()
    }
}

/// The page that every `type` links to.
pub(crate) fn page() -> String {
    use std::fmt::Write as _;
    let mut page = String::from(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Problems - Trestle API</title><h1>Problems</h1><p>Every error of the API is one of these, as \
         <code>application/problem+json</code> (RFC 9457). Answers to a checkout also carry <code>operation_ref</code>, \
         <code>operation_state</code> and <code>safe_new_key</code>. <a href=\"/docs/\">API</a></p><dl>",
    );
    for kind in Kind::ALL {
        let (slug, status) = (kind.slug(), kind.status().as_u16());
        let _ = write!(page, "<dt id=\"{slug}\"><code>{slug}</code> ({status}) {}<dd>{}", kind.title(), kind.advice());
    }
    page.push_str("</dl></html>");
    page
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_problem_has_its_own_slug_and_a_place_on_the_page() {
        let page = page();
        let slugs: BTreeSet<_> = Kind::ALL.iter().map(|kind| kind.slug()).collect();
        assert_eq!(slugs.len(), Kind::ALL.len());
        assert!(slugs.iter().all(|slug| page.contains(&format!("id=\"{slug}\""))));
        assert!(Kind::ALL.iter().all(|kind| kind.status().is_client_error() || kind.status().is_server_error()));
    }

    #[test]
    fn a_detail_never_echoes_a_whole_body() {
        assert_eq!(Problem::new(Kind::BadBody, "ü".repeat(10_000)).detail.chars().count(), DETAIL_CHARS_MAX);
    }
}

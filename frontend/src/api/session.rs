//! `/api/session`: anonymous sessions, login, logout.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use contract::{
    NoKey, PrincipalId, SessionId,
    session::Session,
    sessions::{LoginRefusal, NoSession},
    shop,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::accounts::{Account, Credentials, address_of, is_possible};
use crate::{
    app::App,
    body::OptionalJson,
    identity::{Caller, expired_cookie, session_cookie},
    problem::{Kind, Problem},
};

/// A new session.
#[derive(Serialize, ToSchema)]
pub(crate) struct NewSession {
    /// 64 characters; whoever has it is the customer.
    token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<Account>,
}

/// Who somebody is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WhoAmI {
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<Account>,
    anonymous: bool,
    /// RFC 3339.
    expires_at: String,
}

/// Opens an anonymous session (no body), or logs in. At login the cart of the session that the request shows becomes part of
/// the account's, and that session ends.
#[utoipa::path(
    post,
    path = "/api/session",
    tag = "session",
    request_body = Option<Credentials>,
    responses(
        (status = 200, body = NewSession, description = "Logged in"),
        (status = 201, body = NewSession, description = "Anonymous"),
        (status = 401, description = "Wrong e-mail address or password"),
        (status = 429, description = "Too many wrong passwords"),
        (status = 503, description = "Not executed, not known, or accounts are out of reach: see type")
    )
)]
pub(crate) async fn open(
    State(app): State<App>,
    guest: Option<Caller>,
    OptionalJson(credentials): OptionalJson<Credentials>,
) -> Result<Response, Problem> {
    // The token is minted before the call: its hash names the session, so resends between the tiers open one session.
    let token = app.seams.token();
    let session = SessionId::of_token(&token);
    let (status, opened) = match credentials {
        None => (StatusCode::CREATED, anonymous(&app, session).await?),
        Some(credentials) => (StatusCode::OK, login(&app, session, guest, credentials).await?),
    };
    let cookie = [(header::SET_COOKIE, session_cookie(&app, &token, &opened))];
    let account = opened.account.map(Account::from);
    Ok((status, cookie, Json(NewSession { token, account })).into_response())
}

async fn anonymous(app: &App, session: SessionId) -> Result<Session, Problem> {
    let principal = PrincipalId(app.seams.uuid());
    let opened = app.logic.call(&shop::OpenSession { session, principal }, NoKey).await;
    opened.map_err(|error| Problem::of_failure(error, |never| match never {}))
}

async fn login(
    app: &App,
    session: SessionId,
    guest: Option<Caller>,
    credentials: Credentials,
) -> Result<Session, Problem> {
    let wrong = || Problem::new(Kind::WrongCredentials, "no account has this e-mail address and password");
    // No account can have these, so the same answer is right without asking.
    let email = address_of(&credentials.email).filter(|_| is_possible(&credentials.password)).ok_or_else(wrong)?;
    let guest = guest.map(|Caller(session)| session);
    let login = shop::Login { session, email, password: credentials.password, guest };
    app.logic.call(&login, NoKey).await.map_err(|error| {
        Problem::of_failure(error, |refusal| match refusal {
            LoginRefusal::WrongCredentials => wrong(),
            LoginRefusal::HomeUnreachable { site } => Problem::home_unreachable(&site),
            LoginRefusal::Throttled { retry_after_s } => {
                let detail = format!("tries for this address are looked at again in {retry_after_s} s");
                Problem::new(Kind::Throttled, detail).retry_after_s(retry_after_s)
            }
        })
    })
}

/// Says whose session this is.
#[utoipa::path(
    get,
    path = "/api/session",
    tag = "session",
    responses((status = 200, body = WhoAmI), (status = 401, description = "No live session")),
    security(("cookie" = []), ("bearer" = []))
)]
pub(crate) async fn show(State(app): State<App>, Caller(session): Caller) -> Result<Json<WhoAmI>, Problem> {
    let session = app.logic.call(&shop::WhoAmI { session }, NoKey).await;
    let session = session.map_err(|error| {
        Problem::of_failure(error, |refusal| match refusal {
            NoSession::Unauthenticated => Problem::unauthenticated(),
        })
    })?;
    Ok(Json(WhoAmI {
        anonymous: session.account.is_none(),
        account: session.account.map(Account::from),
        expires_at: runtime::rfc3339(session.expires_at_ms),
    }))
}

/// Logs out everywhere this token is known. Repeating it changes nothing.
#[utoipa::path(
    delete,
    path = "/api/session",
    tag = "session",
    responses((status = 204, description = "Over"), (status = 401, description = "No token")),
    security(("cookie" = []), ("bearer" = []))
)]
pub(crate) async fn end(State(app): State<App>, Caller(session): Caller) -> Result<Response, Problem> {
    let ended = app.logic.call(&shop::Logout { session }, NoKey).await;
    ended.map_err(|error| Problem::of_failure(error, |never| match never {}))?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, expired_cookie(&app))]).into_response())
}

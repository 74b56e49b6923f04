//! Who asks: a session token, as cookie or bearer. The token ends here; inner tiers know its hash only, so nothing they
//! store, log or replicate lets anybody in.

use axum::{
    extract::{FromRequestParts, OptionalFromRequestParts},
    http::{HeaderMap, header, request::Parts},
};
use contract::{SessionId, session::Session};

use crate::{app::App, problem::Problem};

/// Name of the session cookie.
const COOKIE: &str = "session";
/// Length of a token in characters: 256 bits in hexadecimal.
const TOKEN_LEN: usize = 64;

/// How a request names its session.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Presented {
    /// Not at all.
    Nothing,
    /// By something that cannot be a token.
    Malformed,
    /// By `Authorization: Bearer`, which no other site can make a browser send.
    Bearer(SessionId),
    /// By the cookie, which a browser adds by itself.
    Cookie(SessionId),
}

impl Presented {
    /// Reads the headers. A bearer wins over a cookie: it was set on purpose.
    pub(crate) fn read(headers: &HeaderMap) -> Self {
        if let Some(value) = headers.get(header::AUTHORIZATION) {
            let token = value.to_str().ok().and_then(|value| value.split_once(' '));
            return match token {
                Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
                    session_of(token.trim()).map_or(Self::Malformed, Self::Bearer)
                }
                _ => Self::Malformed,
            };
        }
        match cookie(headers) {
            Some(token) => session_of(token).map_or(Self::Malformed, Self::Cookie),
            None => Self::Nothing,
        }
    }
}

/// What a request shows as its token, whatever it is: for what must cost next to nothing and need not be right.
pub(crate) fn presented_token(headers: &HeaderMap) -> Option<&[u8]> {
    match headers.get(header::AUTHORIZATION) {
        Some(value) => Some(value.as_bytes()),
        None => cookie(headers).map(str::as_bytes),
    }
}

fn session_of(token: &str) -> Option<SessionId> {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (token.len() == TOKEN_LEN && token.bytes().all(is_hex)).then(|| SessionId::of_token(token))
}

/// The session of a request. Whether it is live, logic finds out. `Option<Caller>` takes any request: a browser with a
/// spoiled cookie must be able to get a new one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller(pub(crate) SessionId);

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match Presented::read(&parts.headers) {
            Presented::Bearer(session) | Presented::Cookie(session) => Ok(Self(session)),
            Presented::Nothing | Presented::Malformed => Err(Problem::unauthenticated()),
        }
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, Problem> {
        Ok(<Self as FromRequestParts<S>>::from_request_parts(parts, state).await.ok())
    }
}

/// The `Set-Cookie` value that gives the browser its session for as long as it lasts.
pub(crate) fn session_cookie(app: &App, token: &str, session: &Session) -> String {
    let lifetime_s = (session.expires_at_ms - app.seams.now_ms()).max(0) / 1_000;
    set_cookie(token, lifetime_s, app.secure_cookie)
}

/// The `Set-Cookie` value that takes the browser's session away.
pub(crate) fn expired_cookie(app: &App) -> String {
    set_cookie("", 0, app.secure_cookie)
}

/// `HttpOnly` keeps scripts away from the token, `Lax` keeps it out of other sites' posts.
fn set_cookie(token: &str, lifetime_s: i64, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    format!("{COOKIE}={token}; Path=/; HttpOnly; SameSite=Lax; Max-Age={lifetime_s}{secure}")
}

/// The first session cookie of the request.
fn cookie(headers: &HeaderMap) -> Option<&str> {
    let lines = headers.get_all(header::COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn read(headers: &[(HeaderName, &str)]) -> Presented {
        Presented::read(&headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect())
    }

    #[test]
    fn a_bearer_wins_over_a_cookie_and_nonsense_is_malformed() {
        let (one, two) = ("1".repeat(64), "2".repeat(64));
        let cookie = |value: &str| (header::COOKIE, format!("theme=dark; session={value}; x=y"));
        let (name, good) = cookie(&one);
        assert_eq!(read(&[(name.clone(), &good)]), Presented::Cookie(SessionId::of_token(&one)));
        let bearer = format!("bEARER {two}");
        let both = [(name.clone(), good.as_str()), (header::AUTHORIZATION, bearer.as_str())];
        assert_eq!(read(&both), Presented::Bearer(SessionId::of_token(&two)));
        assert_eq!(read(&[]), Presented::Nothing);
        for bad in ["", "short", &"g".repeat(64), &"A".repeat(64), &"1".repeat(65)] {
            assert_eq!(read(&[(name.clone(), &cookie(bad).1)]), Presented::Malformed, "{bad}");
            assert_eq!(read(&[(header::AUTHORIZATION, &format!("Bearer {bad}"))]), Presented::Malformed, "{bad}");
        }
        assert_eq!(read(&[(header::AUTHORIZATION, "Basic YTpi"), (name, &good)]), Presented::Malformed);
        let mut opaque = HeaderMap::new();
        opaque.insert(header::AUTHORIZATION, HeaderValue::from_bytes(b"Bearer \xff").unwrap());
        assert_eq!(Presented::read(&opaque), Presented::Malformed);
    }

    #[test]
    fn the_cookie_has_every_guard() {
        assert_eq!(set_cookie("t", 60, true), "session=t; Path=/; HttpOnly; SameSite=Lax; Max-Age=60; Secure");
        assert!(!set_cookie("t", 60, false).contains("Secure"));
    }
}

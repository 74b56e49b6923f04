//! The `Idempotency-Key` header: the customer's name for one intent, kept over all repeats of it (IK-2).

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, request::Parts},
};
use contract::{OperationId, RequestId};
use runtime::Seams;

use crate::problem::{Kind, Problem};

/// Name of the header.
pub(crate) const HEADER: &str = "idempotency-key";

/// The key of a call that demands one.
#[derive(Debug)]
pub(crate) struct RequiredKey(pub(crate) RequestId);

impl<S: Sync> FromRequestParts<S> for RequiredKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let missing = || Problem::new(Kind::KeyMissing, "a checkout needs the header Idempotency-Key");
        read(&parts.headers)?.map(Self).ok_or_else(missing)
    }
}

/// The key of a call that takes one.
#[derive(Debug)]
pub(crate) struct OptionalKey(pub(crate) Option<RequestId>);

impl OptionalKey {
    /// The client's key, or a fresh one for this request and its resends between the tiers.
    pub(crate) fn or_fresh(self, seams: &Seams) -> RequestId {
        self.0.unwrap_or_else(|| OperationId(seams.uuid()).into())
    }
}

impl<S: Sync> FromRequestParts<S> for OptionalKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        read(&parts.headers).map(Self)
    }
}

fn read(headers: &HeaderMap) -> Result<Option<RequestId>, Problem> {
    let malformed = |detail: &str| Problem::new(Kind::KeyMalformed, detail);
    let mut lines = headers.get_all(HEADER).into_iter();
    let Some(line) = lines.next() else { return Ok(None) };
    if lines.next().is_some() {
        return Err(malformed("Idempotency-Key comes twice"));
    }
    let key = line.to_str().ok().and_then(key_of).and_then(|key| key.parse().ok());
    key.map(Some).ok_or_else(|| malformed("Idempotency-Key has the wrong form or length"))
}

/// The key in either form; both forms of one key are the same key.
fn key_of(line: &str) -> Option<String> {
    let Some(quoted) = line.strip_prefix('"') else {
        let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        return line.bytes().all(bare).then(|| line.to_owned());
    };
    // RFC 8941, 3.3.3: a backslash stands before a quote or a backslash and nothing else; nothing follows the end.
    let (mut key, mut rest) = (String::new(), quoted.chars());
    loop {
        match rest.next()? {
            '"' => return rest.as_str().is_empty().then_some(key),
            '\\' => key.push(rest.next().filter(|escaped| matches!(escaped, '"' | '\\'))?),
            plain => key.push(plain),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn one(line: &[u8]) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, HeaderValue::from_bytes(line).unwrap());
        read(&headers).ok().flatten().map(|key| key.as_str().to_owned())
    }

    #[test]
    fn a_quoted_key_is_the_same_key_as_the_bare_one() {
        let key = "0123456789abcdef-_XYZ";
        assert_eq!(one(key.as_bytes()).as_deref(), Some(key));
        assert_eq!(one(format!("\"{key}\"").as_bytes()).as_deref(), Some(key));
        assert_eq!(one(br#""a \"quoted\" key \\ with, comma""#).as_deref(), Some(r#"a "quoted" key \ with, comma"#));
        assert_eq!(one("k".repeat(255).as_bytes()).map(|key| key.len()), Some(255));
    }

    #[test]
    fn anything_else_is_malformed() {
        let (short, long) = ("k".repeat(15), "k".repeat(256));
        let list = b"0123456789abcdef, 0123456789abcdeg";
        let bad: [&[u8]; 13] = [
            b"",
            short.as_bytes(),
            long.as_bytes(),
            list,
            b"0123456789abcdef;x=1",
            b"\"0123456789abcdef",
            b"\"0123456789abcdef\";x=1",
            b"\"0123456789\\abcdef0\"",
            b"\"0123456789abcdef\\",
            b"0123456789\xffabcdef",
            b"\"0123456789\tabcdef\"",
            // HTTP would take these spaces away between the tiers, and two keys would become one.
            b"\" 0123456789abcdef\"",
            b"\"                    \"",
        ];
        for line in bad {
            assert_eq!(one(line), None, "{}", String::from_utf8_lossy(line));
        }
        let mut twice = HeaderMap::new();
        twice.append(HEADER, HeaderValue::from_static("0123456789abcdef"));
        twice.append(HEADER, HeaderValue::from_static("0123456789abcdef"));
        assert!(read(&twice).is_err());
        assert!(read(&HeaderMap::new()).unwrap().is_none());
    }
}

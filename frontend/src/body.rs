//! JSON bodies. What cannot be read as one JSON value with one meaning is 400; what can, but is not what the call takes, is
//! 422. Own code instead of axum's `Json`, which takes duplicate keys (two readers, two meanings), knows no time limit
//! and answers in plain text.

use std::fmt;

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, Request},
    http::{HeaderMap, header},
};
use http_body_util::BodyExt as _;
use rpc::Scope;
use serde::{
    Deserializer,
    de::{DeserializeOwned, DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

use crate::{
    problem::{Kind, Problem},
    slow,
};

/// Largest body in bytes; the largest sensible one, a checkout with an address, has about 2 KiB.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// A larger body is read and dropped up to here before the answer: closing a connection with unread bytes resets it, and
/// the client would see that instead of the 413.
const DRAIN_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Deepest nesting; no request of ours is deeper than 2.
const DEPTH_MAX: u32 = 100;

/// A body that must be JSON of this shape. Keeps the value it was read from, which a fingerprint needs (IK-4).
#[derive(Debug)]
pub(crate) struct ApiJson<T> {
    pub(crate) content: T,
    pub(crate) value: Value,
}

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for ApiJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let marked = is_json(&parts.headers);
        let bytes = read_at_most(body, BODY_BYTES_MAX).await?;
        if marked { parse(&bytes) } else { Err(not_json()) }
    }
}

/// A body that may be missing.
#[derive(Debug)]
pub(crate) struct OptionalJson<T>(pub(crate) Option<T>);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for OptionalJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let bytes = read_at_most(body, BODY_BYTES_MAX).await?;
        if bytes.is_empty() {
            Ok(Self(None))
        } else if is_json(&parts.headers) {
            parse(&bytes).map(|ApiJson { content, .. }| Self(Some(content)))
        } else {
            Err(not_json())
        }
    }
}

fn not_json() -> Problem {
    Problem::new(Kind::NotJson, "the body needs the header Content-Type: application/json")
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// The whole body, bounded in size and, by the deadline of the request, in time. One that does not come at once needs a
/// place among the slow ones.
pub(crate) async fn read_at_most(body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    let late = || Problem::new(Kind::BodyTimeout, "the whole body must arrive before the deadline of the request");
    let Some(scope) = Scope::current() else { return collect(body, bytes_max).await };
    let mut collecting = Box::pin(collect(body, bytes_max));
    if let Ok(collected) = tokio::time::timeout(slow::AFTER.min(scope.remaining()), &mut collecting).await {
        return collected;
    }
    let _place = slow::enter()?;
    tokio::time::timeout(scope.remaining(), collecting).await.map_err(|_elapsed| late())?
}

async fn collect(mut body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    let (mut bytes, mut received) = (Vec::new(), 0_usize);
    while let Some(frame) = body.frame().await {
        let cut = |_| Problem::new(Kind::BadJson, "the body ended before it was complete");
        let Ok(data) = frame.map_err(cut)?.into_data() else { continue };
        received = received.saturating_add(data.len());
        if received <= bytes_max {
            bytes.extend_from_slice(&data);
        } else if received > DRAIN_BYTES_MAX {
            break;
        }
    }
    if received > bytes_max {
        return Err(Problem::new(Kind::BodyTooLarge, format!("this body has at most {bytes_max} bytes")));
    }
    Ok(bytes.into())
}

/// Reads a body as one JSON value with one meaning, then as what the call takes.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<ApiJson<T>, Problem> {
    let bad = |error: serde_json::Error| Problem::new(Kind::BadJson, error.to_string());
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = OneMeaning { depth: 0 }.deserialize(&mut reader).map_err(bad)?;
    reader.end().map_err(bad)?;
    let content = serde_path_to_error::deserialize(&value).map_err(|error| {
        let (path, text) = (error.path().to_string(), error.inner().to_string());
        // The part before ", expected" quotes the value, which may be a password or a means of payment.
        let expected = text.split_once(", expected ").filter(|_| text.starts_with("invalid"));
        let text = expected.map_or(text.as_str(), |(_, expected)| expected);
        let what = if expected.is_some() { format!("expected {text}") } else { text.to_owned() };
        Problem::new(Kind::BadBody, if path == "." { what } else { format!("{path}: {what}") })
    })?;
    Ok(ApiJson { content, value })
}

/// Reads any JSON value, but no object with a key twice and nothing deeper than [`DEPTH_MAX`].
#[derive(Clone, Copy)]
struct OneMeaning {
    depth: u32,
}

impl OneMeaning {
    fn inside<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= DEPTH_MAX {
            return Err(E::custom(format!("nested more than {DEPTH_MAX} deep")));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for OneMeaning {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for OneMeaning {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let (inside, mut array) = (self.inside()?, Vec::new());
        while let Some(item) = items.next_element_seed(inside)? {
            array.push(item);
        }
        Ok(array.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let (inside, mut map) = (self.inside()?, Map::new());
        while let Some(key) = entries.next_key::<String>()? {
            if map.contains_key(&key) {
                return Err(A::Error::custom(format!("the key \"{key}\" comes twice")));
            }
            let value = entries.next_value_seed(inside)?;
            map.insert(key, value);
        }
        Ok(map.into())
    }
}

#[cfg(test)]
mod tests {
    use axum::{http::StatusCode, response::IntoResponse as _};

    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Line {
        sku: String,
        quantity: u32,
    }

    fn status(body: &[u8]) -> StatusCode {
        parse::<Line>(body).map_or_else(|problem| problem.into_response().status(), |_| StatusCode::OK)
    }

    #[test]
    fn syntax_is_400_and_meaning_is_422() {
        let line = parse::<Line>(br#"{"quantity": 2, "sku": "emma"}"#).unwrap();
        assert_eq!((line.content.sku.as_str(), line.content.quantity), ("emma", 2));
        let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
        let at_bound = [vec![b'['; 101], vec![b']'; 101]].concat();
        let twice = br#"{"sku":"emma","quantity":1,"quantity":9}"#;
        let nested_twice = br#"{"sku":"emma","quantity":1,"x":{"a":1,"a":2}}"#;
        for bad in
            [b"".as_slice(), b"{", b"{}x", b"\"\xff\"", b"1e999", b"{'a':1}", &deep, &at_bound, twice, nested_twice]
        {
            assert_eq!(status(bad), StatusCode::BAD_REQUEST, "{}", String::from_utf8_lossy(&bad[..bad.len().min(40)]));
        }
        for unfit in [
            "{}",
            "[]",
            "null",
            "7",
            r#"{"sku":"emma","quantity":1,"price":0}"#,
            r#"{"sku":"emma","quantity":-1}"#,
            r#"{"sku":"emma","quantity":1.5}"#,
            r#"{"sku":"emma","quantity":99999999999999999999}"#,
            r#"{"sku":null,"quantity":1}"#,
        ] {
            assert_eq!(status(unfit.as_bytes()), StatusCode::UNPROCESSABLE_ENTITY, "{unfit}");
        }
    }

    #[test]
    fn a_refusal_names_the_field_and_does_not_quote_the_value() {
        let problem = parse::<Line>(br#"{"sku":"emma","quantity":"4111111111111111"}"#).unwrap_err();
        let text = format!("{problem:?}");
        assert!(text.contains("quantity: expected u32") && !text.contains("4111"), "{text}");
    }
}

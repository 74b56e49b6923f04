//! Fingerprints: whether two requests under one id are the same request (IK-4).

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// SHA-256, 32 bytes, as 64 hexadecimal digits on the wire.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of some bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Its first half as a name (`UUIDv8`), for what must get the same id from the same content.
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        let mut half = [0; 16];
        half.copy_from_slice(&self.0[..16]);
        Uuid::new_v8(half)
    }

    /// The raw bytes, as stores keep them.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.to_string()
    }
}

/// Text that is not 64 hexadecimal digits.
#[derive(Debug, thiserror::Error)]
#[error("a fingerprint has 64 hexadecimal digits")]
pub struct FingerprintError;

impl TryFrom<String> for Fingerprint {
    type Error = FingerprintError;

    fn try_from(text: String) -> Result<Self, FingerprintError> {
        crate::ids::from_hex::<32>(&text).map(Self).ok_or(FingerprintError)
    }
}

/// The one spelling of a JSON value: object keys sorted, no white space. White space and key order of what a client sent
/// thus change no fingerprint; any value does.
#[must_use]
pub fn canonical_json(value: &Value) -> String {
    let mut text = String::new();
    write_canonical(value, &mut text);
    text
}

fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            out.push('{');
            for (position, (key, value)) in entries.into_iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                write_canonical(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                write_canonical(item, out);
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn key_order_changes_nothing_and_any_value_does() {
        let left = canonical_json(&serde_json::from_str(r#"{"b": [1, {"y":2,"x":1}], "a": "q\""}"#).unwrap());
        let right = canonical_json(&serde_json::from_str(r#"{"a":"q\"","b":[1,{"x":1,"y":2}]}"#).unwrap());
        assert_eq!(left, right);
        assert_ne!(left, canonical_json(&json!({"a": "q\"", "b": [1, {"x": 1, "y": 3}]})));
        assert_ne!(left, canonical_json(&json!({"a": "q\"", "b": [{"x": 1, "y": 2}, 1]})));
    }

    #[test]
    fn a_fingerprint_survives_the_wire() {
        let fingerprint = Fingerprint::of(b"checkout");
        let text = serde_json::to_string(&fingerprint).unwrap();
        assert_eq!(serde_json::from_str::<Fingerprint>(&text).unwrap(), fingerprint);
        assert!(serde_json::from_str::<Fingerprint>("\"zz\"").is_err());
    }
}

//! Identifiers, one type per kind, so that one cannot be passed for another.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Text that is no identifier of the wanted kind; the message says what one looks like.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct IdError(&'static str);

/// Declares a UUID newtype. Five lines of trait glue for five kinds of id would be fifty lines to read.
macro_rules! uuid_id {
    ($(#[$doc:meta] $name:ident),+ $(,)?) => {$(
        #[$doc]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Uuid::try_parse(text).map(Self).map_err(|_| IdError("an id is a UUID"))
            }
        }
    )+};
}

uuid_id! {
    /// Who acts: an account, or one anonymous session. Owns carts, orders and idempotency keys.
    PrincipalId,
    /// A cart. It stays with its principal; its epoch changes at checkout.
    CartId,
    /// One checkout, minted by the winning claim (UUIDv7); also the order's id, the provider's key and reference.
    OperationId,
    /// One outbox event; consumers deduplicate by it.
    EventId,
}

/// The id that all repeats of one exactly-once call share: 16 to 255 visible ASCII characters or spaces, none of the
/// spaces at either end, where HTTP takes them away on the next hop and two ids would become one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RequestId(String);

impl RequestId {
    /// The text as it travels.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form for logs: the first 8 hexadecimal digits of its hash, since a key is a client's secret (IK-16).
    #[must_use]
    pub fn log_form(&self) -> String {
        hex(&Sha256::digest(self.0.as_bytes())[..4])
    }
}

impl FromStr for RequestId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let printable = text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        if (16..=255).contains(&text.len()) && printable && text.trim() == text {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdError("a request id has 16 to 255 visible ASCII characters and no space at its ends"))
        }
    }
}

impl TryFrom<String> for RequestId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<RequestId> for String {
    fn from(id: RequestId) -> Self {
        id.0
    }
}

impl From<OperationId> for RequestId {
    fn from(id: OperationId) -> Self {
        Self(id.to_string())
    }
}

/// A product's stable name: 3 to 40 of `a-z 0-9 -`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sku(String);

impl Sku {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Sku {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Sku {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let allowed = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if (3..=40).contains(&text.len()) && allowed {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdError("a sku has 3 to 40 characters of a-z, 0-9 and -"))
        }
    }
}

impl TryFrom<String> for Sku {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<Sku> for String {
    fn from(sku: Sku) -> Self {
        sku.0
    }
}

/// The dot of one cart operation: 128 bits of SHA-256(cart id, request key). A repeat has the same dot and counts once,
/// wherever it arrives; nobody can forge another cart's dots without its id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct OpId([u8; 16]);

impl OpId {
    /// The dot of the operation that a client named `key` on this cart.
    #[must_use]
    pub fn new(cart: CartId, key: &str) -> Self {
        let hash = Sha256::new().chain_update(cart.0.as_bytes()).chain_update(key.as_bytes()).finalize();
        let mut dot = [0; 16];
        dot.copy_from_slice(&hash[..16]);
        Self(dot)
    }
}

impl fmt::Display for OpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for OpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl From<OpId> for String {
    fn from(id: OpId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for OpId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        from_hex(&text).map(Self).ok_or(IdError("a cart operation id has 32 hexadecimal digits"))
    }
}

/// A session as the inner tiers know it: SHA-256 of the token. The token itself stays at the edge, so nothing that inner
/// tiers store, log or replicate lets anybody in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct SessionId([u8; 32]);

impl SessionId {
    /// The session of a token.
    #[must_use]
    pub fn of_token(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// The hash's bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0[..4]))
    }
}

impl From<SessionId> for String {
    fn from(id: SessionId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for SessionId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        from_hex(&text).map(Self).ok_or(IdError("a session id has 64 hexadecimal digits"))
    }
}

/// By table: ids are written on every hop, and the formatter took 3 % of an add to cart.
fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

pub(crate) fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    };
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_ids_are_refused() {
        for bad in ["", "short", "tab\tinside-the-request-id", "umlaut-ü-in-request-id"] {
            assert!(bad.parse::<RequestId>().is_err(), "{bad:?}");
        }
        assert!("x".repeat(256).parse::<RequestId>().is_err());
        assert!("x".repeat(255).parse::<RequestId>().is_ok());
        for bad in ["", "ab", "Emma", "a b c", "../etc", &"a".repeat(41)] {
            assert!(bad.parse::<Sku>().is_err(), "{bad:?}");
        }
        assert!("emma".parse::<Sku>().is_ok());
        for bad in ["", "0", "zz", "0g", "é"] {
            assert_eq!(from_hex::<1>(bad), None, "{bad:?}");
        }
        assert_eq!(from_hex::<2>(&hex(&[0x0f, 0xa0])), Some([0x0f, 0xa0]));
    }

    #[test]
    fn the_dot_depends_on_cart_and_key() {
        let (one, two) = (CartId(Uuid::from_u128(1)), CartId(Uuid::from_u128(2)));
        assert_eq!(OpId::new(one, "key"), OpId::new(one, "key"));
        assert_ne!(OpId::new(one, "key"), OpId::new(two, "key"));
        assert_ne!(OpId::new(one, "key"), OpId::new(one, "other"));
    }
}

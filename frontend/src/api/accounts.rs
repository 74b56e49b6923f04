//! `/api/accounts`: registration, and what an e-mail address and a password must look like.

use axum::{Json, extract::State, http::StatusCode};
use contract::{
    Fingerprint, NoKey, PrincipalId, RequestId, session, sessions::Password, sessions::RegisterRefusal, shop,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    app::App,
    body::ApiJson,
    key::OptionalKey,
    problem::{Kind, Problem},
};

/// Longest address that mail can be sent to (RFC 5321 with erratum 1690), in bytes.
const EMAIL_BYTES_MAX: usize = 254;
/// Below, guessing is too easy; above, hashing would be work for nothing.
const PASSWORD_BYTES: std::ops::RangeInclusive<usize> = 8..=128;

/// Who somebody is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credentials {
    #[schema(example = "ada@example.org")]
    pub(super) email: String,
    /// 8 to 128 bytes.
    #[schema(value_type = String, format = Password)]
    pub(super) password: Password,
}

/// An account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Account {
    /// UUIDv7.
    id: String,
    email: String,
}

impl From<session::Account> for Account {
    fn from(account: session::Account) -> Self {
        Self { id: account.id.to_string(), email: account.email }
    }
}

/// Makes an account. With the same key and address a repeat finds the account that the first request made.
#[utoipa::path(
    post,
    path = "/api/accounts",
    tag = "accounts",
    request_body = Credentials,
    params(("Idempotency-Key" = Option<String>, Header)),
    responses((status = 201, body = Account), (status = 409, description = "The address has an account"))
)]
pub(crate) async fn register(
    State(app): State<App>,
    key: OptionalKey,
    ApiJson { content: body, .. }: ApiJson<Credentials>,
) -> Result<(StatusCode, Json<Account>), Problem> {
    let email = address_of(&body.email).ok_or_else(|| {
        Problem::new(Kind::BadEmail, "the e-mail address needs a name, one @ and a domain with a dot")
    })?;
    if !is_possible(&body.password) {
        return Err(Problem::new(Kind::BadPassword, "the password needs 8 to 128 bytes"));
    }
    let request = named(&key.or_fresh(&app.seams), &email)?;
    let account = PrincipalId(app.seams.uuid());
    let register = shop::Register { request, account, email, password: body.password };
    let account = app.logic.call(&register, NoKey).await.map_err(|error| {
        Problem::of_failure(error, |refusal| match refusal {
            RegisterRefusal::HomeUnreachable { site } => Problem::home_unreachable(&site),
            RegisterRefusal::EmailTaken => Problem::new(Kind::EmailTaken, "log in instead"),
        })
    })?;
    Ok((StatusCode::CREATED, Json(account.into())))
}

/// Keys of registrations belong to nobody yet, so two customers may use one: with the address in it, neither is shown the
/// other's account.
fn named(key: &RequestId, email: &str) -> Result<RequestId, Problem> {
    let name = Fingerprint::of(format!("register\n{}\n{email}", key.as_str()).as_bytes()).to_string();
    name.parse().map_err(|_| Problem::new(Kind::KeyMalformed, "the key cannot be used"))
}

/// The address in the one spelling that accounts are kept under; none if no mail could ever reach it.
pub(super) fn address_of(text: &str) -> Option<String> {
    let text = text.trim();
    let (name, domain) = text.split_once('@')?;
    let odd = |character: char| character.is_whitespace() || character.is_control() || character == '@';
    let dotted = domain.contains('.') && domain.split('.').all(|label| !label.is_empty());
    let fits = text.len() <= EMAIL_BYTES_MAX && !name.is_empty() && dotted;
    (fits && !name.contains(odd) && !domain.contains(odd)).then(|| text.to_lowercase())
}

/// Whether any account can have this password.
pub(super) fn is_possible(password: &Password) -> bool {
    PASSWORD_BYTES.contains(&password.0.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_one_spelling() {
        assert_eq!(address_of(" Ada@Example.ORG ").as_deref(), Some("ada@example.org"));
        for bad in
            ["", "ada", "@x.org", "ada@", "ada@org", "ada@x..org", "ada@.org", "a da@x.org", "a@b@x.org", "a\n@x.org"]
        {
            assert_eq!(address_of(bad), None, "{bad:?}");
        }
        assert_eq!(address_of(&format!("{}@x.org", "a".repeat(250))), None);
    }

    #[test]
    fn two_customers_with_one_key_are_two_registrations() {
        let key: RequestId = "0123456789abcdef".parse().unwrap();
        assert_eq!(named(&key, "a@x.org").unwrap(), named(&key, "a@x.org").unwrap());
        assert_ne!(named(&key, "a@x.org").unwrap(), named(&key, "b@x.org").unwrap());
    }
}

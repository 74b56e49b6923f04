//! Accounts and sessions.

use serde::{Deserialize, Serialize};

use super::example_request;
use crate::{
    AtLeastOnce, Family, Operation, PrincipalId, RequestId, SessionId,
    session::{Account, Session},
    sessions::{LoginRefusal, Never, NoSession, Password, RegisterRefusal},
};

/// Makes an account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Register {
    /// Names this registration.
    pub request: RequestId,
    /// The account's id, minted by the edge (UUIDv7).
    pub account: PrincipalId,
    /// Address, lower case, checked at the edge.
    pub email: String,
    /// The password in clear.
    pub password: Password,
}

impl Operation for Register {
    const NAME: &'static str = "shop.register";
    const FAMILY: Family = Family::Logic;
    const WHY: &'static str = "the request id makes a repeat find its own account";
    const ATTEMPT_MS: u64 = 4_500;
    type Reply = Account;
    type Refusal = RegisterRefusal;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self {
            request: example_request(),
            account: PrincipalId(uuid::Uuid::from_u128(7)),
            email: "ada@example.org".to_owned(),
            password: Password("correct horse".to_owned()),
        }
    }
}

/// Logs in. The guest's cart, if any, merges into the account's, and the guest's session ends.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Login {
    /// The new session: the hash of a token that the edge has just minted.
    pub session: SessionId,
    /// Address, lower case.
    pub email: String,
    /// The password in clear.
    pub password: Password,
    /// The session the customer had until now.
    pub guest: Option<SessionId>,
}

impl Operation for Login {
    const NAME: &'static str = "shop.login";
    const FAMILY: Family = Family::Logic;
    const WHY: &'static str = "the token's hash names the session, so a repeat gives the same session";
    const ATTEMPT_MS: u64 = 4_500;
    type Reply = Session;
    type Refusal = LoginRefusal;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self {
            session: SessionId::of_token("example"),
            email: "ada@example.org".to_owned(),
            password: Password("correct horse".to_owned()),
            guest: None,
        }
    }
}

/// Opens an anonymous session.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OpenSession {
    /// The new session: the hash of a token that the edge has just minted.
    pub session: SessionId,
    /// Its principal, minted by the edge too (UUIDv7).
    pub principal: PrincipalId,
}

impl Operation for OpenSession {
    const NAME: &'static str = "shop.open_session";
    const FAMILY: Family = Family::Logic;
    const WHY: &'static str = "caller-minted ids make a repeat the same session";
    type Reply = Session;
    type Refusal = Never;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { session: SessionId::of_token("example"), principal: PrincipalId(uuid::Uuid::from_u128(7)) }
    }
}

/// Who is this?
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WhoAmI {
    /// The session.
    pub session: SessionId,
}

impl Operation for WhoAmI {
    const NAME: &'static str = "shop.session";
    const FAMILY: Family = Family::Logic;
    const WHY: &'static str = "a read";
    type Reply = Session;
    type Refusal = NoSession;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { session: SessionId::of_token("example") }
    }
}

/// Logs out everywhere this token is known.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Logout {
    /// The session.
    pub session: SessionId,
}

impl Operation for Logout {
    const NAME: &'static str = "shop.logout";
    const FAMILY: Family = Family::Logic;
    const WHY: &'static str = "revocation wins every merge, so repeating it ends in the same state";
    type Reply = ();
    type Refusal = Never;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { session: SessionId::of_token("example") }
    }
}

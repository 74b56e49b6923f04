//! Operations of the sessions family: accounts, logins, sessions.
//!
//! The caller mints the token, so the token's hash ([`SessionId`]) is the request id of a login: a repeat names the same
//! session, and no reply has to carry a secret.

use serde::{Deserialize, Serialize};

use crate::{
    AtLeastOnce, Family, Operation, PrincipalId, RequestId, SessionId, Sharing,
    replication::{Asker, OtherView, example_asker},
    session::{Account, Session},
};

/// A session lives on every node, unless a node is told otherwise: it is read by each request.
pub const SHARING: Sharing = Sharing::Everything;

/// A password on its way to the hash. Never logged: its `Debug` form is a row of stars.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Password(pub String);

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// Makes an account. A repeat with the same request id answers with the account it made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Register {
    /// Names this registration.
    pub request: RequestId,
    /// The account's id, minted by the caller (UUIDv7).
    pub account: PrincipalId,
    /// Address, lower case, checked at the edge.
    pub email: String,
    /// The password in clear.
    pub password: Password,
}

/// Why no account was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegisterRefusal {
    /// The address has an account already.
    EmailTaken,
    /// Accounts are kept at another site, which cannot be reached from this one.
    HomeUnreachable {
        /// That site.
        site: String,
    },
}

impl Operation for Register {
    const NAME: &'static str = "sessions.register";
    const FAMILY: Family = Family::Sessions;
    const WHY: &'static str = "makes an account; the request id makes a repeat find its own account";
    const ATTEMPT_MS: u64 = 4_000;
    type Reply = Account;
    type Refusal = RegisterRefusal;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self {
            request: crate::shop::example_request(),
            account: PrincipalId(uuid::Uuid::from_u128(7)),
            email: "ada@example.org".to_owned(),
            password: Password("correct horse".to_owned()),
        }
    }
}

/// Opens a session for an account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Login {
    /// The new session: the hash of a token that the edge has just minted.
    pub session: SessionId,
    /// Address, lower case.
    pub email: String,
    /// The password in clear.
    pub password: Password,
}

/// Why nobody was logged in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginRefusal {
    /// No such account, or another password: deliberately one answer.
    WrongCredentials,
    /// Too many wrong passwords for this address.
    Throttled {
        /// Seconds until another try is looked at.
        retry_after_s: u32,
    },
    /// Accounts are kept at another site, which cannot be reached from this one. Nothing was looked at.
    HomeUnreachable {
        /// That site.
        site: String,
    },
}

impl Operation for Login {
    const NAME: &'static str = "sessions.login";
    const FAMILY: Family = Family::Sessions;
    const WHY: &'static str =
        "opens an account's session; the token's hash names it, so a repeat gives the same session";
    const ATTEMPT_MS: u64 = 4_000;
    type Reply = Session;
    type Refusal = LoginRefusal;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self {
            session: SessionId::of_token("example"),
            email: "ada@example.org".to_owned(),
            password: Password("correct horse".to_owned()),
        }
    }
}

/// Opens an anonymous session.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Open {
    /// The new session: the hash of a token that the edge has just minted.
    pub session: SessionId,
    /// Its principal, minted by the edge too (UUIDv7).
    pub principal: PrincipalId,
}

impl Operation for Open {
    const NAME: &'static str = "sessions.open";
    const FAMILY: Family = Family::Sessions;
    const WHY: &'static str = "opens an anonymous session; caller-minted ids make a repeat the same session";
    type Reply = Session;
    type Refusal = Never;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { session: SessionId::of_token("example"), principal: PrincipalId(uuid::Uuid::from_u128(7)) }
    }
}

/// Makes a session that the home site has opened known in this one at once, instead of when the sites next exchange theirs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Admit {
    /// The session.
    pub session: SessionId,
    /// As the home site opened it.
    pub opened: Session,
}

impl Operation for Admit {
    const NAME: &'static str = "sessions.admit";
    const FAMILY: Family = Family::Sessions;
    const WHY: &'static str =
        "a login elsewhere is known here at once; the same session each time, and revocation still wins";
    type Reply = ();
    type Refusal = Never;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        let principal = PrincipalId(uuid::Uuid::from_u128(7));
        let opened = Session { principal, account: None, expires_at_ms: 1_800_000_000_000, revoked: false };
        Self { session: SessionId::of_token("example"), opened }
    }
}

/// Who is this?
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Lookup {
    /// The session.
    pub session: SessionId,
}

/// The session is unknown, over or logged out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoSession {
    /// One answer for all three: which of them it was is nobody's business.
    Unauthenticated,
}

impl Operation for Lookup {
    const NAME: &'static str = "sessions.lookup";
    const FAMILY: Family = Family::Sessions;
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
pub struct Revoke {
    /// The session.
    pub session: SessionId,
}

impl Operation for Revoke {
    const NAME: &'static str = "sessions.revoke";
    const FAMILY: Family = Family::Sessions;
    const WHY: &'static str = "ends a session; revocation wins every merge, so repeating it ends in the same state";
    type Reply = ();
    type Refusal = Never;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { session: SessionId::of_token("example") }
    }
}

/// Replication inside the family: merge these sessions into yours.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Merge {
    /// At most [`crate::sessions::MERGE_MAX`] sessions.
    pub entries: Vec<(SessionId, Session)>,
}

/// Most sessions in one replication message.
pub const MERGE_MAX: usize = 500;

impl Operation for Merge {
    const NAME: &'static str = "sessions.merge";
    const FAMILY: Family = Family::Sessions;
    const WHY: &'static str = "replication by join: duplicated, reordered or lost messages are harmless";
    type Reply = ();
    type Refusal = Never;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { entries: Vec::new() }
    }
}

/// Replication inside the family: a page of your sessions that the asker is to hold.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Page {
    /// Who asks.
    pub asker: Asker,
    /// Only those of these virtual nodes, in rising order; all if empty.
    pub vnodes: Vec<u16>,
    /// The last session of the page before; none for the first page.
    pub after: Option<SessionId>,
}

impl Operation for Page {
    const NAME: &'static str = "sessions.page";
    const FAMILY: Family = Family::Sessions;
    const WHY: &'static str =
        "a read, by a node that refills or found a difference; each session with when it was last touched";
    type Reply = Vec<(SessionId, Session, i64)>;
    type Refusal = OtherView;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { asker: example_asker(), vnodes: Vec::new(), after: None }
    }
}

/// Replication inside the family: digests of the sessions that you and the asker both are to hold.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Digest {
    /// Who asks.
    pub asker: Asker,
    /// One digest for each virtual node of these groups; one for each group if empty.
    pub groups: Vec<u8>,
}

impl Operation for Digest {
    const NAME: &'static str = "sessions.digest";
    const FAMILY: Family = Family::Sessions;
    const WHY: &'static str = "a read, every 2 s between each two nodes: where their sessions differ";
    type Reply = Vec<u64>;
    type Refusal = OtherView;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { asker: example_asker(), groups: vec![0] }
    }
}

/// Replication inside the family: your copy of one session, for a node that is asked for it and does not hold it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fetch {
    /// Who asks.
    pub asker: Asker,
    /// Which session.
    pub session: SessionId,
}

impl Operation for Fetch {
    const NAME: &'static str = "sessions.fetch";
    const FAMILY: Family = Family::Sessions;
    const WHY: &'static str = "a read, by a node that takes a request for a session that others hold";
    type Reply = Option<Session>;
    type Refusal = OtherView;
    type Retry = AtLeastOnce;

    fn example() -> Self {
        Self { asker: example_asker(), session: SessionId::of_token("example") }
    }
}

/// The refusal of operations whose domain never says no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Never {}

//! What accounts and sessions are kept in: two stores, because they are shared differently. What a back end must do is
//! written down as [`conformance`].

pub mod conformance;
mod elsewhere;
mod memory;
mod redis;
mod sql;

use std::fmt;

use async_trait::async_trait;
use contract::{
    DataSet, RequestId, SessionId, ShareEverything,
    session::{Account, Session},
};
use store::{Replicated, StoreError};

pub use elsewhere::AccountsElsewhere;
pub use sql::SqlAccounts;

/// Accounts: every node sees the same.
#[derive(Debug)]
pub enum Accounts {}

impl DataSet for Accounts {
    const NAME: &'static str = "accounts";
    type Sharing = ShareEverything;
}

/// Sessions: every node has a copy, and revocation wins.
#[derive(Debug)]
pub enum Sessions {}

impl DataSet for Sessions {
    const NAME: &'static str = "sessions";
    type Sharing = ShareEverything;
}

/// What a registration came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Registered {
    /// The account is this request's own, made now or before.
    ByThisRequest(Account),
    /// The address has an account that another request made.
    ByAnother,
}

/// An account with what its password is checked against.
#[derive(Clone)]
pub struct Credentials {
    /// Whose.
    pub account: Account,
    /// PHC string.
    pub password_hash: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("account", &self.account.id).finish_non_exhaustive()
    }
}

/// Keeps accounts. An address has at most one, and a request makes at most one, whichever nodes are asked at once.
#[async_trait]
pub trait AccountStore: fmt::Debug + Send + Sync + 'static {
    /// What a registration would come to, if that is decided already.
    async fn registered(&self, request: &RequestId, email: &str) -> Result<Option<Registered>, StoreError>;
    /// Makes an account in one atomic step, or finds what was decided before. A request id that made an account for
    /// another address is a caller's bug and is not executed.
    async fn register(
        &self,
        request: &RequestId,
        account: &Account,
        password_hash: &str,
    ) -> Result<Registered, StoreError>;
    /// The account of an address.
    async fn credentials(&self, email: &str) -> Result<Option<Credentials>, StoreError>;
}

/// Keeps sessions. When `open` or `revoke` has returned, every later read on any node that answered sees it.
#[async_trait]
pub trait SessionStore: fmt::Debug + Send + Sync + 'static {
    /// A session, live or not.
    async fn session(&self, id: SessionId) -> Result<Option<Session>, StoreError>;
    /// Keeps the session unless there is one of this id; returns the one kept.
    async fn open(&self, id: SessionId, session: Session) -> Result<Session, StoreError>;
    /// Revokes the session, or keeps `mark` (which is revoked) in its place if it is not known.
    async fn revoke(&self, id: SessionId, mark: Session) -> Result<(), StoreError>;
    /// Joins sessions that another node or site sent.
    async fn merge(&self, entries: Vec<(SessionId, Session)>) -> Result<(), StoreError>;
    /// The next sessions, each once, in an order of the store's own; empty at the end.
    async fn page(&self, after: Option<SessionId>) -> Result<Vec<(SessionId, Session)>, StoreError>;
    /// The sessions in this node's memory, if that is where they are kept: what answers other nodes of the family.
    fn replicated(&self) -> Option<&Replicated<Session>> {
        None
    }
}

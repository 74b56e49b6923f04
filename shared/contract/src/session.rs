//! The session as a join-semilattice: what sessions nodes hold, replicate and merge. Revocation wins every merge, so a
//! logged-out session never comes back from a replica that had not heard of it.

use serde::{Deserialize, Serialize};

use crate::PrincipalId;

/// A customer's account as sessions and pages know it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Who.
    pub id: PrincipalId,
    /// The address it was registered with, lower case.
    pub email: String,
}

/// One session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// Who acts: the account, or an anonymous principal of this session only.
    pub principal: PrincipalId,
    /// The account, if logged in.
    pub account: Option<Account>,
    /// Unix milliseconds after which the session is no longer honoured.
    pub expires_at_ms: i64,
    /// Logged out: for ever.
    pub revoked: bool,
}

impl Session {
    /// The join: commutative, associative and idempotent. Principal and account are fixed by the token's first use;
    /// should two nodes differ (a forged double use of one token), the larger wins on all of them.
    pub fn merge(&mut self, other: &Self) {
        if (other.principal, &other.account) > (self.principal, &self.account) {
            self.principal = other.principal;
            self.account.clone_from(&other.account);
        }
        self.expires_at_ms = self.expires_at_ms.max(other.expires_at_ms);
        self.revoked |= other.revoked;
    }

    /// Whether it lets its bearer in at this time.
    #[must_use]
    pub const fn is_live(&self, now_ms: i64) -> bool {
        !self.revoked && now_ms < self.expires_at_ms
    }
}

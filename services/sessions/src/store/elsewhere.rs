//! Accounts of a site that keeps none: they live at the home site, and logic nodes ask there. Whoever asks here all the
//! same is told that nothing was executed, which is always true.

use async_trait::async_trait;
use contract::{RequestId, session::Account};
use store::StoreError;

use super::{AccountStore, Credentials, Registered};

/// No accounts.
#[derive(Clone, Copy, Debug)]
pub struct AccountsElsewhere;

fn elsewhere<T>() -> Result<T, StoreError> {
    let reason = "accounts are kept at the home site; this node was started without --accounts";
    Err(StoreError::NotExecuted(reason.to_owned()))
}

#[async_trait]
impl AccountStore for AccountsElsewhere {
    async fn registered(&self, _request: &RequestId, _email: &str) -> Result<Option<Registered>, StoreError> {
        elsewhere()
    }

    async fn register(&self, _: &RequestId, _: &Account, _password_hash: &str) -> Result<Registered, StoreError> {
        elsewhere()
    }

    async fn credentials(&self, _email: &str) -> Result<Option<Credentials>, StoreError> {
        elsewhere()
    }
}

//! Accounts in SQLite: one file that the nodes of the family share.

use async_trait::async_trait;
use contract::{Fingerprint, RequestId, ShareEverything, Upholds, session::Account};
use sqlx::{SqliteExecutor, migrate::Migrator};
use store::{Sqlite, StoreError};

use super::{AccountStore, Credentials, Registered};

/// The tables.
pub static MIGRATIONS: Migrator = sqlx::migrate!();

/// Accounts in one database file.
#[derive(Clone, Debug)]
pub struct SqliteAccounts(Sqlite);

impl Upholds<ShareEverything> for SqliteAccounts {}

impl SqliteAccounts {
    /// Accounts in a database that was opened with [`MIGRATIONS`].
    #[must_use]
    pub const fn new(database: Sqlite) -> Self {
        Self(database)
    }
}

#[async_trait]
impl AccountStore for SqliteAccounts {
    async fn registered(&self, request: &RequestId, email: &str) -> Result<Option<Registered>, StoreError> {
        decided(self.0.reader(), request, email).await
    }

    async fn register(
        &self,
        request: &RequestId,
        account: &Account,
        password_hash: &str,
    ) -> Result<Registered, StoreError> {
        let mut transaction = self.0.begin().await?;
        if let Some(decided) = decided(&mut *transaction, request, &account.email).await? {
            return Ok(decided);
        }
        let insert = "INSERT INTO accounts (id, email, password_hash, request_hash, registered_at_ms) \
                      VALUES ($1, $2, $3, $4, CAST(unixepoch('subsec') * 1000 AS INTEGER))";
        sqlx::query(insert)
            .bind(account.id.to_string())
            .bind(&account.email)
            .bind(password_hash)
            .bind(request_hash(request))
            .execute(&mut *transaction)
            .await?;
        Sqlite::commit(transaction).await?;
        Ok(Registered::ByThisRequest(account.clone()))
    }

    async fn credentials(&self, email: &str) -> Result<Option<Credentials>, StoreError> {
        let row: Option<(String, String, String)> =
            sqlx::query_as("SELECT id, email, password_hash FROM accounts WHERE email = $1")
                .bind(email)
                .fetch_optional(self.0.reader())
                .await?;
        row.map(|(id, email, password_hash)| Ok(Credentials { account: account(&id, email)?, password_hash }))
            .transpose()
    }
}

/// What is decided about a registration: by its request first, since the address is then its own.
async fn decided(
    database: impl SqliteExecutor<'_>,
    request: &RequestId,
    email: &str,
) -> Result<Option<Registered>, StoreError> {
    let hash = request_hash(request);
    let select = "SELECT id, email, request_hash FROM accounts WHERE request_hash = $1 OR email = $2 \
                  ORDER BY request_hash = $1 DESC LIMIT 1";
    let row: Option<(String, String, Vec<u8>)> =
        sqlx::query_as(select).bind(&hash).bind(email).fetch_optional(database).await?;
    match row {
        None => Ok(None),
        Some((_, _, by)) if by != hash => Ok(Some(Registered::ByAnother)),
        Some((id, known, _)) if known == email => Ok(Some(Registered::ByThisRequest(account(&id, known)?))),
        Some(_) => Err(StoreError::NotExecuted("this request id has registered another address".to_owned())),
    }
}

fn account(id: &str, email: String) -> Result<Account, StoreError> {
    let id = id.parse().map_err(|error| StoreError::Corrupt(format!("accounts.id: {error}")))?;
    Ok(Account { id, email })
}

/// A request id is a client's secret, so only its hash is kept (IK-16).
fn request_hash(request: &RequestId) -> Vec<u8> {
    Fingerprint::of(request.as_str().as_bytes()).as_bytes().to_vec()
}

//! Accounts in a relational database that the nodes of the family share.

use async_trait::async_trait;
use contract::{Fingerprint, RequestId, ShareEverything, Upholds, session::Account};
use store::{Database, Link, Migrations, StoreError, StoreUri, sql};

use super::{AccountStore, Credentials, Registered};

static MIGRATIONS: Migrations =
    Migrations { sqlite: sqlx::migrate!("migrations/sqlite"), postgres: sqlx::migrate!("migrations/postgres") };

/// Accounts in one database.
#[derive(Clone, Debug)]
pub struct SqlAccounts(Database);

impl Upholds<ShareEverything> for SqlAccounts {}

impl SqlAccounts {
    /// Opens the database; makes the tables if need be.
    ///
    /// # Errors
    /// When it cannot be opened or migrated; the message names it.
    pub async fn open(uri: &StoreUri) -> Result<Self, StoreError> {
        Database::open(uri, "sessions", &MIGRATIONS).await.map(Self)
    }

    async fn register_once(
        &self,
        request: &RequestId,
        account: &Account,
        password_hash: &str,
    ) -> Result<Registered, StoreError> {
        let mut tx = self.0.begin().await?;
        if let Some(decided) = decided(&mut tx, request, &account.email).await? {
            return Ok(decided);
        }
        let insert = "INSERT INTO accounts (id, email, password_hash, request_hash, registered_at_ms) \
                      VALUES ($1, $2, $3, $4, now_ms())";
        let insert = sql(insert)
            .bind(account.id.to_string())
            .bind(&account.email)
            .bind(password_hash)
            .bind(request_hash(request));
        tx.execute(insert).await?;
        Database::commit(tx).await?;
        Ok(Registered::ByThisRequest(account.clone()))
    }
}

#[async_trait]
impl AccountStore for SqlAccounts {
    async fn registered(&self, request: &RequestId, email: &str) -> Result<Option<Registered>, StoreError> {
        decided(&mut self.0.reader().await?, request, email).await
    }

    async fn register(
        &self,
        request: &RequestId,
        account: &Account,
        password_hash: &str,
    ) -> Result<Registered, StoreError> {
        // Two that register one address at once meet in its unique row.
        self.0.retrying(|| self.register_once(request, account, password_hash)).await
    }

    async fn credentials(&self, email: &str) -> Result<Option<Credentials>, StoreError> {
        let select = sql("SELECT id, email, password_hash FROM accounts WHERE email = $1").bind(email);
        let row: Option<(String, String, String)> = self.0.reader().await?.optional(select).await?;
        row.map(|(id, email, password_hash)| Ok(Credentials { account: account(&id, email)?, password_hash }))
            .transpose()
    }
}

/// What is decided about a registration: by its request first, since the address is then its own.
async fn decided(link: &mut Link, request: &RequestId, email: &str) -> Result<Option<Registered>, StoreError> {
    let hash = request_hash(request);
    let select = "SELECT id, email, request_hash FROM accounts WHERE request_hash = $1 OR email = $2 \
                  ORDER BY request_hash = $1 DESC LIMIT 1";
    let row: Option<(String, String, Vec<u8>)> = link.optional(sql(select).bind(hash.clone()).bind(email)).await?;
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

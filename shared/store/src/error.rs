//! What can go wrong in a store, told apart by what the caller may do next.

use contract::CallError;

/// A store's failure.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Nothing was changed: the transaction was not committed.
    #[error("store: {0}")]
    NotExecuted(String),
    /// The commit was sent and no answer came: the change may be there (E13).
    #[error("store: the commit's outcome is unknown: {0}")]
    Unknown(String),
    /// A row cannot be understood, for example one that a newer version wrote.
    #[error("store: {0}")]
    Corrupt(String),
}

impl StoreError {
    /// For a failed COMMIT: the one statement whose failure proves nothing.
    #[must_use]
    pub fn at_commit(error: &sqlx::Error) -> Self {
        match error {
            // Busy, full or against a constraint: the database rolled back before its commit record was on the disk. Any
            // other answer, above all a failed fsync, may have left the record there for the next recovery to find.
            sqlx::Error::Database(answer) if is_before_the_record(answer.code().as_deref()) => {
                Self::NotExecuted(answer.to_string())
            }
            other => Self::Unknown(other.to_string()),
        }
    }
}

/// By SQLite's result code, whose low byte is the primary one.
fn is_before_the_record(code: Option<&str>) -> bool {
    let primary = code.and_then(|code| code.parse::<u32>().ok()).map(|code| code & 0xff);
    matches!(primary, Some(5 | 13 | 19))
}

/// Any failure before COMMIT: the transaction is rolled back, so nothing happened.
impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::NotExecuted(error.to_string())
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self::Corrupt(error.to_string())
    }
}

impl<R> From<StoreError> for CallError<R> {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotExecuted(_) => Self::NotExecuted(error.to_string()),
            StoreError::Unknown(_) | StoreError::Corrupt(_) => Self::Unknown(error.to_string()),
        }
    }
}

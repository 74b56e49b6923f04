//! What can go wrong in a store, told apart by what the caller may do next.

use contract::CallError;

/// A store's failure.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Nothing was changed: the transaction was not committed.
    #[error("store: {0}")]
    NotExecuted(String),
    /// Nothing was changed: another transaction was in the way, and the same one may well succeed now.
    #[error("store: met another transaction: {0}")]
    Conflict(String),
    /// The commit was sent and no answer came: the change may be there (E13).
    #[error("store: the commit's outcome is unknown: {0}")]
    Unknown(String),
    /// Nothing was changed: nobody answers there, or not yet. Only said when a store is opened; see [`crate::when_there`].
    #[error("store: {0}")]
    Absent(String),
    /// A row cannot be understood, for example one that a newer version wrote.
    #[error("store: {0}")]
    Corrupt(String),
}

impl StoreError {
    /// For a failed COMMIT: the one statement whose failure proves nothing.
    #[must_use]
    pub fn at_commit(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(answer) => match answer.code().as_deref().map_or(Proof::Nothing, proof) {
                Proof::Met => Self::Conflict(answer.to_string()),
                Proof::RolledBack => Self::NotExecuted(answer.to_string()),
                Proof::Nothing => Self::Unknown(answer.to_string()),
            },
            other => Self::Unknown(other.to_string()),
        }
    }
}

/// What a database's answer to COMMIT proves.
enum Proof {
    /// Rolled back, because of another transaction.
    Met,
    /// Rolled back before the commit record was on the disk.
    RolledBack,
    /// Nothing: above all a failed fsync may have left the record there for the next recovery to find.
    Nothing,
}

/// SQLite's codes are numbers of up to four digits, whose low byte is the primary code; PostgreSQL's have five
/// characters, the first two of which are the class.
fn proof(code: &str) -> Proof {
    match code {
        "40001" | "40P01" | "23505" => Proof::Met,
        // SQLite's unique and primary keys, with the row that another one made.
        "1555" | "2067" => Proof::Met,
        // A constraint; a transaction that had failed before; not enough of some resource.
        _ if code.len() == 5 && ["23", "25", "40"].contains(&&code[..2]) => Proof::RolledBack,
        _ if code.len() == 5 => Proof::Nothing,
        // Busy, full, constraint.
        _ => match code.parse::<u32>().map(|code| code & 0xff) {
            Ok(5 | 13 | 19) => Proof::RolledBack,
            _ => Proof::Nothing,
        },
    }
}

impl StoreError {
    /// For a failure to connect: whether waiting may help. `what` names the store, without its password.
    pub(crate) fn at_open(what: &impl std::fmt::Display, error: &sqlx::Error) -> Self {
        let may_pass = match error {
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => true,
            // Starting, ending, crashed; too many connections; the connection broke; a table that another node makes now.
            sqlx::Error::Database(answer) => answer.code().is_some_and(|code| {
                ["57P01", "57P02", "57P03", "53300"].contains(&code.as_ref()) || code.starts_with("08")
            }),
            _ => false,
        };
        let text = format!("{what}: {error}");
        if may_pass { Self::Absent(text) } else { Self::NotExecuted(text) }
    }
}

/// Any failure before COMMIT: the transaction is rolled back, so nothing happened.
impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(|answer| answer.code());
        match code.as_deref().map(proof) {
            Some(Proof::Met) => Self::Conflict(error.to_string()),
            _ => Self::NotExecuted(error.to_string()),
        }
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
            StoreError::NotExecuted(_) | StoreError::Conflict(_) | StoreError::Absent(_) => {
                Self::NotExecuted(error.to_string())
            }
            StoreError::Unknown(_) | StoreError::Corrupt(_) => Self::Unknown(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_codes_prove_a_rollback() {
        for code in ["40001", "40P01", "23505", "1555", "2067"] {
            assert!(matches!(proof(code), Proof::Met), "{code}");
        }
        for code in ["5", "13", "19", "517", "787", "23514", "25P02"] {
            assert!(matches!(proof(code), Proof::RolledBack), "{code}");
        }
        // SQLite: input/output errors. PostgreSQL: shut down, crashed, failed inside, connection lost, out of memory.
        for code in ["10", "1034", "57P01", "57P02", "58030", "XX000", "08006", "53200", ""] {
            assert!(matches!(proof(code), Proof::Nothing), "{code}");
        }
    }
}

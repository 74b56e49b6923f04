//! Makes an account.

use contract::{
    CallError, Outcome, Repeatable,
    session::Account,
    sessions::{Register, RegisterRefusal},
};

use crate::{App, password, store::Registered};

/// Longest address in bytes (RFC 5321); the edge checks its form.
const EMAIL_BYTES_MAX: usize = 254;

/// Looks before it hashes, since a repeat should not cost a hash, and again when it writes.
///
/// # Errors
/// Refused when the address has an account by another request.
pub async fn register(app: App, request: Register, _: Repeatable) -> Outcome<Register> {
    let Register { request, account, email, password } = request;
    if !password::is_possible(&password) || email.len() > EMAIL_BYTES_MAX {
        return Err(CallError::NotExecuted("a password has 8 to 128 bytes and an address at most 254".to_owned()));
    }
    let known = match app.accounts.registered(&request, &email).await? {
        Some(known) => known,
        None => {
            let password_hash = app.hasher.hash(password).await?;
            app.accounts.register(&request, &Account { id: account, email }, &password_hash).await?
        }
    };
    match known {
        Registered::ByThisRequest(account) => Ok(account),
        Registered::ByAnother => Err(CallError::Refused(RegisterRefusal::EmailTaken)),
    }
}

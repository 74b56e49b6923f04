//! Opens a session for an account.

use contract::{
    CallError, Outcome, Repeatable,
    session::{Account, Session},
    sessions::{Login, LoginRefusal, Password},
};

use crate::{App, password};

/// A repeat finds its session and is not asked for the password again: whoever knows the token is in already.
///
/// # Errors
/// Refused for wrong credentials, with one answer and in one time for an unknown address and a wrong password, and when
/// there were too many of them.
pub async fn login(app: App, request: Login, _: Repeatable) -> Outcome<Login> {
    let Login { session, email, password } = request;
    let account = match opened_before(app.sessions.session(session).await?, &email) {
        Some(account) => account,
        None => verified(&app, &email, password).await?,
    };
    // For a repeat too: its first try may not have reached every node.
    Ok(app.open_session(session, account.id, Some(account)).await?)
}

fn opened_before(known: Option<Session>, email: &str) -> Option<Account> {
    known?.account.filter(|account| account.email == email)
}

async fn verified(app: &App, email: &str, password: Password) -> Result<Account, CallError<LoginRefusal>> {
    let wrong = CallError::Refused(LoginRefusal::WrongCredentials);
    if !password::is_possible(&password) {
        return Err(wrong);
    }
    app.throttle
        .admit(email, app.seams.now_ms())
        .map_err(|retry_after_s| CallError::Refused(LoginRefusal::Throttled { retry_after_s }))?;
    match is_right(app, email, password).await {
        Ok(Some(account)) => {
            app.throttle.succeeded(email);
            Ok(account)
        }
        Ok(None) => Err(wrong),
        Err(error) => {
            app.throttle.not_tried(email);
            Err(error)
        }
    }
}

async fn is_right(app: &App, email: &str, password: Password) -> Result<Option<Account>, CallError<LoginRefusal>> {
    let (account, hash) =
        app.accounts.credentials(email).await?.map(|known| (known.account, known.password_hash)).unzip();
    let same = app.hasher.verify(password, hash).await?;
    Ok(account.filter(|_| same))
}

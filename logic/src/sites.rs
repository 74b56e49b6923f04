//! What a logic node does that stands at another site than the home site, where orders, stock and accounts are kept:
//! it asks there, and says clearly when it cannot.

use contract::{
    CallError, NoKey, Outcome,
    sessions::{Admit, Login, LoginRefusal, Register, RegisterRefusal},
};
use rpc::Client;

use crate::{App, operations::done_before};

impl App {
    /// The home site's name, if this node stands elsewhere and none of these nodes of the home site can be reached. By
    /// readiness probes, so at most 0.75 s late: until then calls fail or succeed as they would anywhere.
    pub(crate) fn cut_off_from(&self, at_home: &Client) -> Option<String> {
        self.home_site.clone().filter(|_| !at_home.any_ready())
    }

    /// The same for operations without an answer of their own for it: not executed, at once instead of after the caller's
    /// patience.
    pub(crate) fn home_reachable<R>(&self, at_home: &Client) -> Result<(), CallError<R>> {
        match self.cut_off_from(at_home) {
            Some(site) => Err(CallError::NotExecuted(format!("the home site {site} cannot be reached"))),
            None => Ok(()),
        }
    }

    /// Logs in where the accounts are, and makes the session known at this site.
    pub(crate) async fn log_in(&self, login: Login) -> Outcome<Login> {
        let cut_off =
            || self.cut_off_from(&self.accounts).map(|site| CallError::Refused(LoginRefusal::HomeUnreachable { site }));
        if let Some(refusal) = cut_off() {
            return Err(refusal);
        }
        let opened = self.accounts.call(&login, NoKey).await.map_err(|error| match error {
            CallError::NotExecuted(reason) => cut_off().unwrap_or(CallError::NotExecuted(reason)),
            other => other,
        })?;
        if self.home_site.is_some() {
            let admit = Admit { session: login.session, opened: opened.clone() };
            self.sessions.call(&admit, NoKey).await.map_err(|error| done_before(error.widen()))?;
        }
        Ok(opened)
    }

    /// Makes an account where they are kept.
    pub(crate) async fn register(&self, register: Register) -> Outcome<Register> {
        let cut_off = || {
            self.cut_off_from(&self.accounts).map(|site| CallError::Refused(RegisterRefusal::HomeUnreachable { site }))
        };
        if let Some(refusal) = cut_off() {
            return Err(refusal);
        }
        self.accounts.call(&register, NoKey).await.map_err(|error| match error {
            CallError::NotExecuted(reason) => cut_off().unwrap_or(CallError::NotExecuted(reason)),
            other => other,
        })
    }
}

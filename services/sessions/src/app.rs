//! How a sessions node is put together.

use std::sync::Arc;

use ::store::{RedisMap, Replicated, StoreUri, replicated::SharingOptions};
use clap::Args;
use contract::{CallError, Family, PrincipalId, SessionId, session::Session};
use rpc::{HttpTransport, Ops};
use runtime::{ListenerLimits, Node, NodeOptions, Seams};

use crate::{
    operations,
    password::Hasher,
    store::{AccountStore, AccountsElsewhere, SessionStore, SqlAccounts},
    throttle::Throttle,
};

/// Milliseconds in a day.
const DAY_MS: i64 = 24 * 3_600_000;

/// Options of a sessions node.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// What every node has.
    #[command(flatten)]
    pub node: NodeOptions,
    /// Where accounts are kept, the same for all sessions nodes: sqlite:///path/to/file.db or postgres://user@host/database.
    /// Without it the node keeps sessions only: for a site whose accounts live at another one.
    #[arg(long, env = "TRESTLE_ACCOUNTS", value_name = "URI")]
    pub accounts: Option<StoreUri>,
    /// Where sessions are kept: memory://, which the nodes of the family share by merge, or a Redis that they share:
    /// redis://:password@host:port/0, redis+sentinel://host:port,host:port/service or redis+cluster://host:port,host:port;
    /// with ?wait=N&wait_ms=M a write waits for N replicas.
    #[arg(long, env = "TRESTLE_SESSIONS", default_value = "memory://", value_name = "URI")]
    pub sessions: StoreUri,
    /// How the sessions are shared with the other nodes.
    #[command(flatten)]
    pub shared: SharingOptions,
    /// How long a login lasts, in days from 1 to 90. It is not prolonged by use.
    #[arg(long, env = "TRESTLE_SESSION_DAYS", default_value_t = 7, value_name = "DAYS", value_parser = clap::value_parser!(i64).range(1..=90))]
    pub session_days: i64,
    /// How long an anonymous session, and so a guest's cart, lasts, in days from 1 to 365.
    #[arg(long, env = "TRESTLE_ANONYMOUS_DAYS", default_value_t = 30, value_name = "DAYS", value_parser = clap::value_parser!(i64).range(1..=365))]
    pub anonymous_days: i64,
}

/// How long sessions last, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Lives {
    /// After a login.
    pub account_ms: i64,
    /// Without one.
    pub anonymous_ms: i64,
}

impl Default for Lives {
    fn default() -> Self {
        Self { account_ms: 7 * DAY_MS, anonymous_ms: 30 * DAY_MS }
    }
}

/// What the operations need.
#[derive(Clone, Debug)]
pub struct App {
    pub(crate) accounts: Arc<dyn AccountStore>,
    pub(crate) sessions: Arc<dyn SessionStore>,
    pub(crate) hasher: Arc<Hasher>,
    pub(crate) throttle: Arc<Throttle>,
    pub(crate) lives: Lives,
    pub(crate) seams: Seams,
}

impl App {
    /// An application on these stores.
    ///
    /// # Errors
    /// When passwords cannot be hashed here at all.
    pub fn new(
        accounts: Arc<dyn AccountStore>,
        sessions: Arc<dyn SessionStore>,
        lives: Lives,
        seams: Seams,
    ) -> anyhow::Result<Self> {
        let hasher = Arc::new(Hasher::new(seams.clone())?);
        Ok(Self { accounts, sessions, hasher, throttle: Arc::default(), lives, seams })
    }

    /// What answers other nodes of the family.
    pub(crate) fn replicated<R>(&self) -> Result<&Replicated<Session>, CallError<R>> {
        let none = || CallError::NotExecuted("the sessions of this node are not kept in its memory".to_owned());
        self.sessions.replicated().ok_or_else(none)
    }

    /// Waits until its servers are there: before the node listens, or calls would wait in the kernel's queue.
    async fn open_accounts(node: &Node, options: &Options) -> anyhow::Result<Arc<dyn AccountStore>> {
        if let StoreUri::Redis(uri) = &options.sessions {
            let there = RedisMap::<Session>::until_there(node, "--sessions", uri).await;
            there.map_err(|error| anyhow::anyhow!("--sessions {uri}: {error}"))?;
        }
        let Some(uri) = &options.accounts else { return Ok(Arc::new(AccountsElsewhere)) };
        let accounts = ::store::when_there("--accounts", async || SqlAccounts::open(uri).await).await;
        Ok(Arc::new(accounts.map_err(|error| anyhow::anyhow!("--accounts {uri}: {error}"))?))
    }

    async fn open(
        node: &Node,
        options: &Options,
        accounts: Arc<dyn AccountStore>,
        own_address: &str,
    ) -> anyhow::Result<Self> {
        let sessions = Self::open_sessions(node, options, own_address).await?;
        let lives = Lives { account_ms: options.session_days * DAY_MS, anonymous_ms: options.anonymous_days * DAY_MS };
        Self::new(accounts, sessions, lives, node.seams.clone())
    }

    async fn open_sessions(node: &Node, options: &Options, own_address: &str) -> anyhow::Result<Arc<dyn SessionStore>> {
        match &options.sessions {
            StoreUri::Memory => {}
            StoreUri::Redis(uri) => {
                let sessions = RedisMap::<Session>::open(node, uri).await;
                let sessions = sessions.map_err(|error| anyhow::anyhow!("--sessions {uri}: {error}"))?;
                sessions.start(node);
                return Ok(Arc::new(sessions));
            }
            other => anyhow::bail!(
                "--sessions {other}: sessions merge; use --sessions memory:// (and --peers), redis://host:port, \
                 redis+sentinel://host:port,host:port/service or redis+cluster://host:port,host:port"
            ),
        }
        let transport = Arc::new(HttpTransport::new(node, Family::Sessions));
        let setup = options.shared.setup(own_address, contract::sessions::SHARING)?;
        let sessions = Replicated::<Session>::open_with(node, transport, &setup).await;
        sessions.start(node);
        Ok(Arc::new(sessions))
    }

    /// Opens a session or finds it opened. The error says why this id will never be this principal's session.
    pub(crate) async fn open_session(
        &self,
        id: SessionId,
        principal: PrincipalId,
        account: Option<contract::session::Account>,
    ) -> Result<Session, ::store::StoreError> {
        let now_ms = self.seams.now_ms();
        let life_ms = if account.is_some() { self.lives.account_ms } else { self.lives.anonymous_ms };
        let new = Session { principal, account, expires_at_ms: now_ms.saturating_add(life_ms), revoked: false };
        let opened = self.sessions.open(id, new).await?;
        if opened.principal == principal && opened.is_live(now_ms) {
            Ok(opened)
        } else {
            // A late repeat of an open whose session was logged out meanwhile, or a token used twice.
            Err(::store::StoreError::NotExecuted("this session id was used before; mint a new token".to_owned()))
        }
    }
}

/// All operations of the family.
#[must_use]
pub fn ops(app: App) -> Ops<App> {
    Ops::new(app)
        .serve(operations::register)
        .serve(operations::login)
        .serve(operations::open)
        .serve(operations::admit)
        .serve(operations::lookup)
        .serve(operations::revoke)
        .hold_until_ready()
        .serve(operations::merge)
        .serve(operations::page)
        .serve(operations::digest)
        .serve(operations::fetch)
}

/// Runs a sessions node until it is told to end. It waits for its stores, listens before it copies its peers' sessions and is
/// ready after that.
///
/// # Errors
/// When an option cannot be used or an address cannot be had; the message names the setting.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let node = Node::start("sessions", Family::Sessions.callers(), &options.node)?;
    let accounts = App::open_accounts(&node, &options).await?;
    let listening = node.listen(&options.node)?;
    let own_address = options.shared.advertise.clone().unwrap_or_else(|| listening.address().to_string());
    let app = App::open(&node, &options, accounts, &own_address).await?;
    let server = ops(app).build(&node);
    listening.serve(server.router(), ListenerLimits::INNER).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::Secret;

    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        options: Options,
    }

    fn options(arguments: &[&str]) -> Result<Options, clap::Error> {
        let all = ["sessions", "--secret-file", "secret"].iter().chain(arguments);
        <Cli as clap::Parser>::try_parse_from(all).map(|cli| cli.options)
    }

    #[tokio::test]
    async fn stores_that_cannot_serve_are_refused_by_name() {
        let node = Node::assemble("sessions", "1", Seams::system(), Secret::new("0123456789abcdef").unwrap()).unwrap();
        let accounts = options(&["--accounts", "memory://", "--sessions", "memory://"]).unwrap();
        let accounts = App::open_accounts(&node, &accounts).await.unwrap_err().to_string();
        let sessions = options(&["--accounts", "sqlite://a.db", "--sessions", "sqlite://s.db"]).unwrap();
        let sessions = App::open(&node, &sessions, Arc::new(AccountsElsewhere), "127.0.0.1:1").await;
        let sessions = sessions.unwrap_err().to_string();
        for (error, named) in [(accounts, "--accounts memory://"), (sessions, "--sessions sqlite://s.db")] {
            assert!(error.contains(named) && error.contains("use "), "{error}");
        }
    }

    #[test]
    fn lives_are_bounded() {
        for bad in ["0", "91", "-1"] {
            assert!(options(&["--accounts", "sqlite://a.db", "--session-days", bad]).is_err(), "{bad}");
        }
        assert_eq!(options(&["--accounts", "sqlite://a.db"]).unwrap().session_days, 7);
    }
}

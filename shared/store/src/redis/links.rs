//! Connections to masters: made when first needed, shared by all callers, thrown away when a call on them got no answer.
//!
//! The driver's connection manager would connect again by itself, but always to the same address, and what changes with
//! Sentinel and Cluster is the address.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo as _, RedisConnectionInfo, RedisError,
    aio::MultiplexedConnection, io::tcp::TcpSettings,
};
use tokio::time::{Instant, timeout};

use super::uri::{Login, Wait};

/// How long a connection may take to be made, name look-up and log-in included.
const CONNECT_WITHIN: Duration = Duration::from_millis(300);
/// How long a server may take to answer, replicas not included: a hundred times what it takes when all is well.
const ANSWER_WITHIN: Duration = Duration::from_millis(400);
/// Who finds that a connection could just not be made does not try again for this long: callers queue up meanwhile.
const REST: Duration = Duration::from_millis(50);
/// Connections for writes, to each master. `WAIT` holds up what is behind it on its connection for one exchange between
/// master and replica; without `WAIT` one connection does.
const WRITERS: usize = 8;

/// What a connection is wanted for. Reads have one of their own, where nothing waits for replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum For {
    Reading,
    Writing,
}

/// All servers that were ever masters, with their connections.
pub(super) struct Links {
    login: Login,
    wait: Wait,
    servers: Mutex<BTreeMap<String, Arc<Server>>>,
}

struct Server {
    address: String,
    reader: Seat,
    writers: Vec<Seat>,
    next: AtomicUsize,
}

/// Where one connection is.
#[derive(Default)]
struct Seat(tokio::sync::Mutex<State>);

#[derive(Default)]
struct State {
    connection: Option<MultiplexedConnection>,
    /// How many were made here: tells a connection from its successor.
    made: u64,
    failed: Option<(Instant, Unlinked)>,
}

/// A connection, and where to report that it is broken.
pub(super) struct Link {
    pub(super) connection: MultiplexedConnection,
    server: Arc<Server>,
    writer: Option<usize>,
    made: u64,
}

/// Why there is no connection. Nothing was sent.
#[derive(Clone, Debug)]
pub(super) struct Unlinked {
    pub(super) reason: String,
    /// Whether another try may do better: not for a wrong password.
    pub(super) may_pass: bool,
}

impl Links {
    pub(super) fn new(login: Login, wait: Wait) -> Self {
        Self { login, wait, servers: Mutex::default() }
    }

    /// A connection to a server that says it is a master.
    pub(super) async fn get(&self, address: &str, wanted: For) -> Result<Link, Unlinked> {
        let server = self.server(address);
        let writer =
            (wanted == For::Writing).then(|| server.next.fetch_add(1, Ordering::Relaxed) % server.writers.len());
        let mut state = server.seat(writer).0.lock().await;
        if state.connection.is_none() {
            if let Some((at, why)) = &state.failed
                && at.elapsed() < REST
            {
                return Err(why.clone());
            }
            match self.make(address).await {
                Ok(made) => {
                    state.connection = Some(made);
                    state.made += 1;
                }
                Err(why) => {
                    state.failed = Some((Instant::now(), why.clone()));
                    return Err(why);
                }
            }
        }
        let made = state.made;
        let connection = state.connection.clone();
        drop(state);
        let connection = connection.ok_or_else(|| unlinked(address, "no connection"))?;
        Ok(Link { connection, server, writer, made })
    }

    /// Forgets servers that are masters no more; their connections end with their last caller.
    pub(super) fn keep(&self, is_master: impl Fn(&str) -> bool) {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner).retain(|address, _| is_master(address));
    }

    fn server(&self, address: &str) -> Arc<Server> {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let writers = if self.wait.replicas == 0 { 1 } else { WRITERS };
        let made = || {
            Arc::new(Server {
                address: address.to_owned(),
                reader: Seat::default(),
                writers: (0..writers).map(|_| Seat::default()).collect(),
                next: AtomicUsize::new(0),
            })
        };
        servers.entry(address.to_owned()).or_insert_with(made).clone()
    }

    /// Not even a replica that takes writes will do: what it has may be old, and what it takes is forgotten.
    async fn make(&self, address: &str) -> Result<MultiplexedConnection, Unlinked> {
        let made = async {
            let mut connection = connect(address, &self.login, ANSWER_WITHIN + self.wait.within()).await?;
            let role: Vec<redis::Value> = redis::cmd("ROLE").query_async(&mut connection).await?;
            let role: String = redis::from_redis_value(role.into_iter().next().unwrap_or_default())?;
            Ok::<_, RedisError>((connection, role))
        };
        match timeout(CONNECT_WITHIN, made).await {
            Err(_) => Err(unlinked(address, &format!("no connection within {} ms", CONNECT_WITHIN.as_millis()))),
            Ok(Ok((connection, role))) if role == "master" => Ok(connection),
            Ok(Ok((_, role))) => Err(unlinked(address, &format!("it is a {role}, and only masters are asked"))),
            Ok(Err(error)) => {
                let may_pass = error.is_io_error() || matches!(error.code(), Some("LOADING" | "MASTERDOWN"));
                Err(Unlinked { may_pass, ..unlinked(address, &error.to_string()) })
            }
        }
    }
}

fn unlinked(address: &str, reason: &str) -> Unlinked {
    Unlinked { reason: format!("{address}: {reason}"), may_pass: true }
}

impl Server {
    fn seat(&self, writer: Option<usize>) -> &Seat {
        writer.map_or(&self.reader, |writer| &self.writers[writer])
    }
}

impl Link {
    /// No answer came on this connection: nobody is given it any more. A server that hangs keeps its connections open, so
    /// without this a caller would wait for it again and again, though another one is the master by now.
    pub(super) async fn is_broken(&self) {
        let mut state = self.server.seat(self.writer).0.lock().await;
        if state.made == self.made {
            state.connection = None;
        }
    }

    pub(super) fn address(&self) -> &str {
        &self.server.address
    }
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_set().entries(servers.keys()).finish()
    }
}

/// One connection. It sends as it is asked to, in order, and never by itself.
pub(super) async fn connect(
    address: &str,
    login: &Login,
    answer_within: Duration,
) -> Result<MultiplexedConnection, RedisError> {
    let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let mut settings = RedisConnectionInfo::default().set_db(login.database.into()).set_skip_set_lib_name();
    if let Some(user) = &login.user {
        settings = settings.set_username(user);
    }
    if let Some(password) = &login.password {
        settings = settings.set_password(password);
    }
    let info = ConnectionAddr::Tcp(host, port.parse().unwrap_or_default()).into_connection_info()?;
    // Small messages are not held back until the one before is acknowledged: that would cost 40 ms now and then.
    let info = info.set_redis_settings(settings).set_tcp_settings(TcpSettings::default().set_nodelay(true));
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_WITHIN))
        .set_response_timeout(Some(answer_within));
    Client::open(info)?.get_multiplexed_async_connection_with_config(&config).await
}

//! One request over HTTP/1.1, as cheaply as can be: connections kept alive and used again, no redirects, no resends, no
//! parsing beyond what the caller asks for.
//!
//! A general client costs several times as much processor time, and the generator shares its machine with the shop: what
//! it burns is missing there and would be measured as the shop's slowness.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, Response, Uri,
    body::Incoming,
    client::conn::http1::{self, SendRequest},
    header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER},
};
use hyper_util::rt::TokioIo;
use reqwest::Url;
use tokio::{
    net::{TcpStream, lookup_host},
    task::JoinSet,
    time::Instant,
};

use crate::{InvalidRun, client::Answer};

/// Servers close idle connections after 15 s or more; dropped sooner, no request meets a closing one.
const IDLE_MAX: Duration = Duration::from_secs(10);
const BODY_BYTES_MAX: usize = 4 << 20;
const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const OVERLOAD: HeaderName = HeaderName::from_static("x-overload");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) uri: Uri,
    /// The whole `Authorization` header.
    pub(crate) bearer: Option<HeaderValue>,
    pub(crate) key: Option<HeaderValue>,
    /// JSON.
    pub(crate) body: Option<Bytes>,
    /// Whether a good answer's body is wanted; that of a bad one always is.
    pub(crate) keep: bool,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) answer: Answer,
    /// Whether the answer says that it protects an overloaded shop.
    pub(crate) overload: bool,
}

/// No answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Nobody took the connection, so nothing was sent.
    Refused,
    /// The connection broke; the request may have arrived.
    Lost,
}

impl Trouble {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Refused => "connection refused",
            Self::Lost => "connection lost",
        }
    }
}

type Connection = SendRequest<Full<Bytes>>;

#[derive(Debug)]
struct Target {
    address: SocketAddr,
    host: HeaderValue,
    /// Used last is used first, so that the surplus of a burst ages and goes.
    idle: Mutex<VecDeque<(Instant, Connection)>>,
}

/// The connections of one run.
#[derive(Debug)]
pub(crate) struct Sender {
    targets: Vec<Target>,
    /// What drives the connections; dropped with the sender.
    driving: Mutex<JoinSet<()>>,
}

impl Sender {
    /// Looks the targets up; connects to none yet.
    pub(crate) async fn new(targets: &[Url]) -> anyhow::Result<Self> {
        let mut known = Vec::new();
        for target in targets {
            let host = target.host_str().unwrap_or("");
            let authority = format!("{host}:{}", target.port_or_known_default().unwrap_or(80));
            let found = lookup_host(&authority).await.ok().and_then(|mut found| found.next());
            let address = found.ok_or_else(|| InvalidRun(format!("--target {target} has no address")))?;
            known.push(Target { address, host: HeaderValue::from_str(&authority)?, idle: Mutex::default() });
        }
        anyhow::ensure!(!known.is_empty(), "a run needs at least one target");
        Ok(Self { targets: known, driving: Mutex::default() })
    }

    /// Sends once to the target of this number, modulo their count. Dropped, it closes its connection.
    pub(crate) async fn send(&self, target: usize, ask: &Ask) -> Result<Reply, Trouble> {
        let target = &self.targets[target % self.targets.len()];
        let mut request = target.request(ask);
        // A connection that closed while it was idle never saw the request, which comes back unsent: once more, afresh.
        for _ in 0..2 {
            let mut connection = self.connection(target).await?;
            match connection.try_send_request(request).await {
                Ok(response) => {
                    let reply = read(response, ask.keep).await?;
                    target.keep(connection);
                    return Ok(reply);
                }
                Err(mut error) => request = error.take_message().ok_or(Trouble::Lost)?,
            }
        }
        Err(Trouble::Refused)
    }

    async fn connection(&self, target: &Target) -> Result<Connection, Trouble> {
        if let Some(connection) = target.idle_one() {
            return Ok(connection);
        }
        let stream = TcpStream::connect(target.address).await.map_err(|_| Trouble::Refused)?;
        let _ = stream.set_nodelay(true);
        let (connection, driver) = http1::handshake(TokioIo::new(stream)).await.map_err(|_| Trouble::Refused)?;
        let mut driving = self.driving.lock().unwrap_or_else(PoisonError::into_inner);
        while driving.try_join_next().is_some() {}
        driving.spawn(async move { drop(driver.await) });
        Ok(connection)
    }
}

impl Target {
    fn request(&self, ask: &Ask) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(ask.body.clone().unwrap_or_default()));
        *request.method_mut() = ask.method.clone();
        *request.uri_mut() = ask.uri.clone();
        let headers = request.headers_mut();
        headers.insert(HOST, self.host.clone());
        if let Some(bearer) = &ask.bearer {
            headers.insert(AUTHORIZATION, bearer.clone());
        }
        if let Some(key) = &ask.key {
            headers.insert(KEY, key.clone());
        }
        if ask.body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        request
    }

    fn idle_one(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((since, connection)) = idle.pop_back() {
            if since.elapsed() < IDLE_MAX && connection.is_ready() {
                return Some(connection);
            }
        }
        None
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while idle.front().is_some_and(|(since, _)| since.elapsed() >= IDLE_MAX) {
            idle.pop_front();
        }
        idle.push_back((Instant::now(), connection));
    }
}

/// Reads the whole body, so that the connection can be used again, and keeps it if somebody will look at it.
async fn read(response: Response<Incoming>, keep: bool) -> Result<Reply, Trouble> {
    let (head, mut body) = response.into_parts();
    let status = head.status.as_u16();
    let body = if keep || status >= 400 {
        let collected = Limited::new(body, BODY_BYTES_MAX).collect().await;
        collected.map_err(|_| Trouble::Lost)?.to_bytes().to_vec()
    } else {
        while let Some(frame) = body.frame().await {
            frame.map_err(|_| Trouble::Lost)?;
        }
        Vec::new()
    };
    let text = |headers: &HeaderMap, name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let headers = &head.headers;
    let retry_after = text(headers, RETRY_AFTER).and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
    let location = text(headers, LOCATION);
    let replayed = headers.get(REPLAYED).is_some_and(|value| value == "true");
    let answer = Answer { status, location, retry_after, replayed, body, maybe_executed_before: false };
    Ok(Reply { answer, overload: headers.contains_key(OVERLOAD) })
}

//! TLS: mutual between tiers, and one-sided at the edge, both by option. Version 1.3 only, with ring (decision 15).
//!
//! A certificate between tiers carries the name of a *family* (`logic.trestle.internal`), not of a host: addresses come from
//! DNS or a blueprint and change, what a node may do does not. So the caller checks that it reached the family it meant,
//! whatever the address, and a node checks that the caller's family has business with it. Both checks are part of the
//! handshake: before it is over, no byte of a request is read. The cluster's secret stays as a second line.
//!
//! The operations listener stays plain, as do its health checks: it must answer when certificates do not, and it belongs
//! into a private network. Files are looked at again once a minute and on SIGHUP; what changed counts for new connections.

mod certificates;
mod refusals;

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use opentelemetry::KeyValue;
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    signal::unix::{SignalKind, signal},
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use crate::{Metrics, Seams, Tasks};
use certificates::{Loaded, Purpose};
use refusals::{Refusals, Side};

pub use refusals::refused_by_peer;

/// What follows the family in the name of a certificate between tiers.
const DOMAIN: &str = "trestle.internal";
/// Most time for a handshake with whoever connected here; less when the listener is nearly full.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(5);
/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// After a refusal, what the client had sent already is read up to this, or it might lose our alert to a reset.
const LINGER_BYTES_MAX: u64 = 64 * 1024;
/// The same in time.
const LINGER: Duration = Duration::from_secs(1);
const DAY_MS: f64 = 86_400_000.0;

/// The name in the certificates of a family.
#[must_use]
pub fn tls_name(family: &str) -> String {
    format!("{family}.{DOMAIN}")
}

/// A connection that this node made.
pub type TlsStream = client::TlsStream<TcpStream>;

/// What a node has for TLS; clones share it.
#[derive(Clone, Debug)]
pub struct Tls(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    files: Vec<PathBuf>,
    purpose: Purpose,
    seams: Seams,
    /// What the files said last; compared, so that nothing is parsed and no session forgotten without a change.
    texts: Mutex<Vec<Vec<u8>>>,
    loaded: ArcSwap<Loaded>,
    refusals: Refusals,
}

impl Tls {
    /// Between tiers: `folder` holds `ca.pem`, `node.pem` and `node.key`. `callers` are the families that may call this one;
    /// without any, it only calls.
    ///
    /// # Errors
    /// When a file is missing, is no certificate of this CA for this family, or has expired; the message names the setting,
    /// the file and the way out.
    pub fn between_tiers(
        setting: &'static str,
        folder: &Path,
        family: &'static str,
        callers: &'static [&'static str],
        seams: &Seams,
        metrics: &Metrics,
    ) -> anyhow::Result<Self> {
        let files = ["ca.pem", "node.pem", "node.key"].map(|name| folder.join(name));
        Self::open(files.into(), Purpose::BetweenTiers { setting, family, callers }, seams, metrics)
    }

    /// At the edge: a certificate chain and its key, both PEM. Clients show nothing.
    ///
    /// # Errors
    /// When a file cannot be used, or the certificate has expired; the message names the setting.
    pub fn at_the_edge(certificate: &Path, key: &Path, seams: &Seams, metrics: &Metrics) -> anyhow::Result<Self> {
        Self::open(vec![certificate.to_owned(), key.to_owned()], Purpose::Edge, seams, metrics)
    }

    fn open(files: Vec<PathBuf>, purpose: Purpose, seams: &Seams, metrics: &Metrics) -> anyhow::Result<Self> {
        let texts = purpose.read(&files)?;
        let loaded = ArcSwap::from_pointee(purpose.load(&texts, &files, seams.now_ms())?);
        let (seams, refusals) = (seams.clone(), Refusals::new(metrics));
        let tls = Self(Arc::new(Inner { files, purpose, seams, texts: Mutex::new(texts), loaded, refusals }));
        let shown = tls.clone();
        let _gauge = metrics
            .meter()
            .f64_observable_gauge("trestle_tls_certificate_days_left")
            .with_description("days until this node's certificate expires; below 0 it has, and peers refuse it")
            .with_callback(move |observer| {
                if let Some(until_ms) = shown.0.loaded.load().valid_until_ms {
                    #[expect(clippy::cast_precision_loss, reason = "days")]
                    let days = (until_ms - shown.0.seams.now_ms()) as f64 / DAY_MS;
                    observer.observe(days, &[KeyValue::new("place", shown.0.purpose.place())]);
                }
            })
            .build();
        Ok(tls)
    }

    /// Whether it can take connections: frontends call by it and answer to nobody.
    #[must_use]
    pub fn answers(&self) -> bool {
        self.0.loaded.load().server.is_some()
    }

    /// The handshake with whoever connected here; nothing if it failed, which is counted then.
    pub(crate) async fn accept(&self, stream: TcpStream, patience: Duration) -> Option<server::TlsStream<TcpStream>> {
        let config = self.0.loaded.load().server.clone()?;
        let shaking = TlsAcceptor::from(config).accept(stream).into_fallible();
        match tokio::time::timeout(patience.min(HANDSHAKE_WITHIN), shaking).await {
            Ok(Ok(stream)) => return Some(stream),
            Ok(Err((error, mut stream))) => {
                self.0.refusals.note(Side::Listener, &error);
                let _ = stream.shutdown().await;
                let (mut rest, mut nowhere) = (stream.take(LINGER_BYTES_MAX), tokio::io::sink());
                let _ = tokio::time::timeout(LINGER, tokio::io::copy(&mut rest, &mut nowhere)).await;
            }
            Err(_elapsed) => self.0.refusals.silent(),
        }
        None
    }

    /// The handshake with a node that must be of this family (see [`tls_name`]). The caller bounds the time.
    ///
    /// # Errors
    /// When the other side is not of the family or not of our CA. That *it* refuses us shows only when the answer is read,
    /// see [`refused_by_peer`].
    pub async fn connect(&self, stream: TcpStream, name: ServerName<'static>) -> io::Result<TlsStream> {
        let config = self.0.loaded.load().client.clone();
        let config = config.ok_or_else(|| io::Error::other("this certificate is for answering only"))?;
        let shaken = TlsConnector::from(config).connect(name, stream).await;
        shaken.inspect_err(|error| self.0.refusals.note(Side::Caller, error))
    }

    /// Looks at the files now; whether something new counts from now on.
    ///
    /// # Errors
    /// When the files cannot be used: then what was there before goes on.
    fn look(&self) -> anyhow::Result<bool> {
        let texts = self.0.purpose.read(&self.0.files)?;
        let mut seen = self.0.texts.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == texts {
            return Ok(false);
        }
        self.0.loaded.store(Arc::new(self.0.purpose.load(&texts, &self.0.files, self.0.seams.now_ms())?));
        *seen = texts;
        Ok(true)
    }

    /// Looks at the files again and again until the node ends.
    pub(crate) fn watch(&self, tasks: &Tasks) -> io::Result<()> {
        let (tls, mut hangup) = (self.clone(), signal(SignalKind::hangup())?);
        tasks.spawn_until_stop(async move {
            loop {
                tokio::select! {
                    _ = hangup.recv() => {}
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                }
                match tls.look() {
                    Ok(true) => tracing::info!(place = tls.0.purpose.place(), "certificates were loaded again"),
                    Ok(false) => {}
                    // Perhaps half of them were written; the next look sees the rest.
                    Err(error) => {
                        tracing::warn!(%error, "changed certificates cannot be used; going on with the old ones")
                    }
                }
            }
        });
        Ok(())
    }
}

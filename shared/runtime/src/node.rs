//! One node: its options, and what it is made of while it runs.

use std::{net::SocketAddr, path::PathBuf};

use axum::http::{HeaderMap, header::AUTHORIZATION};
use clap::Args;
use overload::{Admission, Lag, Limits, Pressure, Settings, Tier};
use subtle::ConstantTimeEq as _;
use tokio::net::TcpListener;

use crate::{
    Answers, BuildInfo, Connections, Demand, DemandRules, Door, DrainOptions, FaultRules, Faults, ListenerLimits,
    LogFormat, Metrics, Readiness, Seams, Tasks, Tls, bind, drain, health, init_logs, live_settings, serve,
};

/// The shared secret of a cluster: nodes take calls only from bearers of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A secret of at least 16 characters.
    ///
    /// # Errors
    /// [`NodeOptionsError::ShortSecret`].
    pub fn new(text: impl Into<String>) -> Result<Self, NodeOptionsError> {
        let text = text.into();
        if text.len() < 16 { Err(NodeOptionsError::ShortSecret) } else { Ok(Self(text)) }
    }

    /// Whether these headers show it, compared in constant time.
    #[must_use]
    pub fn is_shown(&self, headers: &HeaderMap) -> bool {
        let header = headers.get(AUTHORIZATION).map_or(&[][..], |value| value.as_bytes());
        let shown = header.strip_prefix(b"Bearer ").unwrap_or_default();
        shown.ct_eq(self.0.as_bytes()).into()
    }

    /// The secret itself, for the header it travels in.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// Options that cannot be used.
#[derive(Debug)]
pub enum NodeOptionsError {
    /// The cluster's secret is too short to be one.
    ShortSecret,
}

impl std::error::Error for NodeOptionsError {}

impl std::fmt::Display for NodeOptionsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the cluster secret has fewer than 16 characters; make one with `openssl rand -hex 32`")
    }
}

/// Options that every node has.
#[derive(Args, Clone, Debug)]
pub struct NodeOptions {
    /// Name of this node in logs, metrics and `trestle status`.
    #[arg(long, env = "TRESTLE_ID", default_value = "1")]
    pub id: String,
    /// Address that callers use.
    #[arg(long, env = "TRESTLE_LISTEN", default_value = "127.0.0.1:0", value_name = "HOST:PORT")]
    pub listen: SocketAddr,
    /// Address of the operations listener: /health/live, /health/ready, /metrics, /info. Keep it private.
    #[arg(long, env = "TRESTLE_OPS_LISTEN", default_value = "127.0.0.1:0", value_name = "HOST:PORT")]
    pub ops_listen: SocketAddr,
    /// File that holds the cluster's secret, which every call between tiers must show.
    #[arg(long, env = "TRESTLE_SECRET_FILE", value_name = "FILE")]
    pub secret_file: PathBuf,
    /// Folder with ca.pem, node.pem and node.key, as `trestle certificates` makes one for each family: with it, calls
    /// between tiers go by mutual TLS, and only families with business here are let in. The public listener of frontends and
    /// the operations listener are not concerned.
    #[arg(long = "tls", env = "TRESTLE_TLS_DIR", value_name = "DIR")]
    pub tls: Option<PathBuf>,
    /// What is logged, in the syntax of RUST_LOG; `access=debug,info` adds a line for each operation.
    #[arg(long, env = "TRESTLE_LOG", default_value = "info", value_name = "FILTER")]
    pub log: String,
    /// How log lines look.
    #[arg(long, env = "TRESTLE_LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,
    /// How long it takes to end.
    #[command(flatten)]
    pub drain: DrainOptions,
    /// Faults on the links to other nodes from the first call on, in the form of GET /faults on the operations listener.
    /// `trestle up` sets it for a node that it starts again after `trestle cut`, `slow` or `lose-replies`.
    #[arg(long, env = "TRESTLE_FAULTS", value_name = "JSON")]
    pub faults: Option<FaultRules>,
    /// What load regulation goes by from the start on, in the form of GET /limits on the operations listener; what is left
    /// out keeps its default.
    #[arg(long, env = "TRESTLE_LIMITS", value_name = "JSON")]
    pub limits: Option<Settings>,
    /// For experiments: what each call takes of this node besides its real work, in the form of GET /demand on the operations
    /// listener. Frontends have none.
    #[arg(long, env = "TRESTLE_DEMAND", value_name = "JSON", hide = true)]
    pub demand: Option<DemandRules>,
}

/// What a running node is made of.
#[derive(Clone, Debug)]
pub struct Node {
    /// Name of its family.
    pub family: &'static str,
    /// Its name.
    pub id: String,
    /// Clock and randomness.
    pub seams: Seams,
    /// Its tasks.
    pub tasks: Tasks,
    /// Its meters.
    pub metrics: Metrics,
    /// Whether it wants work.
    pub readiness: Readiness,
    /// The cluster's secret.
    pub secret: Secret,
    /// What calls between tiers go by, if not in clear.
    pub tls: Option<Tls>,
    /// What its own listener speaks instead: TLS for customers, on frontends.
    pub edge: Option<Tls>,
    /// What is wrong on purpose with the links to other nodes.
    pub faults: Faults,
    /// What its load regulation goes by.
    pub limits: Limits,
    /// What calls take besides their real work, because an experiment asked for it.
    pub demand: Demand,
    /// What its calls to other nodes tell about the load there.
    pub pressure: Pressure,
    /// How late its event loop is.
    pub lag: Lag,
    /// The one point where its work is let in.
    pub admission: Admission,
}

impl Node {
    /// Starts logging, meters and the operations listener, which says from now on that the node is alive and not ready.
    /// `callers` are the families that may call this one, where certificates tell.
    ///
    /// # Errors
    /// When the secret cannot be read or an option cannot be used; the message names the setting.
    pub fn start(
        family: &'static str,
        callers: &'static [&'static str],
        options: &NodeOptions,
    ) -> anyhow::Result<Self> {
        init_logs(options.log_format, &options.log)?;
        let path = options.secret_file.display();
        let text = std::fs::read_to_string(&options.secret_file)
            .map_err(|error| anyhow::anyhow!("--secret-file {path}: cannot be read: {error}"))?;
        let secret = Secret::new(text.trim()).map_err(|error| anyhow::anyhow!("--secret-file {path}: {error}"))?;
        let mut node = Self::assemble(family, &options.id, Seams::system(), secret)?;
        if let Some(folder) = &options.tls {
            node.tls = Some(Tls::between_tiers("--tls", folder, family, callers, &node.seams, &node.metrics)?);
        }
        if let Some(faults) = options.faults.clone() {
            node.faults.set(faults)?;
        }
        if let Some(limits) = options.limits.clone() {
            node.limits.set(limits)?;
        }
        if let Some(demand) = options.demand.clone() {
            node.demand.set(demand)?;
        }
        node.operate(options)?;
        Ok(node)
    }

    /// Serves the operations listener for as long as the process lives: also while a store is waited for, and while the
    /// node drains.
    fn operate(&self, options: &NodeOptions) -> anyhow::Result<()> {
        let listener = bind("--ops-listen", options.ops_listen)?;
        tracing::info!(family = self.family, node = self.id, ops_address = %listener.local_addr()?, "node starts");
        let ops = health::routes(self.readiness.clone(), self.metrics.clone(), self.build_info())
            .merge(live_settings::routes(self));
        // Tasks of its own, which nobody stops or waits for; and connections of its own, and no admission: who looks after
        // a full node must get in.
        let tasks = Tasks::new();
        drop(tasks.spawn(serve(listener, ops, ListenerLimits::INNER, tasks.clone(), Connections::default())));
        Ok(())
    }

    /// A node without process-wide state, for tests that run several in one process.
    ///
    /// # Errors
    /// When the meters cannot be registered.
    pub fn assemble(family: &'static str, id: &str, seams: Seams, secret: Secret) -> anyhow::Result<Self> {
        let (metrics, faults) = (Metrics::new(id)?, Faults::default());
        faults.observe(&metrics);
        let (limits, pressure, lag) = (Limits::default(), Pressure::default(), Lag::new(&metrics.meter()));
        let tier = if family == "frontend" { Tier::Edge } else { Tier::Inner };
        let admission = Admission::new(tier, limits.clone(), pressure.clone(), lag.clone(), &metrics.meter());
        let tasks = Tasks::new();
        drain::observe(&tasks, &metrics);
        Ok(Self {
            family,
            id: id.to_owned(),
            metrics,
            seams,
            tasks,
            readiness: Readiness::starting(),
            secret,
            tls: None,
            edge: None,
            faults,
            limits,
            demand: Demand::default(),
            pressure,
            lag,
            admission,
        })
    }

    /// Serves `service` until SIGTERM or Ctrl-C, then drains. The caller sets the node ready when it is.
    ///
    /// # Errors
    /// When an address cannot be had, or work was cut off at the end ([`crate::CutOff`]).
    pub async fn run(self, options: &NodeOptions, service: impl Answers, limits: ListenerLimits) -> anyhow::Result<()> {
        self.listen(options)?.serve(service, limits).await
    }

    /// The first half of [`Node::run`]: from now on connections are taken, though not yet answered. A node that copies
    /// its peers' data must listen before it asks them, or a write made in between would be refused here and be copied
    /// by nobody.
    ///
    /// # Errors
    /// When an address cannot be had.
    pub fn listen(&self, options: &NodeOptions) -> anyhow::Result<Listening> {
        let listener = bind("--listen", options.listen)?;
        let address = listener.local_addr()?;
        tracing::info!(family = self.family, node = self.id, %address, options = ?options, "node started");
        Ok(Listening { node: self.clone(), address, listener, drain: options.drain })
    }

    pub(crate) fn build_info(&self) -> BuildInfo {
        BuildInfo {
            family: self.family.to_owned(),
            id: self.id.clone(),
            version: env!("CARGO_PKG_VERSION"),
            commit: option_env!("TRESTLE_COMMIT"),
            built_at: option_env!("TRESTLE_BUILT_AT"),
            pid: std::process::id(),
            started_at: crate::rfc3339(self.seams.now_ms()),
        }
    }
}

/// A node whose addresses are bound; see [`Node::listen`].
#[derive(Debug)]
pub struct Listening {
    node: Node,
    address: SocketAddr,
    listener: TcpListener,
    drain: DrainOptions,
}

impl Listening {
    /// The address that callers use, with the port that the system chose if the option said 0.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The second half of [`Node::run`].
    ///
    /// # Errors
    /// When signals cannot be waited for, or work was cut off at the end ([`crate::CutOff`]).
    pub async fn serve(self, service: impl Answers, limits: ListenerLimits) -> anyhow::Result<()> {
        let Self { node, listener, drain, .. } = self;
        let connections = Connections::new(&node.limits, &node.metrics);
        for tls in [&node.tls, &node.edge].into_iter().flatten() {
            tls.watch(&node.tasks)?;
        }
        let tls = node.edge.clone().or_else(|| node.tls.clone().filter(Tls::answers));
        let door = Door { listener, tls };
        drop(node.tasks.spawn(serve(door, service, limits, node.tasks.clone(), connections)));
        node.tasks.spawn_until_stop(node.lag.clone().watch());
        drain::at_signal(&node, drain).await
    }
}

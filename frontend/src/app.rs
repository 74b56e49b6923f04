//! What a frontend node is made of, and the one place where the order of its layers is written.

use std::{path::PathBuf, sync::Arc};

use axum::{
    Router,
    http::Uri,
    middleware::{from_fn, from_fn_with_state},
    response::{IntoResponse as _, Response},
    routing::get,
};
use clap::{Args, builder::BoolishValueParser};
use contract::{Family, NoKey, Sku, shop};
use opentelemetry::metrics::Histogram;
use overload::{Admission, Regulated};
use rpc::{Client, ClientOptions, Discovery, HttpTransport, Scope};
use runtime::{ListenerLimits, Metrics, Node, NodeOptions, Readiness, Seams, Tasks, Tls};
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;

use crate::{
    api, observe, pages,
    problem::{Kind, Problem},
    regulation, security,
    slow::SlowBodies,
    webhooks::{self, WebhookSecret},
};

/// Most page views on their way at once. Further ones are not counted: losing one costs nothing, a queue would.
const VIEWS_MAX: usize = 64;

/// Options of a frontend node.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// What every node has.
    #[command(flatten)]
    pub node: NodeOptions,
    /// Where the logic nodes are: static://host:port,host:port or dns://name:port or file:///path/members.json
    #[arg(long, env = "TRESTLE_LOGIC", value_name = "URI")]
    pub logic: Discovery,
    /// Marks the session cookie `Secure`, so that browsers send it over TLS only. Set it whenever customers reach the
    /// shop by https; without TLS browsers would drop the cookie.
    #[arg(long, env = "TRESTLE_SECURE_COOKIE", value_parser = BoolishValueParser::new())]
    pub secure_cookie: bool,
    /// File with the certificate chain (PEM) of the shop's public name: with it and --edge-tls-key, customers are spoken to by
    /// HTTPS and wss only, and the session cookie is `Secure`. Looked at again once a minute, and on SIGHUP.
    #[arg(long, env = "TRESTLE_EDGE_TLS_CERT", value_name = "FILE", requires = "edge_tls_key")]
    pub edge_tls_cert: Option<PathBuf>,
    /// File with the private key (PEM) of that certificate.
    #[arg(long, env = "TRESTLE_EDGE_TLS_KEY", value_name = "FILE", requires = "edge_tls_cert")]
    pub edge_tls_key: Option<PathBuf>,
    /// File with the secret that the payment provider signs its events with, 16 to 1024 bytes. With it, this node takes them
    /// at POST /webhooks/provider.
    #[arg(long, env = "TRESTLE_WEBHOOK_SECRET_FILE", value_name = "FILE")]
    pub webhook_secret_file: Option<PathBuf>,
}

/// What handlers and pages need. Clones share everything.
#[derive(Clone, Debug)]
pub struct App {
    /// The only family a frontend may call.
    pub(crate) logic: Client,
    /// Clock and randomness.
    pub(crate) seams: Seams,
    /// For work that outlives its request.
    pub(crate) tasks: Tasks,
    pub(crate) node_id: String,
    pub(crate) readiness: Readiness,
    pub(crate) secure_cookie: bool,
    pub(crate) request_duration: Histogram<f64>,
    pub(crate) slow_bodies: SlowBodies,
    admission: Admission,
    webhook_secret: Option<WebhookSecret>,
    views: Arc<Semaphore>,
}

impl App {
    /// The parts of a node that asks `logic`.
    #[must_use]
    pub fn new(node: &Node, logic: Client, secure_cookie: bool) -> Self {
        let request_duration = node
            .metrics
            .meter()
            .f64_histogram("trestle_request_duration")
            .with_unit("s")
            .with_description("time to answer a public request, by route, method and class of status")
            .with_boundaries(Metrics::duration_buckets())
            .build();
        Self {
            logic,
            seams: node.seams.clone(),
            tasks: node.tasks.clone(),
            node_id: node.id.clone(),
            readiness: node.readiness.clone(),
            secure_cookie,
            request_duration,
            slow_bodies: SlowBodies::new(node),
            admission: node.admission.clone(),
            webhook_secret: None,
            views: Arc::new(Semaphore::new(VIEWS_MAX)),
        }
    }

    /// The same, and events of the payment provider are taken.
    #[must_use]
    pub fn with_webhooks(self, secret: WebhookSecret) -> Self {
        Self { webhook_secret: Some(secret), ..self }
    }

    fn open(node: &Node, options: &Options) -> anyhow::Result<Self> {
        let transport = Arc::new(HttpTransport::new(node, Family::Logic));
        let logic = Client::new(node, transport, options.logic.clone(), ClientOptions::default());
        let app = Self::new(node, logic, options.secure_cookie || node.edge.is_some());
        Ok(match &options.webhook_secret_file {
            Some(path) => app.with_webhooks(WebhookSecret::read(path)?),
            None => app,
        })
    }

    /// Counts a look at a product's page, in the background and at most once; nobody waits for it.
    pub(crate) fn count_view(&self, sku: Sku) {
        let Ok(place) = self.views.clone().try_acquire_owned() else { return };
        let (logic, scope) = (self.logic.clone(), Scope::current());
        let view = async move {
            let _ = logic.call(&shop::Viewed { sku }, NoKey).await;
            drop(place);
        };
        drop(self.tasks.spawn(async move {
            match scope {
                Some(scope) => scope.run(view).await,
                None => view.await,
            }
        }));
    }
}

/// What the public listener serves: the router behind admission, which refuses what is too much before it is routed, its
/// body read, its session looked up or a line of it logged.
pub fn service(app: &App) -> Regulated<Router> {
    Regulated::new(router(app), app.admission.clone(), regulation::rules())
}

/// Everything the public listener serves, without admission. The order of the layers is fixed here, outermost last, and nowhere else.
pub fn router(app: &App) -> Router {
    let readiness = app.readiness.clone();
    let shop = api::routes()
        .merge(pages::routes())
        .merge(app.webhook_secret.clone().map(webhooks::routes).unwrap_or_default())
        .fallback(nowhere)
        .method_not_allowed_fallback(wrong_method)
        // Innermost: refuses before any handler acts, and its answer needs all that lies outside.
        .layer(from_fn(security::refuse_cross_site))
        // Outside the refusal, so that a panic anywhere in it or in a handler is an answer and not a cut connection.
        .layer(CatchPanicLayer::custom(Problem::of_panic));
    shop
        // For load balancers in front. Liveness and metrics stay on the operations listener.
        .route("/health/ready", get(move || async move { readiness.answer() }))
        // Outside the refusals: they need the same headers as any answer.
        .layer(from_fn(security::set_headers))
        // Outermost: gives deadline and trace to all inside, and counts what the client really got.
        .layer(from_fn_with_state(app.clone(), observe::observe))
        .with_state(app.clone())
}

/// No route has this path.
async fn nowhere(uri: Uri) -> Response {
    if !["/api/", "/webhooks/"].iter().any(|machines| uri.path().starts_with(machines)) {
        return pages::trouble::not_found();
    }
    Problem::new(Kind::NotFound, format!("nothing is at {}", uri.path())).into_response()
}

async fn wrong_method(uri: Uri) -> Response {
    let detail = format!("{} does not know this method; see the Allow header", uri.path());
    Problem::new(Kind::MethodNotAllowed, detail).into_response()
}

/// Runs a frontend node until it is told to end.
///
/// # Errors
/// When an option cannot be used or an address cannot be had; the message names the setting.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let mut node = Node::start("frontend", Family::Frontend.callers(), &options.node)?;
    if let (Some(certificate), Some(key)) = (&options.edge_tls_cert, &options.edge_tls_key) {
        node.edge = Some(Tls::at_the_edge(certificate, key, &node.seams, &node.metrics)?);
    }
    let app = App::open(&node, &options)?;
    let service = service(&app);
    node.readiness.set_ready();
    node.run(&options.node, service, ListenerLimits::PUBLIC).await
}

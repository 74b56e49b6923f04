//! The supervisor's end.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context as _;
use axum::{
    Json, Router,
    extract::{Request, State},
    http::{StatusCode, header::AUTHORIZATION},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use runtime::{Connections, ListenerLimits, Secret, Tasks, bind};
use subtle::ConstantTimeEq as _;

use super::{ControlFile, HealRequest, Healed, Refusal, SignalRequest, Status};
use crate::{faults::Fault, plan::DataDir, supervisor::Cluster, up::write_private};

/// Listens on a free loopback port and writes it into the data folder.
pub(crate) async fn serve(cluster: Arc<Cluster>, secret: &Secret, dir: &DataDir, tasks: &Tasks) -> anyhow::Result<()> {
    let listener = bind("the control listener", SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let file = ControlFile { address: listener.local_addr()?.to_string(), pid: std::process::id() };
    let router = Router::new()
        .route("/status", get(status))
        .route("/signal", post(signal))
        .route("/fault", post(fault))
        .route("/heal", post(heal))
        .layer(middleware::from_fn_with_state(format!("Bearer {}", secret.expose()), authorised))
        .with_state(cluster);
    drop(tasks.spawn(runtime::serve(listener, router, ListenerLimits::INNER, tasks.clone(), Connections::default())));
    let path = dir.control();
    write_private(&path, &serde_json::to_string(&file)?)
        .with_context(|| format!("--data: cannot write {}", path.display()))
}

/// Other users of the machine can connect, but cannot read the secret.
async fn authorised(State(expected): State<String>, request: Request, next: Next) -> Response {
    let given = request.headers().get(AUTHORIZATION).map_or(&[][..], |value| value.as_bytes());
    if bool::from(given.ct_eq(expected.as_bytes())) {
        next.run(request).await
    } else {
        refuse(StatusCode::UNAUTHORIZED, "the secret of this cluster is another one".to_owned())
    }
}

async fn status(State(cluster): State<Arc<Cluster>>) -> Json<Status> {
    Json(Status { nodes: cluster.status(), tls: cluster.tls, faults: cluster.faults() })
}

async fn signal(State(cluster): State<Arc<Cluster>>, Json(wish): Json<SignalRequest>) -> Response {
    match cluster.signal(&wish.node, wish.action).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => refuse(StatusCode::CONFLICT, error),
    }
}

async fn fault(State(cluster): State<Arc<Cluster>>, Json(fault): Json<Fault>) -> Response {
    match cluster.add_fault(fault).await {
        Ok(now) => Json(now).into_response(),
        Err(error) => refuse(StatusCode::CONFLICT, error),
    }
}

async fn heal(State(cluster): State<Arc<Cluster>>, Json(wish): Json<HealRequest>) -> Response {
    let between = wish.between.as_ref().map(|(a, b)| (a.as_str(), b.as_str()));
    match cluster.heal(between).await {
        Ok((ended, now)) => Json(Healed { ended, now }).into_response(),
        Err(error) => refuse(StatusCode::CONFLICT, error),
    }
}

fn refuse(status: StatusCode, error: String) -> Response {
    (status, Json(Refusal { error })).into_response()
}

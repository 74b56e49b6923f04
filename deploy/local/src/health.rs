//! `trestle health`: asks one address whether it is well, for the health checks of containers. An image with a shell and an
//! HTTP client in it only for that would be larger, and one more thing to keep safe.

use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use reqwest::Url;

/// A node that answers no sooner is not well; container engines wait longer than this.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Options of `trestle health`.
#[derive(Args, Debug)]
pub(crate) struct HealthOptions {
    /// What to ask; an answer of 2xx is well.
    #[arg(default_value = "http://127.0.0.1:7001/health/ready", env = "TRESTLE_HEALTH", value_name = "URL")]
    url: Url,
}

/// Says nothing when all is well.
pub(crate) async fn ask(options: HealthOptions) -> anyhow::Result<()> {
    let url = options.url;
    let request = rpc::http_client().context("cannot make an HTTP client")?.get(url.clone()).timeout(ANSWER_WITHIN);
    let answer = request.send().await.with_context(|| format!("{url}: no answer"))?;
    let status = answer.status();
    if !status.is_success() {
        bail!("{url}: {status} {}", answer.text().await.unwrap_or_default());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use runtime::Readiness;

    use super::*;

    #[tokio::test]
    async fn ready_is_well_and_draining_or_gone_is_not() {
        let readiness = Readiness::starting();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url: Url = format!("http://{}/health/ready", listener.local_addr().unwrap()).parse().unwrap();
        let asked = || ask(HealthOptions { url: url.clone() });
        let answers = readiness.clone();
        let router = axum::Router::new().route("/health/ready", axum::routing::get(async move || answers.answer()));
        let serving = async { axum::serve(listener, router).await };
        let checks = async {
            assert!(asked().await.unwrap_err().to_string().contains("starting"));
            readiness.set_ready();
            asked().await.unwrap();
            readiness.set_draining();
            assert!(asked().await.unwrap_err().to_string().contains("draining"));
        };
        tokio::select! {
            _ = serving => panic!("the server ended"),
            () = checks => {}
        }
        assert!(asked().await.unwrap_err().to_string().contains("no answer"));
    }
}

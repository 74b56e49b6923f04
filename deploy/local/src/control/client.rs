//! The commands' end.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, anyhow, bail};
use reqwest::{Method, RequestBuilder, Response};

use super::{Action, ControlFile, FaultsNow, HealRequest, Healed, Refusal, SignalRequest, Status};
use crate::{faults::Fault, output, plan::DataDir};

/// Longer than the supervisor takes for anything, so that a hung one is noticed.
const PATIENCE: Duration = Duration::from_secs(5);

/// `trestle status`.
pub(crate) async fn status(dir: &Path, json: bool) -> anyhow::Result<()> {
    let status = nodes(dir).await?;
    if json {
        output::say(&serde_json::to_string(&status)?);
    } else {
        output::say(&output::table(&status.nodes));
        if !status.faults.is_empty() {
            output::say(&output::faults(&status.faults));
        }
    }
    Ok(())
}

/// The nodes of a running shop.
pub(crate) async fn nodes(dir: &Path) -> anyhow::Result<Status> {
    let answer = ask(dir, Method::GET, "status", |request| request).await?;
    answer.json().await.context("the supervisor's answer cannot be read")
}

/// `trestle kill`, `pause`, `resume`.
pub(crate) async fn signal(dir: &Path, node: &str, action: Action) -> anyhow::Result<()> {
    let wish = SignalRequest { node: node.to_owned(), action };
    ask(dir, Method::POST, "signal", |request| request.json(&wish)).await?;
    output::say(&format!("{node} is {}", action.done()));
    Ok(())
}

/// `trestle cut`, `slow`, `lose-replies`.
pub(crate) async fn inject(dir: &Path, fault: &Fault) -> anyhow::Result<()> {
    let answer = ask(dir, Method::POST, "fault", |request| request.json(fault)).await?;
    said(&answer.json().await.context("the supervisor's answer cannot be read")?);
    Ok(())
}

/// `trestle heal`.
pub(crate) async fn heal(dir: &Path, between: Option<(String, String)>) -> anyhow::Result<()> {
    let wish = HealRequest { between };
    let answer = ask(dir, Method::POST, "heal", |request| request.json(&wish)).await?;
    let Healed { ended, now } = answer.json().await.context("the supervisor's answer cannot be read")?;
    match ended.len() {
        0 => output::say("there were no faults"),
        1 => output::say("1 fault has ended"),
        count => output::say(&format!("{count} faults have ended")),
    }
    said(&now);
    Ok(())
}

fn said(now: &FaultsNow) {
    output::say(&output::faults(&now.faults));
    if !now.later.is_empty() {
        output::tell(&format!("not told yet, but before they count as ready: {}", now.later.join(", ")));
    }
}

async fn ask(
    dir: &Path,
    method: Method,
    path: &str,
    fill: impl FnOnce(RequestBuilder) -> RequestBuilder,
) -> anyhow::Result<Response> {
    let none = || {
        anyhow!(
            "no shop is running with --data {}; start one with `trestle up --data {0}`, or name its folder with --data",
            dir.display()
        )
    };
    let files = DataDir(dir.to_owned());
    let read = |path: &Path| match std::fs::read_to_string(path) {
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            Err(none())
        }
        read => read.with_context(|| format!("cannot read {}", path.display())),
    };
    let file: ControlFile = serde_json::from_str(&read(&files.control())?)
        .with_context(|| format!("{} is damaged; end the shop and start it again", files.control().display()))?;
    let request = rpc::http_client()?.request(method, format!("http://{}/{path}", file.address));
    let request = request.bearer_auth(read(&files.secret())?.trim()).timeout(PATIENCE);
    let answer = fill(request).send().await.map_err(|error| {
        // Refused: the supervisor was killed and could not take its file away.
        if error.is_connect() {
            none()
        } else {
            anyhow!("the supervisor (process {}) does not answer: {error}", file.pid)
        }
    })?;
    if answer.status().is_success() {
        return Ok(answer);
    }
    let status = answer.status();
    // Without the secret's agreement it is some other program, on the port of a supervisor that is gone.
    match answer.json::<Refusal>().await {
        Ok(refusal) => bail!("{}", refusal.error),
        Err(_) => Err(none().context(format!("{} answered {status}", file.address))),
    }
}

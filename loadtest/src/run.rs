//! `loadtest run`: an open-loop run from the command line: live view, audit, thresholds, reports.

mod charts;
mod compare;
mod csv;
mod html;
mod judge;
mod judged;
pub(crate) mod options;
mod summary;
pub(crate) mod svg;
#[cfg(test)]
mod tests;
mod text;
mod view;
pub(crate) mod words;

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Context;
use serde::Serialize;
use tokio::signal::ctrl_c;

use self::{judged::Judged, options::RunOptions, summary::Summary};
use crate::{
    End, InvalidRun,
    audit::{self, Audit, collect::Sources},
    client::{Client, plain_http},
    open::{self, Plan, Run, Watcher},
    quick::expect_provider,
    report,
    wire::Charge,
};

/// Readers of the audit are patient: the shop may still be recovering from the run.
const AUDIT_TIMEOUT: Duration = Duration::from_secs(10);
const AUDIT_GIVE_UP_AFTER: Duration = Duration::from_secs(30);

/// The JSON report: the figures, then the verdict.
#[derive(Debug, Serialize)]
struct Report<'a> {
    verdict: &'static str,
    #[serde(flatten)]
    summary: &'a Summary,
    #[serde(flatten)]
    judged: &'a Judged,
}

/// Runs the plan, judges it, writes the reports.
pub(crate) async fn run(options: RunOptions) -> anyhow::Result<End> {
    let plan = options.plan()?;
    let earlier = options.compare.as_deref().map(read_earlier).transpose()?;
    let ledger_http = plain_http(AUDIT_GIVE_UP_AFTER)?;
    let ledger_before = match options.wants_audit() {
        true => Some(expect_provider(&ledger_http, &options.provider).await?),
        false => None,
    };
    let run = watched(&options, plan.clone()).await?;
    let audit = match ledger_before {
        Some(ledger_before) => Some(audited(&options, &run, ledger_http, ledger_before).await?),
        None => None,
    };
    let summary = Summary::new(&plan, &run, audit.as_ref());
    let thresholds = options.thresholds.iter().map(|threshold| threshold.check(&summary)).collect();
    let comparison = earlier.map(|earlier| compare::compare(&earlier, &summary, options.fail_on_regression));
    let judged = Judged { thresholds, comparison };
    write(&options, &summary, &judged)?;
    text::print(&summary, &judged);
    Ok(judged.end(&summary))
}

/// The run with its live view; Ctrl-C ends it early, and what there is by then is reported.
async fn watched(options: &RunOptions, plan: Plan) -> anyhow::Result<Run> {
    let (watcher, watching) = Watcher::pair();
    let title =
        format!("loadtest run · mix {} · {}", plan.mix.name, options.target.first().map_or("", |url| url.as_str()));
    let view = async {
        let shown = if options.no_view { Ok(()) } else { view::show(watching.live, title).await };
        std::future::pending::<()>().await;
        shown
    };
    let interrupt = async {
        if ctrl_c().await.is_ok() {
            report::note("interrupted: no more customers are let in; waiting for the last answers");
            watching.stop.send_replace(true);
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        run = open::generate(plan, watcher) => run,
        shown = view => shown.and_then(|()| anyhow::bail!("the view ended before the run: this is a bug of loadtest")),
        () = interrupt => anyhow::bail!("the signal handler ended: this is a bug of loadtest"),
    }
}

async fn audited(
    options: &RunOptions,
    run: &Run,
    http: reqwest::Client,
    ledger_before: Vec<Charge>,
) -> anyhow::Result<Audit> {
    report::note(&format!("auditing {} checkouts against {}ledger", run.checkouts.len(), options.provider));
    let client = Arc::new(Client::new(options.target.clone(), AUDIT_TIMEOUT, AUDIT_GIVE_UP_AFTER)?);
    let sources = Sources { client, http, provider: options.provider.clone(), quiesce: options.quiesce };
    let acknowledged =
        run.checkouts.iter().filter(|one| matches!(one.outcome, audit::Outcome::Acknowledged { .. })).count();
    Ok(tokio::select! {
        evidence = audit::collect::collect(&sources, &run.checkouts, ledger_before, options.exclusive) => match evidence {
            Ok(evidence) => audit::judge(&evidence),
            Err(error) => Audit::impossible(acknowledged, format!("{error:#}")),
        },
        _ = ctrl_c() => Audit::impossible(acknowledged, "the audit was interrupted".to_owned()),
    })
}

fn read_earlier(file: &Path) -> anyhow::Result<Summary> {
    let shown = file.display();
    let json = std::fs::read(file).map_err(|error| InvalidRun(format!("--compare: cannot read {shown}: {error}")))?;
    let summary = serde_json::from_slice(&json);
    Ok(summary.map_err(|error| {
        InvalidRun(format!("--compare: {shown} is no report of `loadtest run --json` of this version: {error}"))
    })?)
}

fn write(options: &RunOptions, summary: &Summary, judged: &Judged) -> anyhow::Result<()> {
    let put = |option: &str, file: &Path, text: String| {
        std::fs::write(file, text).with_context(|| format!("{option}: cannot write {}", file.display()))
    };
    if let Some(file) = &options.json {
        let (verdict, _) = words::verdict(summary, judged);
        let json = serde_json::to_string_pretty(&Report { verdict, summary, judged });
        put("--json", file, json.context("the report does not serialise")? + "\n")?;
    }
    if let Some(file) = &options.csv {
        put("--csv", file, csv::render(summary))?;
    }
    if let Some(file) = &options.html {
        put("--html", file, html::render(summary, judged))?;
    }
    Ok(())
}

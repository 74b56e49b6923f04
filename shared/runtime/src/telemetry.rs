//! Logs: one JSON object a line (or text for people), with the fields of the spans around, trace id first of all.

use clap::ValueEnum;
use tracing_subscriber::{EnvFilter, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// For people.
    Text,
}

/// Starts logging to standard error. `filter` is in the syntax of `RUST_LOG`: `info`, `access=debug,info`, ...
///
/// # Errors
/// When the filter cannot be read; the message names it.
pub fn init_logs(format: LogFormat, filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        anyhow::anyhow!("--log \"{filter}\" is no log filter ({error}); try \"info\" or \"access=debug,info\"")
    })?;
    let registry = tracing_subscriber::registry().with(filter);
    match format {
        LogFormat::Json => {
            let layer = tracing_subscriber::fmt::layer().json().flatten_event(true).with_span_list(false);
            registry.with(layer.with_writer(std::io::stderr)).try_init()?;
        }
        LogFormat::Text => registry.with(tracing_subscriber::fmt::layer().with_writer(std::io::stderr)).try_init()?,
    }
    Ok(())
}

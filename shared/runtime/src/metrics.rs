//! Metrics of one node: OpenTelemetry meters, read by Prometheus at `/metrics`.
//!
//! A value and not a global, so that several nodes can live in one test process and each show only its own figures.

use opentelemetry::metrics::{Meter, MeterProvider as _};
use opentelemetry_sdk::{Resource, metrics::SdkMeterProvider};
use prometheus::{Encoder as _, Registry, TextEncoder};

/// Bucket bounds in seconds: from 0.25 ms, below which a hop cannot be, to 10 s, above which every deadline lies.
const SECONDS: [f64; 15] =
    [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Meters and their page.
#[derive(Clone, Debug)]
pub struct Metrics {
    provider: SdkMeterProvider,
    registry: Registry,
}

impl Metrics {
    /// The meters of the node with this id.
    ///
    /// # Errors
    /// When the exporter cannot be registered.
    pub fn new(node_id: &str) -> anyhow::Result<Self> {
        let registry = Registry::new();
        let exporter =
            opentelemetry_prometheus::exporter().with_registry(registry.clone()).scope_info_enabled(false).build()?;
        let resource = Resource::builder().with_service_name(node_id.to_owned()).build();
        let provider = SdkMeterProvider::builder().with_reader(exporter).with_resource(resource).build();
        Ok(Self { provider, registry })
    }

    /// Where instruments are made.
    #[must_use]
    pub fn meter(&self) -> Meter {
        self.provider.meter("trestle")
    }

    /// The bucket bounds of every histogram of durations; the library's defaults suit milliseconds, ours are seconds.
    #[must_use]
    pub fn duration_buckets() -> Vec<f64> {
        SECONDS.to_vec()
    }

    /// The page in Prometheus' text format.
    #[must_use]
    pub fn page(&self) -> String {
        let mut page = Vec::new();
        match TextEncoder::new().encode(&self.registry.gather(), &mut page) {
            Ok(()) => String::from_utf8_lossy(&page).into_owned(),
            Err(error) => format!("# metrics cannot be shown: {error}\n"),
        }
    }
}

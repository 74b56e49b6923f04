//! What every node's `main` needs, so that seven of them can be twenty lines each and read alike.
#![warn(missing_docs)]

pub mod bugs;
mod connections;
pub mod crash;
mod demand;
mod drain;
mod faults;
mod health;
mod listener;
mod live_settings;
mod metrics;
mod node;
mod seams;
mod tasks;
mod telemetry;
mod tls;

pub use bugs::bug;
pub use connections::Connections;
pub use demand::{Demand, DemandRules, DemandRulesError, FailsOnPurpose};
pub use drain::{CutOff, DRAIN_DELAY_S, DRAIN_S, DrainOptions, EXIT_CUT_OFF, exit_code, run_to_exit};
pub use faults::{FaultRule, FaultRules, FaultRulesError, Faults, SLOW_MS_MAX};
pub use health::{BuildInfo, Readiness};
pub use listener::{Answers, Door, ListenerLimits, bind, serve};
pub use metrics::Metrics;
pub use node::{Listening, Node, NodeOptions, NodeOptionsError, Secret};
pub use seams::{Clock, ManualClock, Random, Seams, SeededRandom, SystemClock, SystemRandom, rfc3339};
pub use tasks::Tasks;
pub use telemetry::{LogFormat, init_logs};
pub use tls::{Tls, TlsStream, refused_by_peer, tls_name};

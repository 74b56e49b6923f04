//! Load regulation, one layer a file. Layers own their state in the layer value, decide in `call` and answer with a
//! response: on axum, a layer that decides in `poll_ready` or builds its state in `layer()` limits nothing.
#![warn(missing_docs)]

mod admission;
mod breaker;
mod class;
mod cost;
mod gate;
mod lag;
mod lane;
mod limit;
mod pressure;
mod queue;
mod quota;
mod service;
mod settings;
mod show;
mod tally;
mod throttle;

pub use admission::{Admission, Decision, Permit, Refused, Waiting};
pub use breaker::{Breaker, Change, Ended};
pub use class::{Class, NoSuchClass};
pub use cost::{Slowness, Usual};
pub use gate::Gate;
pub use lag::Lag;
pub use lane::Tier;
pub use pressure::{Pressure, PressureWindow};
pub use service::{Asked, Regulated, Rules, StaticAnswer};
pub use settings::{AdmissionSettings, ClientSettings, Limits, Settings, SettingsError};
pub use throttle::Throttle;

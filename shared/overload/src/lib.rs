//! Load regulation, one layer a file. Layers own their state in the layer value, decide in `call` and answer with a
//! response: on axum, a layer that decides in `poll_ready` or builds its state in `layer()` limits nothing.
#![warn(missing_docs)]

mod admission;
mod breaker;
mod class;
mod cost;
mod gate;
mod pressure;
mod settings;
mod throttle;

pub use admission::{Admission, Admit};
pub use breaker::{Breaker, Change, Ended};
pub use class::{Class, NoSuchClass};
pub use cost::{Slowness, Usual};
pub use gate::Gate;
pub use pressure::{Pressure, PressureWindow};
pub use settings::{AdmissionSettings, ClientSettings, Limits, Settings, SettingsError};
pub use throttle::Throttle;

//! Load regulation, one layer a file. Layers own their state in the layer value, decide in `call` and answer with a
//! response: on axum, a layer that decides in `poll_ready` or builds its state in `layer()` limits nothing.
#![warn(missing_docs)]

mod admission;
mod class;
mod pressure;
mod settings;

pub use admission::{Admission, Admit};
pub use class::{Class, NoSuchClass};
pub use pressure::{Pressure, PressureWindow};
pub use settings::{AdmissionSettings, ClientSettings, Limits, Settings, SettingsError};

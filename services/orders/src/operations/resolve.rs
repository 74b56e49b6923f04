//! `orders.resolve`: records a person's decision with its effect.

use contract::{
    CallError, Once, Outcome,
    orders::{NOTE_CHARS_MAX, Resolve},
};

use crate::App;

pub(crate) async fn resolve(app: App, request: Resolve, once: Once) -> Outcome<Resolve> {
    for (name, text) in [("operator", &request.operator), ("note", &request.note)] {
        if !(1..=NOTE_CHARS_MAX).contains(&text.trim().chars().count()) {
            return Err(CallError::NotExecuted(format!("{name} must have 1 to {NOTE_CHARS_MAX} characters")));
        }
    }
    app.orders.resolve(&once, request).await?.map_err(CallError::Refused)
}

//! One plain function per operation, named as in the contract.

mod ack;
mod attention;
mod complete;
mod due;
mod events;
mod find;
mod flag;
mod get;
mod heartbeat;
mod inspect;
mod list;
mod nudge;
mod open;
mod postpone;
mod refuse;
mod resolve;
mod take;

pub(crate) use ack::ack;
pub(crate) use attention::attention;
pub(crate) use complete::complete;
pub(crate) use due::due;
pub(crate) use events::events;
pub(crate) use find::find;
pub(crate) use flag::flag;
pub(crate) use get::get;
pub(crate) use heartbeat::heartbeat;
pub(crate) use inspect::inspect;
pub(crate) use list::list;
pub(crate) use nudge::nudge;
pub(crate) use open::open;
pub(crate) use postpone::postpone;
pub(crate) use refuse::refuse;
pub(crate) use resolve::resolve;
pub(crate) use take::take;

//! One plain function per operation, named as in the contract.

mod ack;
mod attention;
mod complete;
mod due;
mod events;
mod find;
mod get;
mod heartbeat;
mod list;
mod open;
mod postpone;
mod refuse;
mod take;

pub(crate) use ack::ack;
pub(crate) use attention::attention;
pub(crate) use complete::complete;
pub(crate) use due::due;
pub(crate) use events::events;
pub(crate) use find::find;
pub(crate) use get::get;
pub(crate) use heartbeat::heartbeat;
pub(crate) use list::list;
pub(crate) use open::open;
pub(crate) use postpone::postpone;
pub(crate) use refuse::refuse;
pub(crate) use take::take;

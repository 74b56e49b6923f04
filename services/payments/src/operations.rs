//! One file per operation, named as in the contract.

mod charge;
mod close;

pub(crate) use charge::charge;
pub(crate) use close::close;

//! The sharing strategies (design step 6) as types, for the data sets where a wrong choice would lose money.
//!
//! Sessions and carts choose their sharing when a node starts; orders, stock and charges may only ever be shared by
//! everything, and opening one of them on a back end that cannot uphold this does not compile (MEM-8).

/// A set of data with one sharing strategy.
pub trait DataSet {
    /// The name in configuration and documents.
    const NAME: &'static str;
    /// [`ShareNothing`], [`ShareSomething`] or [`ShareEverything`].
    type Sharing;
}

/// Each node has its own; a node's death loses it.
#[derive(Debug)]
pub enum ShareNothing {}
/// Some nodes hold copies; any fewer deaths than copies lose nothing.
#[derive(Debug)]
pub enum ShareSomething {}
/// Every node sees the same; any one surviving node serves.
#[derive(Debug)]
pub enum ShareEverything {}

/// Implemented by a storage back end, one line each, for the sharing it can uphold.
pub trait Upholds<S> {}

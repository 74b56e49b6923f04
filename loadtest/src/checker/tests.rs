//! Planted histories.

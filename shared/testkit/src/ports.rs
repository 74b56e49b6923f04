//! Ports for one shop, which no other test takes, not even while the shop's nodes are dead.
//!
//! Below 32,768, from where the kernel hands ports to outgoing connections; apart from those of
//! [`crate::redis`] (6,000 to 7,999) and [`crate::postgres`] (10,000 to 11,999).

use std::{
    fs::{self, File},
    net::{Ipv4Addr, TcpListener},
    path::Path,
};

use crate::slot::lock;

/// `--port` of the shops. Their inner nodes are 10,000 above.
const FIRST: std::ops::Range<u16> = 12_000..22_000;
/// How many ports a shop has at each of the two places.
const BLOCK: u16 = 50;

/// A block of ports, ours until this is dropped or the process ends.
#[derive(Debug)]
pub struct Ports {
    first: u16,
    _lock: File,
}

impl Ports {
    /// Claims a block whose storefronts' and provider's ports nobody uses.
    ///
    /// # Panics
    /// When none is free.
    #[must_use]
    pub fn claim() -> Self {
        let base = std::env::temp_dir().join("trestle-test-ports");
        let _ = fs::create_dir_all(&base);
        let mut claimed = FIRST.step_by(usize::from(BLOCK)).filter_map(|first| Self::take(&base, first));
        claimed.next().unwrap_or_else(|| panic!("no free ports in {FIRST:?}, or {} is not writable", base.display()))
    }

    fn take(base: &Path, first: u16) -> Option<Self> {
        let lock = lock(base, first)?;
        let is_free = |offset| TcpListener::bind((Ipv4Addr::LOCALHOST, first + offset)).is_ok();
        [0, 1, 10, 19].into_iter().all(is_free).then_some(Self { first, _lock: lock })
    }

    /// For `--port`.
    #[must_use]
    pub const fn first(&self) -> u16 {
        self.first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_has_one_owner_at_a_time() {
        let (one, other) = (Ports::claim(), Ports::claim());
        assert!(one.first().abs_diff(other.first()) >= BLOCK);
    }
}

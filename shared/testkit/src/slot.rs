//! A port, and the folder that goes with it: both belong to whoever holds the lock file named after the port.
//!
//! The lock ends with the process that holds it, so folders of killed tests are known for what they are, and two test
//! processes never choose the same port, not even while a server is down for a restart.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, TcpListener},
    ops::Range,
    path::{Path, PathBuf},
};

/// One claimed port.
#[derive(Debug)]
pub(crate) struct Slot {
    port: u16,
    folder: PathBuf,
    _lock: File,
}

impl Slot {
    /// Claims a free one of these, and removes what servers left that are gone. The ports must be below 32,768, where the
    /// kernel takes ports for outgoing connections: one of them could hold the port just when the server starts again.
    pub(crate) fn claim(base: &Path, ports: Range<u16>) -> Result<Self, String> {
        for left in left_behind(base) {
            // Taken: somebody uses it, or is removing it just now.
            if let Some(slot) = Self::take(base, left) {
                slot.clear();
            }
        }
        let count = ports.end - ports.start;
        let first = u16::try_from(std::process::id() % u32::from(count)).unwrap_or_default();
        (0..count)
            .map(|step| ports.start + (first + step) % count)
            .filter_map(|port| Self::take(base, port))
            .find(|slot| !slot.folder.exists())
            .ok_or_else(|| {
                format!("no free port from {} to {}, or {} is not writable", ports.start, ports.end, base.display())
            })
    }

    fn take(base: &Path, port: u16) -> Option<Self> {
        let lock = lock(base, port)?;
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
        Some(Self { port, folder: base.join(port.to_string()), _lock: lock })
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// Where the server's data goes. Nothing is there after [`Slot::claim`].
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.clone()
    }

    /// Removes the data. What cannot be removed now (a server that is still going) is removed by a later claim.
    pub(crate) fn clear(&self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The lock on a port's name, if nobody has it.
pub(crate) fn lock(base: &Path, port: u16) -> Option<File> {
    let lock = File::options().create(true).append(true).open(base.join(format!("{port}.lock"))).ok()?;
    lock.try_lock().ok()?;
    Some(lock)
}

/// Ports with a folder.
fn left_behind(base: &Path) -> Vec<u16> {
    let entries = fs::read_dir(base).into_iter().flatten().filter_map(Result::ok);
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

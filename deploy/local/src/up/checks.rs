//! What can be found wrong before anything starts, each with the setting's name and the way out.

use std::{
    fs::{File, TryLockError},
    net::{Ipv4Addr, TcpListener},
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, bail};
use runtime::{Seams, Secret};
use tokio::time::{Instant, sleep};

use super::write_private;
use crate::plan::{DataDir, PublicPorts};

/// How far above the storefronts the ports of the nodes behind them begin.
const INNER_OFFSET: u16 = 10_000;
/// Inner ports begin below this: with 1,000 nodes there is still room.
const INNER_LAST: u16 = 60_000;
/// The nodes of a supervisor that was just killed need a moment to go.
const PORTS_PATIENCE: Duration = Duration::from_secs(1);

/// Makes the data folder, and proves that it can be written.
pub(super) fn data_dir(dir: &Path) -> anyhow::Result<DataDir> {
    let shown = dir.display();
    let usable = || {
        let dir = DataDir(std::path::absolute(dir)?);
        for folder in ["logs", "mailbox"] {
            std::fs::create_dir_all(dir.file(folder))?;
        }
        let probe = dir.file("writable");
        File::create(&probe)?;
        std::fs::remove_file(probe)?;
        Ok(dir)
    };
    let dir: DataDir = usable().map_err(|error: std::io::Error| {
        anyhow::anyhow!("--data {shown}: cannot be used as a folder to write to ({error}); name another one")
    })?;
    match dir.0.to_str() {
        // Both would end the path early in a store's URI.
        Some(text) if !text.contains(['?', '#']) => Ok(dir),
        _ => bail!("--data {shown}: the path must be UTF-8 without ? and #; name another one"),
    }
}

/// One supervisor for each folder: two would start each other's nodes on each other's files.
pub(super) fn lock(dir: &DataDir) -> anyhow::Result<File> {
    let path = dir.file("supervisor.lock");
    let file = File::options().create(true).append(true).open(&path);
    let file = file.with_context(|| format!("--data: cannot write {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!(
            "a shop is running with --data {} already; end it, or start another with another --data and --port",
            dir.0.display()
        ),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("--data: cannot lock {}", path.display()))
        }
    }
}

/// The ports that the user chose.
pub(super) async fn ports_are_free(public: &PublicPorts) -> anyhow::Result<()> {
    let deadline = Instant::now() + PORTS_PATIENCE;
    for port in public.all() {
        while let Err(error) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            match error.kind() {
                std::io::ErrorKind::AddrInUse if Instant::now() < deadline => sleep(Duration::from_millis(50)).await,
                std::io::ErrorKind::AddrInUse => {
                    bail!("port {port} is taken: end what uses it or choose another with --port")
                }
                _ => bail!("port {port} cannot be used ({error}): choose another with --port"),
            }
        }
    }
    Ok(())
}

/// Free loopback ports, kept by the nodes over restarts: the first ones from [`INNER_OFFSET`] above the storefronts (or
/// below, where there is no room). Not from those that the kernel hands out, or a connection of somebody else could hold one
/// while its node restarts.
pub(super) fn inner_ports(count: usize, public: &PublicPorts) -> anyhow::Result<Vec<u16>> {
    let shown = public.all().next().unwrap_or_default();
    let first = shown.checked_add(INNER_OFFSET).filter(|first| *first < INNER_LAST).unwrap_or(shown - INNER_OFFSET);
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let ports: Vec<u16> = (first..u16::MAX).filter(is_free).take(count).collect();
    if ports.len() < count {
        bail!(
            "fewer than {count} ports are free from {first} up, where nodes listen to each other: choose another --port"
        );
    }
    Ok(ports)
}

/// The secret that nodes show each other: made once, so that it outlives restarts.
pub(super) fn secret(dir: &DataDir) -> anyhow::Result<Secret> {
    kept(&dir.secret())
}

/// The secret that the provider signs its events with: another one, since the provider is not ours.
pub(super) fn webhook_secret(dir: &DataDir) -> anyhow::Result<Secret> {
    kept(&dir.webhook_secret())
}

fn kept(path: &Path) -> anyhow::Result<Secret> {
    let shown = path.display();
    if !path.exists() {
        let text = format!("{}\n", Seams::system().token());
        write_private(path, &text).with_context(|| format!("--data: cannot write {shown}"))?;
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("--data: cannot read {shown}"))?;
    Secret::new(text.trim()).map_err(|error| anyhow::anyhow!("{shown}: {error}, or delete the file"))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn a_secret_is_made_once_and_only_for_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let dir = data_dir(&folder.path().join("new/data")).unwrap();
        let made = secret(&dir).unwrap();
        assert_eq!(made.expose().len(), 64);
        assert_eq!(secret(&dir).unwrap(), made);
        assert_ne!(webhook_secret(&dir).unwrap(), made);
        assert_eq!(std::fs::metadata(dir.secret()).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(dir.secret(), "short").unwrap();
        assert!(secret(&dir).unwrap_err().to_string().contains("cluster.secret"));
    }

    #[test]
    fn a_second_lock_is_refused_until_the_first_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let dir = data_dir(folder.path()).unwrap();
        let first = lock(&dir).unwrap();
        let error = lock(&dir).unwrap_err().to_string();
        assert!(error.contains("--data") && error.contains(&folder.path().display().to_string()), "{error}");
        drop(first);
        lock(&dir).unwrap();
    }

    #[test]
    fn inner_ports_are_the_first_free_ones_above() {
        let port = (30_000..).find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()).unwrap();
        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let ports = inner_ports(40, &PublicPorts::new(port - INNER_OFFSET, 2)).unwrap();
        assert!(ports[0] > port && ports.is_sorted() && ports.iter().collect::<BTreeSet<_>>().len() == 40, "{ports:?}");
        assert!(inner_ports(40, &PublicPorts::new(65_000, 2)).unwrap()[0] >= 55_000);
    }

    #[test]
    fn a_folder_that_cannot_be_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        File::create(&file).unwrap();
        for bad in [file, folder.path().join("what?")] {
            let error = data_dir(&bad).unwrap_err().to_string();
            assert!(error.contains("--data") && error.contains(&bad.display().to_string()), "{error}");
        }
    }
}

//! What can be found wrong before anything starts, each with the setting's name and the way out.

use std::{
    collections::BTreeSet,
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

/// Free loopback ports, kept by the nodes over restarts. All are held until all are found, so none comes twice.
///
/// Another program can take one while its node restarts; the node then says so and is tried again. Linux makes that
/// rare: it gives even ports to connections and odd ones to listeners that ask for any.
pub(super) fn free_ports(count: usize, public: &PublicPorts) -> anyhow::Result<Vec<u16>> {
    let public: BTreeSet<u16> = public.all().collect();
    let mut held = Vec::with_capacity(count + public.len());
    let mut ports = Vec::with_capacity(count);
    while ports.len() < count {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port on 127.0.0.1")?;
        let port = listener.local_addr()?.port();
        if !public.contains(&port) {
            ports.push(port);
        }
        held.push(listener);
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
    use std::os::unix::fs::PermissionsExt as _;

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
    fn free_ports_differ() {
        let ports = free_ports(40, &PublicPorts::new(8080, 2)).unwrap();
        assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), 40);
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

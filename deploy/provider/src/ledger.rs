//! The ledger file: one JSON line per decided key or refund, appended and never changed.
//!
//! One writer owns the file and syncs several entries with one `sync_data` (group commit), because a sync per charge
//! would make the provider the slowest part of every load test. Nobody hears of an entry before its sync, so kill -9
//! forgets only what nobody was told. What it can leave behind is a torn last line; that is cut off at start. Every
//! other damage stops the start: a ledger that repairs itself is no proof of anything.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use tokio::sync::{mpsc, oneshot};

use crate::book::{Book, Entry, RefundEntry};

/// Entries that wait for the writer; more than charges can execute at once, so a full queue is a backstop only.
pub(crate) const QUEUE_MAX: usize = 1_024;
/// Most entries in one sync.
const BATCH_MAX: usize = 256;
/// Longest line, in bytes: key and reference have 255 characters each, doubled if JSON escapes all of them.
const LINE_MAX_BYTES: u64 = 2_048;

#[derive(Debug, thiserror::Error)]
pub(crate) enum LedgerError {
    #[error("cannot open the ledger {path}: --ledger must name a file in an existing folder that may be written")]
    Open { path: PathBuf, source: io::Error },
    #[error("the ledger {path} is in use by another provider: stop it, or name another file with --ledger")]
    InUse { path: PathBuf },
    #[error("cannot read the ledger {path}")]
    Read { path: PathBuf, source: io::Error },
    #[error("the ledger {path} is damaged in line {line}: {reason}; restore the file, or name a new one with --ledger")]
    Damaged { path: PathBuf, line: u64, reason: String },
}

/// What a line holds: `{"kind":"refund",...}` is a refund, a line without a kind is what a key of a charge came to.
#[derive(Debug)]
pub(crate) enum Record {
    Charge(Arc<Entry>),
    Refund(Arc<RefundEntry>),
}

/// The part of a line that says how to read the rest. Not an untagged enum: its errors could not name the damage.
#[derive(Debug, Deserialize)]
struct Probe {
    kind: Option<Kind>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Refund,
}

/// An entry on its way to the disk.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) record: Record,
    /// Told once the entry is on the disk; dropped untold if that failed.
    pub(crate) done: oneshot::Sender<()>,
}

/// A ledger that was read, locked until it is dropped.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) file: File,
    pub(crate) book: Book,
    /// What was repaired, as a sentence for the operator.
    pub(crate) warning: Option<String>,
}

/// Opens or creates the file, takes it for this process and reads it.
pub(crate) fn open(path: &Path) -> Result<Ledger, LedgerError> {
    let open_error = |source| LedgerError::Open { path: path.to_owned(), source };
    let file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(open_error)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(LedgerError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => return Err(open_error(source)),
    }
    // A synced line in a file whose name is not on the disk is lost all the same.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(open_error)?;
    read(path, file)
}

fn read(path: &Path, mut file: File) -> Result<Ledger, LedgerError> {
    let read_error = |source| LedgerError::Read { path: path.to_owned(), source };
    let mut book = Book::new();
    let mut warning = None;
    let mut reader = BufReader::new(&file);
    let (mut line, mut number, mut good_bytes, mut ended) = (Vec::new(), 0, 0, true);
    loop {
        line.clear();
        let bytes = (&mut reader).take(LINE_MAX_BYTES).read_until(b'\n', &mut line).map_err(read_error)?;
        if bytes == 0 {
            break;
        }
        number += 1;
        ended = line.ends_with(b"\n");
        let damaged = |reason| LedgerError::Damaged { path: path.to_owned(), line: number, reason };
        match replay(&mut book, &line) {
            Ok(replayed) => replayed.map_err(damaged)?,
            Err(_) if !ended && (bytes as u64) < LINE_MAX_BYTES => {
                file.set_len(good_bytes).and_then(|()| file.sync_data()).map_err(read_error)?;
                warning = Some(format!("cut off a torn last line ({bytes} bytes) of the ledger {}", path.display()));
                ended = true;
                break;
            }
            Err(error) => return Err(damaged(error.to_string())),
        }
        good_bytes += bytes as u64;
    }
    if !ended {
        // Only the line end is missing. Keeping the entry can lose nothing; cutting it off could lose a charge.
        file.write_all(b"\n").and_then(|()| file.sync_data()).map_err(read_error)?;
        warning = Some(format!("completed the last line of the ledger {}", path.display()));
    }
    Ok(Ledger { file, book, warning })
}

/// Hands one line to the book, which may refuse what it says. The outer error is a line that is none.
fn replay(book: &mut Book, line: &[u8]) -> serde_json::Result<Result<(), String>> {
    Ok(match serde_json::from_slice::<Probe>(line)?.kind {
        None => book.replay(serde_json::from_slice(line)?),
        Some(Kind::Refund) => book.replay_refund(serde_json::from_slice(line)?),
    })
}

/// Writes entries until every sender of the queue is gone. Blocks, so it runs on a thread of its own.
///
/// An error is final: after a failed sync nobody can say what is on the disk, except a new start that reads it.
pub(crate) fn write(mut file: File, mut queue: mpsc::Receiver<Job>) -> io::Result<()> {
    let mut jobs = Vec::with_capacity(BATCH_MAX);
    let mut lines = Vec::new();
    while queue.blocking_recv_many(&mut jobs, BATCH_MAX) > 0 {
        lines.clear();
        for job in &jobs {
            match &job.record {
                Record::Charge(entry) => serde_json::to_writer(&mut lines, &**entry)?,
                Record::Refund(entry) => serde_json::to_writer(&mut lines, &**entry)?,
            }
            lines.push(b'\n');
        }
        file.write_all(&lines)?;
        file.sync_data()?;
        for job in jobs.drain(..) {
            // A receiver that is gone belongs to a process that is ending.
            let _ = job.done.send(());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

//! One process of a node: how it is started, what the kernel knows about it, what it said last.

use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Seek as _, SeekFrom},
    path::Path,
    process::Stdio,
};

use anyhow::Context as _;
use runtime::FaultRules;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use crate::{
    database::DATABASE_ENV,
    plan::{DataDir, NodePlan},
    roles::SUPERVISOR_ENV,
    shared::REDIS_ENV,
};

/// The variable of a node's option `--faults`.
const FAULTS_ENV: &str = "TRESTLE_FAULTS";
/// A log that is larger when its node starts is moved aside; the one moved aside before is gone then.
const LOG_MAX_BYTES: u64 = 16 * 1024 * 1024;
/// How much of the end of a log is looked at for a reason.
const TAIL_BYTES: u64 = 8 * 1024;
/// How many lines of it are shown.
const TAIL_LINES: usize = 8;

/// A running process, and where in the log its lines begin.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) child: Child,
    pub(super) log_start: u64,
}

/// Starts the node's process. Must be called on the main thread: the kernel ends a process together with the *thread*
/// that started it (see `roles::die_with_supervisor` and `cli::on_this_thread`).
pub(super) fn start(node: &NodePlan, dir: &DataDir, faults: Option<&FaultRules>) -> anyhow::Result<Started> {
    let path = dir.log(&node.id);
    let log = open_log(&path).with_context(|| format!("--data: cannot write {}", path.display()))?;
    let log_start = log.metadata()?.len();
    let program = std::env::current_exe().context("cannot find the trestle binary itself")?;
    let child = Command::new(&program)
        .args(&node.args)
        // Who needs the database gets it under the family's own name; the others need not know its password.
        .env_remove(DATABASE_ENV)
        .env_remove(REDIS_ENV)
        .envs(node.env.iter().map(|(name, value)| (name, value.expose())))
        // Before its first call: a node that comes back must not reach over a link that was cut meanwhile.
        .env_remove(FAULTS_ENV)
        .envs(faults.map(serde_json::to_string).transpose()?.map(|faults| (FAULTS_ENV, faults)))
        .env(SUPERVISOR_ENV, std::process::id().to_string())
        // Fifteen processes on one machine: by default each would have a thread for every core and, in glibc, a heap
        // of its own for each thread.
        .env("TOKIO_WORKER_THREADS", "2")
        .env("MALLOC_ARENA_MAX", "2")
        // Ctrl-C in a terminal goes to the whole foreground group; in groups of their own, nodes end in our order.
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))?;
    Ok(Started { child, log_start })
}

fn open_log(path: &Path) -> std::io::Result<File> {
    if std::fs::metadata(path).is_ok_and(|log| log.len() > LOG_MAX_BYTES) {
        std::fs::rename(path, path.with_extension("log.old"))?;
    }
    OpenOptions::new().create(true).append(true).open(path)
}

/// The last lines that were written to the log since `start`.
pub(super) fn last_lines(log: &Path, start: u64) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(log)?;
        let from = file.metadata()?.len().saturating_sub(TAIL_BYTES).max(start);
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

/// Sends a signal; a process that has ended meanwhile is no error, its end is noticed elsewhere.
pub(super) fn send(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// Whether a process is stopped by SIGSTOP, whoever sent it. No when it is gone.
pub(super) fn is_paused(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    field(&status, "State:").is_some_and(|state| state.starts_with('T'))
}

/// What a process takes of the machine's memory, in KiB: its own pages, and its part of those that it shares with others
/// (the "proportional set size"). All nodes are one program, so by resident size its code would count fifteen times.
pub(super) fn memory_kib(pid: u32) -> Option<u64> {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    field(&rollup, "Pss:")?.strip_suffix("kB")?.trim().parse().ok()
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_memory_and_whether_a_process_is_stopped() {
        assert_eq!(field("Name:\ttrestle\nState:\tT (stopped)\n", "State:"), Some("T (stopped)"));
        let own = std::process::id();
        assert!(!is_paused(own) && memory_kib(own).is_some_and(|kib| kib > 100), "{:?}", memory_kib(own));
        assert_eq!((is_paused(u32::MAX), memory_kib(u32::MAX)), (false, None));
    }

    #[test]
    fn only_the_last_lines_of_this_start_are_shown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.log");
        let before = "old line\n";
        let lines: Vec<_> = (0..20).map(|number| format!("line {number}")).collect();
        std::fs::write(&path, format!("{before}{}\n", lines.join("\n"))).unwrap();
        assert_eq!(last_lines(&path, before.len() as u64), lines[12..].join("\n"));
        std::fs::write(&path, before).unwrap();
        assert_eq!(last_lines(&path, before.len() as u64), "");
        assert_eq!(last_lines(&dir.path().join("none.log"), 0), "");
    }

    #[test]
    fn a_large_log_is_moved_aside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("logic-1.log");
        File::create(&path).unwrap().set_len(LOG_MAX_BYTES + 1).unwrap();
        assert_eq!(open_log(&path).unwrap().metadata().unwrap().len(), 0);
        assert!(dir.path().join("logic-1.log.old").exists());
    }
}

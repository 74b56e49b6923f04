//! Crash points: places where a test lets a process die, as `kill -9` would, between two instructions that matter.
//!
//! Inert unless `TRESTLE_CRASH_DIR` names a folder: then a file `<point>:<n>` in it means that the n-th process from now on
//! that comes to the point sends itself SIGKILL. The file is renamed at each hit, to `<point>:<n-1>` and in the end to
//! `<point>:dead:<pid>`. A rename happens once, so all nodes that are given the folder count together, exactly one of them
//! dies for a file, its next process lives, and whoever armed the point sees whether it was hit. Always compiled, so that
//! the binary under test is the one that is shipped; who may set a node's environment may kill it anyway.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// The variable that names the folder.
pub const DIR_VARIABLE: &str = "TRESTLE_CRASH_DIR";
/// Latest hit that can be asked for.
pub const HITS_MAX: u32 = 9;

static DIR: OnceLock<Option<PathBuf>> = OnceLock::new();

/// A point at which this process may be told to die. Names are `<family>.<operation>.<where>`.
pub fn point(name: &str) {
    let dir = DIR.get_or_init(|| std::env::var_os(DIR_VARIABLE).filter(|dir| !dir.is_empty()).map(PathBuf::from));
    if let Some(dir) = dir
        && hit(dir, name, std::process::id())
    {
        die();
    }
}

/// Arms a point: the `hit`-th of the processes that come to it dies, counted from 1 to [`HITS_MAX`].
///
/// # Errors
/// When the file cannot be made.
pub fn arm(dir: &Path, name: &str, hit: u32) -> std::io::Result<()> {
    std::fs::File::create(dir.join(format!("{name}:{hit}"))).map(drop)
}

/// The process that died at a point, once it has; forgets it, so that the point can be armed again.
///
/// # Errors
/// When the folder cannot be read.
pub fn take_dead(dir: &Path, name: &str) -> std::io::Result<Option<u32>> {
    for file in std::fs::read_dir(dir)? {
        let path = file?.path();
        let text = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let pid = text.strip_prefix(name).and_then(|rest| rest.strip_prefix(":dead:")).and_then(|pid| pid.parse().ok());
        if let Some(pid) = pid {
            return std::fs::remove_file(&path).map(|()| Some(pid));
        }
    }
    Ok(None)
}

/// Counts one hit; true for the one that must die. The last count comes first, or one hit could count twice. Two hits at the
/// very same time may count as one.
fn hit(dir: &Path, name: &str, pid: u32) -> bool {
    let left = |count: u32| dir.join(format!("{name}:{count}"));
    if std::fs::rename(left(1), dir.join(format!("{name}:dead:{pid}"))).is_ok() {
        return true;
    }
    let _counted = (2..=HITS_MAX).any(|count| std::fs::rename(left(count), left(count - 1)).is_ok());
    false
}

/// SIGKILL cannot be caught: no destructor runs, no buffer is written, no peer is told.
fn die() -> ! {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    loop {
        std::thread::park();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hit_that_was_asked_for_dies_once_and_leaves_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let (dir, point) = (dir.path(), "orders.complete.committed");
        assert!(!hit(dir, point, 1), "nothing is armed");
        for asked in [1, 2, HITS_MAX] {
            arm(dir, point, asked).unwrap();
            for number in 1..asked {
                assert!(!hit(dir, point, 7), "hit {number} of {asked}");
                assert!(!hit(dir, "orders.complete.written", 7), "another point");
                assert_eq!(take_dead(dir, point).unwrap(), None);
            }
            assert!(hit(dir, point, 42));
            assert!(!hit(dir, point, 43), "the next process lives");
            assert_eq!(take_dead(dir, point).unwrap(), Some(42));
            assert_eq!(take_dead(dir, point).unwrap(), None, "seen once");
        }
    }
}

//! What the shop's processes take of the machine, by the kernel's own counts.

use std::time::Duration;

/// Processor time is counted in hundredths of a second towards programs, on every Linux.
const TICK: Duration = Duration::from_millis(10);
/// Pages of memory are 4 KiB here.
const PAGE_KIB: u64 = 4;

/// One process of the shop.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Process(pub(crate) u32);

impl Process {
    /// Processor time since its start, its own and the kernel's for it; nothing if it is gone.
    pub(crate) fn worked(self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0)).unwrap_or_default();
        TICK * u32::try_from(ticks(&stat).unwrap_or(0)).unwrap_or(u32::MAX)
    }

    /// Memory in use, in KiB.
    pub(crate) fn rss_kib(self) -> u64 {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", self.0)).unwrap_or_default();
        statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * PAGE_KIB
    }
}

/// The fields `utime` and `stime`. The name before them is in brackets and may hold blanks.
fn ticks(stat: &str) -> Option<u64> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(field(11)? + field(12)?)
}

/// Seconds of processor time of all of them.
pub(crate) fn worked_s(processes: &[Process]) -> f64 {
    processes.iter().map(|process| process.worked().as_secs_f64()).sum()
}

/// Memory of all of them, in KiB.
pub(crate) fn rss_kib(processes: &[Process]) -> u64 {
    processes.iter().map(|process| process.rss_kib()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_hide_the_time() {
        let stat = "42 (tre) (stle) S 1 42 42 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 4 0 100 0 0";
        assert_eq!(ticks(stat), Some(200));
        assert_eq!(ticks(""), None);
        let own = Process(std::process::id());
        assert!(own.rss_kib() > 1_000 && Process(u32::MAX).rss_kib() == 0);
    }
}

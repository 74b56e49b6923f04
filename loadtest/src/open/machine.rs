//! How busy the generator and its machine are: from the kernel's own counts, so that a run can say whether it may be
//! believed.

use std::time::Duration;

/// Processor time of all cores since the machine started, in ticks.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cores {
    busy: u64,
    all: u64,
}

/// `None` where the kernel does not tell.
pub(crate) fn cores() -> Option<Cores> {
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    let ticks: Vec<u64> = stat.lines().next()?.split_whitespace().skip(1).take(8).flat_map(str::parse).collect();
    let all: u64 = ticks.iter().sum();
    // user nice system idle iowait irq softirq steal: waiting is not work.
    Some(Cores { busy: all - ticks.get(3)? - ticks.get(4)?, all })
}

impl Cores {
    /// How busy the machine was between two looks, 0 to 1.
    pub(crate) fn busy_until(&self, later: &Self) -> Option<f64> {
        let all = later.all.checked_sub(self.all).filter(|all| *all > 0)?;
        #[expect(clippy::cast_precision_loss, reason = "ticks of one run")]
        Some(later.busy.saturating_sub(self.busy) as f64 / all as f64)
    }
}

/// Processor time of the calling thread.
pub(crate) fn thread_time() -> Option<Duration> {
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    schedstat.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// Has the calling thread served before others, where the system permits: a generator that shares its processors with the
/// shop must not queue behind it, or it would be late by the very queue that it measures. Without the permission (it takes
/// root or CAP_SYS_NICE) it runs as it is, and a run in which it was late says so.
pub(crate) fn hurry() {
    let _ = rustix::process::setpriority_process(None, -10);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_all_cores_and_never_of_nothing() {
        let (before, after) = (Cores { busy: 100, all: 1_000 }, Cores { busy: 250, all: 1_200 });
        assert_eq!(before.busy_until(&after), Some(0.75));
        assert_eq!(before.busy_until(&before), None);
        assert!(thread_time().is_some() && cores().is_some(), "this machine tells");
    }
}

//! Crash points: places where a test lets a process die, as `kill -9` would, between two instructions that matter.
//!
//! Inert unless `TRESTLE_CRASH=name:hit` is in the environment: then the process sends itself SIGKILL when it comes to the
//! point of that name for the hit-th time (from 1). Always compiled, so that the binary under test is the one that is
//! shipped; who may set a node's environment may kill it anyway.

use std::sync::{
    OnceLock,
    atomic::{AtomicU32, Ordering},
};

/// When to die.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    name: String,
    hit: u32,
}

static PLAN: OnceLock<Option<Plan>> = OnceLock::new();
static HITS: AtomicU32 = AtomicU32::new(0);

/// A point at which this process may be told to die. Names are `<family>.<operation>.<where>`.
pub fn point(name: &str) {
    let plan = PLAN.get_or_init(|| read(&std::env::var("TRESTLE_CRASH").ok()?));
    if let Some(plan) = plan
        && plan.name == name
        && HITS.fetch_add(1, Ordering::SeqCst) + 1 == plan.hit
    {
        die();
    }
}

fn read(text: &str) -> Option<Plan> {
    let (name, hit) = text.rsplit_once(':')?;
    Some(Plan { name: name.to_owned(), hit: hit.parse().ok().filter(|hit| *hit > 0)? })
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
    fn a_plan_names_a_point_and_a_hit() {
        let plan = |name: &str, hit| Some(Plan { name: name.to_owned(), hit });
        assert_eq!(read("orders.complete.committed:2"), plan("orders.complete.committed", 2));
        for bad in ["", "orders.complete", "orders.complete:0", "orders.complete:x"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}

//! One run of a server, PostgreSQL's or Redis's: a thread that starts it, reads its log and collects its end.
//!
//! The kernel ends the server with the *thread* that started it (`setpriv --pdeathsig`), so that thread must live as
//! long as the server: a test's own thread may end earlier, for example when the server is shared by several tests.
//! Every process of the server holds the log's pipe, so its end means that all of them are gone, and a line in it says
//! when the server serves: nothing here polls.

use std::{
    collections::VecDeque,
    io::{BufRead as _, BufReader},
    process::{Child, ChildStderr, Command, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

/// Longer than recovery of a test's data takes on a busy machine.
const START_MAX: Duration = Duration::from_secs(60);
/// Longer than the immediate mode waits (5 s) before it kills what does not go, and than a test's data takes to write.
const END_MAX: Duration = Duration::from_secs(30);
/// Lines of the log that are kept.
const LOG_LINES: usize = 200;
/// Lines of it that a failure shows.
const SHOWN_LINES: usize = 20;

/// News from the thread.
enum Event {
    Started(u32),
    CannotStart(std::io::Error),
    Ready,
    Ended,
}

/// A running server, or one that has just ended by itself.
#[derive(Debug)]
pub(crate) struct Server {
    pid: u32,
    shared: Arc<Shared>,
    events: Receiver<Event>,
}

/// What the thread and the owner both look at.
#[derive(Debug, Default)]
struct Shared {
    /// Present until its end is collected: until then its id belongs to nobody else.
    child: Mutex<Option<Child>>,
    log: Mutex<VecDeque<String>>,
}

impl Server {
    /// Starts it, and returns when it serves: when a line of its log has these words.
    pub(crate) fn start(command: Command, ready: &'static str) -> Result<Self, String> {
        let (tell, events) = channel();
        let shared = Arc::new(Shared::default());
        let thread = thread::Builder::new().name("server".to_owned());
        let theirs = Arc::clone(&shared);
        thread.spawn(move || keep(command, ready, &theirs, &tell)).map_err(|error| format!("no thread: {error}"))?;
        let pid = match events.recv_timeout(START_MAX) {
            Ok(Event::Started(pid)) => pid,
            Ok(Event::CannotStart(error)) => return Err(format!("cannot run setpriv: {error}")),
            _ => return Err("its thread ended".to_owned()),
        };
        let server = Self { pid, shared, events };
        match server.events.recv_timeout(START_MAX) {
            Ok(Event::Ready) => Ok(server),
            Ok(_) => Err(format!("the server ended at once:\n{}", server.log())),
            Err(_) => {
                server.send(Signal::KILL);
                Err(format!("the server was not ready within {START_MAX:?}:\n{}", server.log()))
            }
        }
    }

    pub(crate) const fn pid(&self) -> u32 {
        self.pid
    }

    /// Ends it, and returns when all of its processes are gone.
    pub(crate) fn end(self, signal: Signal) -> Result<(), String> {
        self.send(signal);
        // Whoever paused it may be gone, and then it would never see the signal.
        self.send(Signal::CONT);
        loop {
            match self.events.recv_timeout(END_MAX) {
                Ok(Event::Ended) => return Ok(()),
                Ok(_) => {}
                Err(_) => {
                    self.send(Signal::KILL);
                    return Err(format!("the server did not end within {END_MAX:?}:\n{}", self.log()));
                }
            }
        }
    }

    /// The end of its log.
    pub(crate) fn log(&self) -> String {
        let log = locked(&self.shared.log);
        log.iter().skip(log.len().saturating_sub(SHOWN_LINES)).map(String::as_str).collect::<Vec<_>>().join("\n")
    }

    /// Sends it a signal, if it still runs.
    pub(crate) fn send(&self, signal: Signal) {
        let child = locked(&self.shared.child);
        let pid = child.as_ref().and_then(|child| i32::try_from(child.id()).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may have ended; then there is nothing to tell.
            let _ = kill_process(pid, signal);
        }
    }
}

/// The thread's life.
fn keep(mut command: Command, ready: &str, shared: &Shared, tell: &Sender<Event>) {
    let mut child = match command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn() {
        Ok(child) => child,
        Err(error) => {
            let _ = tell.send(Event::CannotStart(error));
            return;
        }
    };
    let (pid, log) = (child.id(), child.stderr.take());
    *locked(&shared.child) = Some(child);
    // An owner that is gone needs no news, but the log must be read on, or the server would stop at a full pipe.
    let _ = tell.send(Event::Started(pid));
    if let Some(log) = log {
        read(log, ready, shared, tell);
    }
    // Collected and forgotten under one lock: nobody can send a signal to its successor in the process table.
    let mut child = locked(&shared.child);
    if let Some(mut child) = child.take() {
        let _ = child.wait();
    }
    drop(child);
    let _ = tell.send(Event::Ended);
}

fn read(log: ChildStderr, ready: &str, shared: &Shared, tell: &Sender<Event>) {
    for line in BufReader::new(log).split(b'\n') {
        let Ok(line) = line else { return };
        let mut kept = locked(&shared.log);
        if kept.len() == LOG_LINES {
            kept.pop_front();
        }
        let line = String::from_utf8_lossy(&line).into_owned();
        let is_ready = line.contains(ready);
        kept.push_back(line);
        drop(kept);
        if is_ready {
            let _ = tell.send(Event::Ready);
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

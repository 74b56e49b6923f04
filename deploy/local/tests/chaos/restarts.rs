//! Lets `loadtest chaos --database-restart CMD` restart a server that only this test may signal: CMD asks through one named
//! pipe and waits at another, a thread of ours does it. Orderly restarts and crashes take turns.

use std::{fs, path::PathBuf, sync::Arc, thread::JoinHandle};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;
use testkit::postgres::{End, Postgres};

/// The word that ends the thread; anything else restarts the server.
const OVER: &str = "over";

pub(crate) struct Restarts {
    server: Arc<Postgres>,
    folder: TempDir,
    thread: Option<JoinHandle<()>>,
}

impl Restarts {
    pub(crate) fn of(server: Postgres) -> Self {
        let (server, folder) = (Arc::new(server), tempfile::tempdir().unwrap());
        let [ask, done] = ["ask", "done"].map(|name| folder.path().join(name));
        for pipe in [&ask, &done] {
            mknodat(CWD, pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        }
        let ours = server.clone();
        let thread = std::thread::spawn(move || serve(&ours, &ask, &done));
        Self { server, folder, thread: Some(thread) }
    }

    /// For sh: returns when the server is up again.
    pub(crate) fn command(&self) -> String {
        let folder = self.folder.path().display();
        format!("echo restart > {folder}/ask && cat {folder}/done")
    }

    pub(crate) fn new_database(&self) -> String {
        self.server.new_database()
    }
}

fn serve(server: &Postgres, ask: &PathBuf, done: &PathBuf) {
    for end in [End::Crash, End::Fast].into_iter().cycle() {
        // Opening waits for the other end.
        if fs::read_to_string(ask).unwrap().trim() == OVER {
            return;
        }
        server.restart(end);
        fs::write(done, "done\n").unwrap();
    }
}

impl Drop for Restarts {
    fn drop(&mut self) {
        let told = fs::write(self.folder.path().join("ask"), OVER);
        if let (Ok(()), Some(thread)) = (told, self.thread.take()) {
            let _ = thread.join();
        }
    }
}

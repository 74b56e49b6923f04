//! A way to the server on which answers to commits get lost: the change is made, nobody hears of it, the connection is cut
//! (E13).
//!
//! It goes by what the server says: an answer that ends outside a transaction, and tells of a COMMIT or of changed rows,
//! is the answer to something that has just been committed, by COMMIT or by a statement of its own.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
};

use super::Postgres;

/// `ReadyForQuery`, and the server is in no transaction.
const IDLE: &[u8] = b"Z\0\0\0\x05I";
/// Beginnings of `CommandComplete` tags of commands that change something. Those of rows end with how many.
const CHANGES: [&[u8]; 4] = [b"COMMIT\0", b"INSERT 0 ", b"UPDATE ", b"DELETE "];

/// The proxy. It listens on 127.0.0.1 and takes no more connections once it is dropped.
#[derive(Debug)]
pub struct CommitProxy {
    uri: String,
    port: u16,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The next answer to a commit is lost.
    next: AtomicBool,
    /// Each that many-th is lost; 0 for none.
    every: AtomicU32,
    seen: AtomicU32,
    lost: AtomicU32,
    over: AtomicBool,
}

impl CommitProxy {
    /// A way to this server that loses nothing yet.
    ///
    /// # Panics
    /// When no port can be had.
    #[must_use]
    pub fn to(server: &Postgres) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap_or_else(|error| panic!("no port for a proxy: {error}"));
        let port = listener.local_addr().map_or(0, |address| address.port());
        let (there, state) = (server.port(), Arc::<State>::default());
        let shared = state.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if shared.over.load(Ordering::SeqCst) {
                    return;
                }
                let state = shared.clone();
                thread::spawn(move || connect(&client, there, &state));
            }
        });
        let uri = server.uri().replace(&format!(":{there}/"), &format!(":{port}/"));
        Self { uri, port, state }
    }

    /// [`Postgres::uri`] by this way.
    #[must_use]
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Loses the answer to the next commit.
    pub fn lose_next(&self) {
        self.state.next.store(true, Ordering::SeqCst);
    }

    /// Whether the next answer to a commit is still to be lost.
    #[must_use]
    pub fn is_armed(&self) -> bool {
        self.state.next.load(Ordering::SeqCst)
    }

    /// Loses each that many-th answer to a commit from now on; none with 0.
    pub fn lose_every(&self, every: u32) {
        self.state.every.store(every, Ordering::SeqCst);
    }

    /// How many answers were lost.
    #[must_use]
    pub fn lost(&self) -> u32 {
        self.state.lost.load(Ordering::SeqCst)
    }
}

impl Drop for CommitProxy {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for connections.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl State {
    fn loses(&self, answer: &[u8]) -> bool {
        if !tells_of_a_commit(answer) {
            return false;
        }
        let every = self.every.load(Ordering::SeqCst);
        let is_its_turn = every > 0 && (self.seen.fetch_add(1, Ordering::SeqCst) + 1).is_multiple_of(every);
        let loses = self.next.swap(false, Ordering::SeqCst) || is_its_turn;
        self.lost.fetch_add(u32::from(loses), Ordering::SeqCst);
        loses
    }
}

fn tells_of_a_commit(answer: &[u8]) -> bool {
    let tag = |begin: &&[u8]| answer.windows(begin.len()).position(|part| part == *begin).map(|at| at + begin.len());
    let changed = |begin: &&[u8]| {
        tag(begin).is_some_and(|end| begin.ends_with(b"\0") || answer.get(end).is_some_and(|digit| *digit != b'0'))
    };
    answer.ends_with(IDLE) && CHANGES.iter().any(changed)
}

fn connect(client: &TcpStream, server: u16, state: &State) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else { return };
    let cut = || {
        let _ = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both));
    };
    thread::scope(|both| {
        both.spawn(|| {
            copy(client, &server, |_| true);
            cut();
        });
        copy(&server, client, |answer| !state.loses(answer));
        cut();
    });
}

/// Hands on what comes until `pass` says no.
fn copy(mut from: &TcpStream, mut to: &TcpStream, pass: impl Fn(&[u8]) -> bool) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if !pass(&bytes[..count]) || to.write_all(&bytes[..count]).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_committed_is_an_answer_to_a_commit() {
        let answer = |tag: &str, state: char| [tag.as_bytes(), b"\0Z\0\0\0\x05", &[state as u8]].concat();
        for (tag, state, tells) in [
            ("COMMIT", 'I', true),
            ("UPDATE 1", 'I', true),
            ("INSERT 0 12", 'I', true),
            ("INSERT 0 0", 'I', false),
            ("UPDATE 0", 'I', false),
            ("UPDATE 1", 'T', false),
            ("SELECT 1", 'I', false),
            ("BEGIN", 'T', false),
            ("ROLLBACK", 'I', false),
        ] {
            assert_eq!(tells_of_a_commit(&answer(tag, state)), tells, "{tag} {state}");
        }
    }
}

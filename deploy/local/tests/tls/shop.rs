//! One shop with `--tls`, and everything that is asked of it: one start, because a start is what costs.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use contract::Family;
use overload::Class;
use reqwest::Method;
use rpc::{HttpTransport, Transport as _, TransportError, WireRequest};
use runtime::{Node, Seams, Secret, Tls};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    alone::Alone,
    cluster::{PATIENCE, Shop},
    customer::Customer,
    knock::Knock,
};

const ORDERS: &str = "orders.trestle.internal";

/// A shop that speaks TLS, seen from beside its nodes.
struct Guarded {
    shop: Shop,
    address: String,
    ops: String,
}

impl Guarded {
    fn folder(&self, family: &str) -> PathBuf {
        self.shop.data().join("tls").join(family)
    }

    fn secret(&self) -> Secret {
        Secret::new(std::fs::read_to_string(self.shop.data().join("cluster.secret")).unwrap().trim()).unwrap()
    }

    /// A node of this family; without one, a node that speaks in clear.
    fn node(&self, family: Option<&'static str>) -> Node {
        let mut node = Node::assemble(family.unwrap_or("logic"), "test", Seams::system(), self.secret()).unwrap();
        if let Some(family) = family {
            let tls = Tls::between_tiers("--tls", &self.folder(family), family, &[], &node.seams, &node.metrics);
            node.tls = Some(tls.unwrap());
        }
        node
    }

    async fn call(&self, node: &Node, family: Family) -> Result<u16, TransportError> {
        let request = WireRequest {
            operation: "orders.attention",
            secret: self.secret(),
            deadline_ms: 5_000,
            traceparent: String::new(),
            class: Class::default(),
            key: None,
            attempt: 1,
            body: r#"{"limit":1}"#.into(),
        };
        let answer = HttpTransport::new(node, family).send(&self.address, request).await;
        answer.map(|answer| answer.status)
    }

    /// How many handshakes orders-1 refused for this reason.
    async fn refused(&self, reason: &str) -> u64 {
        metric(&self.page().await, "trestle_tls_refused_total", reason).map_or(0, |count| count as u64)
    }

    /// Waits until one more than before was refused: the client may hear of it a moment before it is counted.
    async fn has_refused(&self, reason: &str, before: u64) {
        self.shop.until(reason, async || self.refused(reason).await > before).await;
        assert_eq!(self.refused(reason).await, before + 1, "{reason}");
    }

    async fn page(&self) -> String {
        self.shop.http.get(format!("http://{}/metrics", self.ops)).send().await.unwrap().text().await.unwrap()
    }

    /// The node that refused goes on with those who may call.
    async fn serves(&self) {
        assert_eq!(self.call(&self.node(Some("logic")), Family::Orders).await, Ok(200));
    }
}

fn metric(page: &str, name: &str, label: &str) -> Option<f64> {
    let line = page.lines().find(|line| line.starts_with(name) && line.contains(&format!("\"{label}\"")))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_sells_by_mutual_tls_and_refuses_everybody_else() {
    let shop = Shop::start_with(|up| _ = up.arg("--tls")).await;
    let orders = shop.node("orders-1");
    let text = |name: &str| orders[name].as_str().unwrap().to_owned();
    let guarded = Guarded { address: text("address"), ops: text("ops_address"), shop };
    sells(&guarded.shop).await;
    guarded.serves().await;
    refuses_who_may_not_call(&guarded).await;
    checks_whom_it_calls(&guarded).await;
    is_not_held_up_by_silence(&guarded).await;
    takes_new_certificates(&guarded).await;
    speaks_https_at_the_edge(&guarded).await;
    // Nobody who may call was refused. (That a caller goes away in the middle of a handshake is no refusal.)
    let logic = guarded.shop.node("logic-1")["ops_address"].as_str().unwrap().to_owned();
    let page = guarded.shop.http.get(format!("http://{logic}/metrics")).send().await.unwrap().text().await.unwrap();
    let reasons =
        ["no_certificate", "foreign_ca", "family", "expired", "bad_certificate", "not_tls", "version", "other"];
    let wrong = reasons.iter().find(|reason| metric(&page, "trestle_tls_refused_total", reason).is_some());
    assert_eq!(wrong, None, "{page}");
}

/// A command that belongs to no shop.
fn trestle(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_trestle")).args(args).output().unwrap()
}

async fn sells(shop: &Shop) {
    let customer = Customer::arrive(shop).await;
    customer.add("emma", 1).await;
    let bought = customer.checkout(2, "a-purchase-by-mutual-tls", "tok_ok").await;
    assert_eq!(bought.status, 201, "{}", bought.text());
    assert_eq!(shop.ledger().await.len(), 1);
    assert_eq!(customer.call(1, Method::GET, "/api/orders", None).await.status, 200);
    for command in [&["attention", "list"][..], &["status"], &["cut", "logic", "orders"], &["heal"]] {
        let done = shop.trestle(command);
        assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    }
}

async fn refuses_who_may_not_call(guarded: &Guarded) {
    let ours = || Knock::trusting(&guarded.folder("ca").join("ca.pem"));
    let foreign = tempfile::tempdir().unwrap();
    let made = trestle(&["certificates", "--out", foreign.path().to_str().unwrap()]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let now_ms = Seams::system().now_ms();
    for (reason, knock) in [
        ("no_certificate", ours()),
        ("foreign_ca", ours().showing(&foreign.path().join("logic"))),
        ("family", ours().showing(&guarded.folder("frontend"))),
        ("expired", ours().showing_expired(&guarded.folder("ca"), "logic.trestle.internal", now_ms)),
    ] {
        let before = guarded.refused(reason).await;
        let answer = knock.ask(&guarded.address, ORDERS).await;
        assert!(answer.as_ref().is_err_and(|error| error.contains("alert")), "{reason}: {answer:?}");
        guarded.has_refused(reason, before).await;
        guarded.serves().await;
    }
    let sound = ours().showing(&guarded.folder("logic")).ask(&guarded.address, ORDERS).await;
    assert_eq!(sound.map(|(line, _)| line), Ok("HTTP/1.1 200 OK".to_owned()));

    let before = guarded.refused("not_tls").await;
    let plain = guarded.call(&guarded.node(None), Family::Orders).await;
    assert!(matches!(plain, Err(TransportError::Lost(_))), "{plain:?}");
    guarded.has_refused("not_tls", before).await;
    // A real client of the wrong family learns that nothing was done, so its call counts as not executed.
    let frontend = guarded.call(&guarded.node(Some("frontend")), Family::Orders).await;
    assert!(matches!(frontend, Err(TransportError::NotSent(_))), "{frontend:?}");
    guarded.serves().await;
}

async fn checks_whom_it_calls(guarded: &Guarded) {
    let logic = guarded.node(Some("logic"));
    let mistaken = guarded.call(&logic, Family::Payments).await;
    let Err(TransportError::NotSent(why)) = mistaken else {
        panic!("an orders node passed for payments: {mistaken:?}")
    };
    assert!(why.contains("TLS with a payments node"), "{why}");
    assert_eq!(metric(&logic.metrics.page(), "trestle_tls_refused_total", "family"), Some(1.0));
    assert!(!HttpTransport::new(&logic, Family::Payments).probe(&guarded.address).await);
    assert!(HttpTransport::new(&logic, Family::Orders).probe(&guarded.address).await);
}

async fn is_not_held_up_by_silence(guarded: &Guarded) {
    let before = guarded.refused("silent").await;
    let mut silent = TcpStream::connect(&guarded.address).await.unwrap();
    // The first bytes of a hello that never ends.
    silent.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
    guarded.serves().await;
    let end = tokio::time::timeout(PATIENCE, silent.read(&mut [0; 1])).await.unwrap();
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    guarded.has_refused("silent", before).await;
}

async fn takes_new_certificates(guarded: &Guarded) {
    let knock = Knock::trusting(&guarded.folder("ca").join("ca.pem")).showing(&guarded.folder("logic"));
    let (_, old) = knock.ask(&guarded.address, ORDERS).await.unwrap();
    let days = async || metric(&guarded.page().await, "trestle_tls_certificate_days_left", "tiers").unwrap();
    assert!((89.0..=90.0).contains(&days().await), "{}", days().await);
    let out = guarded.shop.data().join("tls");
    let renew = ["certificates", "--out", out.to_str().unwrap(), "--families", "orders", "--days", "30"];
    assert!(trestle(&renew).status.success());
    let pid = i32::try_from(guarded.shop.node("orders-1")["pid"].as_u64().unwrap()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::HUP).unwrap();
    guarded.shop.until("the new certificate counts", async || (29.0..=30.0).contains(&days().await)).await;
    let (line, new) = knock.ask(&guarded.address, ORDERS).await.unwrap();
    assert_eq!(line, "HTTP/1.1 200 OK");
    assert_ne!(old, new, "the next connection saw the old certificate");
    guarded.serves().await;
}

async fn speaks_https_at_the_edge(guarded: &Guarded) {
    // Any certificate will do for a public name; this one is at hand.
    let (folder, data) = (guarded.folder("operator"), guarded.shop.data());
    let logic = guarded.shop.node("logic-1")["address"].as_str().unwrap().to_owned();
    let address = guarded.shop.url(6, "").trim_start_matches("http://").to_owned();
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    // Beside the shop's own.
    let mut edge = Command::new(env!("CARGO_BIN_EXE_trestle"));
    edge.args(["node", "frontend", "--listen", &address, "--logic", &format!("static://{logic}")])
        .args(["--secret-file", &path(&data.join("cluster.secret")), "--tls", &path(&guarded.folder("frontend"))])
        .args(["--edge-tls-cert", &path(&folder.join("node.pem")), "--edge-tls-key", &path(&folder.join("node.key"))]);
    let _edge = Alone::start(&mut edge, &data.join("edge.log"));
    let customer = Knock::trusting(&guarded.folder("ca").join("ca.pem"));
    let name = "operator.trestle.internal";
    guarded
        .shop
        .until("HTTPS is answered", async || {
            customer.ask(&address, name).await.is_ok_and(|(line, _)| line.contains("200"))
        })
        .await;
    let session = customer.send(&address, name, "POST /api/session HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n").await;
    let session = session.unwrap().0;
    assert!(session.starts_with("HTTP/1.1 201") && session.contains("; Secure"), "{session}");
    let plain = guarded.shop.http.get(format!("http://{address}/")).send().await;
    assert!(plain.is_err(), "{plain:?}");
}

//! Starts the binary, calls it, ends it.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test ends by panicking")]

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::Duration;

use reqwest::{RequestBuilder, StatusCode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, interval};

/// Longer than anything here takes on a busy machine; only a failing test waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// A `not_after_ms` that does not come.
pub(crate) const NEVER_MS: i64 = 32_503_680_000_000;

/// A running provider. Killed when dropped.
pub(crate) struct Provider {
    child: Child,
    stderr: BufReader<ChildStderr>,
    pub(crate) warnings: Vec<String>,
    base: String,
    client: reqwest::Client,
}

/// The command, for starts that are expected to fail.
pub(crate) fn command(ledger: &Path, options: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_provider"));
    command.args(["--listen", "127.0.0.1:0", "--ledger"]).arg(ledger).args(options);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// A provider with a new ledger. The folder must outlive it.
pub(crate) fn start_new(options: &[&str]) -> (TempDir, Provider) {
    let folder = tempfile::tempdir().unwrap();
    let provider = Provider::start(&folder.path().join("ledger.jsonl"), options);
    (folder, provider)
}

impl Provider {
    /// Returns when the provider listens.
    pub(crate) fn start(ledger: &Path, options: &[&str]) -> Self {
        Self::start_command(command(ledger, options))
    }

    /// On a disk that is full after a few charges.
    pub(crate) fn start_on_a_small_disk(ledger: &Path) -> Self {
        let provider = command(ledger, &[]);
        let mut limited = Command::new("sh");
        limited.args(["-c", "trap '' XFSZ; ulimit -f 2; exec \"$0\" \"$@\""]);
        limited.arg(provider.get_program()).args(provider.get_args());
        limited.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        Self::start_command(limited)
    }

    fn start_command(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut warnings = Vec::new();
        let base = loop {
            let mut line = String::new();
            assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "the provider ended: {warnings:?}");
            match line.trim_end().strip_prefix("provider listening on ") {
                Some(address) => break format!("http://{address}"),
                None => warnings.push(line),
            }
        };
        Self { child, stderr, warnings, base, client: client() }
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.base))
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.base))
    }

    pub(crate) fn charge_request(&self, key: &str, body: &Value) -> RequestBuilder {
        self.post("/charges").header("Idempotency-Key", key).json(body)
    }

    pub(crate) async fn charge(&self, key: &str, body: &Value) -> (StatusCode, Value) {
        read(self.charge_request(key, body)).await
    }

    pub(crate) fn refund_request(&self, key: &str, body: &Value) -> RequestBuilder {
        self.post("/refunds").header("Idempotency-Key", key).json(body)
    }

    pub(crate) async fn refund(&self, key: &str, body: &Value) -> (StatusCode, Value) {
        read(self.refund_request(key, body)).await
    }

    pub(crate) async fn refunds(&self) -> Vec<Value> {
        let (status, page) = read(self.get("/refunds")).await;
        assert_eq!(status, StatusCode::OK);
        page["refunds"].as_array().unwrap().clone()
    }

    pub(crate) async fn ledger(&self) -> Vec<Value> {
        let (status, page) = read(self.get("/ledger")).await;
        assert_eq!(status, StatusCode::OK);
        page["charges"].as_array().unwrap().clone()
    }

    pub(crate) async fn stats(&self) -> Value {
        read(self.get("/stats")).await.1
    }

    pub(crate) async fn set_faults(&self, change: &Value) -> (StatusCode, Value) {
        read(self.post("/admin/faults").json(change)).await
    }

    pub(crate) async fn until_ledger_has(&self, rows: usize) {
        until("the ledger has its rows", async || self.ledger().await.len() == rows).await;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits for the end and returns how it went, with what was printed after the start line.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let mut rest = String::new();
        self.stderr.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap(), rest)
    }

    /// Ends it in order.
    pub(crate) fn stop(self) {
        self.signal(Signal::TERM);
        let (status, rest) = self.wait();
        assert!(status.success(), "{status}");
        assert_eq!(rest, "", "only the start line is printed");
    }

    /// kill -9.
    pub(crate) fn kill(self) {
        self.signal(Signal::KILL);
        let (status, _) = self.wait();
        assert!(!status.success());
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        // Already gone after `wait`; then both do nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the provider shares no code with the shop, so its tests have no rpc client"
)]
fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap()
}

pub(crate) async fn read(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

/// Sends a request that must not be answered, whatever ends it.
pub(crate) async fn expect_no_answer(request: RequestBuilder) {
    let error = request.send().await.expect_err("an answer came");
    assert!(!error.is_connect(), "the request was not even sent: {error:?}");
}

pub(crate) async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    let mut tick = interval(Duration::from_millis(5));
    while !condition().await {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tick.tick().await;
    }
}

pub(crate) fn body(token: &str, reference: &str) -> Value {
    json!({
        "amount": {"amount_minor": 1299, "currency": "GBP"},
        "token": token,
        "reference": reference,
        "not_after_ms": NEVER_MS,
    })
}

pub(crate) fn refund_body(reference: &str, amount_minor: i64) -> Value {
    json!({"reference": reference, "amount": {"amount_minor": amount_minor, "currency": "GBP"}})
}

/// `body` with another value at a JSON pointer.
pub(crate) fn body_with(pointer: &str, value: Value) -> Value {
    let mut body = body("tok_ok", "r");
    *body.pointer_mut(pointer).unwrap() = value;
    body
}

pub(crate) fn code(answer: &(StatusCode, Value)) -> (u16, &str) {
    (answer.0.as_u16(), answer.1["code"].as_str().unwrap_or("none"))
}

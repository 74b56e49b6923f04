//! What the customers sent and what they were told: one entry for each attempt, made before it is sent.
//!
//! Attempts and not calls, because the promises are about attempts: a call that was sent three times got up to three
//! answers, and each of them must be true. An entry that never got an answer may have had its effect.

use std::sync::{Mutex, MutexGuard, PoisonError};

use reqwest::Method;
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    client::{Answer, Call},
    wire::Problem,
};

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    Add {
        sku: String,
        quantity: i64,
    },
    Set {
        sku: String,
        quantity: i64,
    },
    Remove {
        sku: String,
    },
    View,
    Checkout,
    Order {
        id: String,
    },
    /// Browsing and opening sessions: only whether it worked matters.
    Other,
}

/// An answer, as far as it is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) status: u16,
    /// Name of the problem document; empty for a success.
    pub(crate) problem: String,
    /// Empty for [`What::Other`].
    pub(crate) body: String,
    pub(crate) replayed: bool,
    /// The order that the answer names.
    pub(crate) order: Option<String>,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    Told(Told),
    /// The connection never stood, so nothing was sent.
    NotSent,
    /// The customer did not want to know.
    HungUp,
    /// Timeout or reset.
    Lost,
    /// The run ended meanwhile.
    Stopped,
}

/// One attempt.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    /// The session's token; empty without a session.
    pub(crate) session: String,
    pub(crate) what: What,
    pub(crate) key: Option<String>,
    /// The JSON sent: two attempts under one key are the same request only if this is the same.
    pub(crate) fingerprint: String,
    /// Milliseconds since the run began.
    pub(crate) begin_ms: u64,
    /// `None` while there is no answer: such a request may have its effect at any time.
    pub(crate) end_ms: Option<u64>,
    pub(crate) reply: Reply,
}

impl Sent {
    pub(crate) fn told(&self) -> Option<&Told> {
        match &self.reply {
            Reply::Told(told) => Some(told),
            _ => None,
        }
    }

    /// Whether its customer saw a failure: no answer, an overloaded or a broken shop.
    pub(crate) fn failed(&self) -> bool {
        match &self.reply {
            Reply::Told(told) => told.status == 429 || told.status >= 500,
            Reply::NotSent | Reply::Lost => true,
            Reply::HungUp | Reply::Stopped => false,
        }
    }

    /// What was asked, when, and what came of it.
    pub(crate) fn in_words(&self) -> String {
        let came = match &self.reply {
            Reply::Told(told) => format!("{} {}", told.status, told.problem),
            other => format!("{other:?}"),
        };
        let key = self.key.as_deref().unwrap_or("no key");
        let took =
            self.end_ms.map_or_else(|| "no answer".to_owned(), |end_ms| format!("{} ms", end_ms - self.begin_ms));
        format!("{:?} ({key}) at {} ms: {came}, {took}", self.what, self.begin_ms)
    }

    /// Whether it may have an effect that its sender was not told of.
    pub(crate) fn may_have_effect(&self) -> bool {
        match &self.reply {
            // "busy" is the shop's word for "nothing happened", and the checker holds it to that word.
            Reply::Told(told) => told.status >= 500 && told.problem != "busy",
            Reply::NotSent => false,
            Reply::HungUp | Reply::Lost | Reply::Stopped => true,
        }
    }
}

impl Told {
    /// The answer that is stored for its key, to be repeated byte for byte.
    pub(crate) fn is_final(&self) -> bool {
        match self.status {
            201 | 402 => true,
            409 => ["out-of-stock", "operation-abandoned"].contains(&self.problem.as_str()),
            _ => false,
        }
    }

    /// A refusal that says that this key stands for nothing.
    pub(crate) fn is_unused(&self) -> bool {
        match self.status {
            409 => ["total-changed", "cart-empty", "cart-claimed"].contains(&self.problem.as_str()),
            400 | 401 | 413 | 415 | 429 => true,
            422 => self.problem != "key-reused",
            _ => self.problem == "busy",
        }
    }

    /// The key's checkout is under way.
    pub(crate) fn is_open(&self) -> bool {
        self.status == 202 || (self.status == 409 && self.problem == "in-progress")
    }
}

/// Where customers write; time starts with it.
#[derive(Debug)]
pub(crate) struct Recorder {
    start: Instant,
    all: Mutex<Vec<Sent>>,
}

impl Recorder {
    pub(crate) fn new(start: Instant) -> Self {
        Self { start, all: Mutex::default() }
    }

    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Sent>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Before the first byte.
    pub(crate) fn begin(&self, call: &Call) -> usize {
        let what = what(call);
        let fingerprint = match what {
            What::Other | What::View | What::Order { .. } => String::new(),
            _ => call.body.as_ref().map(ToString::to_string).unwrap_or_default(),
        };
        let sent = Sent {
            session: call.token.clone().unwrap_or_default(),
            what,
            key: call.key.clone(),
            fingerprint,
            begin_ms: self.now_ms(),
            end_ms: None,
            reply: Reply::Stopped,
        };
        let mut all = self.lock();
        all.push(sent);
        all.len() - 1
    }

    /// After the last.
    pub(crate) fn end(&self, index: usize, result: &Result<Answer, reqwest::Error>) {
        let now_ms = self.now_ms();
        let sent = &mut self.lock()[index];
        match result {
            Ok(answer) => {
                sent.end_ms = Some(now_ms);
                sent.reply = Reply::Told(told(&sent.what, answer));
            }
            Err(error) if error.is_connect() => {
                sent.end_ms = Some(now_ms);
                sent.reply = Reply::NotSent;
            }
            Err(_) => sent.reply = Reply::Lost,
        }
    }

    pub(crate) fn hung_up(&self, index: usize) {
        self.lock()[index].reply = Reply::HungUp;
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    pub(crate) fn snapshot(&self) -> Vec<Sent> {
        self.lock().clone()
    }

    /// Looks at the entries from `from` on, without copying.
    pub(crate) fn since<R>(&self, from: usize, work: impl FnOnce(&[Sent]) -> R) -> R {
        let all = self.lock();
        work(all.get(from..).unwrap_or(&[]))
    }
}

fn what(call: &Call) -> What {
    let path = call.path.split('?').next().unwrap_or("");
    let number = |name: &str| call.body.as_ref().and_then(|body| body[name].as_i64()).unwrap_or(0);
    let text = |name: &str| call.body.as_ref().and_then(|body| body[name].as_str()).unwrap_or("").to_owned();
    let line = path.strip_prefix("/api/cart/lines/").map(str::to_owned);
    match (&call.method, path, line) {
        (&Method::POST, "/api/cart/lines", _) => What::Add { sku: text("sku"), quantity: number("quantity") },
        (&Method::PUT, _, Some(sku)) => What::Set { sku, quantity: number("quantity") },
        (&Method::DELETE, _, Some(sku)) => What::Remove { sku },
        (&Method::GET, "/api/cart", _) => What::View,
        (&Method::POST, "/api/checkout", _) => What::Checkout,
        (&Method::GET, _, _) => {
            let order = path.strip_prefix("/api/orders/");
            order.map_or(What::Other, |id| What::Order { id: id.to_owned() })
        }
        _ => What::Other,
    }
}

fn told(what: &What, answer: &Answer) -> Told {
    let problem = if answer.status < 400 { String::new() } else { Problem::parse(&answer.body).name().to_owned() };
    let text = || String::from_utf8_lossy(&answer.body).into_owned();
    let body = if *what == What::Other { String::new() } else { text() };
    let json: Value =
        if *what == What::Checkout { serde_json::from_str(&body).unwrap_or_default() } else { Value::Null };
    let named = json["operation_ref"].as_str().or(json["id"].as_str()).map(str::to_owned);
    let located = answer.location.as_deref().and_then(|location| location.rsplit_once("/api/orders/"));
    let order = named.or(located.map(|(_, id)| id.to_owned()));
    Told { status: answer.status, problem, body, replayed: answer.replayed, order }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::measure::Step;

    #[test]
    fn calls_are_read_as_what_they_ask_for() {
        let call = |method: Method, path: &str, body: Option<Value>| {
            let path = path.to_owned();
            what(&Call { step: Step::Add, method, path, token: None, key: None, body })
        };
        let sku = "emma".to_owned();
        let body = json!({"sku": "emma", "quantity": 2});
        assert_eq!(call(Method::POST, "/api/cart/lines", Some(body)), What::Add { sku: sku.clone(), quantity: 2 });
        let set = call(Method::PUT, "/api/cart/lines/emma", Some(json!({"quantity": 3})));
        assert_eq!(set, What::Set { sku: sku.clone(), quantity: 3 });
        assert_eq!(call(Method::DELETE, "/api/cart/lines/emma", None), What::Remove { sku });
        assert_eq!(call(Method::GET, "/api/orders/o1", None), What::Order { id: "o1".to_owned() });
        assert_eq!(call(Method::GET, "/api/orders?limit=100", None), What::Other);
    }
}

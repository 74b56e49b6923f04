//! The third party: charges by key, refuses a reference that was used, forgets keys after a while, takes its time, loses
//! answers. Its book is the outside truth.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use contract::{Money, payments::Charge};
use payments::provider::{Found, Provider, ProviderAnswer};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep, sleep_until},
};

use crate::{chance::Chance, counts::Counts, network::Process, run::Emphasis};

/// The longest that the provider works on a request: a little less than it has promised.
pub(crate) const HANDLING_MAX: Duration = Duration::from_secs(9);

/// What was really charged.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) reference: String,
    pub(crate) amount: Money,
}

#[derive(Clone, Debug)]
struct Remembered {
    at_ms: i64,
    answer: ProviderAnswer,
}

#[derive(Debug, Default)]
struct Books {
    charges: Vec<Entry>,
    keys: BTreeMap<String, Remembered>,
}

/// What the provider promises, and how long the shop therefore sends a charge.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contract {
    /// How long the shop sends a charge, in seconds.
    pub(crate) window_s: u64,
    /// How long a key is remembered.
    pub(crate) key_window_ms: i64,
    /// References are unique for ever, and can be looked up.
    pub(crate) permanent_reference: bool,
    /// What comes too late is refused.
    pub(crate) enforces_not_after: bool,
    /// Answers that are lost of those whose token asks for it, in a thousand.
    pub(crate) loses: u64,
}

impl Contract {
    /// Long in most seeds. In some, over within the run: as short as the sum of all that may be late allows (CO-8: the longest
    /// handling, one request's life, a pause, and no skew between the database and the provider).
    pub(crate) fn of(chance: &Chance, emphasis: Emphasis) -> Self {
        let is_bare = emphasis == Emphasis::Windows;
        let enforces_not_after = !is_bare && chance.permille(700);
        if !is_bare && !chance.permille(250) {
            let (window_s, key_window_ms) = (3_600, 86_400_000);
            return Self { window_s, key_window_ms, permanent_reference: true, enforces_not_after, loses: 500 };
        }
        let window_s = chance.between(5, 20);
        let key_window_ms = (window_s as i64 + 10 + 3 + 8) * 1_000;
        let permanent_reference = !is_bare && chance.permille(500);
        Self {
            window_s,
            key_window_ms,
            permanent_reference,
            enforces_not_after,
            loses: if is_bare { 950 } else { 500 },
        }
    }
}

/// The provider itself.
pub(crate) struct Sandbox {
    chance: Arc<Chance>,
    counts: Arc<Counts>,
    books: Mutex<Books>,
    in_flight: AtomicU64,
    most: AtomicU64,
    pub(crate) contract: Contract,
    /// Answers nobody.
    pub(crate) black_hole: AtomicBool,
    /// In thousandths of all requests, besides what the token asks for.
    pub(crate) trouble: AtomicU64,
    /// Tokens that ask for a failure get it; not after everything has healed.
    pub(crate) is_moody: AtomicBool,
    events: mpsc::UnboundedSender<Entry>,
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").finish_non_exhaustive()
    }
}

impl Sandbox {
    pub(crate) fn new(
        chance: Arc<Chance>,
        counts: Arc<Counts>,
        contract: Contract,
        events: mpsc::UnboundedSender<Entry>,
    ) -> Arc<Self> {
        Arc::new(Self {
            chance,
            counts,
            books: Mutex::default(),
            in_flight: AtomicU64::new(0),
            most: AtomicU64::new(0),
            contract,
            black_hole: AtomicBool::new(false),
            trouble: AtomicU64::new(0),
            is_moody: AtomicBool::new(true),
            events,
        })
    }

    pub(crate) fn charges(&self) -> Vec<Entry> {
        self.books.lock().unwrap().charges.clone()
    }

    pub(crate) fn most_at_once(&self) -> u64 {
        self.most.load(Ordering::Relaxed)
    }

    fn moody(&self) -> bool {
        self.is_moody.load(Ordering::Relaxed)
    }

    /// Takes the request in, works on it for a while and decides, whether or not the caller still listens.
    async fn handle(&self, charge: Charge, key: String, reference: String) -> ProviderAnswer {
        let now = self.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(now, Ordering::Relaxed);
        let (token, arrived) = (charge.token.0.as_str(), Instant::now());
        let late = token == "tok_late" && self.chance.permille(300);
        let most_ms = if late {
            HANDLING_MAX.as_millis() as u64
        } else if self.chance.permille(50) {
            5_000
        } else {
            60
        };
        sleep(Duration::from_millis(self.chance.between(1, most_ms))).await;
        if self.black_hole.load(Ordering::Relaxed) {
            sleep_until(arrived + HANDLING_MAX).await;
            self.in_flight.fetch_sub(1, Ordering::Relaxed);
            return unknown("black hole");
        }
        let answer = self.decide(&charge, &key, &reference);
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.chance.note(&format!("provider decides {answer:?} under {key}"));
        let trouble = self.chance.permille(self.trouble.load(Ordering::Relaxed));
        let lose = match token {
            "tok_charge_then_timeout" | "tok_charge_then_500" if self.moody() => {
                self.chance.permille(self.contract.loses)
            }
            _ => trouble,
        };
        if late {
            Counts::add(&self.counts.provider_late);
        }
        if lose && matches!(answer, ProviderAnswer::Charged { .. }) {
            Counts::add(&self.counts.provider_lost);
            return unknown("the answer was lost");
        }
        answer
    }

    fn decide(&self, charge: &Charge, key: &str, reference: &str) -> ProviderAnswer {
        let token = charge.token.0.as_str();
        if token == "tok_429" && self.moody() && self.chance.permille(400) {
            Counts::add(&self.counts.provider_busy);
            let reason = "429".to_owned();
            return ProviderAnswer::NotExecuted { reason, retry_after_ms: Some(700) };
        }
        if token == "tok_500_no_charge" && self.moody() && self.chance.permille(400) {
            Counts::add(&self.counts.provider_failed);
            return unknown("500");
        }
        let now_ms = self.chance.now_ms();
        let mut books = self.books.lock().unwrap();
        if let Some(remembered) = books.keys.get(key) {
            if now_ms - remembered.at_ms <= self.contract.key_window_ms {
                return remembered.answer.clone();
            }
            books.keys.remove(key);
        }
        let answer =
            if self.contract.permanent_reference && books.charges.iter().any(|entry| entry.reference == reference) {
                return unknown("reference used");
            } else if self.contract.enforces_not_after && now_ms > charge.not_after_ms {
                ProviderAnswer::Declined { code: "too_late".to_owned() }
            } else if token == "tok_declined" {
                ProviderAnswer::Declined { code: "card_declined".to_owned() }
            } else {
                let id = format!("ch_{}", books.charges.len() + 1);
                let entry = Entry { id: id.clone(), reference: reference.to_owned(), amount: charge.amount };
                self.chance.note(&format!("provider charges {} for {reference}", charge.amount));
                books.charges.push(entry.clone());
                let _ = self.events.send(entry);
                ProviderAnswer::Charged { provider_id: id }
            };
        books.keys.insert(key.to_owned(), Remembered { at_ms: now_ms, answer: answer.clone() });
        answer
    }
}

fn unknown(reason: &str) -> ProviderAnswer {
    ProviderAnswer::Unknown { reason: reason.to_owned() }
}

/// The way from one payments process to the provider.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) sandbox: Arc<Sandbox>,
    pub(crate) process: Arc<Process>,
}

impl Line {
    /// A request on its way; it arrives and is worked on even if this process dies.
    #[expect(clippy::disallowed_methods, reason = "the provider is no node of ours")]
    async fn ask(&self, charge: &Charge) -> ProviderAnswer {
        self.process.gate().await;
        let sandbox = self.sandbox.clone();
        if sandbox.chance.permille(sandbox.trouble.load(Ordering::Relaxed) / 2) {
            let reason = "connection refused".to_owned();
            return ProviderAnswer::NotExecuted { reason, retry_after_ms: None };
        }
        let (charge, (answers, answer)) = (charge.clone(), oneshot::channel());
        tokio::spawn(async move {
            let key = charge.operation.to_string();
            let answer = sandbox.handle(charge, key.clone(), key).await;
            let _ = answers.send(answer);
        });
        let answer = answer.await.unwrap_or_else(|_| unknown("connection reset"));
        self.process.gate().await;
        answer
    }
}

#[async_trait]
impl Provider for Line {
    async fn charge(&self, charge: &Charge) -> ProviderAnswer {
        self.ask(charge).await
    }

    async fn find(&self, charge: &Charge) -> Found {
        Counts::add(&self.sandbox.counts.provider_looked_up);
        self.process.gate().await;
        sleep(Duration::from_millis(self.sandbox.chance.between(1, 40))).await;
        self.process.gate().await;
        if !self.sandbox.contract.permanent_reference || self.sandbox.black_hole.load(Ordering::Relaxed) {
            return Found::Unknown { reason: "not supported".to_owned() };
        }
        let reference = charge.operation.to_string();
        match self.sandbox.charges().into_iter().find(|entry| entry.reference == reference) {
            Some(entry) => Found::Charged { provider_id: entry.id },
            None => Found::NotFound,
        }
    }
}

//! The history by checkout: one [`Case`] for each session and key, with all its attempts and its row.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    Evidence,
    dump::Operation,
    history::{Reply, Sent, What},
};

/// What a customer was told about a key, all answers together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate<'a> {
    /// Bought: the order's id.
    Bought(&'a str),
    /// Definitely not, and never by this key.
    Refused,
    /// Every answer said that the key stands for nothing, and no attempt is without an answer.
    Unused,
    /// Anything else; the order, if an answer named it.
    Unknown(Option<&'a str>),
}

/// One key of one session.
#[derive(Debug)]
pub(crate) struct Case<'a> {
    pub(crate) session: &'a str,
    pub(crate) key: &'a str,
    /// Attempts of the request itself, in order of sending.
    pub(crate) sends: Vec<&'a Sent>,
    /// Attempts with the same key and another body.
    pub(crate) poisons: Vec<&'a Sent>,
    /// Polls of the order that its answers named.
    pub(crate) polls: Vec<&'a Sent>,
    pub(crate) row: Option<&'a Operation>,
    pub(crate) fate: Fate<'a>,
    /// What the customer agreed to pay, in minor units.
    pub(crate) agreed_minor: Option<i64>,
}

impl Case<'_> {
    pub(crate) fn begin_ms(&self) -> u64 {
        self.sends.first().map_or(0, |sent| sent.begin_ms)
    }

    /// When its customer first knew the final answer.
    pub(crate) fn known_ms(&self) -> Option<u64> {
        let finals = self.sends.iter().filter(|sent| sent.told().is_some_and(|told| told.is_final()));
        let polled = self.polls.iter().filter(|sent| poll_end(sent).is_some());
        finals.chain(polled).filter_map(|sent| sent.end_ms).min()
    }
}

/// Everything, indexed.
#[derive(Debug)]
pub(crate) struct Book<'a> {
    pub(crate) evidence: &'a Evidence,
    pub(crate) cases: Vec<Case<'a>>,
    /// Operations made during the run.
    pub(crate) new: Vec<&'a Operation>,
    pub(crate) by_id: BTreeMap<&'a str, &'a Operation>,
    /// Who a session is to the databases, where that is certain.
    pub(crate) principals: BTreeMap<&'a str, &'a str>,
    /// Keys that more than one session used.
    pub(crate) shared: BTreeSet<&'a str>,
}

type Groups<'a> = BTreeMap<(&'a str, &'a str), Vec<&'a Sent>>;

impl<'a> Book<'a> {
    pub(crate) fn new(evidence: &'a Evidence) -> Self {
        let mut groups: Groups<'a> = BTreeMap::new();
        let mut polls: BTreeMap<(&str, &str), Vec<&Sent>> = BTreeMap::new();
        let mut users: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for sent in &evidence.sent {
            match (&sent.what, &sent.key) {
                (What::Checkout, Some(key)) => {
                    groups.entry((&sent.session, key)).or_default().push(sent);
                    users.entry(key).or_default().insert(&sent.session);
                }
                (What::Order { id }, _) => polls.entry((&sent.session, id)).or_default().push(sent),
                _ => {}
            }
        }
        let shared: BTreeSet<&str> = users.iter().filter(|(_, who)| who.len() > 1).map(|(key, _)| *key).collect();
        let mut by_key: BTreeMap<&str, Vec<&Operation>> = BTreeMap::new();
        let mut by_id = BTreeMap::new();
        let mut new = Vec::new();
        for operation in &evidence.dump.operations {
            by_id.insert(operation.id.as_str(), operation);
            if !evidence.before.contains(&operation.id) {
                by_key.entry(&operation.key).or_default().push(operation);
                new.push(operation);
            }
        }
        let principals = principals(&groups, &shared, &by_key);
        let mut cases = Vec::new();
        for ((session, key), all) in groups {
            let rows = by_key.get(key).map_or(&[][..], Vec::as_slice);
            let known = principals.get(session);
            let row = rows.iter().find(|row| known.is_some_and(|known| row.principal == **known)).copied();
            // Of a key that one session alone used, the row is that session's whatever its principal.
            let row = row.or_else(|| rows.first().filter(|_| !shared.contains(key)).copied());
            cases.push(case(session, key, all, row, &polls));
        }
        by_elimination(&mut cases, &shared, &by_key, &principals);
        Self { evidence, cases, new, by_id, principals, shared }
    }
}

/// Of a key that several sessions used, a session that was never told anything is nobody to the databases. The rows that are
/// left over are those sessions' rows, if there are not more of them than sessions.
fn by_elimination<'a>(
    cases: &mut [Case<'a>],
    shared: &BTreeSet<&'a str>,
    by_key: &BTreeMap<&'a str, Vec<&'a Operation>>,
    principals: &BTreeMap<&'a str, &'a str>,
) {
    for key in shared {
        let (mut open, mut taken) = (Vec::new(), BTreeSet::new());
        for case in cases.iter_mut().filter(|case| case.key == *key) {
            match (case.row, &case.fate) {
                (Some(row), _) => drop(taken.insert(row.id.as_str())),
                (None, Fate::Unknown(None)) if !principals.contains_key(case.session) => open.push(case),
                (None, _) => {}
            }
        }
        let rows = by_key.get(key).into_iter().flatten();
        let left: Vec<_> = rows.filter(|row| !taken.contains(row.id.as_str())).copied().collect();
        if left.len() <= open.len() {
            for (case, row) in open.into_iter().zip(left) {
                case.row = Some(row);
            }
        }
    }
}

/// A session is the principal of the rows of the keys that only it used, and of the rows that its answers named. A shop
/// that answers with another's order makes two sessions one principal, which K11 sees.
fn principals<'a>(
    groups: &Groups<'a>,
    shared: &BTreeSet<&str>,
    by_key: &BTreeMap<&str, Vec<&'a Operation>>,
) -> BTreeMap<&'a str, &'a str> {
    let mut principals = BTreeMap::new();
    for (session, key) in groups.keys() {
        if let Some(row) = by_key.get(key).and_then(|rows| rows.first()).filter(|_| !shared.contains(key)) {
            principals.entry(*session).or_insert(row.principal.as_str());
        }
    }
    for ((session, key), all) in groups {
        let named = all.iter().filter_map(|sent| sent.told()).filter(|told| told.is_final() || told.is_open());
        let Some(id) = named.filter_map(|told| told.order.as_deref()).next() else { continue };
        if let Some(row) = by_key.get(key).and_then(|rows| rows.iter().find(|row| row.id == id)) {
            principals.entry(*session).or_insert(row.principal.as_str());
        }
    }
    principals
}

fn case<'a>(
    session: &'a str,
    key: &'a str,
    mut all: Vec<&'a Sent>,
    row: Option<&'a Operation>,
    polls: &BTreeMap<(&'a str, &'a str), Vec<&'a Sent>>,
) -> Case<'a> {
    all.sort_by_key(|sent| sent.begin_ms);
    let first = all.first().map_or("", |sent| sent.fingerprint.as_str());
    let (sends, poisons): (Vec<_>, Vec<_>) = all.iter().copied().partition(|sent| sent.fingerprint == first);
    let named = sends.iter().filter_map(|sent| sent.told()).find_map(|told| {
        let ours = told.is_final() || told.is_open();
        told.order.as_deref().filter(|_| ours)
    });
    let polls = named.and_then(|id| polls.get(&(session, id)).cloned()).unwrap_or_default();
    let fate = fate(&sends, &polls, named);
    let body: Value = serde_json::from_str(first).unwrap_or_default();
    let agreed_minor = body["expected_total"]["amount_minor"].as_i64();
    Case { session, key, sends, poisons, polls, row, fate, agreed_minor }
}

fn fate<'a>(sends: &[&'a Sent], polls: &[&'a Sent], named: Option<&'a str>) -> Fate<'a> {
    let mut finals = sends.iter().filter_map(|sent| sent.told()).filter(|told| told.is_final());
    match finals.next() {
        Some(told) if told.status == 201 => return told.order.as_deref().map_or(Fate::Unknown(None), Fate::Bought),
        Some(_) => return Fate::Refused,
        None => {}
    }
    let polled = polls.iter().find_map(|sent| poll_end(sent));
    match (polled.as_deref(), named) {
        (Some("completed" | "refunded"), Some(id)) => return Fate::Bought(id),
        (Some("declined" | "refused"), _) => return Fate::Refused,
        _ => {}
    }
    let nothing = |sent: &&Sent| match &sent.reply {
        Reply::Told(told) => told.is_unused(),
        Reply::NotSent => true,
        Reply::HungUp | Reply::Lost | Reply::Stopped => false,
    };
    if sends.iter().all(nothing) { Fate::Unused } else { Fate::Unknown(named) }
}

/// The state that a poll of an order showed, if it is one that lasts.
pub(crate) fn poll_end(sent: &Sent) -> Option<String> {
    let told = sent.told().filter(|told| told.status == 200)?;
    let body: Value = serde_json::from_str(&told.body).ok()?;
    let state = body["state"].as_str()?;
    ["completed", "refunded", "declined", "refused"].contains(&state).then(|| state.to_owned())
}

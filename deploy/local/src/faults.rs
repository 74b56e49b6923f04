//! Which links between nodes are bad on purpose, and what each node must be told so that they are. Pure.
//!
//! A fault is kept as it was asked for, by names, and shown so; what it means for one node is worked out anew from the
//! plan whenever that node must be told (`supervisor/faults.rs`). The provider is not ours and obeys nothing: calls to it
//! can be cut, its own events to the frontends cannot.

use std::{collections::BTreeSet, fmt};

use contract::Family;
use runtime::{FaultRule, FaultRules};
use serde::{Deserialize, Serialize};

use crate::plan::NodePlan;

/// Most faults at a time: more than anybody can keep in mind.
const FAULTS_MAX: usize = 64;

/// What is wrong with a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum FaultKind {
    /// Nothing passes, in either direction.
    Cut,
    /// Each call takes longer, in either direction.
    Slow,
    /// Calls from A to B are executed, their replies never arrive.
    LoseReplies,
}

/// One fault as it was asked for. A and B name nodes, families or sites.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fault {
    pub(crate) kind: FaultKind,
    pub(crate) a: String,
    pub(crate) b: String,
    /// How much longer, for [`FaultKind::Slow`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ms: Option<u32>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, a, b, ms } = self;
        match kind {
            FaultKind::Cut => write!(f, "cut           {a} <-> {b}"),
            FaultKind::Slow => write!(f, "slow {:<8} {a} <-> {b}", format!("{} ms", ms.unwrap_or_default())),
            FaultKind::LoseReplies => write!(f, "lose replies  of calls {a} -> {b}"),
        }
    }
}

/// A link by the places of its ends in the plan: calls from the first to the second.
type Link = (usize, usize);

/// All faults of a cluster.
#[derive(Debug, Default)]
pub(crate) struct FaultBook {
    /// Rises with each change, so that nodes can tell an overtaken list from the last.
    version: u64,
    faults: Vec<Fault>,
}

impl FaultBook {
    pub(crate) fn faults(&self) -> Vec<Fault> {
        self.faults.clone()
    }

    pub(crate) const fn version(&self) -> u64 {
        self.version
    }

    /// Adds a fault; one of the same kind between the same two names is replaced. The error is for people.
    pub(crate) fn add(&mut self, fault: Fault, nodes: &[&NodePlan]) -> Result<(), String> {
        let Fault { a, b, .. } = &fault;
        if links(&fault, nodes)?.is_empty() {
            return Err(format!(
                "no call goes from {a} to {b} that could be disturbed: a node does not call itself, and the provider, not \
                 being ours, obeys nothing"
            ));
        }
        let same = |other: &Fault| other.kind == fault.kind && other.a == *a && other.b == *b;
        if self.faults.len() >= FAULTS_MAX && !self.faults.iter().any(same) {
            return Err(format!("there are {FAULTS_MAX} faults already; end some with `trestle heal`"));
        }
        self.faults.retain(|other| !same(other));
        self.faults.push(fault);
        self.version += 1;
        Ok(())
    }

    /// Ends all faults, or those that lie wholly between two names; answers which. The error is for people.
    pub(crate) fn heal(&mut self, between: Option<(&str, &str)>, nodes: &[&NodePlan]) -> Result<Vec<Fault>, String> {
        let Some((a, b)) = between else {
            self.version += 1;
            return Ok(std::mem::take(&mut self.faults));
        };
        let named = Fault { kind: FaultKind::Cut, a: a.to_owned(), b: b.to_owned(), ms: None };
        let named: BTreeSet<Link> = links(&named, nodes)?.into_iter().collect();
        let (mut healed, mut kept, mut partly) = (Vec::new(), Vec::new(), None);
        for fault in &self.faults {
            let links = links(fault, nodes)?;
            if links.iter().all(|link| named.contains(link)) {
                healed.push(fault.clone());
                continue;
            }
            if links.iter().any(|link| named.contains(link)) {
                partly = Some(fault);
            }
            kept.push(fault.clone());
        }
        match (healed.is_empty(), partly) {
            (false, _) => {}
            (true, Some(Fault { a: wider_a, b: wider_b, .. })) => {
                return Err(format!(
                    "the fault between {wider_a} and {wider_b} is about more links than {a} and {b}; heal it as a whole: \
                     `trestle heal {wider_a} {wider_b}`"
                ));
            }
            (true, None) => return Err(format!("there is no fault between {a} and {b}; `trestle status` lists them")),
        }
        (self.faults, self.version) = (kept, self.version + 1);
        Ok(healed)
    }

    /// What one node must be told.
    pub(crate) fn rules_of(&self, node: &NodePlan, nodes: &[&NodePlan]) -> FaultRules {
        let mut rules = FaultRules { version: self.version, ..FaultRules::default() };
        for fault in &self.faults {
            // The names were known when the fault was added, and the plan never changes.
            for (_, to) in
                links(fault, nodes).unwrap_or_default().into_iter().filter(|(from, _)| nodes[*from].id == node.id)
            {
                let rule: &mut FaultRule = rules.rules.entry(nodes[to].address.clone()).or_default();
                match fault.kind {
                    FaultKind::Cut => rule.cut = true,
                    FaultKind::LoseReplies => rule.lose_replies = true,
                    FaultKind::Slow => rule.slow_ms = rule.slow_ms.max(fault.ms.unwrap_or_default()),
                }
            }
        }
        rules
    }
}

/// Every link that a fault is about.
fn links(fault: &Fault, nodes: &[&NodePlan]) -> Result<Vec<Link>, String> {
    let (a, b) = (named(&fault.a, nodes)?, named(&fault.b, nodes)?);
    let mut links = BTreeSet::new();
    for (a, b) in a.iter().flat_map(|a| b.iter().map(move |b| (*a, *b))).filter(|(a, b)| a != b) {
        links.insert((a, b));
        if fault.kind != FaultKind::LoseReplies {
            links.insert((b, a));
        }
    }
    Ok(links.into_iter().filter(|(from, _)| nodes[*from].family != Family::Provider).collect())
}

/// The nodes behind a name: a node, a family or a site.
fn named(name: &str, nodes: &[&NodePlan]) -> Result<Vec<usize>, String> {
    let all = |fits: &dyn Fn(&NodePlan) -> bool| {
        let found = nodes.iter().enumerate().filter(|(_, node)| fits(node));
        Some(found.map(|(at, _)| at).collect::<Vec<_>>()).filter(|found| !found.is_empty())
    };
    let found = all(&|node| node.id == name)
        .or_else(|| all(&|node| node.family.name() == name))
        .or_else(|| all(&|node| node.site == name));
    found.ok_or_else(|| {
        let ids: Vec<_> = nodes.iter().map(|node| node.id.as_str()).collect();
        let families: BTreeSet<_> = nodes.iter().map(|node| node.family.name()).collect();
        let sites: BTreeSet<_> = nodes.iter().map(|node| node.site.as_str()).collect();
        let list = |names: BTreeSet<&str>| names.into_iter().collect::<Vec<_>>().join(", ");
        format!(
            "there is no node, family or site \"{name}\"; the families are {}, the sites {}, the nodes {}",
            list(families),
            list(sites),
            ids.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(family: Family, number: u32, site: &str) -> NodePlan {
        let id = format!("{family}-{number}");
        NodePlan {
            family,
            site: site.to_owned(),
            address: format!("{id}:1"),
            ops_address: format!("{id}:2"),
            id,
            args: Vec::new(),
            env: Vec::new(),
        }
    }

    fn plan() -> Vec<NodePlan> {
        let both = |family| [node(family, 1, "seattle"), node(family, 2, "london")];
        let mut nodes: Vec<_> = [Family::Logic, Family::Carts].into_iter().flat_map(both).collect();
        nodes.extend([node(Family::Payments, 1, "seattle"), node(Family::Provider, 1, "seattle")]);
        nodes
    }

    fn fault(kind: FaultKind, a: &str, b: &str) -> Fault {
        Fault { kind, a: a.to_owned(), b: b.to_owned(), ms: (kind == FaultKind::Slow).then_some(300) }
    }

    /// The addresses that a node reaches badly.
    fn bad(book: &FaultBook, id: &str, nodes: &[&NodePlan]) -> Vec<String> {
        let node = nodes.iter().find(|node| node.id == id).unwrap();
        book.rules_of(node, nodes).rules.into_keys().collect()
    }

    #[test]
    fn names_are_nodes_families_or_sites_and_a_cut_works_both_ways() {
        let plan = plan();
        let nodes: Vec<_> = plan.iter().collect();
        let mut book = FaultBook::default();
        book.add(fault(FaultKind::Cut, "seattle", "london"), &nodes).unwrap();
        assert_eq!(bad(&book, "logic-1", &nodes), ["carts-2:1", "logic-2:1"]);
        assert_eq!(bad(&book, "carts-2", &nodes), ["carts-1:1", "logic-1:1", "payments-1:1", "provider-1:1"]);
        assert_eq!(bad(&book, "provider-1", &nodes), [""; 0], "it is not ours");
        book.heal(None, &nodes).unwrap();
        book.add(fault(FaultKind::LoseReplies, "logic", "payments-1"), &nodes).unwrap();
        assert_eq!(bad(&book, "logic-2", &nodes), ["payments-1:1"]);
        assert_eq!(bad(&book, "payments-1", &nodes), [""; 0], "one way only");
        book.add(fault(FaultKind::Slow, "carts", "carts"), &nodes).unwrap();
        assert_eq!(bad(&book, "carts-1", &nodes), ["carts-2:1"], "not to itself");
        assert_eq!(book.rules_of(nodes[2], &nodes).rules["carts-2:1"].slow_ms, 300);
    }

    #[test]
    fn unknown_names_are_answered_with_the_known_ones() {
        let plan = plan();
        let nodes: Vec<_> = plan.iter().collect();
        let error = FaultBook::default().add(fault(FaultKind::Cut, "logic", "order"), &nodes).unwrap_err();
        for known in ["\"order\"", "carts, logic, payments, provider", "london, seattle", "logic-1, logic-2, carts-1"] {
            assert!(error.contains(known), "{error}");
        }
        for (a, b) in [("logic-1", "logic-1"), ("provider", "logic")] {
            let error = FaultBook::default().add(fault(FaultKind::LoseReplies, a, b), &nodes).unwrap_err();
            assert!(error.contains("no call goes from"), "{error}");
        }
    }

    #[test]
    fn healing_ends_what_lies_between_two_names_and_never_a_part() {
        let plan = plan();
        let nodes: Vec<_> = plan.iter().collect();
        let mut book = FaultBook::default();
        for (a, b) in [("logic-1", "carts-1"), ("logic", "payments"), ("logic-1", "carts-1")] {
            book.add(fault(FaultKind::Cut, a, b), &nodes).unwrap();
        }
        assert_eq!(book.faults().len(), 2, "the same again is the same");
        let version = book.version();
        let error = book.heal(Some(("logic-1", "payments-1")), &nodes).unwrap_err();
        assert!(error.contains("trestle heal logic payments"), "{error}");
        let error = book.heal(Some(("carts", "payments")), &nodes).unwrap_err();
        assert!(error.contains("no fault between carts and payments"), "{error}");
        assert_eq!((book.version(), book.faults().len()), (version, 2), "nothing changed");
        let healed = book.heal(Some(("carts", "seattle")), &nodes).unwrap();
        assert_eq!(healed, [fault(FaultKind::Cut, "logic-1", "carts-1")], "named in the other order, and wider");
        assert_eq!(book.heal(None, &nodes).unwrap().len(), 1);
        assert!(book.version() > version + 1 && bad(&book, "logic-1", &nodes).is_empty());
    }
}

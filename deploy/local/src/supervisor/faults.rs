//! How nodes learn which of their links are bad on purpose.
//!
//! A node gets the whole list when it starts, in its environment, so that it never makes a call without it, and again
//! over its operations listener at every change. It counts as ready only when it knows the last list.

use contract::Family;
use futures_util::future::join_all;
use reqwest::StatusCode;
use runtime::FaultRules;

use super::{Cluster, PROBE_TIMEOUT, Supervised};
use crate::{
    control::FaultsNow,
    faults::{Fault, FaultBook},
    plan::NodePlan,
};

impl Cluster {
    /// Adds a fault and tells every node. The error is for people.
    pub(crate) async fn add_fault(&self, fault: Fault) -> Result<FaultsNow, String> {
        self.change_faults(|book, nodes| book.add(fault, nodes)).await.map(|((), now)| now)
    }

    /// Ends all faults or those between two names, and tells every node; answers which ended.
    pub(crate) async fn heal(&self, between: Option<(&str, &str)>) -> Result<(Vec<Fault>, FaultsNow), String> {
        self.change_faults(|book, nodes| book.heal(between, nodes)).await
    }

    /// What is bad on purpose.
    pub(crate) fn faults(&self) -> Vec<Fault> {
        self.book().faults()
    }

    async fn change_faults<T>(
        &self,
        change: impl FnOnce(&mut FaultBook, &[&NodePlan]) -> Result<T, String>,
    ) -> Result<(T, FaultsNow), String> {
        let nodes = self.plans();
        let changed = change(&mut self.book(), &nodes)?;
        let running = self.nodes.iter().filter(|node| node.lock().pid.is_some());
        let told = join_all(running.map(async |node| (node, self.tell_faults(node).await))).await;
        // Paused or starting: they are told before they count as ready.
        let later = told.into_iter().filter(|(_, told)| !told).map(|(node, _)| node.plan.id.clone()).collect();
        Ok((changed, FaultsNow { faults: self.faults(), later }))
    }

    /// Whether the node knows the last list now; tells it if not.
    pub(super) async fn tell_faults(&self, node: &Supervised) -> bool {
        if self.book().version() == node.lock().told {
            return true;
        }
        let Some(rules) = self.faults_of(node) else { return true };
        let url = format!("http://{}/faults", node.plan.ops_address);
        let request = self.probe.put(url).bearer_auth(self.secret.expose()).json(&rules).timeout(PROBE_TIMEOUT);
        // A conflict says that a later list has overtaken this one.
        let told = request.send().await.is_ok_and(|answer| answer.status() == StatusCode::NO_CONTENT);
        if told {
            let mut now = node.lock();
            now.told = now.told.max(rules.version);
        }
        told
    }

    /// What a node must know; nothing for the provider, which is not ours.
    pub(super) fn faults_of(&self, node: &Supervised) -> Option<FaultRules> {
        (node.plan.family != Family::Provider).then(|| self.book().rules_of(&node.plan, &self.plans()))
    }

    fn plans(&self) -> Vec<&NodePlan> {
        self.nodes.iter().map(|node| &node.plan).collect()
    }
}

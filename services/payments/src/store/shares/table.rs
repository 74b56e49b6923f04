//! The table of shares in plain memory: the rules of [`judge`] applied as a transaction would.

use std::collections::BTreeMap;

use store::StoreError;

use super::{Ask, Leased, NodeRow, ShareRow, Verdict, judge, laid_out};

#[derive(Debug, Default)]
pub(crate) struct Table {
    shares: Vec<ShareRow>,
    nodes: BTreeMap<String, (i64, NodeRow)>,
}

impl Table {
    pub(crate) fn lease(&mut self, ask: &Ask, now_ms: i64) -> Result<Leased, StoreError> {
        if self.nodes.get(&ask.holder).is_some_and(|(round, _)| *round >= ask.round) {
            return Err(StoreError::NotExecuted("overtaken by a later request".to_owned()));
        }
        let node = NodeRow { holder: ask.holder.clone(), wants: ask.wants, seen_at_ms: now_ms };
        self.nodes.insert(ask.holder.clone(), (ask.round, node));
        let nodes: Vec<_> = self.nodes.values().map(|(_, node)| node.clone()).collect();
        self.apply(ask, &nodes, now_ms)
    }

    fn apply(&mut self, ask: &Ask, nodes: &[NodeRow], now_ms: i64) -> Result<Leased, StoreError> {
        match judge(&self.shares, nodes, ask, now_ms) {
            Verdict::LayOut(sizes) => {
                self.shares = laid_out(&sizes);
                self.apply(ask, nodes, now_ms)
            }
            Verdict::Change { back, take, leased } => {
                for row in &mut self.shares {
                    if back.contains(&row.share) {
                        (row.holder, row.free_at_ms) = (None, 0);
                    }
                    if take.contains(&row.share) {
                        row.holder = Some(ask.holder.clone());
                    }
                    if row.holder.as_ref() == Some(&ask.holder) {
                        row.free_at_ms = now_ms + ask.lease_ms + ask.handling_ms;
                    }
                }
                Ok(leased)
            }
        }
    }
}

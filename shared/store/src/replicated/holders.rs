//! The nodes that a write or a read turns to: the first so many members of the preference list that can be reached.
//!
//! Asked in waves: all that are needed at once, and then as many more as did not answer. So the usual case is one round
//! trip, and a node that is down costs one more only to those it was to answer.

use std::{collections::VecDeque, mem::take};

use crate::ring::Ring;

pub(super) struct Holders {
    pub(super) view: u64,
    wanted: usize,
    next: VecDeque<Holder>,
    /// Primaries that were passed over because they were silent lately.
    passed_over: Vec<String>,
}

struct Holder {
    name: String,
    is_self: bool,
    is_primary: bool,
    is_suspect: bool,
}

impl Holders {
    /// For one virtual node, as a member sees it who may be leaving.
    pub(super) fn new(
        ring: &Ring,
        vnode: u16,
        (own, is_leaving): (usize, bool),
        is_suspect: impl Fn(&str) -> bool,
    ) -> Self {
        let (wanted, order) = ring.preference(own, vnode);
        let next = order.into_iter().enumerate().filter(|(_, member)| !(is_leaving && *member == own));
        let next = next.map(|(place, member)| {
            let name = ring.members().get(member).map(|member| member.name.clone()).unwrap_or_default();
            Holder { is_suspect: is_suspect(&name), name, is_self: member == own, is_primary: place < wanted }
        });
        Self { view: ring.view(), wanted, next: next.collect(), passed_over: Vec::new() }
    }

    /// Whom to turn to now: empty when enough answered or nobody is left. We ourselves answer at once.
    pub(super) fn wave(&mut self) -> Vec<String> {
        let mut wave = Vec::new();
        while wave.len() < self.wanted {
            match self.next.pop_front() {
                None => break,
                Some(holder) if holder.is_self => self.wanted -= 1,
                Some(holder) if holder.is_suspect => {
                    if holder.is_primary {
                        self.passed_over.push(holder.name);
                    }
                }
                Some(holder) => wave.push(holder.name),
            }
        }
        wave
    }

    /// One of them did what it was asked.
    pub(super) fn answered(&mut self) {
        self.wanted = self.wanted.saturating_sub(1);
    }

    /// The primaries that were passed over.
    pub(super) fn passed_over(&mut self) -> Vec<String> {
        take(&mut self.passed_over)
    }
}

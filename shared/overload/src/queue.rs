//! The queue in front of a lane: the most important class first, bounded in length and in time.
//!
//! The bound in time is CoDel (RFC 8289) as Facebook adapted it to requests (Maurer, "Fail at Scale", ACM Queue 2015): a
//! queue that was empty within the last interval only smooths a burst, so its entries may wait that interval; one that
//! was not is standing, and a longer wait in it serves nobody: its entries may wait the target only, and the newest goes
//! first, because the oldest have the least time left. Dropping only what has expired instead keeps a third of the
//! capacity at 1.5 times the load.
//!
//! Unlike there, a queue that stands goes on standing until nobody was refused for an interval. Its own short patience
//! empties it for moments while far too much is offered; if that ended it, most of those refused would first wait the whole
//! interval (measured at five times the capacity: 119 ms for the slowest hundredth, where 20 ms are promised).
//!
//! Plain state: time is handed in, and nothing here waits.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use crate::Class;

/// What the queue goes by; read anew at each step, since it may change at run time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Discipline {
    pub(crate) length_max: usize,
    /// The longest wait in a standing queue.
    pub(crate) target: Duration,
    /// The longest wait in one that does not stand, and how long it must not have been empty to stand.
    pub(crate) interval: Duration,
    /// Whether the most important is served first, and of those the newest while the queue stands. Not where callers hold to a
    /// limit of their own: they have chosen already, everybody's turn comes within a few works, and any other order than that
    /// of arrival would only starve some of the chosen.
    pub(crate) chooses: bool,
}

/// Entries by class, each in order of arrival.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    classes: [VecDeque<Entry<T>>; 4],
    next_ticket: u64,
    /// Since when it has not been empty.
    busy_since: Option<Instant>,
    /// When somebody was last refused while it stood.
    refused_at: Option<Instant>,
}

#[derive(Debug)]
struct Entry<T> {
    ticket: u64,
    since: Instant,
    latest: Instant,
    item: T,
}

/// Names an entry, to take it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    class: Class,
    number: u64,
}

/// What came of an arrival.
#[derive(Debug)]
pub(crate) enum Pushed<T> {
    /// No place, and nothing in the queue matters less.
    Full,
    /// It waits, at most until then.
    Waits { ticket: Ticket, until: Instant },
    /// It waits, in the place of something that matters less.
    Displaces { ticket: Ticket, until: Instant, displaced: T },
}

/// What is next.
#[derive(Debug)]
pub(crate) enum Popped<T> {
    /// Nothing waits.
    Empty,
    /// To be worked on, after this wait.
    Next { item: T, class: Class, waited: Duration },
    /// To be refused: it has waited too long.
    Aged(T),
}

impl<T> Queue<T> {
    pub(crate) const fn new() -> Self {
        Self { classes: [const { VecDeque::new() }; 4], next_ticket: 0, busy_since: None, refused_at: None }
    }

    pub(crate) fn len(&self) -> usize {
        self.classes.iter().map(VecDeque::len).sum()
    }

    pub(crate) fn len_of(&self, class: Class) -> usize {
        self.classes[class as usize].len()
    }

    /// How long it has not been empty.
    pub(crate) fn busy_for(&self, now: Instant) -> Duration {
        self.busy_since.map_or(Duration::ZERO, |since| now - since)
    }

    /// Whether it no longer smooths a burst but delays everybody.
    pub(crate) fn stands(&self, now: Instant, discipline: Discipline) -> bool {
        let busy = self.busy_since.is_some() && self.busy_for(now) >= discipline.interval;
        busy || self.refused_at.is_some_and(|at| now - at < discipline.interval)
    }

    /// Somebody is refused.
    fn note_refused(&mut self, now: Instant, discipline: Discipline) {
        if self.stands(now, discipline) {
            self.refused_at = Some(now);
        }
    }

    fn patience(&self, now: Instant, discipline: Discipline) -> Duration {
        if self.stands(now, discipline) { discipline.target.min(discipline.interval) } else { discipline.interval }
    }

    /// Puts something in that must be out again by `latest`. When it is full, what matters less than the newcomer and would
    /// be served last makes place; if nothing does, the newcomer is refused, though it would be served before older
    /// ones of its class: refusing it now costs less than letting it wait and refusing another, and the next to come is
    /// as new.
    pub(crate) fn push(
        &mut self,
        now: Instant,
        discipline: Discipline,
        (class, latest): (Class, Instant),
        item: T,
    ) -> Pushed<T> {
        let displaced = if self.len() < discipline.length_max {
            None
        } else {
            match self.last_after(class, now, discipline) {
                Some(displaced) => Some(displaced),
                None => {
                    self.note_refused(now, discipline);
                    return Pushed::Full;
                }
            }
        };
        let until = latest.min(now + self.patience(now, discipline));
        self.busy_since.get_or_insert(now);
        let number = self.next_ticket;
        self.next_ticket += 1;
        self.classes[class as usize].push_back(Entry { ticket: number, since: now, latest, item });
        let ticket = Ticket { class, number };
        match displaced {
            None => Pushed::Waits { ticket, until },
            Some(displaced) => Pushed::Displaces { ticket, until, displaced },
        }
    }

    /// Takes out what would be served last, if it matters less than this class.
    fn last_after(&mut self, class: Class, now: Instant, discipline: Discipline) -> Option<T> {
        let newest_first = discipline.chooses && self.stands(now, discipline);
        let less = self.classes[class as usize + 1..].iter_mut().rev().find(|less| !less.is_empty())?;
        let last = if newest_first { less.pop_front() } else { less.pop_back() };
        last.map(|entry| entry.item)
    }

    /// Takes out what is next, or first, one at a time, what has waited too long: the oldest of any class.
    pub(crate) fn pop(&mut self, now: Instant, discipline: Discipline) -> Popped<T> {
        let patience = self.patience(now, discipline);
        let newest_first = discipline.chooses && self.stands(now, discipline);
        let aged = |class: &VecDeque<Entry<T>>| class.front().is_some_and(|oldest| now - oldest.since > patience);
        if let Some(entry) = self.classes.iter_mut().find(|class| aged(class)).and_then(VecDeque::pop_front) {
            self.note_refused(now, discipline);
            self.note_empty();
            return Popped::Aged(entry.item);
        }
        let Some(class) = self.next_class(discipline) else { return Popped::Empty };
        let entries = &mut self.classes[class as usize];
        let Some(entry) = (if newest_first { entries.pop_back() } else { entries.pop_front() }) else {
            return Popped::Empty;
        };
        if entry.latest <= now {
            self.note_refused(now, discipline);
            self.note_empty();
            return Popped::Aged(entry.item);
        }
        self.note_empty();
        Popped::Next { item: entry.item, class, waited: now - entry.since }
    }

    /// Of which class the next is.
    fn next_class(&self, discipline: Discipline) -> Option<Class> {
        let mut waiting = Class::ALL.into_iter().filter(|class| !self.classes[*class as usize].is_empty());
        match discipline.chooses {
            true => waiting.next(),
            false => waiting.min_by_key(|class| self.classes[*class as usize].front().map(|entry| entry.ticket)),
        }
    }

    /// Takes one out that no longer wants to wait; `None` when it is out already.
    pub(crate) fn remove(&mut self, now: Instant, discipline: Discipline, ticket: Ticket) -> Option<T> {
        let entries = &mut self.classes[ticket.class as usize];
        let at = entries.binary_search_by_key(&ticket.number, |entry| entry.ticket).ok()?;
        let entry = entries.remove(at)?;
        self.note_refused(now, discipline);
        self.note_empty();
        Some(entry.item)
    }

    fn note_empty(&mut self) {
        if self.classes.iter().all(VecDeque::is_empty) {
            self.busy_since = None;
        }
    }
}

#[cfg(test)]
mod tests;

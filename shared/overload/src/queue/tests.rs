//! The queue against a list that is sorted anew for every question.

use proptest::prelude::*;

use super::*;

const DISCIPLINE: Discipline = Discipline {
    length_max: 5,
    target: Duration::from_millis(10),
    interval: Duration::from_millis(100),
    chooses: true,
};

/// What may happen, each after so many milliseconds.
#[derive(Clone, Debug)]
enum Step {
    /// A request of this class arrives, with so many milliseconds left.
    Push(usize, u64),
    Pop,
    /// The n-th of those that wait hangs up.
    Leave(usize),
}

fn steps() -> impl proptest::strategy::Strategy<Value = Vec<(u64, Step)>> {
    let step = prop_oneof![
        6 => (0..4_usize, 1..400_u64).prop_map(|(class, left)| Step::Push(class, left)),
        4 => Just(Step::Pop),
        1 => (0..5_usize).prop_map(Step::Leave),
    ];
    // Mostly dense, so that the queue comes to stand; pauses let it age.
    let pause = prop_oneof![8 => 0..8_u64, 1 => 0..150_u64];
    proptest::collection::vec((pause, step), 1..120)
}

/// The obvious form: one list, sorted for every question.
#[derive(Default)]
struct Model {
    waiting: Vec<Waiting>,
    busy_since: Option<Instant>,
    refused_at: Option<Instant>,
    chooses: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Waiting {
    class: usize,
    since: Instant,
    latest: Instant,
    name: u64,
}

impl Model {
    fn stands(&self, now: Instant) -> bool {
        self.busy_since.is_some_and(|since| now - since >= DISCIPLINE.interval)
            || self.refused_at.is_some_and(|at| now - at < DISCIPLINE.interval)
    }

    fn refuse(&mut self, now: Instant) {
        if self.stands(now) {
            self.refused_at = Some(now);
        }
    }

    fn patience(&self, now: Instant) -> Duration {
        if self.stands(now) { DISCIPLINE.target } else { DISCIPLINE.interval }
    }

    /// The most important first, the last of which gives way.
    fn by_importance(&self, now: Instant) -> Vec<Waiting> {
        let mut all = self.waiting.clone();
        let newest_first = self.chooses && self.stands(now);
        all.sort_by_key(|one| (one.class, if newest_first { u64::MAX - one.name } else { one.name }));
        all
    }

    /// In the order of service.
    fn ordered(&self, now: Instant) -> Vec<Waiting> {
        let mut all = self.by_importance(now);
        if !self.chooses {
            all.sort_by_key(|one| one.name);
        }
        all
    }

    fn take(&mut self, name: u64) {
        self.waiting.retain(|one| one.name != name);
        if self.waiting.is_empty() {
            self.busy_since = None;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn it_does_what_a_sorted_list_does(steps in steps(), chooses: bool) {
        let discipline = Discipline { chooses, ..DISCIPLINE };
        let model = Model { chooses, ..Model::default() };
        let (mut queue, mut model, mut now) = (Queue::new(), model, Instant::now());
        let mut tickets = std::collections::BTreeMap::new();
        for (name, (pause, step)) in (0_u64..).zip(steps) {
            now += Duration::from_millis(pause);
            match step {
                Step::Push(class, left) => {
                    let latest = now + Duration::from_millis(left);
                    let last = model.by_importance(now).last().copied();
                    let full = model.waiting.len() >= DISCIPLINE.length_max;
                    let victim = last.filter(|last| full && last.class > class);
                    let waits = now + model.patience(now);
                    match queue.push(now, discipline, (Class::ALL[class], latest), name) {
                        Pushed::Full => {
                            prop_assert!(full && victim.is_none());
                            model.refuse(now);
                            continue;
                        }
                        Pushed::Waits { ticket, until } => {
                            prop_assert!(!full);
                            prop_assert_eq!(until, waits.min(latest));
                            tickets.insert(name, ticket);
                        }
                        Pushed::Displaces { ticket, until, displaced } => {
                            prop_assert_eq!(Some(displaced), victim.map(|victim| victim.name));
                            prop_assert_eq!(until, waits.min(latest));
                            model.waiting.retain(|one| one.name != displaced);
                            tickets.insert(name, ticket);
                        }
                    }
                    model.waiting.push(Waiting { class, since: now, latest, name });
                    model.busy_since.get_or_insert(now);
                }
                Step::Pop => loop {
                    let (ordered, patience) = (model.ordered(now), model.patience(now));
                    let too_old = ordered.iter().any(|one| now - one.since > patience);
                    match queue.pop(now, discipline) {
                        Popped::Empty => {
                            prop_assert!(ordered.is_empty());
                            break;
                        }
                        Popped::Next { item, class, waited } => {
                            prop_assert!(!too_old, "the aged are dropped before anything is served");
                            let next = ordered[0];
                            prop_assert_eq!((item, class as usize), (next.name, next.class));
                            prop_assert_eq!(waited, now - next.since);
                            prop_assert!(next.latest > now && waited <= patience);
                            model.take(item);
                            break;
                        }
                        Popped::Aged(item) => {
                            let one = ordered.iter().find(|one| one.name == item).unwrap();
                            prop_assert!(now - one.since > patience || one.latest <= now);
                            model.refuse(now);
                            model.take(item);
                        }
                    }
                },
                Step::Leave(which) => {
                    if let Some(one) = model.waiting.get(which).copied() {
                        prop_assert_eq!(queue.remove(now, discipline, tickets[&one.name]), Some(one.name));
                        prop_assert_eq!(queue.remove(now, discipline, tickets[&one.name]), None, "it is out already");
                        model.refuse(now);
                        model.take(one.name);
                    }
                }
            }
            prop_assert_eq!(queue.len(), model.waiting.len());
            prop_assert!(queue.len() <= DISCIPLINE.length_max);
            prop_assert_eq!(queue.stands(now, discipline), model.stands(now));
        }
    }
}

/// Arrivals far above what leaves: the queue comes to stand, and then whoever is served has waited the target at most.
#[test]
fn a_standing_queue_serves_the_newest() {
    let (mut queue, start) = (Queue::new(), Instant::now());
    let discipline = Discipline { length_max: 1_000, ..DISCIPLINE };
    let mut waits = Vec::new();
    for ms in 0..1_000_u64 {
        let now = start + Duration::from_millis(ms);
        queue.push(now, discipline, (Class::Normal, now + Duration::from_secs(3)), ms);
        if ms % 5 == 0 {
            loop {
                match queue.pop(now, discipline) {
                    Popped::Next { waited, .. } => waits.push((ms, waited)),
                    Popped::Aged(_) => continue,
                    Popped::Empty => {}
                }
                break;
            }
        }
    }
    assert_eq!(waits.len(), 200, "nobody was dropped whose place nobody took");
    let (before, after): (Vec<_>, Vec<_>) = waits.iter().partition(|(ms, _)| *ms <= 100);
    assert!(before.iter().any(|(_, waited)| *waited > DISCIPLINE.target), "a burst is smoothed: {before:?}");
    assert!(after.iter().all(|(_, waited)| *waited <= DISCIPLINE.target), "{after:?}");
}

/// It empties now and then because it refuses so early: that is no reason to let the next wait ten times as long.
#[test]
fn a_standing_queue_stands_until_nobody_was_refused_for_an_interval() {
    let (mut queue, start) = (Queue::new(), Instant::now());
    let at = |ms| start + Duration::from_millis(ms);
    let push = |queue: &mut Queue<u64>, ms| {
        let left = (Class::Normal, at(ms) + Duration::from_secs(3));
        let Pushed::Waits { ticket, until } = queue.push(at(ms), DISCIPLINE, left, ms) else { panic!("it is full") };
        (ticket, until - at(ms))
    };
    let (early, _) = push(&mut queue, 0);
    let (late, patience) = push(&mut queue, 100);
    assert_eq!(patience, DISCIPLINE.target, "it stands");
    for ticket in [early, late] {
        queue.remove(at(110), DISCIPLINE, ticket);
    }
    assert_eq!(queue.len(), 0);
    let (next, patience) = push(&mut queue, 209);
    assert_eq!(patience, DISCIPLINE.target, "still");
    assert!(
        matches!(queue.pop(at(209), DISCIPLINE), Popped::Next { item: 209, .. })
            && queue.remove(at(209), DISCIPLINE, next).is_none()
    );
    let (_, patience) = push(&mut queue, 210);
    assert_eq!(patience, DISCIPLINE.interval, "not any more");
}

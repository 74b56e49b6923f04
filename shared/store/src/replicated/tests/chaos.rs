//! Random histories on a ring: nodes die, hang, are cut off, are suspected without cause, leave and come back, two at a
//! time where the strategy promises that. In the end nothing that was acknowledged is lost and all copies are equal.

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};

use contract::Sharing;
use futures_util::future::join_all;
use tokio::time::sleep;

use super::{
    super::compare::COMPARE_EVERY,
    add, assert_equal_copies,
    net::{Net, Running},
    sees,
};

const NODES: usize = 5;
const CLIENTS: u64 = 3;
const CARTS: u64 = 60;
/// Long enough for a round of repair and one of digests: what the promise asks for between two faults.
const CALM: Duration = Duration::from_millis(2_500);

struct Shop {
    net: Arc<Net>,
    nodes: RefCell<Vec<Option<Rc<Running>>>>,
    acknowledged: RefCell<Vec<(u64, String)>>,
    closed: RefCell<bool>,
}

impl Shop {
    async fn open(seed: u64, sharing: Sharing) -> Self {
        let net = Net::of(seed, vec![""; NODES], sharing);
        let nodes = net.start_all().await.into_iter().map(|running| Some(Rc::new(running))).collect();
        Self { net, nodes: RefCell::new(nodes), acknowledged: RefCell::default(), closed: RefCell::new(false) }
    }

    fn pick(&self) -> usize {
        usize::try_from(self.net.seams.below(NODES as u64)).unwrap()
    }

    fn at(&self, number: usize) -> Option<Rc<Running>> {
        self.nodes.borrow()[number].clone()
    }

    async fn client(&self, number: u64) {
        for step in 0.. {
            self.net.pause(250).await;
            if *self.closed.borrow() {
                return;
            }
            let Some(running) = self.at(self.pick()) else { continue };
            let (cart, key) = (self.net.seams.below(CARTS), format!("client-{number}-step-{step}"));
            tokio::select! {
                () = add(&running.data, cart, &key) => self.acknowledged.borrow_mut().push((cart, key)),
                // The node died under the call: whether it is kept is nobody's promise.
                () = running.node.tasks.stopping() => {}
            }
        }
    }

    /// Takes some nodes away at almost the same time and brings them back.
    async fn without(&self, count: usize, hands_over: bool) {
        let mut gone = Vec::new();
        while gone.len() < count {
            let number = self.pick();
            let Some(running) = self.nodes.borrow_mut()[number].take() else { continue };
            if hands_over {
                assert_eq!(running.data.leave().await, 0);
            }
            self.net.kill(&running);
            gone.push(number);
            self.net.pause(300).await;
        }
        // Also in the middle of being given back what others kept for it: the next fault may come at any time then.
        self.net.pause(1_500).await;
        let starts = gone.iter().map(|number| self.net.start(*number));
        for (number, running) in gone.iter().zip(join_all(starts).await) {
            self.nodes.borrow_mut()[*number] = Some(Rc::new(running));
        }
    }

    async fn fault(&self, killed_at_once: usize) {
        match self.net.seams.below(5) {
            0 if killed_at_once > 0 => self.without(killed_at_once, false).await,
            1 => self.without(1, true).await,
            2 => {
                self.net.cut(&[self.pick(), self.pick()]);
                self.net.pause(3_000).await;
                self.net.cut(&[]);
            }
            3 => {
                let hung = self.pick();
                self.net.hang(hung, true);
                self.net.pause(3_000).await;
                self.net.hang(hung, false);
            }
            // A tenth of all suspicions are false.
            _ => {
                for _ in 0..30 {
                    for running in self.nodes.borrow().iter().flatten() {
                        for peer in running.data.lock().peers.values_mut() {
                            peer.is_suspect |= self.net.seams.below(10) == 0;
                        }
                    }
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
        sleep(CALM).await;
    }
}

fn history(seed: u64, sharing: Sharing, killed_at_once: usize) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let shop = Shop::open(seed, sharing).await;
        let faults = async {
            for _ in 0..6 {
                shop.fault(killed_at_once).await;
            }
            *shop.closed.borrow_mut() = true;
        };
        tokio::join!(faults, join_all((0..CLIENTS).map(|number| shop.client(number))));
        sleep(COMPARE_EVERY * 2).await;
        let nodes: Vec<Rc<Running>> = shop.nodes.borrow().iter().flatten().cloned().collect();
        let acknowledged = shop.acknowledged.take();
        for (cart, key) in &acknowledged {
            let asked = &nodes[shop.pick()];
            assert!(sees(&asked.data, *cart, key).await, "{sharing}, seed {seed}: {} does not see {key}", asked.name);
        }
        assert_equal_copies(nodes.iter().map(|running| &**running));
        acknowledged.len()
    })
}

/// Deaths as many as the strategy bears at once; the other faults none may mind.
fn histories(sharing: Sharing, killed_at_once: usize) {
    let seeds = 4;
    let acknowledged: usize = (0..seeds).map(|seed| history(seed, sharing, killed_at_once)).sum();
    println!("{sharing}: {acknowledged} acknowledged in {seeds} histories, {killed_at_once} killed at once");
    assert!(acknowledged as u64 > 150 * seeds, "too short to mean much: {acknowledged} adds");
}

#[test]
fn nothing_loses_nothing_while_nobody_dies() {
    histories(Sharing::Nothing, 0);
}

#[test]
fn two_copies_bear_one_death() {
    histories(Sharing::Something(2), 1);
}

#[test]
fn three_copies_bear_two_deaths() {
    histories(Sharing::Something(3), 2);
}

#[test]
fn everything_bears_all_deaths_but_one() {
    histories(Sharing::Everything, 4);
}

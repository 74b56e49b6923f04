//! The loop that lets customers in: at each moment of the plan one task begins, whatever became of those before it.
//!
//! All of it runs on one thread of its own, so a request costs no wake-up of another processor, and its processor time can
//! be told from everything else's.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep_until, timeout},
};

use super::{
    Live, Plan, Run, Watcher,
    actions::{Arrival, Places, arrive},
    arrivals::{Arrivals, Stage, length, peak, rate_at},
    filled::{self, FilledCarts},
    machine,
    mix::Action,
    record::Book,
    sender::{Ask, Sender},
    sessions::{self, Sessions},
};
use crate::{InvalidRun, client::with_query, journey::History, seams, wire::ProductPage};

/// Most sessions opened before a run.
const SESSIONS_MAX: f64 = 2_000.0;
/// Arrivals let in before others may run: a generator that is behind must still read its answers.
const ROW: u32 = 16;
const LIVE_EVERY: Duration = Duration::from_millis(250);
/// A shop that is up answers its first page well within this.
const PREFLIGHT_TIMEOUT: Duration = Duration::from_secs(5);

/// What all customers of a run share.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) start: Instant,
    pub(crate) sender: Arc<Sender>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) filled: FilledCarts,
    pub(crate) places: Places,
    pub(crate) history: Arc<History>,
    book: Mutex<Book>,
}

impl World {
    /// Writes into the book. A customer that panicked leaves whole numbers behind, so poison is ignored.
    pub(crate) fn book<R>(&self, work: impl FnOnce(&mut Book) -> R) -> R {
        work(&mut self.book.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The whole run, on the calling thread.
pub(super) async fn run(plan: Plan, watcher: Watcher) -> anyhow::Result<Run> {
    let sender = Arc::new(Sender::new(&plan.targets).await?);
    let places = look_around(&sender, &plan).await?;
    let share = |actions: &[Action]| actions.iter().map(|action| plan.mix.share(*action)).sum::<f64>();
    let count = |rate: f64, least: f64| if rate > 0.0 { rate.clamp(least, SESSIONS_MAX).ceil() as usize } else { 0 };
    let rate = peak(&plan.stages);
    let shared = count(rate * share(&[Action::Add, Action::Cart]), 16.0);
    let own = count(2.0 * rate * share(&[Action::Checkout]), 16.0);
    let paying = count(share(&[Action::Pay]) * plan.stages.iter().map(Stage::arrivals).sum::<f64>(), 1.0);
    let paying = paying.min(filled::CARTS_MAX);
    let (sessions, worn) = Sessions::open(&sender, shared, own + paying).await?;
    let filled = FilledCarts::fill(&sender, &sessions, &places, paying).await?;
    let sessions = Arc::new(sessions);
    let mut helpers = JoinSet::new();
    helpers.spawn(sessions::top_up(Arc::clone(&sessions), Arc::clone(&sender), worn));

    let (cores, thread) = (machine::cores(), machine::thread_time());
    let book = Mutex::new(Book::new(plan.slice));
    let world = World { plan, start: Instant::now(), sender, sessions, filled, places, history: Arc::default(), book };
    let world = Arc::new(world);
    let (most_in_flight, interrupted) = let_in(&world, &watcher).await?;
    let elapsed = world.start.elapsed();
    let busy = cores.zip(machine::cores()).and_then(|(before, after)| before.busy_until(&after));
    let worked = thread.zip(machine::thread_time()).map(|(before, after)| after.saturating_sub(before));
    drop(helpers);
    let history = world.history.snapshot();
    // The helpers are gone and all customers have ended; whoever still holds the world would keep the book from closing.
    let plan = world.plan.clone();
    let book = world.book(|book| std::mem::replace(book, Book::new(plan.slice)));
    let run = Run::new(&plan, book, elapsed, worked, busy, history);
    Ok(Run { most_in_flight, interrupted, ..run })
}

/// Lets everybody in at their moment, then waits for the last to end. Returns the most in flight, and whether it was
/// stopped before its time.
async fn let_in(world: &Arc<World>, watcher: &Watcher) -> anyhow::Result<(usize, bool)> {
    let plan = &world.plan;
    let mut dice = seams::dice(plan.seed, 1);
    let arrivals = Arrivals::new(plan.stages.clone(), plan.arrivals, seams::dice(plan.seed, 0));
    let mut customers = JoinSet::new();
    let mut stop = watcher.stop.clone();
    let (mut most, mut in_row, mut interrupted) = (0, 0, false);
    let mut ticks = interval(LIVE_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    for came in arrivals {
        let due = world.start + came;
        while Instant::now() < due {
            in_row = 0;
            tokio::select! {
                biased;
                () = sleep_until(due) => {}
                _ = ticks.tick() => watcher.show(live(world, customers.len())),
                _ = stop.wait_for(|stop| *stop) => { interrupted = true; break; }
            }
        }
        if interrupted || *stop.borrow() {
            interrupted = true;
            break;
        }
        in_row += 1;
        if in_row == ROW {
            in_row = 0;
            tokio::task::yield_now().await;
        }
        reap(&mut customers)?;
        let arrival = Arrival::new(world, came, &mut dice);
        world.book(|book| book.offered(arrival.action, came));
        if customers.len() >= plan.in_flight_max || world.history.is_full() {
            world.book(|book| book.missed(arrival.action, came));
            continue;
        }
        customers.spawn(arrive(Arc::clone(world), arrival));
        most = most.max(customers.len());
    }
    while !customers.is_empty() {
        tokio::select! {
            joined = customers.join_next() => joined.transpose().map(drop)?,
            _ = ticks.tick() => watcher.show(live(world, customers.len())),
        }
    }
    watcher.show(live(world, 0));
    Ok((most, interrupted))
}

/// Forgets those who have ended; a panic of one is a bug of this tool and ends the run.
fn reap(customers: &mut JoinSet<()>) -> anyhow::Result<()> {
    while let Some(joined) = customers.try_join_next() {
        joined?;
    }
    Ok(())
}

fn live(world: &World, in_flight: usize) -> Live {
    let elapsed = world.start.elapsed();
    let wait_max = world.plan.wait_max();
    world.book(|book| {
        if let Some(old) = elapsed.checked_sub(wait_max) {
            book.slices.reduce_before(old);
        }
        Live {
            elapsed,
            planned: length(&world.plan.stages),
            rate: rate_at(&world.plan.stages, elapsed),
            in_flight,
            window: book.take_window(),
            total: book.total(),
            lag_p99_ms: book.lag.percentile_ms(99.0),
        }
    })
}

/// The products; also the proof that every target is a shop.
async fn look_around(sender: &Sender, plan: &Plan) -> anyhow::Result<Places> {
    let hint = "is the shop running? Start it with `cargo run --release`, or name another address with --target";
    let path = with_query("/api/products", &[("limit", "100")]);
    let ask = Ask {
        method: hyper::Method::GET,
        uri: hyper::Uri::try_from(&path)?,
        bearer: None,
        key: None,
        body: None,
        keep: true,
    };
    let mut products = Vec::new();
    for (number, target) in plan.targets.iter().enumerate() {
        let reply = timeout(PREFLIGHT_TIMEOUT, sender.send(number, &ask)).await;
        let problem = match reply {
            Ok(Ok(reply)) => match reply.answer.json::<ProductPage>() {
                Ok(page) if reply.answer.status == 200 => {
                    products = page.items;
                    continue;
                }
                _ => format!("answers {} to GET {path}", reply.answer.kind()),
            },
            Ok(Err(trouble)) => format!("does not answer ({})", trouble.name()),
            Err(_) => format!("does not answer (nothing within {PREFLIGHT_TIMEOUT:?})"),
        };
        return Err(InvalidRun(format!("--target {target} {problem}; {hint}")).into());
    }
    let places = Places::new(products, plan.mix.one_product)?;
    anyhow::ensure!(!places.is_empty(), InvalidRun("the shop has nothing in stock".to_owned()));
    Ok(places)
}

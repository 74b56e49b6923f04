//! Admission as a whole, on paused time.

use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_sdk::metrics::SdkMeterProvider;

use super::*;

struct Point {
    admission: Admission,
    pressure: Pressure,
}

impl Point {
    fn new(settings: &str) -> Self {
        Self::of(Tier::Edge, settings)
    }

    fn of(tier: Tier, settings: &str) -> Self {
        let (limits, pressure) = (Limits::default(), Pressure::default());
        limits.set(settings.parse().unwrap()).unwrap();
        let meter = SdkMeterProvider::default().meter("test");
        let admission = Admission::new(tier, limits, pressure.clone(), Lag::new(&meter), &meter);
        Self { admission, pressure }
    }

    async fn enter(&self, class: Class) -> Result<Permit, Refused> {
        self.admission.enter(class, Instant::now() + Duration::from_secs(3), Duration::ZERO).await
    }

    /// One that is let in at once.
    fn permit(&self, class: Class) -> Permit {
        match self.admission.decide(class, Instant::now() + Duration::from_secs(3), Duration::ZERO) {
            Decision::Admitted(permit) => permit,
            other => panic!("{other:?}"),
        }
    }

    fn waiting(&self, class: Class) -> Waiting {
        match self.admission.decide(class, Instant::now() + Duration::from_secs(3), Duration::ZERO) {
            Decision::Waits(waiting) => waiting,
            other => panic!("{other:?}"),
        }
    }

    fn count(&self, class: Class, outcome: Outcome) -> u64 {
        self.admission.tally().outcome(class, outcome)
    }

    fn in_flight(&self) -> [u32; 2] {
        self.admission.looks().map(|(_, look)| look.in_flight)
    }
}

const TWO: &str = r#"{"admission":{"adaptive":false,"work_max":2,"checkout_max":1}}"#;

#[tokio::test(start_paused = true)]
async fn the_important_come_first_and_checkouts_have_places_of_their_own() {
    let point = Point::new(TWO);
    let inside = [point.permit(Class::Sheddable), point.permit(Class::Normal)];
    let checkout = point.permit(Class::Critical);
    let (browse, cart) = (point.waiting(Class::Sheddable), point.waiting(Class::Normal));
    let [first, second] = inside;
    first.finish();
    let cart = cart.verdict().await.unwrap();
    // The queue of two places per place is full of browsing now: what ends a session takes the place of the youngest.
    let others = [(); 3].map(|()| point.waiting(Class::Sheddable));
    let full = point.admission.decide(Class::Sheddable, Instant::now() + Duration::from_secs(3), Duration::ZERO);
    assert!(matches!(full, Decision::Refused(Refused::Full)), "{full:?}");
    let logout = point.waiting(Class::Emergency);
    let [_, _, youngest] = others;
    assert_eq!(youngest.verdict().await.unwrap_err(), Refused::Displaced);
    second.finish();
    let logout = logout.verdict().await.unwrap();
    assert_eq!(browse.verdict().await.unwrap_err(), Refused::Aged, "nothing became free for it");
    drop((cart, checkout, logout));
    assert_eq!(point.in_flight(), [0, 0]);
    assert_eq!(point.count(Class::Sheddable, Outcome::Full), 1);
    assert_eq!(point.count(Class::Sheddable, Outcome::Displaced), 1);
}

#[tokio::test(start_paused = true)]
async fn who_hangs_up_leaves_the_queue_and_who_is_served_is_counted_by_how_it_ended() {
    let point = Point::new(TWO);
    let inside = [point.permit(Class::Normal), point.permit(Class::Normal)];
    let mut enter = Box::pin(point.enter(Class::Normal));
    assert!(futures_util::poll!(&mut enter).is_pending());
    let last = point.waiting(Class::Normal);
    drop(enter);
    assert_eq!(point.count(Class::Normal, Outcome::Gone), 1);
    let [late, gone] = inside;
    drop(gone);
    let last = last.verdict().await.unwrap();
    tokio::time::advance(Duration::from_secs(4)).await;
    late.finish();
    point.permit(Class::Normal).finish();
    drop(last);
    let works = [Work::Good, Work::Late, Work::Gone].map(|work| point.admission.tally().work(Class::Normal, work));
    assert_eq!((works, point.in_flight()), ([1, 1, 2], [0, 0]));
    // A place that is given at the moment its owner hangs up is not lost.
    let inside = [point.permit(Class::Normal), point.permit(Class::Normal)];
    let waiting = point.waiting(Class::Normal);
    drop(inside);
    drop(waiting);
    assert_eq!(point.in_flight(), [0, 0]);
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_with_the_deadline_or_the_age_limit_and_with_protection() {
    let point = Point::new(TWO);
    let _inside = [point.permit(Class::Normal), point.permit(Class::Normal)];
    let start = Instant::now();
    let late = point.admission.enter(Class::Normal, start + Duration::from_millis(30), Duration::ZERO).await;
    assert_eq!((late.unwrap_err(), start.elapsed().as_millis() / 10), (Refused::Late, 3));
    assert_eq!(point.enter(Class::Normal).await.unwrap_err(), Refused::Aged);
    assert_eq!(start.elapsed().as_millis() / 10, 13, "a queue that does not stand allows its interval");
    let past =
        point.admission.decide(Class::Normal, Instant::now() + Duration::from_millis(5), Duration::from_millis(5));
    assert!(matches!(past, Decision::Refused(Refused::Late)), "{past:?}");
    // Whoever was refused after a whole interval left a standing queue behind; after another interval it is a new one.
    tokio::time::sleep(Duration::from_millis(101)).await;
    // A standing queue: somebody is always in it.
    let mut all = Vec::new();
    for _ in 0..12 {
        all.push(Box::pin(point.enter(Class::Normal)));
        let _ = futures_util::poll!(all.last_mut().unwrap());
        tokio::time::sleep(Duration::from_millis(9)).await;
        for one in &mut all {
            let _ = futures_util::poll!(one);
        }
        if all.len() == 4 {
            drop(all.remove(0));
        }
    }
    let start = Instant::now();
    assert_eq!(point.enter(Class::Normal).await.unwrap_err(), Refused::Aged);
    assert!(start.elapsed() <= Duration::from_millis(11), "{:?}", start.elapsed());
    point.admission.limits().set(r#"{"protection":false}"#.parse().unwrap()).unwrap();
    let all: Vec<_> = (0..10_000).map(|_| point.permit(Class::Sheddable)).collect();
    assert_eq!(point.in_flight()[0], 10_002);
    drop(all);
    assert_eq!(point.in_flight()[0], 2);
}

#[tokio::test(start_paused = true)]
async fn behind_the_edge_a_standing_queue_is_patient_until_callers_give_way() {
    for (tier, tens_of_ms) in [(Tier::Edge, 1), (Tier::Inner, 10)] {
        let point = Point::of(tier, TWO);
        let _inside = [point.permit(Class::Normal), point.permit(Class::Normal)];
        assert_eq!(point.enter(Class::Normal).await.unwrap_err(), Refused::Aged, "after an interval: the queue stands");
        let start = Instant::now();
        assert_eq!(point.enter(Class::Normal).await.unwrap_err(), Refused::Aged);
        assert_eq!(start.elapsed().as_millis() / 10, tens_of_ms, "{tier:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_queues_further_in_lowers_the_limit_and_calm_raises_it() {
    let point = Point::new(r#"{"admission":{"work_min":4,"work_max":100,"checkout_min":4,"checkout_max":100}}"#);
    let limits = || point.admission.looks().map(|(_, look)| look.limit);
    let next = || tokio::time::advance(WINDOW + Duration::from_millis(1));
    let busy: Vec<_> = (0..50).map(|_| point.permit(Class::Normal)).collect();
    assert_eq!(limits(), [100, 100]);
    for (queued_ms, expected) in [(19, 100), (21, 90), (5, 94)] {
        next().await;
        point.pressure.note(Duration::from_millis(queued_ms));
        drop(point.permit(Class::Emergency));
        assert_eq!(limits()[0], expected, "after a mean of {queued_ms} ms");
    }
    next().await;
    point.pressure.refused(Class::Sheddable);
    drop(point.permit(Class::Normal));
    assert_eq!(limits(), [85, 100], "refused work leaves checkouts alone");
    next().await;
    point.pressure.refused(Class::Critical);
    drop(point.permit(Class::Normal));
    assert_eq!(limits(), [89, 4], "and the other way round");
    drop(busy);
    tokio::time::advance(STALE * 2).await;
    point.pressure.refused(Class::Normal);
    drop(point.permit(Class::Normal));
    assert_eq!(limits()[0], 93, "old notes say nothing");
}

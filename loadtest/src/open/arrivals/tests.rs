//! Arrivals against arithmetic: counts, moments, the spread of a Poisson process, and the text of stages.

use super::*;
use crate::seams;

fn arrivals(stages: &[Stage], pattern: Pattern, seed: u64) -> Vec<Duration> {
    Arrivals::new(stages.to_vec(), pattern, seams::dice(seed, 0)).collect()
}

fn some_plans() -> Vec<Vec<Stage>> {
    let mut dice = seams::dice(11, 0);
    (0..60)
        .map(|_| {
            let stage = |dice: &mut StdRng| Stage {
                from: f64::from(dice.random_range(0..400_u32)),
                to: f64::from(dice.random_range(1..400_u32)),
                lasts: Duration::from_millis(dice.random_range(1..8_000)),
            };
            (0..dice.random_range(1..5)).map(|_| stage(&mut dice)).collect()
        })
        .collect()
}

#[test]
fn evenly_spaced_arrivals_are_the_integral_of_the_rate_everywhere() {
    for stages in some_plans() {
        let all = arrivals(&stages, Pattern::Constant, 1);
        let expected: f64 = stages.iter().map(Stage::arrivals).sum();
        assert!((all.len() as f64 - expected).abs() <= 1.0, "{stages:?}: {} of {expected}", all.len());
        assert!(all.is_sorted() && all.last().is_none_or(|last| *last <= length(&stages)));
        // Not only in the end: after each stage as many have come as the rates so far ask for.
        let (mut end, mut sum) = (Duration::ZERO, 0.0);
        for stage in &stages {
            (end, sum) = (end + stage.lasts, sum + stage.arrivals());
            let came = all.iter().filter(|at| **at <= end).count() as f64;
            assert!((came - sum).abs() <= 1.0, "{stages:?} at {end:?}: {came} of {sum}");
        }
    }
}

#[test]
fn poisson_arrivals_have_the_mean_and_the_spread_of_a_poisson_process() {
    let stages = [Stage { from: 10.0, to: 30.0, lasts: Duration::from_secs(10) }];
    let counts: Vec<f64> = (0..400).map(|seed| arrivals(&stages, Pattern::Poisson, seed).len() as f64).collect();
    let mean = counts.iter().sum::<f64>() / 400.0;
    let variance = counts.iter().map(|count| (count - mean).powi(2)).sum::<f64>() / 399.0;
    // 200 expected; five standard errors of mean (0.7) and variance (14).
    assert!((mean - 200.0).abs() < 3.6, "mean {mean}");
    assert!((variance - 200.0).abs() < 71.0, "variance {variance}");
    // Twice as many in the later half of the ramp's time as its rates say: 125 against 75.
    let all: Vec<Duration> = (0..400).flat_map(|seed| arrivals(&stages, Pattern::Poisson, seed)).collect();
    let later = all.iter().filter(|at| at.as_secs_f64() >= 5.0).count() as f64 / all.len() as f64;
    assert!((later - 0.625).abs() < 0.01, "{later}");
}

#[test]
fn the_same_seed_gives_the_same_arrivals() {
    let stages = [Stage::steady(100.0, Duration::from_secs(2))];
    assert_eq!(arrivals(&stages, Pattern::Poisson, 3), arrivals(&stages, Pattern::Poisson, 3));
    assert_ne!(arrivals(&stages, Pattern::Poisson, 3), arrivals(&stages, Pattern::Poisson, 4));
}

#[test]
fn stages_are_read_or_say_how_to_write_them() {
    let stages = parse_stages("10s@50, 20s@50..200,1m@0.5/s").unwrap();
    let ramp = Stage { from: 50.0, to: 200.0, lasts: Duration::from_secs(20) };
    let (first, last) = (Stage::steady(50.0, Duration::from_secs(10)), Stage::steady(0.5, Duration::from_secs(60)));
    assert_eq!(stages, [first, ramp, last]);
    assert_eq!(length(&stages), Duration::from_secs(90));
    assert!((peak(&stages) - 200.0).abs() < f64::EPSILON);
    assert!((rate_at(&stages, Duration::from_secs(20)) - 125.0).abs() < 1e-9);
    assert!(rate_at(&stages, Duration::from_secs(90)).abs() < f64::EPSILON);
    for (bad, hint) in [
        ("", "no `@`"),
        ("10s", "no `@`"),
        ("10@5", "no unit"),
        ("10s@fast", "no rate"),
        ("10s@-1", "no rate"),
        ("10s@1..", "no rate"),
        ("10s@1e9", "no rate"),
        ("20h@1,20h@1", "longer than 24h"),
        ("10s@0", "nobody comes"),
    ] {
        let error = parse_stages(bad).unwrap_err();
        assert!(error.contains(hint), "{bad}: {error}");
    }
}

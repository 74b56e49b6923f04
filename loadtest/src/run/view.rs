//! The run while it runs: a few lines redrawn in a terminal, a line a second elsewhere.

use std::{collections::VecDeque, io::IsTerminal as _, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::watch;

use super::words::{count, ms};
use crate::{
    open::{
        Live,
        record::{Counts, Window},
    },
    report,
};

/// Looks that make up the last second: what happened between the first and the last of them.
const LOOKS: usize = 5;
/// Seconds of the little curve.
const CURVE: usize = 50;
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Shows what comes until the run has ended.
pub(crate) async fn show(mut live: watch::Receiver<Live>, title: String) -> anyhow::Result<()> {
    let mut screen = Screen { title, looks: VecDeque::new(), good: VecDeque::new(), seconds: 0 };
    if !std::io::stderr().is_terminal() {
        while live.changed().await.is_ok() {
            let now = live.borrow_and_update().clone();
            if screen.look(&now) {
                report::note(&screen.line(&now));
            }
        }
        return Ok(());
    }
    let bar = ProgressBar::new(1_000);
    bar.set_style(ProgressStyle::with_template("{msg}\n{bar:60.green/white} {elapsed_precise}")?);
    while live.changed().await.is_ok() {
        let now = live.borrow_and_update().clone();
        screen.look(&now);
        bar.set_message(screen.lines(&now));
        let part = now.elapsed.as_secs_f64() / now.planned.as_secs_f64().max(0.001);
        bar.set_position((1_000.0 * part.min(1.0)) as u64);
    }
    bar.finish_and_clear();
    Ok(())
}

struct Screen {
    title: String,
    looks: VecDeque<(Duration, Window)>,
    /// Good answers of each of the last seconds.
    good: VecDeque<u64>,
    seconds: u64,
}

impl Screen {
    /// Takes a look in; whether a new second began.
    fn look(&mut self, live: &Live) -> bool {
        self.looks.push_back((live.elapsed, live.window.clone()));
        if self.looks.len() > LOOKS {
            self.looks.pop_front();
        }
        let second = live.elapsed.as_secs();
        if second <= self.seconds {
            return false;
        }
        self.seconds = second;
        self.good.push_back(self.last_second().counts.good);
        if self.good.len() > CURVE {
            self.good.pop_front();
        }
        true
    }

    /// What happened in the last looks, as counts a second: on a busy machine looks come late.
    fn last_second(&self) -> Window {
        let mut sum = Window::default();
        for (_, window) in self.looks.iter().skip(1) {
            sum.counts.add(&window.counts);
            sum.latency.add(&window.latency);
        }
        let ends = self.looks.front().zip(self.looks.back());
        let span_ms = ends.map_or(0, |((first, _), (last, _))| last.saturating_sub(*first).as_millis()).max(1);
        let a_second = |count: &mut u64| *count = *count * 1_000 / u64::try_from(span_ms).unwrap_or(u64::MAX);
        let Counts { offered, sent, good, late, shed, error, timeout, missed } = &mut sum.counts;
        [offered, sent, good, late, shed, error, timeout, missed].into_iter().for_each(a_second);
        sum
    }

    fn figures(&self) -> (Counts, String, String) {
        let Window { counts, latency } = self.last_second();
        if latency.count() == 0 {
            return (counts, "-".to_owned(), "-".to_owned());
        }
        (counts, ms(latency.percentile_ms(50.0)), ms(latency.percentile_ms(99.0)))
    }

    fn line(&self, live: &Live) -> String {
        let (now, p50, p99) = self.figures();
        let failed = now.failed() + now.missed;
        format!(
            "{:>4} s  offered {:>5}/s  good {:>5}  late {:>4}  shed {:>5}  errors {:>4}  in flight {:>4}  p50 {p50}  p99 {p99}",
            live.elapsed.as_secs(),
            now.offered,
            now.good,
            now.late,
            now.shed,
            failed,
            live.in_flight
        )
    }

    fn lines(&self, live: &Live) -> String {
        let (now, p50, p99) = self.figures();
        let Counts { offered, good, late, shed, error, timeout, missed, .. } = now;
        let total = &live.total;
        let most = self.good.iter().copied().max().unwrap_or(1).max(1);
        let block = |good: &u64| BLOCKS[usize::try_from(good * 7 / most).unwrap_or(7).min(7)];
        let curve: String = self.good.iter().map(block).collect();
        let left = live.planned.saturating_sub(live.elapsed).as_secs();
        let state = if left > 0 { format!("{left} s left") } else { "waiting for the last answers".to_owned() };
        format!(
            "{title} · plan {rate}/s · {state}\n\
             now    offered {offered:>6}/s   good {good:>6}   late {late:>5}   shed {shed:>6}   errors {error:>5}   timeouts {timeout:>4}   missed {missed:>4}\n\
             total          {came:>6}     good {all_good:>6}   late {all_late:>5}   shed {all_shed:>6}   errors {all_error:>5}   timeouts {all_timeout:>4}   missed {all_missed:>4}\n\
             latency p50 {p50}, p99 {p99} of the last second · in flight {in_flight} · schedule lag p99 {lag}\n\
             good   {curve}",
            title = self.title,
            rate = live.rate.round(),
            came = count(total.offered),
            all_good = count(total.good),
            all_late = count(total.late),
            all_shed = count(total.shed),
            all_error = count(total.error),
            all_timeout = count(total.timeout),
            all_missed = count(total.missed),
            in_flight = live.in_flight,
            lag = ms(live.lag_p99_ms),
        )
    }
}

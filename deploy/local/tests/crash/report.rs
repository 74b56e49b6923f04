//! The table of all cases.

use std::{collections::BTreeMap, time::Duration};

use crate::{case::Client, points::Point};

/// What a case that held has shown.
pub(crate) struct Row {
    pub(crate) point: &'static Point,
    pub(crate) hit: u32,
    pub(crate) client: Client,
    /// From the death to the end of everything that was begun.
    pub(crate) resolution: Duration,
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.point.name, self.resolution.as_millis())
    }
}

/// Middle and longest, in milliseconds.
fn middle_and_longest(times: &mut [Duration]) -> (u128, u128) {
    times.sort_unstable();
    let at = |index: usize| times.get(index).map_or(0, Duration::as_millis);
    (at(times.len() / 2), at(times.len().saturating_sub(1)))
}

#[expect(clippy::print_stdout, reason = "the table is what this target is run for")]
pub(crate) fn print(store: &str, rows: &[Row], took: Duration) {
    let mut groups: BTreeMap<(&str, u32, Client), (&Point, Vec<Duration>)> = BTreeMap::new();
    for row in rows {
        let group = groups.entry((row.point.name, row.hit, row.client));
        group.or_insert_with(|| (row.point, Vec::new())).1.push(row.resolution);
    }
    println!("{:<29} {:<8} hit client  {:<10} kills  resolution p50  max ms", "point", "case", "store");
    for ((name, hit, client), (point, times)) in &mut groups {
        let (middle, longest) = middle_and_longest(times);
        let client = format!("{client:?}").to_lowercase();
        let kills = times.len();
        println!("{name:<29} {:<8} {hit:<3} {client:<7} {store:<10} {kills:>5}  {middle:>14}  {longest:>6}", point.row);
    }
    let points: std::collections::BTreeSet<_> = rows.iter().map(|row| row.point.name).collect();
    let (middle, longest) = middle_and_longest(&mut rows.iter().map(|row| row.resolution).collect::<Vec<_>>());
    println!(
        "{store}: {} points, {} kills in {} cases that held, resolution p50 {middle} ms, max {longest} ms, in {:.0} s",
        points.len(),
        rows.len(),
        rows.len(),
        took.as_secs_f64(),
    );
}

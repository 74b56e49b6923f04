//! Every crash point of the source, and what must happen in the shop for somebody to come to it.
//!
//! Rows of the edge-case matrix (IK): E7 kill before the claim commits; E8 after it, before any effect; E9 after the
//! provider executed, before the record; E10 after the record, before the response; E12 the client disconnects; E13 the
//! COMMIT went out and its answer was lost. E12 is every case with a client that is gone.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

/// What is played when a point is armed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Story {
    /// A purchase.
    Bought,
    /// A purchase with a card that is declined.
    Declined,
    /// A purchase while the provider takes no calls for a while.
    PutOff,
    /// A purchase whose charge gets no answer; an operator sees it at the provider and says so.
    Attested,
    /// A purchase that an operator pays back.
    Refunded,
    /// A purchase that the provider takes no call for until its time is over.
    Lapsed,
}

pub(crate) struct Point {
    pub(crate) name: &'static str,
    pub(crate) story: Story,
    /// Its row of the edge-case matrix, if it is one.
    pub(crate) row: &'static str,
}

const fn point(name: &'static str, story: Story, row: &'static str) -> Point {
    Point { name, story, row }
}

/// In the order of a checkout, then what ends otherwise, then what people do.
pub(crate) const POINTS: &[Point] = &[
    point("orders.open.claimed", Story::Bought, "E7"),
    point("catalogue.reserve.committed", Story::Bought, "E8"),
    point("payments.charge.intended", Story::Bought, "E8"),
    point("logic.checkout.opened", Story::Bought, "E8"),
    point("orders.open.committed", Story::Bought, "E8 E13"),
    point("payments.charge.answered", Story::Bought, "E9"),
    point("logic.driver.reserved", Story::Bought, "E8"),
    point("orders.complete.written", Story::Bought, "E9"),
    point("payments.charge.decided", Story::Bought, "E9 E13"),
    point("logic.driver.charged", Story::Bought, "E9"),
    point("orders.complete.committed", Story::Bought, "E10 E13"),
    point("catalogue.settle.committed", Story::Bought, "E13"),
    point("logic.driver.completed", Story::Bought, "E10"),
    point("orders.events.leased", Story::Bought, ""),
    point("logic.outbox.delivered", Story::Bought, ""),
    point("orders.ack.committed", Story::Bought, "E13"),
    point("catalogue.release.committed", Story::Declined, "E13"),
    point("orders.refuse.written", Story::Declined, ""),
    point("orders.refuse.committed", Story::Declined, "E10 E13"),
    point("orders.postpone.committed", Story::PutOff, "E13"),
    point("payments.close.committed", Story::Lapsed, "E13"),
    point("logic.resolve.charged", Story::Attested, "E9"),
    point("payments.refund.intended", Story::Refunded, "E8"),
    point("orders.resolve.written", Story::Refunded, "E7"),
    point("orders.resolve.committed", Story::Refunded, "E10 E13"),
];

impl Point {
    /// The family whose nodes come to it.
    pub(crate) fn family(&self) -> &'static str {
        self.name.split('.').next().unwrap()
    }
}

/// The names in one file that has crash points: `family.operation.where`, three words.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let families = ["frontend", "logic", "sessions", "carts", "catalogue", "orders", "payments"];
    let word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let is_name = move |text: &&str| {
        let words: Vec<_> = text.split('.').collect();
        words.len() == 3 && families.contains(&words[0]) && words.iter().all(|text| word(text))
    };
    text.split('"').skip(1).step_by(2).filter(is_name)
}

#[test]
fn every_crash_point_of_the_source_has_its_cases() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let sources = ["ls-files", "--cached", "--others", "--exclude-standard", "*/src/*.rs"];
    let listed = Command::new("git").args(sources).current_dir(&root).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let files = listed.lines().filter(|path| !path.starts_with("shared/runtime/")).map(|path| root.join(path));
    let mut found = BTreeSet::new();
    for path in files.filter(|path| path.exists()) {
        let text = fs::read_to_string(&path).unwrap();
        if text.contains("crash::point(") {
            let before = found.len();
            found.extend(names(&text).map(str::to_owned));
            assert!(found.len() > before, "{}: which point?", path.display());
        }
    }
    let known: BTreeSet<_> = POINTS.iter().map(|point| point.name.to_owned()).collect();
    assert_eq!(known.len(), POINTS.len(), "a point is listed twice");
    assert_eq!(found, known, "left: in the source, right: in the list");
}

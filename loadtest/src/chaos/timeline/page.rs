//! The timeline as one page that needs nothing else: faults as bars, one lane for each node, over what the customers
//! saw each second.

use std::fmt::Write as _;

use super::{Bar, Second};

const LEFT: f64 = 110.0;
const WIDTH: f64 = 1_100.0;
const CHART_HEIGHT: f64 = 170.0;
const LANE_HEIGHT: f64 = 20.0;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1d2529;--soft:#66747c;--grid:#dde3e6;--paper:#fff;--bought:#23704d;--answered:#9cc9b1;
--refused:#dd8b1f;--silent:#b8322a;--kill:#b8322a;--pause:#3f6fb5;--provider:#7c4aa5;--database:#8a6d1f;--phase:#c3ccd1}
@media(prefers-color-scheme:dark){:root{--ink:#e6ecef;--soft:#9aa8b0;--grid:#333d42;--paper:#161b1e;--answered:#2f5a45;--bought:#5fc394;--phase:#465158}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);margin:2rem auto;max-width:1240px;padding:0 1rem}
h1{font-size:1.5rem;margin:0 0 .3rem}p{margin:.3rem 0}.verdict{font-weight:700}.soft{color:var(--soft)}
.wide{overflow-x:auto;margin:1rem 0}svg{display:block;width:100%;min-width:860px;height:auto}svg text{fill:var(--soft);font:12px system-ui,sans-serif}
.soft{overflow-wrap:anywhere}.key span{display:inline-block;margin-right:1.2rem}.key i{display:inline-block;width:.8rem;height:.8rem;border-radius:2px;margin-right:.35rem;vertical-align:-1px}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}td,th{text-align:left;padding:.2rem .9rem .2rem 0;border-bottom:1px solid var(--grid);vertical-align:top}
.n{text-align:right}.bad{color:var(--silent);font-weight:600}
@media(max-width:600px){td,th{padding-right:.5rem;font-size:13px}td:last-child,th:last-child{padding-right:0}}";

/// What the page says besides the picture.
#[derive(Debug)]
pub(crate) struct Words {
    pub(crate) title: String,
    pub(crate) verdict: String,
    pub(crate) summary: String,
    /// Name, what it says, how many were judged, violations.
    pub(crate) checks: Vec<(String, String, u64, u64)>,
}

/// The whole page.
pub(crate) fn render(words: &Words, bars: &[Bar], seconds: &[Second]) -> String {
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{0}</title><style>{STYLE}</style><h1>{0}</h1><p class=\"verdict\">{1}</p><p class=\"soft\">{2}</p>",
        escape(&words.title),
        escape(&words.verdict),
        escape(&words.summary)
    );
    let answers = [
        ("bought", "bought"),
        ("other answers", "answered"),
        ("refused (429, 5xx)", "refused"),
        ("unanswered", "silent"),
    ];
    let faults = [
        ("kill -9 until ready again", "kill"),
        ("pause", "pause"),
        ("provider fault", "provider"),
        ("database restart", "database"),
    ];
    // Two keys: both pictures have a red, and each has a meaning of its own.
    key(&mut page, "Customers, each second", &answers);
    key(&mut page, "Faults", &faults);
    picture(&mut page, bars, seconds);
    page.push_str("<table><tr><th>Check<th>Says<th class=\"n\">Judged<th class=\"n\">Violations");
    for (name, says, judged, violations) in &words.checks {
        let class = if *violations > 0 { "n bad" } else { "n" };
        let (name, says) = (escape(name), escape(says));
        let _ = write!(page, "<tr><td>{name}<td>{says}<td class=\"n\">{judged}<td class=\"{class}\">{violations}");
    }
    page.push_str("</table></html>\n");
    page
}

fn key(page: &mut String, of: &str, colours: &[(&str, &str)]) {
    let _ = write!(page, "<p class=\"key\"><span class=\"soft\">{of}:</span>");
    for (name, colour) in colours {
        let _ = write!(page, "<span><i style=\"background:var(--{colour})\"></i>{name}</span>");
    }
    page.push_str("</p>");
}

fn picture(page: &mut String, bars: &[Bar], seconds: &[Second]) {
    let mut lanes: Vec<&str> = bars.iter().map(|bar| bar.lane.as_str()).collect();
    // The phases first: they are what the rest is read by.
    lanes.sort_unstable_by_key(|lane| (*lane != "run", *lane));
    lanes.dedup();
    #[expect(clippy::cast_precision_loss, reason = "some lanes and some seconds")]
    let (lanes_height, count) = (lanes.len() as f64 * LANE_HEIGHT, seconds.len().max(1) as f64);
    let height = CHART_HEIGHT + 30.0 + lanes_height + 10.0;
    let _ = write!(
        page,
        "<div class=\"wide\"><svg viewBox=\"0 0 {:.0} {height:.0}\" role=\"img\" aria-label=\"faults over time\">",
        LEFT + WIDTH
    );
    let step = WIDTH / count;
    chart(page, seconds, step);
    ticks(page, seconds.len(), step, height);
    for (row, lane) in lanes.iter().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "some lanes")]
        let top = CHART_HEIGHT + 30.0 + row as f64 * LANE_HEIGHT;
        let _ = write!(page, "<text x=\"0\" y=\"{:.1}\">{}</text>", top + 13.0, escape(lane));
        for bar in bars.iter().filter(|bar| bar.lane == *lane) {
            lay(page, bar, top, step, count);
        }
    }
    page.push_str("</svg></div>");
}

/// A fault; at least wide enough to be seen.
fn lay(page: &mut String, bar: &Bar, top: f64, step: f64, count: f64) {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of one run")]
    let at = |ms: u64| LEFT + (ms as f64 / 1_000.0).min(count) * step;
    let from = at(bar.from_ms);
    let to = bar.to_ms.map_or(LEFT + WIDTH, at);
    let lasted = bar.to_ms.map_or(String::new(), |to_ms| format!(", {} ms", to_ms.saturating_sub(bar.from_ms)));
    let _ = write!(
        page,
        "<rect x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"2\" fill=\"var(--{})\"><title>{} {}: {}{lasted}\
         </title></rect>",
        top + 3.0,
        (to - from).max(2.5),
        LANE_HEIGHT - 6.0,
        bar.kind,
        escape(bar.kind),
        escape(&bar.lane),
        escape(&bar.what)
    );
    #[expect(clippy::cast_precision_loss, reason = "the letters of a word")]
    let letters = bar.what.len() as f64;
    if bar.kind == "phase" && to - from > 7.0 * letters {
        let _ = write!(page, "<text x=\"{:.1}\" y=\"{:.1}\">{}</text>", from + 4.0, top + 13.5, escape(&bar.what));
    }
}

/// Stacked columns, one for each second.
fn chart(page: &mut String, seconds: &[Second], step: f64) {
    let all = |second: &Second| second.answered + second.refused + second.silent;
    let most = seconds.iter().map(all).max().unwrap_or(0).max(1);
    let scale = CHART_HEIGHT / f64::from(most);
    let _ = write!(page, "<text x=\"0\" y=\"12\">{most} a second</text><text x=\"0\" y=\"{CHART_HEIGHT}\">0</text>");
    for (number, second) in seconds.iter().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "some seconds")]
        let x = LEFT + number as f64 * step;
        let mut bottom = CHART_HEIGHT;
        let other = second.answered.saturating_sub(second.bought);
        let parts =
            [("bought", second.bought), ("answered", other), ("refused", second.refused), ("silent", second.silent)];
        for (name, count) in parts.into_iter().filter(|(_, count)| *count > 0) {
            let tall = f64::from(count) * scale;
            bottom -= tall;
            let width = (step - 1.0).max(0.5);
            let _ = write!(
                page,
                "<rect x=\"{x:.1}\" y=\"{bottom:.1}\" width=\"{width:.1}\" height=\"{tall:.1}\" fill=\"var(--{name})\">\
                 <title>second {number}: {} bought, {other} other answers, {} refused, {} unanswered</title></rect>",
                second.bought, second.refused, second.silent
            );
        }
    }
}

fn ticks(page: &mut String, seconds: usize, step: f64, height: f64) {
    let every = [1, 2, 5, 10, 30, 60, 300, 600, 3_600].into_iter().find(|every| seconds / every <= 14).unwrap_or(3_600);
    for second in (0..=seconds).step_by(every) {
        #[expect(clippy::cast_precision_loss, reason = "some seconds")]
        let x = LEFT + second as f64 * step;
        let _ = write!(
            page,
            "<path d=\"M{x:.1} {CHART_HEIGHT}V{:.1}\" stroke=\"var(--grid)\"/><text x=\"{:.1}\" y=\"{:.1}\">{second} s</text>",
            height - 8.0,
            x + 2.0,
            CHART_HEIGHT + 16.0
        );
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_every_fault_and_every_second_and_escapes_what_it_quotes() {
        let bar =
            |lane: &str, kind, to_ms| Bar { lane: lane.to_owned(), kind, what: "<b>".to_owned(), from_ms: 500, to_ms };
        let bars = [bar("logic-1", "kill", Some(900)), bar("carts-2", "pause", None)];
        let seconds = [Second { answered: 5, bought: 2, refused: 1, silent: 1 }, Second::default()];
        let checks = vec![("K1 lost".to_owned(), "says".to_owned(), 3, 1)];
        let words = Words { title: "t".to_owned(), verdict: "FAIL".to_owned(), summary: "s".to_owned(), checks };
        let page = render(&words, &bars, &seconds);
        assert!(page.contains("logic-1") && page.contains("carts-2") && page.contains("var(--pause)"));
        assert!(page.contains("second 0: 2 bought, 3 other answers, 1 refused, 1 unanswered"));
        assert!(page.contains("&lt;b&gt;") && !page.contains("<b>") && page.contains("class=\"n bad\">1"));
        assert!(!page.contains("http"), "self-contained");
    }
}

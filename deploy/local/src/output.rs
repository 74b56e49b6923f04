//! What people see. Never panics: a closed pipe or terminal must not end the shop.

use std::{
    io::{IsTerminal as _, Write as _},
    process::ExitCode,
};

use crate::{
    control::{NodeStatus, State},
    faults::Fault,
};

/// One line of results.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// One line of news, apart from the results.
pub(crate) fn tell(line: &str) {
    let clear = if std::io::stderr().is_terminal() { "\r\x1b[K" } else { "" };
    let _ = writeln!(std::io::stderr(), "{clear}{line}");
}

/// How far something has got: rewritten in place on a terminal, nothing elsewhere, so that a log is not flooded.
pub(crate) fn progress(line: &str) {
    let mut stderr = std::io::stderr();
    if stderr.is_terminal() {
        let _ = write!(stderr, "\r\x1b[K{line}");
        let _ = stderr.flush();
    }
}

/// Says why a command failed; the exit code of a node that cut off work is its own.
pub(crate) fn failure(error: &anyhow::Error) -> ExitCode {
    tell(&format!("error: {error:#}"));
    if error.is::<runtime::CutOff>() { ExitCode::from(runtime::EXIT_CUT_OFF) } else { ExitCode::FAILURE }
}

/// The nodes as a table; sites only if there is more than one.
pub(crate) fn table(nodes: &[NodeStatus]) -> String {
    let mut headings = vec!["NODE", "STATE", "PID", "ADDRESS", "OPERATIONS", "MEMORY", "RESTARTS"];
    let sites = nodes.iter().any(|node| nodes.first().is_some_and(|first| first.site != node.site));
    if sites {
        headings.insert(1, "SITE");
    }
    let headings: Vec<_> = headings.into_iter().map(str::to_owned).collect();
    let columns = headings.len();
    let rows: Vec<_> = std::iter::once(headings).chain(nodes.iter().map(|node| row(node, sites))).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let plain = !std::io::stdout().is_terminal() || std::env::var_os("NO_COLOR").is_some();
    let mut lines = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let paint = match number.checked_sub(1).and_then(|index| nodes.get(index)) {
            _ if plain => "",
            None => "\x1b[1m",
            Some(node) => colour(node.state),
        };
        let reset = if paint.is_empty() { "" } else { "\x1b[0m" };
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        lines.push(format!("{paint}{}{reset}", cells.join("  ").trim_end()));
    }
    let total_kib: u64 = nodes.iter().filter_map(|node| node.memory_kib).sum();
    lines.push(format!("{} nodes, {} MiB", nodes.len(), total_kib / 1024));
    lines.join("\n")
}

/// Which links are bad on purpose, and how that ends.
pub(crate) fn faults(faults: &[Fault]) -> String {
    if faults.is_empty() {
        return "no faults: every link is whole".to_owned();
    }
    let lines: Vec<_> = faults.iter().map(|fault| format!("  {fault}")).collect();
    format!("Faults, until `trestle heal [A B]`:\n{}", lines.join("\n"))
}

fn row(node: &NodeStatus, sites: bool) -> Vec<String> {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let mut row = vec![
        node.id.clone(),
        node.state.to_string(),
        or_dash(node.pid.map(|pid| pid.to_string())),
        node.address.clone(),
        node.ops_address.clone(),
        or_dash(node.memory_kib.map(|kib| format!("{} MiB", kib / 1024))),
        node.restarts.to_string(),
    ];
    if sites {
        row.insert(1, node.site.clone());
    }
    row
}

const fn colour(state: State) -> &'static str {
    match state {
        State::Ready => "",
        State::Starting | State::Restarting | State::Draining => "\x1b[33m",
        State::Paused => "\x1b[36m",
        State::Failed | State::Stopped => "\x1b[31m",
    }
}

#[cfg(test)]
mod tests {
    use contract::Family;

    use super::*;

    #[test]
    fn columns_line_up_and_a_missing_process_is_a_dash() {
        let node = |id: &str, pid| NodeStatus {
            family: Family::Logic,
            id: id.to_owned(),
            pid,
            address: "127.0.0.1:1".to_owned(),
            ops_address: "127.0.0.1:20000".to_owned(),
            state: State::Ready,
            site: "local".to_owned(),
            memory_kib: pid.map(|_| 2048),
            restarts: 3,
        };
        let text = table(&[node("logic-1", Some(4321)), node("logic-16", None)]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "NODE      STATE  PID   ADDRESS      OPERATIONS       MEMORY  RESTARTS");
        assert_eq!(lines[1], "logic-1   ready  4321  127.0.0.1:1  127.0.0.1:20000  2 MiB   3");
        assert_eq!(lines[2], "logic-16  ready  -     127.0.0.1:1  127.0.0.1:20000  -       3");
        assert_eq!(lines[3], "2 nodes, 2 MiB");
        let away = NodeStatus { site: "london".to_owned(), ..node("logic-2", None) };
        let text = table(&[node("logic-1", None), away]);
        assert!(text.starts_with("NODE     SITE    STATE") && text.contains("\nlogic-2  london  ready"), "{text}");
    }
}

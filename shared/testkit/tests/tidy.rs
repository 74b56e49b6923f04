//! The rules of the code base, each held by a check (style rule 10).
#![expect(clippy::unwrap_used, reason = "a test")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// Longest source file in lines, tests included.
const LINES_MAX: usize = 400;
/// Most lines of code (no tests, blank lines or comments) of the shop itself, without the tools that stand outside it:
/// small enough to read in a few days (decision 6).
const SHOP_CODE_LINES_MAX: usize = 24_000;
/// Most packages in the lock file.
const PACKAGES_MAX: usize = 450;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Every file that git would keep, with one of these endings.
fn files(endings: &[&str]) -> Vec<PathBuf> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .unwrap();
    let paths = String::from_utf8(listed.stdout).unwrap();
    let found: Vec<_> = paths
        .lines()
        .filter(|path| endings.iter().any(|ending| path.ends_with(ending)))
        .map(|path| root().join(path))
        .filter(|path| path.exists())
        .collect();
    assert!(!found.is_empty(), "git lists no file with {endings:?}");
    found
}

fn is_test(path: &Path) -> bool {
    let tests = ["tests", "tests.rs", "conformance", "conformance.rs", "simulated", "simulated.rs"];
    path.components().any(|part| tests.iter().any(|test| part.as_os_str() == *test))
}

/// Lines of code before the file's own tests.
fn code_lines(text: &str) -> usize {
    let code = text.split("\n#[cfg(test)]").next().unwrap();
    code.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")).count()
}

/// Fails with every offender at once, not the first only.
fn none(offenders: &[String], rule: &str) {
    assert!(offenders.is_empty(), "{rule}:\n  {}", offenders.join("\n  "));
}

#[test]
fn a_file_has_one_subject_and_says_which() {
    let (mut long, mut silent, mut total) = (Vec::new(), Vec::new(), 0);
    for path in files(&[".rs"]) {
        let text = fs::read_to_string(&path).unwrap();
        let lines = text.lines().count();
        if lines > LINES_MAX {
            long.push(format!("{}: {lines}", path.display()));
        }
        if !text.starts_with("//!") {
            silent.push(path.display().to_string());
        }
        let outside =
            ["loadtest", "deploy/provider", "shared/testkit"].iter().any(|tool| path.starts_with(root().join(tool)));
        if !is_test(&path) && !outside {
            total += code_lines(&text);
        }
    }
    none(&long, &format!("files have at most {LINES_MAX} lines"));
    none(&silent, "a file begins with //! and what it is for");
    assert!(total <= SHOP_CODE_LINES_MAX, "{total} lines of code in the shop, at most {SHOP_CODE_LINES_MAX}");
}

#[test]
fn dependencies_point_one_way() {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let members: BTreeSet<_> = packages.iter().map(|package| package["name"].as_str().unwrap()).collect();
    let shared = ["contract", "rpc", "overload", "store", "runtime"];
    let mut offenders = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap();
        for dependency in package["dependencies"].as_array().unwrap() {
            let on = dependency["name"].as_str().unwrap();
            let in_tests = dependency["kind"] == "dev";
            let allowed = match name {
                // The outside truth and the outside checker share no code with the shop, not even in tests.
                "provider" | "loadtest" => !members.contains(on),
                "contract" => {
                    !members.contains(on) && ["serde", "serde_json", "sha2", "thiserror", "uuid"].contains(&on)
                        || in_tests
                }
                "runtime" => !members.contains(on) || on == "overload",
                "overload" => !members.contains(on),
                "rpc" => !members.contains(on) || ["contract", "runtime", "overload"].contains(&on),
                "store" => {
                    !members.contains(on) || ["contract", "runtime", "rpc"].contains(&on) || in_tests && on == "testkit"
                }
                "testkit" => in_tests || !members.contains(on),
                "trestle" => on != "testkit" || in_tests,
                // The simulation runs the real code of all tiers in one process.
                "logic" if in_tests => !["frontend", "provider", "loadtest", "trestle"].contains(&on),
                // A crate names itself to have its simulated store in its tests.
                _ => !members.contains(on) || shared.contains(&on) || in_tests && ["testkit", name].contains(&on),
            };
            // The seams: who may speak SQL and HTTP directly.
            let adapter = match on {
                "sqlx" => ["store", "sessions", "catalogue", "orders", "payments", "loadtest"].contains(&name),
                "reqwest" => ["rpc", "payments", "provider", "trestle", "loadtest"].contains(&name) || in_tests,
                "redis" => name == "store",
                "rand" => ["runtime", "loadtest"].contains(&name) || in_tests,
                _ => true,
            };
            if !allowed || !adapter {
                offenders.push(format!("{name} must not depend on {on}"));
            }
        }
    }
    none(&offenders, "dependencies point from binaries to shared/, and SQL, Redis and HTTP stay behind their seams");
}

#[test]
fn the_lock_file_stays_small() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let packages = lock.lines().filter(|line| *line == "[[package]]").count();
    assert!(packages <= PACKAGES_MAX, "{packages} packages, at most {PACKAGES_MAX}");
}

#[test]
fn links_in_documents_resolve() {
    let mut dead = Vec::new();
    for path in files(&[".md"]) {
        let text = fs::read_to_string(&path).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap();
            let outside = target.contains("://") || target.starts_with("mailto:") || file.is_empty();
            if !outside && !path.parent().unwrap().join(file).exists() {
                dead.push(format!("{}: {target}", path.display()));
            }
        }
        // `code` that looks like a path of this tree must be one.
        for word in text.split('`').skip(1).step_by(2) {
            let top = ["frontend/", "logic/", "services/", "shared/", "deploy/", "loadtest/", "docs/"];
            let plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
            if plain && top.iter().any(|top| word.starts_with(top)) && !root().join(word).exists() {
                dead.push(format!("{}: `{word}`", path.display()));
            }
        }
    }
    none(&dead, "links and paths in documents lead somewhere");
}

/// What a line names in files of tests: tests as `[name](path.rs)`, and crash points as `[family.operation.where](path.rs)`.
fn named_tests(line: &str) -> Vec<(&str, &str)> {
    let links = line.match_indices("](").filter_map(|(at, _)| {
        let (name, file) = (line[..at].rsplit('[').next()?, line[at + 2..].split(')').next()?);
        let plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.".contains(c));
        (plain && file.ends_with(".rs")).then_some((name, file))
    });
    links.collect()
}

/// Whether a test or crash point of this name is in the file. A case of a suite counts when the suite calls it: its own
/// file, or the one above its folder.
fn is_tested(path: &Path, name: &str) -> bool {
    let Ok(text) = fs::read_to_string(path) else { return false };
    if name.contains('.') {
        return text.contains(&format!("\"{name}\""));
    }
    let is_end = |rest: &str| rest.starts_with(['(', '<']);
    let declared = format!("fn {name}");
    let Some((at, _)) = text.match_indices(&declared).find(|(at, _)| is_end(&text[at + declared.len()..])) else {
        return false;
    };
    let above = text[..at].rsplit("\n\n").next().unwrap_or_default();
    if above.lines().any(|line| ["#[test]", "#[tokio::test"].iter().any(|test| line.trim().starts_with(test))) {
        return true;
    }
    let suites = [Some(path.to_owned()), path.parent().map(|folder| folder.with_extension("rs"))];
    suites.iter().flatten().filter_map(|path| fs::read_to_string(path).ok()).any(|text| {
        text.match_indices(&format!("{name}("))
            .any(|(at, _)| !text[..at].ends_with("fn ") && !text[..at].ends_with('_'))
    })
}

#[test]
fn the_page_of_promises_names_tests_that_exist() {
    let page = root().join("docs/exactly-once.md");
    let text = fs::read_to_string(&page).unwrap();
    let mut offenders = Vec::new();
    for (name, file) in text.lines().flat_map(named_tests) {
        if !is_tested(&page.parent().unwrap().join(file), name) {
            offenders.push(format!("{file} has no test {name}"));
        }
    }
    let bugs = fs::read_to_string(root().join("shared/runtime/src/bugs.rs")).unwrap();
    let bugs: Vec<_> = bugs
        .lines()
        .filter_map(|line| line.strip_prefix("    (\"")?.split('"').next())
        .map(|bug| format!("`{bug}`"))
        .collect();
    assert!(!bugs.is_empty(), "bugs.rs lists its bugs in another form");
    let cases = (1..=25).map(|case| format!("E{case}"));
    let promises: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("| P")?.split(' ').next()).collect();
    let promises = (1..=promises.len().max(1)).map(|promise| format!("P{promise}"));
    for row in cases.chain(bugs).chain(promises) {
        let tests: Vec<_> = text
            .lines()
            .filter(|line| line.starts_with(&format!("| {row} |")))
            .map(|line| named_tests(line).len())
            .collect();
        if tests.len() != 1 || tests[0] == 0 {
            offenders
                .push(format!("{row} has {} rows with {tests:?} tests; one row, and at least one test", tests.len()));
        }
    }
    none(&offenders, "docs/exactly-once.md names tests that exist, for each promise, edge case and seeded bug");
}

#[test]
fn every_operation_is_served() {
    let mut served: Vec<&str> = Vec::new();
    for path in files(&[".rs"]).iter().filter(|path| path.ends_with("src/app.rs")) {
        let text: &'static str = fs::read_to_string(path).unwrap().leak();
        let names = text.split(".serve(operations::").skip(1).filter_map(|rest| rest.split(')').next());
        let family = path.parent().unwrap().parent().unwrap().file_name().unwrap().to_str().unwrap();
        let prefix = if family == "logic" { "shop" } else { family };
        served.extend(names.map(|name| &*format!("{prefix}.{name}").leak()));
    }
    served.sort_unstable();
    let mut declared: Vec<_> = contract::OPERATIONS.iter().map(|operation| operation.name).collect();
    declared.sort_unstable();
    assert_eq!(served, declared, "what the families serve is what the contract declares, under the same names");
}

#[test]
fn every_data_set_is_listed() {
    let mut declared = 0;
    for path in files(&["rs"]) {
        let text = fs::read_to_string(&path).unwrap();
        let sets = text.match_indices("impl DataSet for ").filter(|_| !is_test(&path));
        for (at, _) in sets {
            let value = |name: &str| {
                let rest = text[at..].split_once(name).unwrap().1;
                rest.split_once(';').unwrap().0.trim_matches([' ', '=', '"']).to_owned()
            };
            let (name, sharing) = (value("NAME: &'static str"), value("type Sharing"));
            let listed = contract::DATA_SETS.iter().find(|set| set.name == name);
            let listed = listed.unwrap_or_else(|| panic!("{}: {name} is not in DATA_SETS", path.display()));
            let as_type = format!("share{}", listed.sharing.split('(').next().unwrap());
            assert_eq!(sharing.to_lowercase(), as_type, "{name}");
            declared += 1;
        }
    }
    assert!(declared >= 6, "only {declared} data sets found");
}

#[test]
fn nothing_names_this_machine() {
    let mut offenders = Vec::new();
    for path in files(&[".rs", ".md", ".toml", ".sh", ".js", ".html", ".css", ".yml", ".json"]) {
        let text = fs::read_to_string(&path).unwrap();
        for marker in ["/work/", "/root/", "farm-"] {
            if text.contains(marker) && !path.ends_with("tidy.rs") {
                offenders.push(format!("{}: {marker}", path.display()));
            }
        }
    }
    none(&offenders, "no path of one machine in the tree");
}

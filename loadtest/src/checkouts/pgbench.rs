//! The other side: `pgbench` with the shop's statements, in a database of its own whose tables `pg_dump` copied.

use std::{
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use anyhow::{Context, ensure};
use reqwest::Url;
use tokio::{io::AsyncWriteExt as _, process::Command};

use super::{
    options::CheckoutsOptions,
    rows::{Rows, STOCK, Sample},
    shop::SKUS,
};
use crate::{InvalidRun, seams};

const SCRIPT: &str = include_str!("../../pgbench/checkout.sql");
/// Where Debian puts the programs, in a folder for each version.
const DEBIAN: &str = "/usr/lib/postgresql";
/// Its threads; one would be the bottleneck with more than two processors, and two are enough for what they do.
const THREADS: &str = "2";
/// Each slice has new connections, whose first transactions only prepare statements; the shop's connections stay. These
/// seconds, and one report a second, keep that out of the rate.
const WARM_UP_S: u64 = 2;
/// Checkouts of one client in one slice stay below; ids are made of slice, number and client.
const PER_SLICE: u64 = 100_000;

/// `pgbench` and its database.
#[derive(Debug)]
pub(super) struct Pgbench {
    program: PathBuf,
    server: Url,
    name: String,
    rows: Rows,
    shop: Rows,
    variables: Vec<String>,
    slices: u64,
    transactions: u64,
}

impl Pgbench {
    /// Makes the database.
    pub(super) async fn open(options: &CheckoutsOptions, sample: &Sample) -> anyhow::Result<Self> {
        let program = match &options.pgbench {
            Some(program) => program.clone(),
            None => newest().ok_or_else(|| InvalidRun(format!("no pgbench in {DEBIAN}; name it with --pgbench")))?,
        };
        let (server, shop) = (options.database.clone(), Rows::open(&options.database).await?);
        let name = format!("pgbench_{}", seams::fresh_key().replace('-', ""));
        let schema = programs(&program, "pg_dump", &server, None).args(["--schema-only", "--no-owner"]).output().await;
        let schema = good(schema.context("cannot run pg_dump")?, "pg_dump")?.stdout;
        shop.execute(format!("CREATE DATABASE {name}"))
            .await
            .context("--database: cannot make a database for pgbench")?;
        let mut psql = programs(&program, "psql", &server, Some(&name));
        psql.args(["-qX", "-v", "ON_ERROR_STOP=1", "-f", "-"]);
        good(with_input(psql, &schema).await?, "psql")?;
        let mut there = server.clone();
        there.set_path(&name);
        let rows = Rows::open(&there).await?;
        let seed = format!(
            "INSERT INTO catalogue.products (sku, position, title, creator, category, description, price_minor, stocked, \
             available, reserved, sold) SELECT 'a-book-number-' || n, n, 'A Book of Some Length', 'An Author', 'Fiction', \
             repeat('Some words. ', 12), 1299, {STOCK}, {STOCK}, 0, 0 FROM generate_series(1, {SKUS}) AS n"
        );
        rows.execute(seed).await?;
        let variables = variables(sample);
        Ok(Self { program, server, name, rows, shop, variables, slices: 0, transactions: 0 })
    }

    /// The script by this many clients for this long; checkouts a second.
    pub(super) async fn slice(&mut self, clients: u32, lasts: Duration) -> anyhow::Result<f64> {
        self.slices += 1;
        let mut command = programs(&self.program, "pgbench", &self.server, Some(&self.name));
        command.args(["-n", "-M", "prepared", "-j", if clients == 1 { "1" } else { THREADS }, "-f", "-"]);
        command.args(["-c", &clients.to_string(), "-T", &(WARM_UP_S + lasts.as_secs().max(1)).to_string(), "-P", "1"]);
        for variable in &self.variables {
            command.args(["-D", variable]);
        }
        command.args(["-D", &format!("n={}", self.slices * PER_SLICE)]);
        let output = good(with_input(command, SCRIPT.as_bytes()).await?, "pgbench")?;
        let [said, progress] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
        let (done, rate) = parse(&said, &progress).with_context(|| format!("pgbench said: {progress}{said}"))?;
        self.transactions += done;
        Ok(rate)
    }

    pub(super) const fn rows(&self) -> &Rows {
        &self.rows
    }

    /// Checkouts of all slices.
    pub(super) const fn transactions(&self) -> u64 {
        self.transactions
    }

    /// Removes the database.
    pub(super) async fn end(&self) -> anyhow::Result<()> {
        self.rows.close().await;
        self.shop.execute(format!("DROP DATABASE {} WITH (FORCE)", self.name)).await
    }
}

/// What the script writes, of the same size as what the shop wrote.
fn variables(sample: &Sample) -> Vec<String> {
    let Sample { snapshot, answer, clear, receipt } = sample;
    let fixed = [("snapshot", snapshot), ("answer", answer), ("clear", clear), ("receipt", receipt)];
    let fingerprint = format!("fingerprint=\\x{}", "5a".repeat(32));
    let fixed = fixed.iter().map(|(name, text)| format!("{name}={text}"));
    fixed.chain([fingerprint, format!("skus={SKUS}")]).collect()
}

/// A program beside `pgbench`, told by environment whom to speak to: arguments can be read by everybody.
fn programs(pgbench: &Path, name: &str, server: &Url, database: Option<&str>) -> Command {
    let mut command =
        if name == "pgbench" { Command::new(pgbench) } else { Command::new(pgbench.with_file_name(name)) };
    command
        .env("PGHOST", server.host_str().unwrap_or_default())
        .env("PGPORT", server.port().unwrap_or(5432).to_string())
        .env("PGUSER", server.username())
        .env("PGDATABASE", database.unwrap_or_else(|| &server.path()[1..]))
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    if let Some(password) = server.password() {
        command.env("PGPASSWORD", password);
    }
    command
}

async fn with_input(mut command: Command, input: &[u8]) -> anyhow::Result<Output> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input).await?;
    }
    Ok(child.wait_with_output().await?)
}

fn good(output: Output, name: &str) -> anyhow::Result<Output> {
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name} failed ({}): {}", output.status, said.trim());
    Ok(output)
}

fn newest() -> Option<PathBuf> {
    let versions = std::fs::read_dir(DEBIAN).ok()?.filter_map(Result::ok);
    let numbered = versions.filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path())));
    let usable = numbered.map(|(version, path)| (version, path.join("bin/pgbench"))).filter(|(_, path)| path.is_file());
    usable.max().map(|(_, path)| path)
}

/// Transactions in all, and how many a second after the warm-up.
fn parse(said: &str, progress: &str) -> Option<(u64, f64)> {
    let after = |name: &str| said.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let failed = after("number of failed transactions:")?.split(' ').next()?;
    let done = after("number of transactions actually processed:")?.split('/').next()?.parse().ok()?;
    // progress: 3.0 s, 812.9 tps, lat 78.1 ms stddev 9.9, 0 failed
    let seconds = progress.lines().filter_map(|line| {
        let (at, rest) = line.strip_prefix("progress: ")?.split_once(" s, ")?;
        let (at, rate): (f64, f64) = (at.parse().ok()?, rest.split(' ').next()?.parse().ok()?);
        #[expect(clippy::cast_precision_loss, reason = "a few seconds")]
        (at > WARM_UP_S as f64 + 0.5).then_some(rate)
    });
    let rates: Vec<f64> = seconds.collect();
    #[expect(clippy::cast_precision_loss, reason = "at most a minute of seconds")]
    let mean = rates.iter().sum::<f64>() / rates.len() as f64;
    (failed == "0" && !rates.is_empty()).then_some((done, mean))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "number of clients: 64\nnumber of transactions actually processed: 5391\n\
                        number of failed transactions: 0 (0.000%)\ntps = 1077.2 (without initial connection time)\n";
    const PROGRESS: &str = "pgbench (17.5)\nprogress: 1.0 s, 10.0 tps, lat 9 ms stddev 1, 0 failed\n\
                            progress: 2.1 s, 500.0 tps, lat 9 ms stddev 1, 0 failed\n\
                            progress: 3.0 s, 900.0 tps, lat 9 ms stddev 1, 0 failed\n\
                            progress: 4.0 s, 1100.0 tps, lat 9 ms stddev 1, 0 failed\n";

    #[test]
    fn its_report_is_read_without_the_warm_up_and_failures_are_no_result() {
        assert_eq!(parse(SAID, PROGRESS), Some((5391, 1000.0)));
        assert_eq!(parse(&SAID.replace("transactions: 0", "transactions: 3"), PROGRESS), None);
        assert_eq!(parse(SAID, ""), None);
        assert_eq!(parse("", PROGRESS), None);
    }

    #[test]
    fn the_script_knows_all_its_variables() {
        let sample = Sample { snapshot: "{}".into(), answer: "{}".into(), clear: "{}".into(), receipt: "{}".into() };
        for variable in variables(&sample) {
            let name = variable.split('=').next().unwrap();
            assert!(SCRIPT.contains(&format!(":{name}")), "{name}");
        }
    }
}

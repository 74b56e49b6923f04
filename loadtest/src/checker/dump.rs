//! What the shop's databases and its mailbox hold after a run, read behind the shop's back.
//!
//! The tables' names and columns are an interface that the shop keeps for outside checkers. Every column is read as text:
//! one statement then serves SQLite and PostgreSQL, and a column of another type is an error and not a wrong number.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, bail};
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgPool, SqlitePool, postgres::PgPoolOptions, sqlite::SqliteConnectOptions};

/// Connections; the dump is read by one reader.
const CONNECTIONS_MAX: u32 = 1;

/// One row of `orders.operations`.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) id: String,
    pub(crate) principal: String,
    pub(crate) key: String,
    pub(crate) state: String,
    pub(crate) total_minor: i64,
    pub(crate) currency: String,
    /// Quantity and line total by sku, as frozen.
    pub(crate) lines: BTreeMap<String, (i64, i64)>,
    /// Cart operations that it buys.
    pub(crate) ops: Vec<String>,
    pub(crate) answered: bool,
    /// Whether the means of payment is still there; it is wiped at the end.
    pub(crate) keeps_payment: bool,
}

impl Operation {
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state.as_str(), "accepted" | "needs_attention")
    }

    /// Paid for; a refunded order was.
    pub(crate) fn is_paid(&self) -> bool {
        matches!(self.state.as_str(), "completed" | "refunded")
    }
}

/// One row of `payments.charges`.
#[derive(Debug, Clone)]
pub(crate) struct Intent {
    pub(crate) operation: String,
    pub(crate) state: String,
    pub(crate) amount_minor: Option<i64>,
    pub(crate) currency: Option<String>,
    pub(crate) attempts: i64,
    pub(crate) maybe_sent: i64,
}

/// One row of `catalogue.products`.
#[derive(Debug, Clone)]
pub(crate) struct Stock {
    pub(crate) sku: String,
    pub(crate) stocked: i64,
    pub(crate) available: i64,
    pub(crate) reserved: i64,
    pub(crate) sold: i64,
}

/// One reservation with its lines.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reservation {
    pub(crate) state: String,
    pub(crate) lines: BTreeMap<String, i64>,
}

/// One receipt in the mailbox.
#[derive(Debug, Clone)]
pub(crate) struct Receipt {
    pub(crate) event: String,
    pub(crate) principal: String,
    pub(crate) order: String,
}

/// Everything.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dump {
    pub(crate) operations: Vec<Operation>,
    /// Cart operation and the checkout that buys it.
    pub(crate) claimed: Vec<(String, String)>,
    /// Operation and kind of what is still to be done.
    pub(crate) outbox: Vec<(String, String)>,
    pub(crate) intents: Vec<Intent>,
    pub(crate) stock: Vec<Stock>,
    pub(crate) reservations: BTreeMap<String, Reservation>,
    pub(crate) receipts: Vec<Receipt>,
}

/// Where the rows are.
#[derive(Debug)]
pub(crate) enum Source {
    /// A database for each family in this folder.
    Files(std::path::PathBuf),
    /// A schema for each family.
    Postgres(PgPool),
}

type Row = Vec<Option<String>>;

impl Source {
    pub(crate) async fn open(data: &Path, database: Option<&str>) -> anyhow::Result<Self> {
        let Some(uri) = database.filter(|uri| !uri.starts_with("sqlite")) else {
            return Ok(Self::Files(data.to_owned()));
        };
        // Lazily: the database may be restarting.
        let pool = PgPoolOptions::new().max_connections(CONNECTIONS_MAX).connect_lazy(uri);
        Ok(Self::Postgres(pool.context("--database is no URI of a PostgreSQL database")?))
    }

    /// The named columns of a table, each as text.
    async fn rows(&self, family: &str, table: &str, columns: &[&str], filter: &str) -> anyhow::Result<Vec<Row>> {
        let list: Vec<_> = columns.iter().map(|column| format!("CAST({column} AS TEXT) AS {column}")).collect();
        let list = list.join(", ");
        let read = match self {
            Self::Files(folder) => {
                let file = folder.join(format!("{family}.db"));
                let options = SqliteConnectOptions::new().filename(&file).read_only(true);
                let pool = SqlitePool::connect_with(options).await?;
                let text = format!("SELECT {list} FROM {table} {filter}");
                let found = sqlx::query(AssertSqlSafe(text)).fetch_all(&pool).await;
                pool.close().await;
                found.and_then(|rows| rows.iter().map(|row| texts(row, columns.len())).collect())
            }
            Self::Postgres(pool) => {
                let text = format!("SELECT {list} FROM {family}.{table} {filter}");
                let found = sqlx::query(AssertSqlSafe(text)).fetch_all(pool).await;
                found.and_then(|rows| rows.iter().map(|row| texts(row, columns.len())).collect())
            }
        };
        read.with_context(|| format!("{family}.{table} cannot be read"))
    }

    /// Operations that have not ended, and things still to be done: both are 0 when the shop is at rest.
    pub(crate) async fn unrest(&self) -> anyhow::Result<(usize, usize)> {
        let open = self.rows("orders", "operations", &["id"], "WHERE state = 'accepted'").await?.len();
        Ok((open, self.rows("orders", "outbox", &["id"], "").await?.len()))
    }

    pub(crate) async fn dump(&self, mailbox: &Path) -> anyhow::Result<Dump> {
        let columns = ["id", "principal", "request_key", "state", "snapshot", "answer"];
        let operations = self.rows("orders", "operations", &columns, "").await?;
        let unwiped = self.rows("orders", "operations", &["id"], "WHERE payment IS NOT NULL").await?;
        let unwiped: std::collections::BTreeSet<_> = unwiped.into_iter().flatten().flatten().collect();
        let mut dump = Dump::default();
        for row in operations {
            let mut operation = operation(&row)?;
            operation.keeps_payment = unwiped.contains(&operation.id);
            dump.operations.push(operation);
        }
        dump.claimed = pairs(self.rows("orders", "claimed_ops", &["op", "operation"], "").await?)?;
        dump.outbox = pairs(self.rows("orders", "outbox", &["operation", "kind"], "").await?)?;
        let columns = ["operation", "state", "attempts", "maybe_sent", "amount_minor", "currency"];
        for row in self.rows("payments", "charges", &columns, "").await? {
            let amount_minor = row[4].as_deref().map(str::parse).transpose().context("charges.amount_minor")?;
            let (operation, state, currency) = (text(&row, 0)?, text(&row, 1)?, row[5].clone());
            let (attempts, maybe_sent) = (number(&row, 2)?, number(&row, 3)?);
            dump.intents.push(Intent { operation, state, amount_minor, currency, attempts, maybe_sent });
        }
        let columns = ["sku", "stocked", "available", "reserved", "sold"];
        for row in self.rows("catalogue", "products", &columns, "").await? {
            let (stocked, available, reserved, sold) =
                (number(&row, 1)?, number(&row, 2)?, number(&row, 3)?, number(&row, 4)?);
            dump.stock.push(Stock { sku: text(&row, 0)?, stocked, available, reserved, sold });
        }
        for (operation, state) in pairs(self.rows("catalogue", "reservations", &["operation", "state"], "").await?)? {
            dump.reservations.insert(operation, Reservation { state, lines: BTreeMap::new() });
        }
        for row in self.rows("catalogue", "reservation_lines", &["operation", "sku", "quantity"], "").await? {
            let reservation = dump.reservations.entry(text(&row, 0)?).or_default();
            reservation.lines.insert(text(&row, 1)?, number(&row, 2)?);
        }
        dump.receipts = receipts(mailbox)?;
        Ok(dump)
    }
}

fn texts<'r, R>(row: &'r R, columns: usize) -> Result<Row, sqlx::Error>
where
    R: sqlx::Row,
    usize: sqlx::ColumnIndex<R>,
    Option<String>: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
{
    (0..columns).map(|column| row.try_get(column)).collect()
}

fn text(row: &Row, column: usize) -> anyhow::Result<String> {
    row[column].clone().context("a column that must not be null is null")
}

fn number(row: &Row, column: usize) -> anyhow::Result<i64> {
    text(row, column)?.parse().context("a column of whole numbers holds something else")
}

fn pairs(rows: Vec<Row>) -> anyhow::Result<Vec<(String, String)>> {
    rows.into_iter().map(|row| Ok((text(&row, 0)?, text(&row, 1)?))).collect()
}

fn operation(row: &Row) -> anyhow::Result<Operation> {
    let (id, snapshot) = (text(row, 0)?, text(row, 4)?);
    let snapshot: Value = serde_json::from_str(&snapshot).with_context(|| format!("the snapshot of {id}"))?;
    let mut lines: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for line in snapshot["lines"].as_array().context("a snapshot without lines")? {
        let sku = line["sku"].as_str().context("a line without sku")?.to_owned();
        let quantity = line["quantity"].as_i64().context("a line without quantity")?;
        let total_minor = line["line_total"]["amount_minor"].as_i64().context("a line without total")?;
        let slot = lines.entry(sku).or_default();
        *slot = (slot.0 + quantity, slot.1 + total_minor);
    }
    let ops = snapshot["ops"].as_array().map(|ops| ops.iter().filter_map(Value::as_str).map(str::to_owned).collect());
    Ok(Operation {
        principal: text(row, 1)?,
        // Forgotten after a month; such a row is older than the run.
        key: row[2].clone().unwrap_or_default(),
        state: text(row, 3)?,
        total_minor: snapshot["total"]["amount_minor"].as_i64().context("a snapshot without total")?,
        currency: snapshot["total"]["currency"].as_str().context("a snapshot without currency")?.to_owned(),
        lines,
        ops: ops.unwrap_or_default(),
        answered: row[5].is_some(),
        keeps_payment: false,
        id,
    })
}

/// Reads the mailbox: one file an event, named by its id. Unfinished files have another ending and are no receipts.
fn receipts(mailbox: &Path) -> anyhow::Result<Vec<Receipt>> {
    let mut found = Vec::new();
    let folder = match std::fs::read_dir(mailbox) {
        Ok(folder) => folder,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(found),
        Err(error) => bail!("the mailbox {} cannot be read: {error}", mailbox.display()),
    };
    for entry in folder {
        let path = entry?.path();
        if path.extension().is_none_or(|ending| ending != "eml") {
            continue;
        }
        let letter = std::fs::read_to_string(&path).with_context(|| format!("receipt {}", path.display()))?;
        let receipt = receipt(&letter).with_context(|| format!("{} is no receipt", path.display()))?;
        found.push(receipt);
    }
    Ok(found)
}

fn receipt(letter: &str) -> Option<Receipt> {
    let header = |name: &str| letter.lines().find_map(|line| line.strip_prefix(name));
    let address = |text: &str| text.trim().trim_start_matches('<').split('@').next().map(str::to_owned);
    let order = header("Subject: ")?.rsplit(' ').next()?.to_owned();
    let complete = letter.lines().any(|line| line.starts_with("Total "));
    complete.then_some(())?;
    Some(Receipt { event: address(header("Message-ID: ")?)?, principal: address(header("To: ")?)?, order })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_names_its_event_its_customer_and_its_order() {
        let letter =
            "Message-ID: <e1@shop.invalid>\nTo: <p1@customers.invalid>\nSubject: Your order o1\n\nTotal £1.00\n";
        let Receipt { event, principal, order } = receipt(letter).unwrap();
        assert_eq!((event.as_str(), principal.as_str(), order.as_str()), ("e1", "p1", "o1"));
        assert!(receipt(letter.split("Total").next().unwrap()).is_none(), "half a receipt is none");
    }

    const SNAPSHOT: &str = r#"{"lines":[{"sku":"emma","quantity":2,"line_total":{"amount_minor":500}}],
        "total":{"amount_minor":500,"currency":"GBP"},"ops":["d1"]}"#;

    /// The shop's own tables, filled by hand: if it renames one, this fails and not a run of an hour.
    async fn files(folder: &Path) {
        let fill = [
            (
                "orders",
                format!(
                    "INSERT INTO operations (id, principal, request_key, fingerprint, version, state, snapshot, payment, created_at_ms, \
                 not_after_ms, lease_until_ms, next_try_at_ms) VALUES ('o1', 'p1', 'k1', x'00', 1, 'accepted', '{SNAPSHOT}', 'tok', \
                 1, 1, 1, 1); INSERT INTO claimed_ops VALUES ('d1', 'o1'); \
                 INSERT INTO outbox (id, operation, kind, created_at_ms) VALUES ('e1', 'o1', 'settle', 1)"
                ),
            ),
            (
                "payments",
                "INSERT INTO charges (operation, state, attempts, maybe_sent, created_at_ms, changed_at_ms) \
                          VALUES ('o1', 'closed', 3, 0, 1, 1)"
                    .to_owned(),
            ),
            (
                "catalogue",
                "INSERT INTO products VALUES ('emma', 1, 't', 'c', 'k', 'd', 250, 9, 7, 2, 0); \
                           INSERT INTO reservations VALUES ('o1', 'reserved', 1); \
                           INSERT INTO reservation_lines VALUES ('o1', 'emma', 2)"
                    .to_owned(),
            ),
        ];
        for (family, rows) in fill {
            let services = Path::new(env!("CARGO_MANIFEST_DIR")).join("../services");
            let options =
                SqliteConnectOptions::new().filename(folder.join(format!("{family}.db"))).create_if_missing(true);
            let pool = SqlitePool::connect_with(options).await.unwrap();
            let migrations = std::fs::read_dir(services.join(family).join("migrations/sqlite")).unwrap();
            let mut migrations: Vec<_> = migrations.map(|file| file.unwrap().path()).collect();
            migrations.sort();
            for file in migrations {
                let text = std::fs::read_to_string(file).unwrap();
                sqlx::raw_sql(AssertSqlSafe(text)).execute(&pool).await.unwrap();
            }
            sqlx::raw_sql(AssertSqlSafe(rows)).execute(&pool).await.unwrap();
            pool.close().await;
        }
    }

    #[tokio::test]
    async fn the_tables_of_the_shop_are_read_as_they_are() {
        let folder = std::env::temp_dir().join(crate::seams::fresh_key());
        std::fs::create_dir_all(folder.join("mailbox")).unwrap();
        files(&folder).await;
        let source = Source::open(&folder, None).await.unwrap();
        assert_eq!(source.unrest().await.unwrap(), (1, 1));
        let dump = source.dump(&folder.join("mailbox")).await.unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        let row = &dump.operations[0];
        assert_eq!((row.id.as_str(), row.principal.as_str(), row.key.as_str()), ("o1", "p1", "k1"));
        assert!(row.is_open() && row.keeps_payment && !row.answered && row.ops == ["d1"]);
        assert_eq!((row.total_minor, row.lines["emma"]), (500, (2, 500)));
        assert_eq!((dump.claimed.len(), dump.outbox.len()), (1, 1));
        let intent = &dump.intents[0];
        assert_eq!((intent.attempts, intent.maybe_sent, intent.amount_minor), (3, 0, None));
        assert_eq!((dump.stock[0].stocked, dump.stock[0].available, dump.stock[0].reserved), (9, 7, 2));
        assert_eq!(dump.reservations["o1"].lines["emma"], 2);
    }
}

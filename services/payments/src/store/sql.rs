//! Charges in a relational database.
//!
//! On SQLite every change holds the write lock from its start. On PostgreSQL changes run side by side at READ COMMITTED:
//! a row is locked before it is judged, every change is a compare-and-set, and two that come first for one checkout meet
//! in its unique row. The two changes of a usual charge, begin and decide, are one statement each, which commits itself.

use async_trait::async_trait;
use contract::{
    Currency, Once, OperationId,
    payments::{ChargeRecord, CloseRefusal, Evidence},
};
use store::{Database, Link, Migrations, Sql, StoreError, StoreUri, sql};

use super::{Begin, Booked, ChargeStore, Closing, Decision, Intent, Sighted, Sighting, Standing, may_close};

mod refunds;
mod row;
mod shares;

static MIGRATIONS: Migrations =
    Migrations { sqlite: sqlx::migrate!("migrations/sqlite"), postgres: sqlx::migrate!("migrations/postgres") };

/// Charges in a relational database. Clones share its connections.
#[derive(Clone, Debug)]
pub struct SqlCharges(Database);

impl SqlCharges {
    /// Opens the database; makes the tables if need be.
    ///
    /// # Errors
    /// When it cannot be opened or migrated; the message names it.
    pub async fn open(uri: &StoreUri) -> Result<Self, StoreError> {
        Database::open(uri, "payments", &MIGRATIONS).await.map(Self)
    }

    async fn begin_once(&self, intent: &Intent, ahead_max_ms: i64) -> Result<Begin, StoreError> {
        let begin = "INSERT INTO charges (operation, state, amount_minor, currency, token_hash, not_after_ms, attempts, \
                     maybe_sent, created_at_ms, changed_at_ms) \
                     SELECT $1, 'intended', $2, $3, $4, $5, 1, 1, now_ms(), now_ms() WHERE now_ms() <= $5 \
                     AND ($5 - now_ms() <= $6 OR EXISTS (SELECT 1 FROM charges WHERE operation = $1)) \
                     ON CONFLICT (operation) DO UPDATE SET attempts = charges.attempts + 1, \
                     maybe_sent = charges.maybe_sent + 1, changed_at_ms = excluded.changed_at_ms \
                     WHERE charges.state = 'intended' AND charges.amount_minor = excluded.amount_minor \
                     AND charges.currency = excluded.currency AND charges.token_hash = excluded.token_hash \
                     AND charges.not_after_ms = excluded.not_after_ms";
        if self.0.alone(bind_intent(begin, intent).bind(ahead_max_ms)).await? == 1 {
            return Ok(Begin::Send);
        }
        let mut tx = self.0.begin().await?;
        let row = row::read(&mut tx, intent.operation).await?;
        let is_new = row.is_none();
        match row.map_or(Ok(Standing::Open), |row| row.standing(intent))? {
            Standing::Open => {}
            stands => return Ok(Begin::Stands(stands)),
        }
        match intent.not_after_ms - now_ms(&mut tx).await? {
            ahead if ahead < 0 => Ok(Begin::WindowOver),
            ahead if is_new && ahead > ahead_max_ms => Ok(Begin::WindowTooLong),
            _ => Err(met(intent.operation)),
        }
    }

    async fn reject_once(&self, intent: &Intent, code: &str) -> Result<Standing, StoreError> {
        let reject = "UPDATE charges SET state = CASE maybe_sent WHEN 1 THEN 'declined' ELSE state END, \
                      decline_code = CASE maybe_sent WHEN 1 THEN $2 END, maybe_sent = maybe_sent - 1, \
                      changed_at_ms = now_ms() WHERE operation = $1 AND state = 'intended' AND maybe_sent > 0";
        let mut tx = self.0.begin().await?;
        tx.execute(sql(reject).bind(intent.operation.to_string()).bind(code)).await?;
        let row = row::read(&mut tx, intent.operation).await?;
        Database::commit(tx).await?;
        row.map_or(Ok(Standing::Open), |row| row.standing(intent))
    }

    async fn decide_once(&self, intent: &Intent, decision: &Decision) -> Result<Standing, StoreError> {
        let (state, provider_id, code) = match decision {
            Decision::Charged { provider_id } => ("charged", Some(&**provider_id), None),
            Decision::Declined { code } => ("declined", None, Some(&**code)),
        };
        // Inserts where there is no intent, which only a look-up can meet: a database that was restored from a copy.
        let decide = "INSERT INTO charges (operation, amount_minor, currency, token_hash, not_after_ms, state, \
                      provider_id, decline_code, attempts, maybe_sent, created_at_ms, changed_at_ms) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0, now_ms(), now_ms()) \
                      ON CONFLICT (operation) DO UPDATE SET state = excluded.state, provider_id = excluded.provider_id, \
                      decline_code = excluded.decline_code, changed_at_ms = excluded.changed_at_ms \
                      WHERE charges.state = 'intended'";
        if self.0.alone(bind_intent(decide, intent).bind(state).bind(provider_id).bind(code)).await? == 1 {
            return Ok(Standing::Decided(decision.clone()));
        }
        match row::peek(&mut self.0.reader().await?, intent.operation).await? {
            Some(row) => row.standing(intent),
            None => Err(met(intent.operation)),
        }
    }

    async fn close_once(
        &self,
        operation: OperationId,
        evidence: Option<&Evidence>,
    ) -> Result<Result<(), CloseRefusal>, StoreError> {
        let mut tx = self.0.begin().await?;
        let row = row::read(&mut tx, operation).await?;
        let change = match row {
            None => bind_evidence(
                sql("INSERT INTO charges (operation, state, attempts, maybe_sent, operator, note, created_at_ms, \
                     changed_at_ms) VALUES ($1, 'closed', 0, 0, $2, $3, now_ms(), now_ms()) \
                     ON CONFLICT (operation) DO NOTHING")
                .bind(operation.to_string()),
                evidence,
            ),
            Some(row) => {
                let over = now_ms(&mut tx).await? > row.not_after_ms.unwrap_or(i64::MAX);
                match may_close(row.outcome()?, row.maybe_sent, over, evidence.is_some()) {
                    Closing::Already => return Ok(Ok(())),
                    Closing::Refused(why) => return Ok(Err(why.into())),
                    Closing::Close => {}
                }
                bind_evidence(
                    sql("UPDATE charges SET state = 'closed', operator = $2, note = $3, changed_at_ms = now_ms() \
                         WHERE operation = $1 AND state = 'intended' AND maybe_sent = $4")
                    .bind(operation.to_string()),
                    evidence,
                )
                .bind(row.maybe_sent)
            }
        };
        if tx.execute(change).await? != 1 {
            return Err(met(operation));
        }
        Database::commit(tx).await?;
        Ok(Ok(()))
    }

    async fn sight_once(&self, sighting: &Sighting) -> Result<Sighted, StoreError> {
        let mut tx = self.0.begin().await?;
        let Some(row) = row::read(&mut tx, sighting.operation).await? else { return Ok(Sighted::NoIntent) };
        if let Some(known) = row.sighted(sighting)? {
            return Ok(known);
        }
        let set = sql("UPDATE charges SET state = 'charged', provider_id = $2, operator = $3, note = $4, \
                       changed_at_ms = now_ms() WHERE operation = $1 AND state = 'intended'")
        .bind(sighting.operation.to_string())
        .bind(&sighting.provider_id);
        if tx.execute(bind_evidence(set, sighting.evidence.as_ref())).await? != 1 {
            return Err(met(sighting.operation));
        }
        Database::commit(tx).await?;
        Ok(Sighted::News)
    }
}

#[async_trait]
impl ChargeStore for SqlCharges {
    async fn look(&self, intent: &Intent) -> Result<Standing, StoreError> {
        let row = row::peek(&mut self.0.reader().await?, intent.operation).await?;
        row.map_or(Ok(Standing::Open), |row| row.standing(intent))
    }

    async fn begin(&self, _: &Once, intent: &Intent, ahead_max_ms: i64) -> Result<Begin, StoreError> {
        self.0.retrying(|| self.begin_once(intent, ahead_max_ms)).await
    }

    async fn not_sent(&self, _: &Once, operation: OperationId) -> Result<(), StoreError> {
        let take_back = "UPDATE charges SET maybe_sent = maybe_sent - 1, changed_at_ms = now_ms() \
                         WHERE operation = $1 AND state = 'intended' AND maybe_sent > 0";
        self.0.retrying(|| self.0.alone(sql(take_back).bind(operation.to_string()))).await?;
        Ok(())
    }

    async fn reject(&self, _: &Once, intent: &Intent, code: &str) -> Result<Standing, StoreError> {
        self.0.retrying(|| self.reject_once(intent, code)).await
    }

    async fn decide(&self, _: &Once, intent: &Intent, decision: &Decision) -> Result<Standing, StoreError> {
        self.0.retrying(|| self.decide_once(intent, decision)).await
    }

    async fn close(
        &self,
        operation: OperationId,
        evidence: Option<&Evidence>,
    ) -> Result<Result<(), CloseRefusal>, StoreError> {
        self.0.retrying(|| self.close_once(operation, evidence)).await
    }

    async fn sight(&self, sighting: &Sighting) -> Result<Sighted, StoreError> {
        // Looked at without a transaction first: nearly always the provider's own answer came before, and what is decided
        // stays decided.
        let row = row::peek(&mut self.0.reader().await?, sighting.operation).await?;
        if let Some(known) = row.map_or(Ok(None), |row| row.sighted(sighting))? {
            return Ok(known);
        }
        self.0.retrying(|| self.sight_once(sighting)).await
    }

    async fn inspect(&self, operation: OperationId) -> Result<Option<ChargeRecord>, StoreError> {
        let select = "SELECT refund_id, operator, note FROM refunds WHERE operation = $1";
        let mut link = self.0.reader().await?;
        let Some(row) = row::peek(&mut link, operation).await? else { return Ok(None) };
        let refund: Option<(Option<String>, String, String)> =
            link.optional(sql(select).bind(operation.to_string())).await?;
        row.record(refund).map(Some)
    }

    async fn page(&self, after: Option<OperationId>, limit: u32) -> Result<Vec<Booked>, StoreError> {
        let select = "SELECT charges.operation, charges.state, charges.amount_minor, charges.currency, \
                      CASE WHEN refunds.state = 'refunded' THEN 1 ELSE 0 END, charges.changed_at_ms \
                      FROM charges LEFT JOIN refunds ON refunds.operation = charges.operation \
                      WHERE charges.operation > $1 ORDER BY charges.operation LIMIT $2";
        let after = after.map(|operation| operation.to_string()).unwrap_or_default();
        let rows: Vec<(String, String, Option<i64>, Option<String>, i32, i64)> =
            self.0.reader().await?.all(sql(select).bind(after).bind(limit)).await?;
        rows.into_iter()
            .map(|(operation, state, minor, currency, refunded, changed_at_ms)| {
                let outcome = row::outcome_of(&state)?;
                let amount = row::money(minor, currency.as_deref())?;
                let operation =
                    operation.parse().map_err(|error| StoreError::Corrupt(format!("charges.operation: {error}")))?;
                Ok(Booked { operation, outcome, amount, refunded: refunded == 1, changed_at_ms })
            })
            .collect()
    }

    async fn now_ms(&self) -> Result<i64, StoreError> {
        now_ms(&mut self.0.reader().await?).await
    }
}

async fn now_ms(link: &mut Link) -> Result<i64, StoreError> {
    let (now,) = link.one(sql("SELECT now_ms()")).await?;
    Ok(now)
}

fn bind_intent(text: &'static str, intent: &Intent) -> Sql {
    sql(text)
        .bind(intent.operation.to_string())
        .bind(intent.amount.amount_minor)
        .bind(code_of(intent.amount.currency))
        .bind(intent.token_hash.as_bytes().as_slice())
        .bind(intent.not_after_ms)
}

/// Operator and note.
fn bind_evidence(statement: Sql, evidence: Option<&Evidence>) -> Sql {
    statement.bind(evidence.map(|evidence| &*evidence.operator)).bind(evidence.map(|evidence| &*evidence.note))
}

const fn code_of(currency: Currency) -> &'static str {
    match currency {
        Currency::Gbp => "GBP",
    }
}

/// Another transaction was in the way between two statements of this one; nothing is committed, and it is run again.
fn met(operation: OperationId) -> StoreError {
    StoreError::Conflict(format!("charge {operation} changed meanwhile"))
}

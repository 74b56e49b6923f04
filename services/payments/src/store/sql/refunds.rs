//! Refunds in a relational database.

use async_trait::async_trait;
use contract::{Money, Once, OperationId, payments::Evidence};
use store::{Database, Link, StoreError, sql};

use super::super::{BeginRefund, RefundDecision, RefundStanding, RefundStore, refunds::may_refund};
use super::{SqlCharges, code_of, met, row};

type Found = (String, i64, String, Option<String>, Option<String>);

impl SqlCharges {
    async fn begin_refund_once(
        &self,
        operation: OperationId,
        amount: Money,
        evidence: &Evidence,
    ) -> Result<BeginRefund, StoreError> {
        let again = "UPDATE refunds SET attempts = attempts + 1, changed_at_ms = now_ms() \
                     WHERE operation = $1 AND state = 'intended'";
        let insert = "INSERT INTO refunds (operation, state, amount_minor, currency, attempts, operator, note, \
                      created_at_ms, changed_at_ms) VALUES ($1, 'intended', $2, $3, 1, $4, $5, now_ms(), now_ms())";
        let mut tx = self.0.begin().await?;
        let change = match read(&mut tx, operation).await? {
            Some(found) => match standing(found, Some(amount))? {
                RefundStanding::Open => sql(again).bind(operation.to_string()),
                stands => return Ok(BeginRefund::Stands(stands)),
            },
            None => {
                let charge = match row::read(&mut tx, operation).await? {
                    Some(row) => Some((row.outcome()?, row.amount()?)),
                    None => None,
                };
                if let Err(stands) = may_refund(charge, amount) {
                    return Ok(BeginRefund::Stands(stands));
                }
                sql(insert)
                    .bind(operation.to_string())
                    .bind(amount.amount_minor)
                    .bind(code_of(amount.currency))
                    .bind(&evidence.operator)
                    .bind(&evidence.note)
            }
        };
        if tx.execute(change).await? != 1 {
            return Err(met(operation));
        }
        Database::commit(tx).await?;
        Ok(BeginRefund::Send)
    }

    async fn decide_refund_once(
        &self,
        operation: OperationId,
        decision: &RefundDecision,
    ) -> Result<RefundStanding, StoreError> {
        let (state, id, code) = match decision {
            RefundDecision::Refunded { refund_id } => ("refunded", Some(&**refund_id), None),
            RefundDecision::Refused { code } => ("refused", None, Some(&**code)),
        };
        let decide = "UPDATE refunds SET state = $2, refund_id = $3, refuse_code = $4, changed_at_ms = now_ms() \
                      WHERE operation = $1 AND state = 'intended'";
        let mut tx = self.0.begin().await?;
        if tx.execute(sql(decide).bind(operation.to_string()).bind(state).bind(id).bind(code)).await? == 1 {
            Database::commit(tx).await?;
            return Ok(decision.clone().into());
        }
        match read(&mut tx, operation).await? {
            Some(found) => standing(found, None),
            None => Err(StoreError::Corrupt(format!("refund {operation}: decided without an intent"))),
        }
    }
}

#[async_trait]
impl RefundStore for SqlCharges {
    async fn begin_refund(
        &self,
        _: &Once,
        operation: OperationId,
        amount: Money,
        evidence: &Evidence,
    ) -> Result<BeginRefund, StoreError> {
        self.0.retrying(|| self.begin_refund_once(operation, amount, evidence)).await
    }

    async fn decide_refund(
        &self,
        _: &Once,
        operation: OperationId,
        decision: &RefundDecision,
    ) -> Result<RefundStanding, StoreError> {
        self.0.retrying(|| self.decide_refund_once(operation, decision)).await
    }
}

async fn read(tx: &mut Link, operation: OperationId) -> Result<Option<Found>, StoreError> {
    let select =
        "SELECT state, amount_minor, currency, refund_id, refuse_code FROM refunds WHERE operation = $1 FOR UPDATE";
    tx.optional(sql(select).bind(operation.to_string())).await
}

fn standing(found: Found, asked: Option<Money>) -> Result<RefundStanding, StoreError> {
    let (state, minor, currency, refund_id, code) = found;
    if asked.is_some() && row::money(Some(minor), Some(&currency))? != asked {
        return Ok(RefundStanding::OtherAmount);
    }
    match (state.as_str(), refund_id, code) {
        ("intended", ..) => Ok(RefundStanding::Open),
        ("refunded", Some(refund_id), _) => Ok(RefundStanding::Refunded { refund_id }),
        ("refused", _, Some(code)) => Ok(RefundStanding::Refused { code }),
        (state, ..) => Err(StoreError::Corrupt(format!("refunds.state \"{state}\""))),
    }
}

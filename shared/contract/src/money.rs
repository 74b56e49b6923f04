//! Money: whole minor units and a currency. Never a float; every sum is checked.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An amount of money. On the wire `{"amount_minor": 1299, "currency": "GBP"}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// Minor units (pence).
    pub amount_minor: i64,
    /// ISO 4217 code.
    pub currency: Currency,
}

/// A currency the shop sells in. One for now: a second one is a decision about prices, not about types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Currency {
    /// Pound sterling, two decimals.
    #[serde(rename = "GBP")]
    Gbp,
}

/// A sum that cannot be expressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Beyond 64 bits of minor units.
    #[error("the amount is too large")]
    Overflow,
    /// Two currencies in one sum.
    #[error("amounts of different currencies cannot be added")]
    MixedCurrencies,
}

impl Money {
    /// An amount in pounds sterling.
    #[must_use]
    pub const fn gbp(amount_minor: i64) -> Self {
        Self { amount_minor, currency: Currency::Gbp }
    }

    /// The price of `quantity` pieces.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`] when the product does not fit.
    pub fn times(self, quantity: u32) -> Result<Self, MoneyError> {
        let amount_minor = self.amount_minor.checked_mul(i64::from(quantity)).ok_or(MoneyError::Overflow)?;
        Ok(Self { amount_minor, ..self })
    }

    /// The sum of two amounts of one currency.
    ///
    /// # Errors
    /// [`MoneyError`] when it does not fit or the currencies differ.
    pub fn plus(self, other: Self) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::MixedCurrencies);
        }
        let amount_minor = self.amount_minor.checked_add(other.amount_minor).ok_or(MoneyError::Overflow)?;
        Ok(Self { amount_minor, ..self })
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.amount_minor < 0 { "-" } else { "" };
        let minor = self.amount_minor.unsigned_abs();
        write!(f, "{sign}£{}.{:02}", minor / 100, minor % 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_checked() {
        assert_eq!(Money::gbp(1299).times(3), Ok(Money::gbp(3897)));
        assert_eq!(Money::gbp(i64::MAX).plus(Money::gbp(1)), Err(MoneyError::Overflow));
        assert_eq!(Money::gbp(i64::MAX).times(2), Err(MoneyError::Overflow));
        assert_eq!(Money::gbp(-5).to_string(), "-£0.05");
        assert_eq!(Money::gbp(1299).to_string(), "£12.99");
    }
}

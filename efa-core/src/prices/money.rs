//! An exact amount of money.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Digits after the point: those of AWS's price list.
const SCALE: usize = 10;
const ONE: u128 = 10_u128.pow(SCALE as u32);

/// An amount in a currency, exact to ten digits after the point.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Money {
    /// In units of 10⁻¹⁰.
    units: u128,
    currency: String,
}

#[derive(Serialize, Deserialize)]
struct Written {
    amount: String,
    currency: String,
}

impl TryFrom<Written> for Money {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        Self::parse(&written.amount, &written.currency)
            .ok_or_else(|| format!("'{}' is not an amount of money", written.amount))
    }
}

impl From<Money> for Written {
    fn from(money: Money) -> Self {
        Self {
            amount: money.amount(),
            currency: money.currency,
        }
    }
}

impl Money {
    /// Returns the amount of a text such as `98.3200000000`; `None` for what is none, or not exact
    /// to ten digits after the point.
    #[must_use]
    pub fn parse(amount: &str, currency: &str) -> Option<Self> {
        let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
        let is_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        let is_currency = currency.len() == 3 && currency.bytes().all(|b| b.is_ascii_uppercase());
        if whole.is_empty() || whole.len() > 18 || !is_digits(whole) || !is_digits(fraction) {
            return None;
        }
        let fraction = fraction.trim_end_matches('0');
        if !is_currency || fraction.len() > SCALE {
            return None;
        }
        let fraction: u128 = format!("{fraction:0<SCALE$}").parse().ok()?;
        Some(Self {
            units: whole.parse::<u128>().ok()? * ONE + fraction,
            currency: currency.to_owned(),
        })
    }

    /// Returns the currency, such as `USD`.
    #[must_use]
    pub fn currency(&self) -> &str {
        &self.currency
    }

    /// Returns the amount without the currency: two digits after the point, more where it has more.
    #[must_use]
    pub fn amount(&self) -> String {
        let fraction = format!("{:0SCALE$}", self.units % ONE);
        let fraction = fraction.trim_end_matches('0');
        format!("{}.{fraction:0<2}", self.units / ONE)
    }

    /// Returns the amount times a number.
    #[must_use]
    pub fn times(&self, count: u32) -> Self {
        Self {
            // 18 digits, 10 more after the point and 10 of the count are below 2^127.
            units: self.units * u128::from(count),
            currency: self.currency.clone(),
        }
    }

    /// Returns the amount split into `parts` parts, rounded up in the tenth digit; `None` for no
    /// parts.
    #[must_use]
    pub fn split(&self, parts: u32) -> Option<Self> {
        (parts > 0).then(|| Self {
            units: self.units.div_ceil(u128::from(parts)),
            currency: self.currency.clone(),
        })
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount(), self.currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact() {
        for (text, shown) in [
            ("98.3200000000", "98.32 USD"),
            ("0.0000000001", "0.0000000001 USD"),
            ("5", "5.00 USD"),
            ("5.", "5.00 USD"),
            ("0.1", "0.10 USD"),
            ("0.00000000010000", "0.0000000001 USD"),
        ] {
            let money = Money::parse(text, "USD").unwrap();
            assert_eq!(money.to_string(), shown);
            let json = serde_json::to_string(&money).unwrap();
            assert_eq!(serde_json::from_str::<Money>(&json).unwrap(), money);
        }
        let tenth = Money::parse("0.1", "USD").unwrap();
        assert_eq!(tenth.times(3).amount(), "0.30");
        assert_eq!(tenth.split(3).unwrap().amount(), "0.0333333334");
        assert_eq!(tenth.split(0), None);
        let most = Money::parse(&"9".repeat(18), "USD").unwrap();
        assert!(most.times(u32::MAX).units > most.units);
    }

    #[test]
    fn what_is_no_amount_is_none() {
        for text in [
            "",
            ".5",
            "-1",
            "+1",
            "1e3",
            "1,000.00",
            "1.2.3",
            "NaN",
            "0.00000000001",
            " 1",
        ] {
            assert_eq!(Money::parse(text, "USD"), None, "{text:?}");
        }
        assert_eq!(Money::parse(&"9".repeat(19), "USD"), None);
        for currency in ["", "usd", "DOLLARS", "$"] {
            assert_eq!(Money::parse("1", currency), None);
        }
        let wrong = r#"{"amount": "x", "currency": "USD"}"#;
        assert!(serde_json::from_str::<Money>(wrong).is_err());
    }
}

//! Quantities of Kubernetes, by value.

use serde_json::Value;

use crate::handoff::check::unknown::is_unknown;

/// Binary and decimal suffixes, and the factor of each.
const SUFFIXES: &[(&str, i128)] = &[
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
    ("Pi", 1 << 50),
    ("Ei", 1 << 60),
    ("k", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
    ("P", 1_000_000_000_000_000),
    ("E", 1_000_000_000_000_000_000),
    ("m", -1_000),
    ("", 1),
];

/// A quantity in thousandths, such as `5Gi`, `1k`, `1.5` or `100m`; `None` where it is none: a
/// placeholder, for example.
pub(super) fn thousandths(value: &Value) -> Option<i128> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    if let Some((number, exponent)) = text.split_once(['e', 'E'])
        && let Ok(exponent) = exponent.parse::<u32>()
    {
        return decimal(number, 10_i128.checked_pow(exponent.min(30))?);
    }
    let (suffix, factor) = SUFFIXES.iter().find(|(suffix, _)| text.ends_with(suffix))?;
    decimal(&text[..text.len() - suffix.len()], *factor)
}

/// A decimal number times a factor, in thousandths; a negative factor divides.
fn decimal(number: &str, factor: i128) -> Option<i128> {
    let number = number.strip_prefix('+').unwrap_or(number);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || number.is_empty() || number.len() > 24 {
        return None;
    }
    let scale = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let all: i128 = format!("0{whole}{fraction}").parse().ok()?;
    let thousandths = all.checked_mul(1000)?;
    let value = if factor < 0 {
        thousandths / -factor
    } else {
        thousandths.checked_mul(factor)?
    };
    Some(value / scale)
}

/// The count of a resource that is given whole, such as `32`, `"32"` or `1k`.
pub(super) fn count(value: &Value) -> Option<u64> {
    let thousandths = thousandths(value)?;
    u64::try_from(thousandths / 1000)
        .ok()
        .filter(|_| thousandths % 1000 == 0)
}

/// Whether a value can be no such count, whatever stands for it: a negative number, a part of one,
/// or no text and no number. A text that is no quantity may be a placeholder.
pub(super) fn is_no_count(value: &Value) -> bool {
    let is_quantity = |text: &str| thousandths(&Value::from(text)).is_some();
    match value {
        Value::Null => false,
        Value::Number(_) => count(value).is_none(),
        Value::String(text) => {
            let text = text.trim();
            let negative = text.strip_prefix('-').is_some_and(is_quantity);
            negative || (is_quantity(text) && count(value).is_none())
        }
        other => !is_unknown(other),
    }
}

/// Whether a value is neither a count nor what stands for one, judging by what is known here.
pub(super) fn is_of_unknown_form(value: &Value) -> bool {
    !value.is_null() && count(value).is_none() && !is_no_count(value) && !is_placeholder(value)
}

/// Whether a text stands for a value that is to be put in: it is marked as such, or in capitals.
pub(super) fn is_placeholder(value: &Value) -> bool {
    let in_capitals = |text: &str| {
        let capital = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || "_-".contains(c);
        !text.is_empty() && text.chars().all(capital)
    };
    is_unknown(value) || value.as_str().is_some_and(in_capitals)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn quantities_of_one_value_are_equal() {
        for (one, other) in [
            (json!("5Gi"), json!("5120Mi")),
            (json!(1), json!("1")),
            (json!("1k"), json!(1000)),
            (json!("1e3"), json!("1000")),
            (json!("0.5"), json!("500m")),
            (json!("1.5Gi"), json!("1536Mi")),
            (json!(1.0), json!("1000m")),
        ] {
            assert_eq!(thousandths(&one), thousandths(&other), "{one} {other}");
            assert!(thousandths(&one).is_some(), "{one}");
        }
        for none in [
            json!("$EFA"),
            json!("{{ .Values.efa }}"),
            json!({}),
            json!(""),
            json!("x"),
            json!("-1"),
        ] {
            assert_eq!(thousandths(&none), None, "{none}");
        }
        for wrong in [
            json!(-1),
            json!("-1"),
            json!(1.5),
            json!("500m"),
            json!(true),
            json!([1]),
            json!({"a": 1}),
        ] {
            assert!(is_no_count(&wrong), "{wrong}");
        }
        for other in [
            json!(0),
            json!("32"),
            json!("1k"),
            json!("$EFA"),
            json!("-$EFA"),
            json!({"{{ .Values.efa }}": null}),
            json!(null),
        ] {
            assert!(!is_no_count(&other), "{other}");
        }
        for value in ["$EFA", "{{ .Values.efa }}", "EFA_PER_NODE", "<efa>"] {
            assert!(is_placeholder(&json!(value)), "{value}");
        }
        for value in [json!("other"), json!(""), json!(5)] {
            assert!(!is_placeholder(&value), "{value}");
        }
        assert_eq!(count(&json!("1k")), Some(1000));
        assert_eq!(count(&json!("500m")), None);
    }
}

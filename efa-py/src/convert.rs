//! Plain values of Python as Rust's, and back: seconds, addresses, lists, the words of enums.

use std::net::SocketAddr;
use std::time::Duration;

use efa_fabric::token::Token;
use pyo3::prelude::*;
use serde::de::value::StrDeserializer;
use serde::de::{self, Deserialize};
use serde_json::Value;

use crate::argument::invalid;
use crate::errors;

/// The argument of this name, in seconds.
pub(crate) fn seconds(name: &str, value: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(value)
        .map_err(|_| invalid(name, &value, "must be seconds, from 0 to 1e19"))
}

/// An address to listen on.
pub(crate) fn address(text: &str) -> PyResult<SocketAddr> {
    text.parse().map_err(|_| {
        invalid(
            "address",
            &format_args!("'{text}'"),
            "must be ip:port, such as 127.0.0.1:7777",
        )
    })
}

/// The secret of a rendezvous: as given, or a random one.
pub(crate) fn token(given: Option<String>) -> PyResult<Token> {
    given
        .map_or_else(Token::generate, Token::parse)
        .map_err(errors::exception)
}

/// Core values as their Python classes.
pub(crate) fn list<T: Clone, P: From<T>>(values: &[T]) -> Vec<P> {
    values.iter().cloned().map(P::from).collect()
}

/// Each value as its text.
pub(crate) fn texts<T: ToString>(values: &[T]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

/// The word that serde writes for an enum's variant, without what the variant holds.
pub(crate) fn word<T: serde::Serialize>(value: &T) -> PyResult<String> {
    let written = errors::json(serde_json::to_value(value))?;
    match written {
        Value::String(word) => Ok(word),
        Value::Object(variant) if variant.len() == 1 => {
            Ok(variant.into_iter().map(|(word, _)| word).collect())
        }
        other => Err(invalid("value", &other, "must have a word")),
    }
}

/// The enum's variant for the word that the argument of this name has.
pub(crate) fn parse<'a, T: Deserialize<'a>>(name: &str, word: &'a str) -> PyResult<T> {
    T::deserialize(StrDeserializer::<WordError>::new(word))
        .map_err(|error| invalid(name, &format_args!("'{word}'"), &error.0))
}

/// Why a word is none of the enum's.
#[derive(Debug)]
struct WordError(String);

impl std::fmt::Display for WordError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WordError {}

impl de::Error for WordError {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }

    fn unknown_variant(_word: &str, expected: &'static [&'static str]) -> Self {
        Self(match expected {
            [] => "must be left out".to_owned(),
            [only] => format!("must be {only}"),
            [firsts @ .., last] => format!("must be {} or {last}", firsts.join(", ")),
        })
    }
}

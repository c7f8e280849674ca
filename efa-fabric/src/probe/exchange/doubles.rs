//! Exchanges for tests: one in memory, one that fails.

use std::collections::HashMap;

use super::{Exchange, ExchangeError};

#[derive(Default)]
pub(crate) struct Memory(pub(crate) HashMap<String, Vec<u8>>);

impl Exchange for Memory {
    fn put(&mut self, key: &str, value: &[u8]) -> Result<(), ExchangeError> {
        let before = self.0.insert(key.to_owned(), value.to_vec());
        assert_eq!(before, None, "{key} was used twice");
        Ok(())
    }

    fn take(&mut self, key: &str) -> Result<Option<Vec<u8>>, ExchangeError> {
        Ok(self.0.remove(key))
    }
}

pub(crate) struct Broken;

impl Exchange for Broken {
    fn put(&mut self, _: &str, _: &[u8]) -> Result<(), ExchangeError> {
        Err("gone".into())
    }

    fn take(&mut self, _: &str) -> Result<Option<Vec<u8>>, ExchangeError> {
        Err("gone".into())
    }
}

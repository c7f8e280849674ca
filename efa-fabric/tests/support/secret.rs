//! The token of the tests.

use efa_fabric::token::Token;

pub(crate) const SECRET: &str = "a secret of tests";

pub(crate) fn secret() -> Token {
    #[allow(clippy::unwrap_used)] // it is long enough
    Token::parse(SECRET).unwrap()
}

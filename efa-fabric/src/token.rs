//! A shared secret, and how two sides prove to each other that both have it.
//!
//! The secret itself never crosses the network. The side that connects sends a nonce, the side
//! that listens answers with its own. Then each sends the HMAC-SHA256 of both nonces under the
//! token, the connecting side first, and with a label that names the sender, so that no proof can
//! be replayed or reflected. Whoever answers an address without having the token learns one HMAC,
//! which is worth nothing while the token cannot be guessed: hence its least length.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::error::{Code, Error, Result};

/// A secret that both sides of a rendezvous have. Its `Debug` does not show it.
///
/// # Examples
/// ```
/// use efa_fabric::token::Token;
///
/// let token = Token::generate()?;
/// assert_eq!(Token::parse(token.reveal())?, token);
/// assert!(Token::parse("short").is_err());
/// # Ok::<(), efa_fabric::error::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Least length of a token, in bytes: 128 bits as hexadecimal digits are 32, as Base64 22.
    pub const MIN_BYTES: usize = 16;
    /// Greatest length of a token, in bytes.
    pub const MAX_BYTES: usize = 1024;

    /// Reads a token of 16 to 1,024 bytes.
    ///
    /// # Errors
    /// `fabric.invalid_option` if it is shorter or longer.
    pub fn parse(text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        let length = text.len();
        if (Self::MIN_BYTES..=Self::MAX_BYTES).contains(&length) {
            return Ok(Self(text));
        }
        Err(Error::new(
            Code::InvalidOption,
            format!(
                "the token has {length} bytes; it must have {} to {}",
                Self::MIN_BYTES,
                Self::MAX_BYTES
            ),
        )
        .with_cure("use random text, such as 32 hexadecimal digits, the same on both sides")
        .with_context("option", "token")
        .with_context("value", format!("{length} bytes")))
    }

    /// Creates a new random token: 32 hexadecimal digits from the system's random numbers.
    ///
    /// # Errors
    /// `fabric.rendezvous_failed` if the system gives no random numbers.
    pub fn generate() -> Result<Self> {
        let mut bytes = [0; 16];
        fill(&mut bytes)?;
        Ok(Self(hex::encode(bytes)))
    }

    /// Returns the secret itself, to bring it to the other side.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub(crate) fn proof(&self, of: Prover, nonces: &Nonces) -> [u8; PROOF_BYTES] {
        self.mac(of, nonces).finalize().into_bytes().into()
    }

    /// Whether the proof is right, in a time that does not depend on where it differs.
    pub(crate) fn is_proved(&self, of: Prover, nonces: &Nonces, proof: &[u8]) -> bool {
        self.mac(of, nonces).verify_slice(proof).is_ok()
    }

    fn mac(&self, of: Prover, nonces: &Nonces) -> Hmac<Sha256> {
        #[allow(clippy::expect_used)] // HMAC takes keys of every length
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.as_bytes()).expect("any length");
        mac.update(match of {
            Prover::Connecting => b"efa-sdk rendezvous, connecting side\0",
            Prover::Listening => b"efa-sdk rendezvous, listening side\0\0",
        });
        mac.update(&nonces.connecting);
        mac.update(&nonces.listening);
        mac
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Length of a nonce, in bytes.
pub(crate) const NONCE_BYTES: usize = 32;
/// Length of a proof, in bytes.
pub(crate) const PROOF_BYTES: usize = 32;

/// Who proves that it has the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prover {
    Connecting,
    Listening,
}

/// A number that is used once.
pub(crate) type Nonce = [u8; NONCE_BYTES];

/// What both sides contributed to one meeting.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Nonces {
    pub(crate) connecting: Nonce,
    pub(crate) listening: Nonce,
}

/// A new nonce.
pub(crate) fn nonce() -> Result<Nonce> {
    let mut bytes = [0; NONCE_BYTES];
    fill(&mut bytes)?;
    Ok(bytes)
}

fn fill(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes).map_err(|error| {
        Error::new(
            Code::RendezvousFailed,
            format!("the system gives no random numbers: {error}"),
        )
    })
}

/// A wrong proof is answered this much later, so that guesses are few: as many a second as a side
/// has connections that it listens to at once.
pub(crate) const PENALTY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn nonces() -> Nonces {
        Nonces {
            connecting: nonce().unwrap(),
            listening: nonce().unwrap(),
        }
    }

    #[test]
    fn a_token_has_a_least_and_a_greatest_length() {
        for length in [0, 1, 15, 1025] {
            let error = Token::parse("x".repeat(length)).unwrap_err();
            assert_eq!(error.code(), Code::InvalidOption);
            assert!(error.to_string().contains("16 to 1024"), "{error}");
        }
        for length in [16, 1024] {
            assert!(Token::parse("x".repeat(length)).is_ok());
        }
    }

    #[test]
    fn generated_tokens_differ_and_are_not_shown() {
        let (one, two) = (Token::generate().unwrap(), Token::generate().unwrap());
        assert_ne!(one, two);
        assert_eq!(one.reveal().len(), 32);
        assert!(!format!("{one:?}").contains(one.reveal()));
    }

    #[test]
    fn only_the_same_token_nonces_and_side_prove() {
        let token = Token::generate().unwrap();
        let of = nonces();
        let proof = token.proof(Prover::Connecting, &of);
        assert!(token.is_proved(Prover::Connecting, &of, &proof));
        assert!(!token.is_proved(Prover::Listening, &of, &proof));
        assert!(!token.is_proved(Prover::Connecting, &nonces(), &proof));
        let swapped = Nonces {
            connecting: of.listening,
            listening: of.connecting,
        };
        assert!(!token.is_proved(Prover::Connecting, &swapped, &proof));
        let other = Token::generate().unwrap();
        assert!(!other.is_proved(Prover::Connecting, &of, &proof));
        for wrong in [&proof[..31], &[], &[0; 32]] {
            assert!(!token.is_proved(Prover::Connecting, &of, wrong));
        }
    }
}

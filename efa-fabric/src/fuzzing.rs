//! What fuzz targets need of parsers that nothing public reaches. Not part of the API: it changes
//! with them.

use std::net::{Ipv4Addr, SocketAddr};

use crate::probe::{parse_frame, peer_address};
use crate::token::{Nonces, Prover, Token};

/// Returns the proofs of the connecting and the listening side that they have this token, for their
/// nonces; all are hexadecimal digits.
///
/// # Panics
/// If the token or a nonce is not one.
#[must_use]
#[allow(clippy::expect_used)] // for tests, whose values are right
pub fn proofs(token: &str, connecting: &str, listening: &str) -> [String; 2] {
    let nonce = |digits| {
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes).expect("64 hexadecimal digits");
        bytes
    };
    let nonces = Nonces {
        connecting: nonce(connecting),
        listening: nonce(listening),
    };
    let token = Token::parse(token).expect("16 to 1,024 bytes");
    [Prover::Connecting, Prover::Listening].map(|of| hex::encode(token.proof(of, &nonces)))
}

/// Returns the address that a peer's digits of this format are, where the local one has these
/// digits; or the code of the refusal.
///
/// # Errors
/// The code.
pub fn address(own: &str, format: &str, digits: &str) -> Result<Vec<u8>, &'static str> {
    peer_address(own, format, digits).map_err(|error| error.code().as_str())
}

/// Returns the frames at the rendezvous that come of these pieces of a stream, as text, and the
/// code of what ends it.
#[must_use]
pub fn frames<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<String>, Option<&'static str>) {
    let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let (mut buffer, mut frames) = (Vec::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match parse_frame(&mut buffer, peer) {
                Ok(Some(frame)) => frames.push(format!("{frame:?}")),
                Ok(None) => break,
                Err(error) => return (frames, Some(error.code().as_str())),
            }
        }
    }
    (frames, None)
}

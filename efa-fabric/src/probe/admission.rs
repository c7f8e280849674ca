//! Where connections wait until they have proved the token: several at once, so that an unknown
//! client that sends nothing does not hold up the peer behind it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::channel::{Channel, Frame};
use super::guard::Guard;
use super::rendezvous::{Listener, Tcp};
use crate::error::{Code, Error, Result};
use crate::interrupt::Interrupt;
use crate::token::{Nonce, Nonces, PENALTY, Prover, Token, nonce};

/// Time for a connection to prove the token.
const KNOCK_TIMEOUT: Duration = Duration::from_secs(2);
/// Connections that are listened to at once; the oldest goes when one more comes.
const ROOM: usize = 32;
/// Time between two polls.
const PAUSE: Duration = Duration::from_millis(5);

/// A listening socket, its token, and who has come.
pub(crate) struct Admission {
    listener: Listener,
    token: Token,
    /// Kept from one peer to the next: a peer that came while another was answered is here.
    waiting: Mutex<VecDeque<Waiting>>,
}

struct Waiting {
    tcp: Tcp,
    until: Instant,
    state: State,
}

#[derive(Clone, Copy)]
enum State {
    Silent,
    Challenged(Nonces),
    /// It is refused at this time, and not before.
    Wrong(Instant),
}

/// What a poll of one connection came to.
enum Step {
    /// It has not sent all yet.
    Waits,
    /// It has the token, and is answered with this proof.
    Proved(String),
    Refused,
    Gone,
}

impl Admission {
    pub(crate) fn new(listener: Listener, token: Token) -> Self {
        Self {
            listener,
            token,
            waiting: Mutex::default(),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// The first connection that proves the token. It is given the proof of this side and the
    /// providers there are; others are refused.
    pub(crate) fn admit(
        &self,
        offered: &[String],
        end: Instant,
        interrupt: Interrupt<'_>,
    ) -> Result<Tcp> {
        loop {
            if let Some((mut tcp, proof)) = self.look()? {
                let accepted = Frame::Accepted {
                    proof,
                    providers: offered.to_vec(),
                };
                if tcp.send(&accepted).is_ok() {
                    return Ok(tcp);
                }
                continue;
            }
            interrupt.check()?;
            if Instant::now() >= end {
                return Err(Error::new(
                    Code::Deadline,
                    format!("no peer connected to {} in time", self.address()),
                )
                .with_cure("start the connecting side, or wait longer for it")
                .with_context("address", self.address())
                .retryable(true));
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Lets in who has come, and listens to each once.
    fn look(&self) -> Result<Option<(Tcp, String)>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut come = 0;
        while come < ROOM
            && let Some(stream) = self.listener.try_accept()?
        {
            come += 1;
            // One that was reset already cannot be prepared: a port scan, a health check.
            if let Ok(tcp) = Tcp::new(stream) {
                waiting.push_back(Waiting {
                    tcp,
                    until: Instant::now() + KNOCK_TIMEOUT,
                    state: State::Silent,
                });
            }
        }
        while waiting.len() > ROOM {
            waiting.pop_front();
        }
        let mut index = 0;
        while let Some(one) = waiting.get_mut(index) {
            match self.listen(one)? {
                Step::Waits => {
                    index += 1;
                    continue;
                }
                Step::Proved(proof) => {
                    return Ok(waiting.remove(index).map(|one| (one.tcp, proof)));
                }
                // Whether it receives that does not matter.
                Step::Refused => drop(one.tcp.send(&Frame::Refused {
                    code: Code::RendezvousRefused.as_str().into(),
                    message: "the token is wrong".into(),
                })),
                Step::Gone => {}
            }
            waiting.remove(index);
        }
        Ok(None)
    }

    fn listen(&self, one: &mut Waiting) -> Result<Step> {
        if let State::Wrong(refused_at) = one.state {
            return Ok(if Instant::now() < refused_at {
                Step::Waits
            } else {
                Step::Refused
            });
        }
        let frame = match one.tcp.poll() {
            Ok(Some(frame)) => frame,
            Ok(None) if Instant::now() < one.until => return Ok(Step::Waits),
            Ok(None) | Err(_) => return Ok(Step::Gone),
        };
        match (frame, one.state) {
            (Frame::Knock { nonce: theirs }, State::Silent) if bytes(&theirs).is_some() => {
                let nonces = Nonces {
                    connecting: bytes(&theirs).unwrap_or_default(),
                    listening: nonce()?,
                };
                one.state = State::Challenged(nonces);
                let nonce = hex::encode(nonces.listening);
                if one.tcp.send(&Frame::Challenge { nonce }).is_err() {
                    return Ok(Step::Gone);
                }
            }
            (Frame::Proof { proof }, State::Challenged(nonces))
                if bytes(&proof).is_some_and(|proof| {
                    self.token.is_proved(Prover::Connecting, &nonces, &proof)
                }) =>
            {
                let proof = hex::encode(self.token.proof(Prover::Listening, &nonces));
                return Ok(Step::Proved(proof));
            }
            _ => one.state = State::Wrong(Instant::now() + PENALTY),
        }
        Ok(Step::Waits)
    }
}

/// Proves to the listening side that this side has the token, and has it prove the same. Gives the
/// providers that it offers.
pub(crate) fn enter(guard: &mut Guard<'_>, token: &Token) -> Result<Vec<String>> {
    let connecting = nonce()?;
    guard.send(&Frame::Knock {
        nonce: hex::encode(connecting),
    })?;
    let listening = match guard.wait(None)? {
        Frame::Challenge { nonce } => bytes(&nonce).ok_or_else(impostor)?,
        frame => return Err(guard.unexpected(&frame)),
    };
    let nonces = Nonces {
        connecting,
        listening,
    };
    guard.send(&Frame::Proof {
        proof: hex::encode(token.proof(Prover::Connecting, &nonces)),
    })?;
    match guard.wait(None)? {
        Frame::Accepted { proof, providers }
            if bytes(&proof)
                .is_some_and(|proof| token.is_proved(Prover::Listening, &nonces, &proof)) =>
        {
            Ok(providers)
        }
        Frame::Accepted { .. } => Err(impostor()),
        frame => Err(guard.unexpected(&frame)),
    }
}

fn impostor() -> Error {
    Error::new(
        Code::RendezvousRefused,
        "what answers at this address does not have the token",
    )
    .with_cure("check the address, and give both sides the same token")
}

/// The bytes of a nonce or a proof.
fn bytes(text: &str) -> Option<Nonce> {
    let mut bytes = Nonce::default();
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

//! Where connections wait until they have shown the token: several at once, so that a stranger who
//! says nothing does not hold up the peer behind it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::channel::{Channel, Frame};
use super::rendezvous::{Listener, Tcp, same_token};
use crate::error::{Code, Error, Result};
use crate::interrupt::Interrupt;

/// Time for a connection to show the token.
const KNOCK_TIMEOUT: Duration = Duration::from_secs(2);
/// Connections that are listened to at once; the oldest goes when one more comes.
const ROOM: usize = 32;
/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(5);

/// A listening socket, its token, and who has come.
pub(crate) struct Hall {
    listener: Listener,
    token: String,
    /// Kept from one peer to the next: a peer that came while another was answered is here.
    waiting: Mutex<VecDeque<Waiting>>,
}

struct Waiting {
    tcp: Tcp,
    until: Instant,
}

impl Hall {
    pub(crate) fn new(listener: Listener, token: String) -> Self {
        Self {
            listener,
            token,
            waiting: Mutex::default(),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// The first connection that shows the token. It is told which providers there are; others are
    /// refused.
    pub(crate) fn admit(
        &self,
        offered: &[String],
        end: Instant,
        interrupt: Interrupt<'_>,
    ) -> Result<Tcp> {
        loop {
            if let Some(mut tcp) = self.look()? {
                let accepted = Frame::Accepted {
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
                    format!("no peer came to {} in time", self.address()),
                )
                .with_cure("start the connecting side, or wait longer for it")
                .with_context("address", self.address())
                .retryable(true));
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Lets in who has come, and listens to each once.
    fn look(&self) -> Result<Option<Tcp>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut come = 0;
        while come < ROOM
            && let Some(stream) = self.listener.try_accept()?
        {
            come += 1;
            // One that was reset already cannot be prepared: a port scan, a health check.
            if let Ok(tcp) = Tcp::new(stream) {
                let until = Instant::now() + KNOCK_TIMEOUT;
                waiting.push_back(Waiting { tcp, until });
            }
        }
        while waiting.len() > ROOM {
            waiting.pop_front();
        }
        let mut index = 0;
        while let Some(one) = waiting.get_mut(index) {
            match one.tcp.poll() {
                Ok(Some(Frame::Knock { token })) if same_token(&token, &self.token) => {
                    return Ok(waiting.remove(index).map(|one| one.tcp));
                }
                Ok(Some(_)) => {
                    // Whether it hears that does not matter.
                    drop(one.tcp.send(&Frame::Refused {
                        code: Code::RendezvousRefused.as_str().into(),
                        message: "the token is wrong".into(),
                    }));
                }
                Ok(None) if Instant::now() < one.until => {
                    index += 1;
                    continue;
                }
                Ok(None) | Err(_) => {}
            }
            waiting.remove(index);
        }
        Ok(None)
    }
}

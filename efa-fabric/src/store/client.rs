//! The side that leaves and takes values.

use std::io::ErrorKind;
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use super::wire::{
    self, FAILED, HELLO, IN_USE, MAX_KEY, MAX_VALUE, NOTHING, PUT, TAKE, VALUE, WELCOME,
};
use crate::error::{Code, Error, Result};
use crate::interrupt::Interrupt;
use crate::probe::{Exchange, ExchangeError, KeyInUse, after};
use crate::token::{NONCE_BYTES, Nonce, Nonces, PROOF_BYTES, Prover, Token, nonce};

/// One attempt to connect, after which the caller's hook is asked again.
const CONNECT_SLICE: Duration = Duration::from_millis(500);
/// Time for one request and its answer, where the caller does not state it.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// Time for a server that was reached to state whether the token is right.
const HELLO_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection to a [`super::Server`].
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    request_timeout: Duration,
}

impl Client {
    /// Connects to `host:port` within this time, and goes on trying while nobody listens yet.
    ///
    /// # Errors
    /// `fabric.unreachable` if nobody answers in time, `fabric.rendezvous_refused` if one side does
    /// not have the token of the other or the other side is no store, `fabric.interrupted`.
    pub fn connect(
        address: &str,
        token: &Token,
        timeout: Duration,
        interrupt: Interrupt<'_>,
    ) -> Result<Self> {
        let end = after(timeout);
        loop {
            interrupt.check()?;
            let error = match dial(address, end) {
                Ok(stream) => return greet(stream, address, token),
                Err(error) => error,
            };
            if Instant::now() >= end {
                return Err(Error::new(Code::Unreachable, format!("no store answers at {address}"))
                    .with_cure("start rank 0 on the machine that is named, and check its port and the security group")
                    .with_context("peer", address)
                    .with_source(error)
                    .retryable(true));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Returns the same, that waits this long for the answer to a request: a store whose host is
    /// gone sends nothing, and ends no connection. A store that is away for half of it is reached
    /// again in time, since TCP doubles its pauses.
    #[must_use]
    pub fn with_request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// Does the same as [`Exchange::put`], until the caller wishes to stop. The connection is of no
    /// use then.
    ///
    /// # Errors
    /// As [`Exchange::put`].
    pub fn put_until(
        &mut self,
        key: &str,
        value: &[u8],
        stop: &dyn Fn() -> bool,
    ) -> Result<(), ExchangeError> {
        if value.len() > MAX_VALUE {
            return Err("the value is longer than any store takes".into());
        }
        let mut request = request(PUT, key)?;
        request.extend((value.len() as u32).to_be_bytes());
        request.extend(value);
        match self.ask(&request, stop)? {
            Answer::Nothing => Ok(()),
            Answer::Failed(why) => Err(why.into()),
            Answer::InUse => Err(KeyInUse.into()),
            Answer::Value(_) => Err("the store gave a value where none was asked for".into()),
        }
    }

    /// Does the same as [`Exchange::take`], until the caller wishes to stop. The connection is of
    /// no use then.
    ///
    /// # Errors
    /// As [`Exchange::take`].
    pub fn take_until(
        &mut self,
        key: &str,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<Vec<u8>>, ExchangeError> {
        match self.ask(&request(TAKE, key)?, stop)? {
            Answer::Nothing => Ok(None),
            Answer::Value(value) => Ok(Some(value)),
            Answer::InUse => Err(KeyInUse.into()),
            Answer::Failed(why) => Err(why.into()),
        }
    }

    /// Sends bytes as they are.
    #[cfg(test)]
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        wire::write(&mut self.stream, bytes, after(REQUEST_TIMEOUT), &|| false).unwrap();
    }

    /// A request whose answer did not come whole leaves a connection that must not be used again.
    fn ask(&mut self, request: &[u8], stop: &dyn Fn() -> bool) -> std::io::Result<Answer> {
        self.exchange(request, stop).inspect_err(|_| {
            // It may be closed already.
            let _ = self.stream.shutdown(Shutdown::Both);
        })
    }

    fn exchange(&mut self, request: &[u8], stop: &dyn Fn() -> bool) -> std::io::Result<Answer> {
        let end = after(self.request_timeout);
        wire::write(&mut self.stream, request, end, stop)?;
        let mut kind = [0];
        wire::read(&mut self.stream, &mut kind, end, stop)?;
        match kind[0] {
            NOTHING => Ok(Answer::Nothing),
            IN_USE => Ok(Answer::InUse),
            VALUE => {
                let mut length = [0; 4];
                wire::read(&mut self.stream, &mut length, end, stop)?;
                let length = u32::from_be_bytes(length) as usize;
                if length > MAX_VALUE {
                    return Err(ErrorKind::InvalidData.into());
                }
                let mut value = vec![0; length];
                wire::read(&mut self.stream, &mut value, end, stop)?;
                Ok(Answer::Value(value))
            }
            FAILED => {
                let mut length = [0];
                wire::read(&mut self.stream, &mut length, end, stop)?;
                let mut why = vec![0; usize::from(length[0])];
                wire::read(&mut self.stream, &mut why, end, stop)?;
                Ok(Answer::Failed(String::from_utf8_lossy(&why).into_owned()))
            }
            _ => Err(ErrorKind::InvalidData.into()),
        }
    }
}

enum Answer {
    Nothing,
    /// Something lies under the key already.
    InUse,
    Value(Vec<u8>),
    Failed(String),
}

impl Exchange for Client {
    fn put(&mut self, key: &str, value: &[u8]) -> Result<(), ExchangeError> {
        self.put_until(key, value, &|| false)
    }

    fn take(&mut self, key: &str) -> Result<Option<Vec<u8>>, ExchangeError> {
        self.take_until(key, &|| false)
    }
}

fn request(kind: u8, key: &str) -> Result<Vec<u8>, ExchangeError> {
    if key.is_empty() || key.len() > MAX_KEY {
        return Err("a key has 1 to 1024 bytes".into());
    }
    let mut request = vec![kind];
    request.extend((key.len() as u16).to_be_bytes());
    request.extend(key.as_bytes());
    Ok(request)
}

/// Tries each of the address's meanings once.
fn dial(address: &str, end: Instant) -> std::io::Result<TcpStream> {
    let mut last = std::io::Error::from(ErrorKind::AddrNotAvailable);
    for candidate in address.to_socket_addrs()? {
        let left = end
            .saturating_duration_since(Instant::now())
            .max(Duration::from_millis(1));
        match TcpStream::connect_timeout(&candidate, left.min(CONNECT_SLICE)) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn greet(mut stream: TcpStream, address: &str, token: &Token) -> Result<Client> {
    let unknown = "no store of efa-sdk listens there, or one of another version";
    let connecting = nonce()?;
    let end = after(HELLO_TIMEOUT);
    let mut theirs = [0; HELLO.len() + NONCE_BYTES];
    wire::prepare(&stream)
        .and_then(|()| {
            let hello = [&HELLO[..], &connecting].concat();
            wire::write(&mut stream, &hello, end, &|| false)
        })
        .and_then(|()| wire::read(&mut stream, &mut theirs, end, &|| false))
        .map_err(|error| refused(address, unknown).with_source(error))?;
    let (hello, nonce) = theirs.split_at(HELLO.len());
    if hello != HELLO {
        return Err(refused(address, unknown));
    }
    let listening: Nonce = nonce.try_into().unwrap_or([0; NONCE_BYTES]);
    let nonces = Nonces {
        connecting,
        listening,
    };
    let (mut answer, mut proof) = ([0], [0; PROOF_BYTES]);
    let own = token.proof(Prover::Connecting, &nonces);
    wire::write(&mut stream, &own, end, &|| false)
        .and_then(|()| wire::read(&mut stream, &mut answer, end, &|| false))
        .map_err(|error| refused(address, unknown).with_source(error))?;
    if answer != [WELCOME] {
        return Err(refused(address, "the store refused the token"));
    }
    wire::read(&mut stream, &mut proof, end, &|| false)
        .map_err(|error| refused(address, unknown).with_source(error))?;
    if !token.is_proved(Prover::Listening, &nonces, &proof) {
        return Err(refused(
            address,
            "what listens there does not have the token",
        ));
    }
    Ok(Client {
        stream,
        request_timeout: REQUEST_TIMEOUT,
    })
}

fn refused(address: &str, message: &str) -> Error {
    Error::new(Code::RendezvousRefused, message)
        .with_cure("give every rank the same address and token, and the same version of efa-fabric")
        .with_context("peer", address)
}

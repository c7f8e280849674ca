//! The side that leaves and takes values.

use std::io::ErrorKind;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use super::wire::{
    self, FAILED, HELLO, MAX_KEY, MAX_TOKEN, MAX_VALUE, NOTHING, PUT, TAKE, VALUE, WELCOME,
};
use crate::error::{Code, Error, Result};
use crate::interrupt::Interrupt;
use crate::probe::{Exchange, ExchangeError, after};

/// One attempt to connect, after which the caller's hook is asked again.
const CONNECT_SLICE: Duration = Duration::from_millis(500);
/// Time for one request and its answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// Time for a server that was reached to say whether the token is right.
const HELLO_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection to a [`super::Server`].
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
}

impl Client {
    /// Connects to `host:port` within this time, and goes on trying while nobody listens yet.
    ///
    /// # Errors
    /// `fabric.unreachable` if nobody answers in time, `fabric.rendezvous_refused` if the token
    /// is wrong or the other side is no store, `fabric.interrupted`.
    pub fn connect(
        address: &str,
        token: &str,
        timeout: Duration,
        interrupt: Interrupt<'_>,
    ) -> Result<Self> {
        if token.len() > MAX_TOKEN {
            return Err(refused(
                address,
                "the token is longer than any store's token",
            ));
        }
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

    fn ask(&mut self, request: &[u8]) -> std::io::Result<Answer> {
        let end = after(REQUEST_TIMEOUT);
        let never = || false;
        wire::write(&mut self.stream, request, end, &never)?;
        let mut kind = [0];
        wire::read(&mut self.stream, &mut kind, end, &never)?;
        match kind[0] {
            NOTHING => Ok(Answer::Nothing),
            VALUE => {
                let mut length = [0; 4];
                wire::read(&mut self.stream, &mut length, end, &never)?;
                let length = u32::from_be_bytes(length) as usize;
                if length > MAX_VALUE {
                    return Err(ErrorKind::InvalidData.into());
                }
                let mut value = vec![0; length];
                wire::read(&mut self.stream, &mut value, end, &never)?;
                Ok(Answer::Value(value))
            }
            FAILED => {
                let mut length = [0];
                wire::read(&mut self.stream, &mut length, end, &never)?;
                let mut why = vec![0; usize::from(length[0])];
                wire::read(&mut self.stream, &mut why, end, &never)?;
                Ok(Answer::Failed(String::from_utf8_lossy(&why).into_owned()))
            }
            _ => Err(ErrorKind::InvalidData.into()),
        }
    }
}

enum Answer {
    Nothing,
    Value(Vec<u8>),
    Failed(String),
}

impl Exchange for Client {
    fn put(&mut self, key: &str, value: &[u8]) -> Result<(), ExchangeError> {
        if value.len() > MAX_VALUE {
            return Err("the value is longer than any store takes".into());
        }
        let mut request = request(PUT, key)?;
        request.extend((value.len() as u32).to_be_bytes());
        request.extend(value);
        match self.ask(&request)? {
            Answer::Nothing => Ok(()),
            Answer::Failed(why) => Err(why.into()),
            Answer::Value(_) => Err("the store gave a value where none was asked for".into()),
        }
    }

    fn take(&mut self, key: &str) -> Result<Option<Vec<u8>>, ExchangeError> {
        match self.ask(&request(TAKE, key)?)? {
            Answer::Nothing => Ok(None),
            Answer::Value(value) => Ok(Some(value)),
            Answer::Failed(why) => Err(why.into()),
        }
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

fn greet(mut stream: TcpStream, address: &str, token: &str) -> Result<Client> {
    let mut hello = HELLO.to_vec();
    hello.extend((token.len() as u16).to_be_bytes());
    hello.extend(token.as_bytes());
    let mut answer = [0; HELLO.len() + 1];
    let end = after(HELLO_TIMEOUT);
    wire::prepare(&stream)
        .and_then(|()| wire::write(&mut stream, &hello, end, &|| false))
        .and_then(|()| wire::read(&mut stream, &mut answer, end, &|| false))
        .map_err(|error| {
            refused(address, "what listens there is no store of ours").with_source(error)
        })?;
    if !answer.starts_with(&HELLO) {
        return Err(refused(address, "what listens there is no store of ours"));
    }
    if !answer.ends_with(&[WELCOME]) {
        return Err(refused(address, "the store refused the token"));
    }
    Ok(Client { stream })
}

fn refused(address: &str, message: &str) -> Error {
    Error::new(Code::RendezvousRefused, message)
        .with_cure("give every rank the same address and token, and the same version of efa-fabric")
        .with_context("peer", address)
}

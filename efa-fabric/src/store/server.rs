//! The side that keeps the values.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::wire::{
    self, FAILED, HELLO, IN_USE, MAX_KEY, MAX_VALUE, NOTHING, PUT, REFUSED, TAKE, VALUE, WELCOME,
};
use crate::error::{Code, Error, Result};
use crate::interrupt::Interrupt;
use crate::probe::{Listener, after};
use crate::token::{NONCE_BYTES, Nonce, Nonces, PENALTY, PROOF_BYTES, Prover, Token, nonce};

/// Time for a connection to prove the token.
const HELLO_TIMEOUT: Duration = Duration::from_secs(2);
/// Time for the rest of a request after its first byte, and for its answer to leave.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
const STACK: usize = 256 << 10;
/// What an entry takes beyond its key and value, in bytes.
const ENTRY: usize = 128;
/// Bytes of a value that cannot be kept, read at once.
const CHUNK: usize = 64 << 10;

/// Bounds of a [`Server`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Longest value in bytes, at most 256 MiB.
    pub max_value: usize,
    /// Bytes of all values together, with their keys, 128 bytes for each entry, and values that are
    /// on their way; a value beyond it waits for room.
    pub max_total: usize,
    /// How long a value waits for room before it is refused.
    pub room_timeout: Duration,
    /// Connections at the same time.
    pub max_connections: usize,
    /// Age at which the store ends by itself.
    pub deadline: Duration,
}

impl Default for Options {
    /// 64 MiB a value, 512 MiB in all, 10 s for room, 8192 connections, one day.
    fn default() -> Self {
        Self {
            max_value: 64 << 20,
            max_total: 512 << 20,
            room_timeout: Duration::from_secs(10),
            max_connections: 8192,
            deadline: Duration::from_secs(24 * 3600),
        }
    }
}

/// A store that answers until it is dropped or its deadline passes.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    /// Listens on this address, with port 0 on any that is free.
    ///
    /// # Errors
    /// `fabric.invalid_option` if a bound is out of range; `fabric.rendezvous_failed` if the address
    /// cannot be listened on.
    pub fn start(address: SocketAddr, token: &Token, options: &Options) -> Result<Self> {
        options.check()?;
        let listener = Listener::bind(address)?;
        let address = listener.address();
        let stop = Arc::new(AtomicBool::new(false));
        let shared = Arc::new(Shared {
            token: token.clone(),
            options: options.clone(),
            end: after(options.deadline),
            stop: stop.clone(),
            connections: AtomicUsize::new(0),
            values: Mutex::default(),
        });
        let thread = std::thread::Builder::new()
            .name("efa-store".into())
            .stack_size(STACK)
            .spawn(move || accept(&listener, &shared))
            .map_err(|error| {
                Error::new(Code::RendezvousFailed, "the store's thread cannot start")
                    .with_source(error)
            })?;
        Ok(Self {
            address,
            stop,
            thread: Some(thread),
        })
    }

    /// Returns where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It only ends by returning; a panic there has nothing to report here.
            let _ = thread.join();
        }
    }
}

impl Options {
    fn check(&self) -> Result<()> {
        let refuse = |option: &'static str, message: &str| {
            Err(Error::new(Code::InvalidOption, message).with_context("option", option))
        };
        if self.max_value == 0 || self.max_value > MAX_VALUE {
            return refuse("max_value", "max_value is 1 byte to 256 MiB");
        }
        if self.max_total < self.max_value {
            return refuse("max_total", "max_total is below max_value");
        }
        if self.max_connections == 0 {
            return refuse("max_connections", "max_connections leaves none");
        }
        Ok(())
    }
}

#[derive(Default)]
struct Values {
    by_key: HashMap<String, Vec<u8>>,
    /// Bytes that are taken: of entries, and of values on their way.
    total: usize,
}

/// Why a value is not kept.
enum Refusal {
    /// Something lies under its key already.
    InUse,
    Full,
}

/// Room for one entry, given back unless the entry is kept.
struct Room<'a> {
    shared: &'a Shared,
    bytes: usize,
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.shared.values().total -= self.bytes;
    }
}

fn entry_bytes(key: &str, value: usize) -> usize {
    ENTRY + key.len() + value
}

struct Shared {
    token: Token,
    options: Options,
    end: Instant,
    stop: Arc<AtomicBool>,
    connections: AtomicUsize,
    values: Mutex<Values>,
}

impl Shared {
    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || Instant::now() >= self.end
    }

    fn values(&self) -> MutexGuard<'_, Values> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for room for a value of this length, or states why there is none.
    fn room(&self, key: &str, length: usize) -> Result<Room<'_>, Refusal> {
        let bytes = entry_bytes(key, length);
        let end = after(self.options.room_timeout);
        loop {
            let mut values = self.values();
            if values.by_key.contains_key(key) {
                return Err(Refusal::InUse);
            }
            // A value of the greatest length always fits into an empty store.
            let most = self.options.max_total.max(bytes);
            if values.total + bytes <= most {
                values.total += bytes;
                return Ok(Room {
                    shared: self,
                    bytes,
                });
            }
            drop(values);
            if self.is_over() || Instant::now() >= end {
                return Err(Refusal::Full);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Keeps the value in the room that was made for it.
    fn keep(&self, room: Room<'_>, key: String, value: Vec<u8>) -> Result<(), Refusal> {
        let mut values = self.values();
        if values.by_key.contains_key(&key) {
            drop(values);
            return Err(Refusal::InUse);
        }
        values.by_key.insert(key, value);
        std::mem::forget(room);
        Ok(())
    }

    fn take(&self, key: &str) -> Option<Vec<u8>> {
        let mut values = self.values();
        let value = values.by_key.remove(key)?;
        values.total -= entry_bytes(key, value.len());
        Some(value)
    }
}

fn accept(listener: &Listener, shared: &Arc<Shared>) {
    let over = || shared.is_over();
    while !over() {
        let Ok(stream) = listener.accept_stream(shared.end, Interrupt::new(&over)) else {
            // Over, or out of file descriptors for a moment.
            std::thread::sleep(Duration::from_millis(5));
            continue;
        };
        if shared.connections.fetch_add(1, Ordering::Relaxed) >= shared.options.max_connections {
            shared.connections.fetch_sub(1, Ordering::Relaxed);
            continue;
        }
        let served = shared.clone();
        let spawned = std::thread::Builder::new()
            .name("efa-store-rank".into())
            .stack_size(STACK)
            .spawn(move || {
                // How a connection ended is the client's to tell.
                let _ = serve(stream, &served);
                served.connections.fetch_sub(1, Ordering::Relaxed);
            });
        if spawned.is_err() {
            shared.connections.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

fn serve(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    wire::prepare(&stream)?;
    let over = || shared.is_over();
    if !greet(&mut stream, shared)? {
        return Ok(());
    }
    // Asked here as well: a busy rank never pauses.
    while !over() {
        let mut head = [0; 3];
        wire::read(&mut stream, &mut head[..1], shared.end, &over)?;
        if over() {
            break;
        }
        let end = after(REQUEST_TIMEOUT);
        wire::read(&mut stream, &mut head[1..], end, &over)?;
        let [request, k0, k1] = head;
        let length = usize::from(u16::from_be_bytes([k0, k1]));
        if length == 0 || length > MAX_KEY {
            return fail(&mut stream, "the key is empty or too long");
        }
        let mut key = vec![0; length];
        wire::read(&mut stream, &mut key, end, &over)?;
        let Ok(key) = String::from_utf8(key) else {
            return fail(&mut stream, "the key is not text");
        };
        match request {
            PUT => {
                let mut size = [0; 4];
                wire::read(&mut stream, &mut size, end, &over)?;
                let size = u32::from_be_bytes(size) as usize;
                if size > shared.options.max_value {
                    return fail(&mut stream, "the value is too long");
                }
                match receive(&mut stream, shared, key, size)? {
                    Ok(()) => wire::write(&mut stream, &[NOTHING], after(REQUEST_TIMEOUT), &over)?,
                    Err(Refusal::InUse) => {
                        wire::write(&mut stream, &[IN_USE], after(REQUEST_TIMEOUT), &over)?;
                    }
                    Err(Refusal::Full) => fail(&mut stream, "the store is full")?,
                }
            }
            TAKE => match shared.take(&key) {
                None => wire::write(&mut stream, &[NOTHING], end, &over)?,
                Some(value) => {
                    let mut answer = vec![VALUE];
                    answer.extend((value.len() as u32).to_be_bytes());
                    answer.extend(value);
                    wire::write(&mut stream, &answer, end, &over)?;
                }
            },
            _ => return fail(&mut stream, "the request is not known"),
        }
    }
    Ok(())
}

/// Reads a value and keeps it, or reads past it and states why not. Memory is taken once there is
/// room.
fn receive(
    stream: &mut TcpStream,
    shared: &Shared,
    key: String,
    length: usize,
) -> std::io::Result<Result<(), Refusal>> {
    let over = || shared.is_over();
    let room = shared.room(&key, length);
    let end = after(REQUEST_TIMEOUT);
    match room {
        Ok(room) => {
            let mut value = vec![0; length];
            wire::read(stream, &mut value, end, &over)?;
            Ok(shared.keep(room, key, value))
        }
        Err(why) => {
            let mut chunk = vec![0; length.min(CHUNK)];
            let mut left = length;
            while left > 0 {
                let part = left.min(CHUNK);
                wire::read(stream, &mut chunk[..part], end, &over)?;
                left -= part;
            }
            Ok(Err(why))
        }
    }
}

/// Whether the other side has the token; if so, it is given the proof that this side has it too.
fn greet(stream: &mut TcpStream, shared: &Shared) -> std::io::Result<bool> {
    let over = || shared.is_over();
    let end = after(HELLO_TIMEOUT);
    let mut hello = [0; HELLO.len()];
    wire::read(stream, &mut hello, end, &over)?;
    if hello != HELLO {
        wire::write(stream, &HELLO, end, &over)?;
        return Ok(false);
    }
    let mut connecting: Nonce = [0; NONCE_BYTES];
    wire::read(stream, &mut connecting, end, &over)?;
    let listening = nonce().map_err(std::io::Error::other)?;
    wire::write(stream, &[&HELLO[..], &listening].concat(), end, &over)?;
    let nonces = Nonces {
        connecting,
        listening,
    };
    let mut proof = [0; PROOF_BYTES];
    wire::read(stream, &mut proof, end, &over)?;
    let right = shared.token.is_proved(Prover::Connecting, &nonces, &proof);
    if right {
        let own = shared.token.proof(Prover::Listening, &nonces);
        wire::write(stream, &[&[WELCOME][..], &own].concat(), end, &over)?;
    } else {
        let refused_at = Instant::now() + PENALTY;
        while Instant::now() < refused_at && !over() {
            std::thread::sleep(wire::SLICE);
        }
        wire::write(stream, &[REFUSED], after(REQUEST_TIMEOUT), &over)?;
    }
    Ok(right)
}

fn fail(stream: &mut TcpStream, why: &str) -> std::io::Result<()> {
    let mut answer = vec![FAILED, why.len().min(255) as u8];
    answer.extend(why.bytes().take(255));
    wire::write(stream, &answer, after(REQUEST_TIMEOUT), &|| false)
}

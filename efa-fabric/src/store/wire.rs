//! The bytes of the store: each side's hello with a nonce, each side's proof of the token, then
//! requests and answers, one at a time.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// First bytes in both directions: the magic, then the version, changed with the format.
pub(super) const HELLO: [u8; 6] = *b"efaS\x00\x03";
/// Longest key in bytes.
pub(super) const MAX_KEY: usize = 1024;
/// Longest value in bytes that a store can be configured to take.
pub(super) const MAX_VALUE: usize = 256 << 20;

/// Answers to the connecting side's proof; the first is followed by the listening side's.
pub(super) const WELCOME: u8 = 1;
pub(super) const REFUSED: u8 = 0;

/// Requests.
pub(super) const PUT: u8 = b'P';
pub(super) const TAKE: u8 = b'T';

/// Answers to requests.
pub(super) const NOTHING: u8 = 0;
pub(super) const VALUE: u8 = 1;
pub(super) const FAILED: u8 = 2;
pub(super) const IN_USE: u8 = 3;

/// One slice of blocking, after which the caller's wish to stop is asked again.
pub(super) const SLICE: Duration = Duration::from_millis(20);

/// Reads exactly this much before `end`, asking `stop` now and then.
pub(super) fn read(
    stream: &mut TcpStream,
    buffer: &mut [u8],
    end: Instant,
    stop: &dyn Fn() -> bool,
) -> std::io::Result<()> {
    let mut filled = 0;
    while filled < buffer.len() {
        match stream.read(&mut buffer[filled..]) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => filled += count,
            Err(error) if is_pause(&error) => {
                if stop() {
                    return Err(ErrorKind::ConnectionAborted.into());
                }
                if Instant::now() >= end {
                    return Err(ErrorKind::TimedOut.into());
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes everything before `end`, asking `stop` now and then.
pub(super) fn write(
    stream: &mut TcpStream,
    mut bytes: &[u8],
    end: Instant,
    stop: &dyn Fn() -> bool,
) -> std::io::Result<()> {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => bytes = &bytes[count..],
            Err(error) if is_pause(&error) => {
                if stop() {
                    return Err(ErrorKind::ConnectionAborted.into());
                }
                if Instant::now() >= end {
                    return Err(ErrorKind::TimedOut.into());
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn is_pause(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

/// Sets what both ends need.
pub(super) fn prepare(stream: &TcpStream) -> std::io::Result<()> {
    // Accepted sockets inherit the listener's mode on some systems.
    stream.set_nonblocking(false)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SLICE))?;
    stream.set_write_timeout(Some(SLICE))
}

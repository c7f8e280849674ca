//! The small TCP meeting point of the two sides of a probe.
//!
//! A frame is the magic, the protocol's version, a length and JSON of at most 512 KiB. Both sides
//! prove that they have the token, which is never sent; frames are not encrypted.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

use super::channel::{Channel, Frame, gone};
use crate::error::{Code, Error, Result};
use crate::interrupt::Interrupt;

const MAGIC: [u8; 4] = *b"efaP";
/// Changed whenever frames change.
const PROTOCOL: u16 = 4;
const HEADER: usize = 10;
/// Bytes that are read at once.
const CHUNK: usize = 4096;
/// Room for the rows of the most sizes that a probe can have.
const MAX_FRAME: usize = 512 << 10;
/// Time for a frame to leave when the socket's buffer is full.
const SEND_TIMEOUT: Duration = Duration::from_secs(2);
/// One attempt to connect, after which the caller's hook is asked again.
const CONNECT_SLICE: Duration = Duration::from_millis(500);

/// A connection that carries frames. Never blocks on reading.
pub(crate) struct Tcp {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Where the next bytes are read into.
    chunk: Box<[u8]>,
    peer: SocketAddr,
}

impl Tcp {
    /// Connects within this time, and goes on trying while nobody listens yet.
    pub(crate) fn connect(
        address: &str,
        timeout: Duration,
        interrupt: Interrupt<'_>,
    ) -> Result<Self> {
        let addresses: Vec<SocketAddr> = address
            .to_socket_addrs()
            .map_err(|error| {
                Error::new(
                    Code::Unreachable,
                    format!("{address} is not an address that can be resolved"),
                )
                .with_cure("give host:port of the serving side")
                .with_context("peer", address)
                .with_source(error)
            })?
            .collect();
        let end = after(timeout);
        loop {
            let mut last = None;
            for candidate in &addresses {
                interrupt.check()?;
                let left = end
                    .saturating_duration_since(Instant::now())
                    .max(Duration::from_millis(1));
                match TcpStream::connect_timeout(candidate, left.min(CONNECT_SLICE)) {
                    Ok(stream) => return Self::new(stream),
                    Err(error) => last = Some(error),
                }
            }
            if Instant::now() >= end {
                let error = Error::new(Code::Unreachable, format!("no probe answers at {address}"))
                    .with_cure(
                        "start the serving side first, and check address, port and security group",
                    )
                    .with_context("peer", address)
                    .retryable(true);
                return Err(match last {
                    Some(last) => error.with_source(last),
                    None => error,
                });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn new(stream: TcpStream) -> Result<Self> {
        let prepare = |stream: &TcpStream| {
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            stream.peer_addr()
        };
        let peer =
            prepare(&stream).map_err(|error| failed("the connection cannot be used", error))?;
        Ok(Self {
            stream,
            buffer: Vec::new(),
            chunk: vec![0; CHUNK].into(),
            peer,
        })
    }

    pub(crate) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The local address over which the peer is reached.
    pub(crate) fn local_ip(&self) -> Option<IpAddr> {
        self.stream
            .local_addr()
            .ok()
            .map(|address| address.ip().to_canonical())
    }
}

/// Takes a frame off what has come from there, if a whole one is there.
pub(crate) fn parse(buffer: &mut Vec<u8>, peer: SocketAddr) -> Result<Option<Frame>> {
    let Some((header, rest)) = buffer.split_first_chunk::<HEADER>() else {
        // Unknown clients are recognised by their first bytes, without waiting for more.
        let known = buffer.len().min(MAGIC.len());
        if buffer[..known] != MAGIC[..known] {
            return Err(unknown_client(peer, "does not speak this protocol"));
        }
        return Ok(None);
    };
    let [m0, m1, m2, m3, v0, v1, l0, l1, l2, l3] = *header;
    if [m0, m1, m2, m3] != MAGIC {
        return Err(unknown_client(peer, "does not speak this protocol"));
    }
    let protocol = u16::from_be_bytes([v0, v1]);
    if protocol != PROTOCOL {
        let what = format!("speaks version {protocol}, not {PROTOCOL}");
        return Err(unknown_client(peer, &what));
    }
    let length = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
    if length > MAX_FRAME {
        let what = format!("announced a frame of {length} bytes");
        return Err(unknown_client(peer, &what));
    }
    let Some(json) = rest.get(..length) else {
        return Ok(None);
    };
    let frame = serde_json::from_slice(json).map_err(|error| {
        unknown_client(peer, "sent a frame that cannot be read").with_source(error)
    })?;
    buffer.drain(..HEADER + length);
    Ok(Some(frame))
}

fn unknown_client(peer: SocketAddr, what: &str) -> Error {
    Error::new(Code::RendezvousRefused, format!("{peer} {what}"))
        .with_cure("use the same version of efa-fabric on both sides, and its address and port")
        .with_context("peer", peer)
}

impl Channel for Tcp {
    fn send(&mut self, frame: &Frame) -> Result<()> {
        let json = serde_json::to_vec(frame).map_err(|error| {
            Error::new(Code::RendezvousFailed, "a frame cannot be written").with_source(error)
        })?;
        if json.len() > MAX_FRAME {
            return Err(Error::new(
                Code::RendezvousFailed,
                format!("a frame of {} bytes is too long", json.len()),
            ));
        }
        let mut bytes = Vec::with_capacity(HEADER + json.len());
        bytes.extend(MAGIC);
        bytes.extend(PROTOCOL.to_be_bytes());
        bytes.extend((json.len() as u32).to_be_bytes());
        bytes.extend(json);
        let end = Instant::now() + SEND_TIMEOUT;
        let mut left = bytes.as_slice();
        while !left.is_empty() {
            match self.stream.write(left) {
                Ok(0) => return Err(gone()),
                Ok(count) => left = &left[count..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if Instant::now() >= end {
                        return Err(gone().with_context("peer", self.peer));
                    }
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(error) => {
                    return Err(gone().with_context("peer", self.peer).with_source(error));
                }
            }
        }
        Ok(())
    }

    fn poll(&mut self) -> Result<Option<Frame>> {
        if let Some(frame) = parse(&mut self.buffer, self.peer)? {
            return Ok(Some(frame));
        }
        match self.stream.read(&mut self.chunk) {
            Ok(0) => Err(gone().with_context("peer", self.peer)),
            Ok(count) => {
                self.buffer.extend_from_slice(&self.chunk[..count]);
                parse(&mut self.buffer, self.peer)
            }
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) =>
            {
                Ok(None)
            }
            Err(error) => Err(gone().with_context("peer", self.peer).with_source(error)),
        }
    }

    fn descriptor(&self) -> Option<RawFd> {
        Some(self.stream.as_raw_fd())
    }
}

/// A listening socket.
pub(crate) struct Listener {
    listener: TcpListener,
    address: SocketAddr,
}

impl Listener {
    pub(crate) fn bind(address: SocketAddr) -> Result<Self> {
        let bind = || {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            Ok(Self { listener, address })
        };
        bind().map_err(|error: std::io::Error| {
            let cure = match error.kind() {
                ErrorKind::AddrNotAvailable => "give an address of this machine",
                ErrorKind::PermissionDenied => "use a port of 1024 or above",
                _ => "use another port, or end what listens there",
            };
            failed(&format!("cannot listen on {address}"), error)
                .with_cure(cure)
                .with_context("address", address)
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A connection, if one has come.
    pub(crate) fn try_accept(&self) -> Result<Option<TcpStream>> {
        match self.listener.accept() {
            Ok((stream, _)) => Ok(Some(stream)),
            Err(error)
                if matches!(
                    error.kind(),
                    // The last: the peer gave up between its connect and our accept.
                    ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::ConnectionAborted
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(failed("no connection can be accepted", error)),
        }
    }

    /// The next connection; `fabric.deadline` if none comes in this time.
    pub(crate) fn accept_stream(
        &self,
        end: Instant,
        interrupt: Interrupt<'_>,
    ) -> Result<TcpStream> {
        loop {
            match self.try_accept()? {
                Some(stream) if Instant::now() < end => return Ok(stream),
                _ => {}
            }
            interrupt.check()?;
            if Instant::now() >= end {
                return Err(Error::new(
                    Code::Deadline,
                    format!("nobody connected to {} in time", self.address),
                )
                .with_context("address", self.address)
                .retryable(true));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The time after this much; a year from now where the clock does not reach so far.
pub(crate) fn after(timeout: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
    Instant::now() + timeout.min(YEAR)
}

fn failed(what: &str, error: std::io::Error) -> Error {
    Error::new(Code::RendezvousFailed, format!("{what}: {error}")).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Tcp, TcpStream) {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let unknown = TcpStream::connect(listener.address()).unwrap();
        let end = Instant::now() + Duration::from_secs(10);
        let stream = listener.accept_stream(end, Interrupt::never()).unwrap();
        (Tcp::new(stream).unwrap(), unknown)
    }

    /// What comes of these bytes, within some seconds.
    fn after(bytes: &[u8]) -> Result<Option<Frame>> {
        let (mut tcp, mut unknown) = pair();
        unknown.write_all(bytes).unwrap();
        let end = Instant::now() + Duration::from_secs(10);
        while Instant::now() < end {
            match tcp.poll() {
                Ok(None) if tcp.buffer.len() < bytes.len() => {
                    std::thread::sleep(Duration::from_millis(1))
                }
                result => return result,
            }
        }
        panic!("the bytes did not arrive");
    }

    fn frame(protocol: u16, length: u32, body: &[u8]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(protocol.to_be_bytes());
        bytes.extend(length.to_be_bytes());
        bytes.extend(body);
        bytes
    }

    #[test]
    fn frames_come_through_whole_and_in_pieces() {
        let (mut tcp, unknown) = pair();
        let mut other = Tcp::new(unknown).unwrap();
        let frames = [
            Frame::Knock {
                nonce: "é\"\n".into(),
            },
            Frame::Ready,
            Frame::End { count: u64::MAX },
            Frame::Done,
        ];
        for frame in &frames {
            other.send(frame).unwrap();
        }
        for frame in frames {
            let mut got = None;
            while got.is_none() {
                got = tcp.poll().unwrap();
            }
            assert_eq!(got, Some(frame));
        }
        assert_eq!(after(&frame(PROTOCOL, 100, b"{")).unwrap(), None);
    }

    #[test]
    fn unknown_clients_are_refused() {
        for bytes in [
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            b"\0".to_vec(),
            frame(PROTOCOL + 1, 2, b"{}"),
            frame(PROTOCOL, u32::MAX, b""),
            frame(PROTOCOL, 2, b"{}"),
            frame(PROTOCOL, 3, b"\xff\xff\xff"),
        ] {
            assert_eq!(
                after(&bytes).unwrap_err().code(),
                Code::RendezvousRefused,
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn a_closed_connection_is_unreachable() {
        let (mut tcp, unknown) = pair();
        drop(unknown);
        let error = loop {
            match tcp.poll() {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert_eq!(error.code(), Code::Unreachable);
    }
}

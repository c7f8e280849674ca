//! A server in a child process, and an honest client's frames to change and send to it.
//!
//! What an honest client sends is recorded on the way between two real sides, so that the frames
//! are those of this version.

// Every test binary uses a part of it.
#![allow(dead_code)]

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use efa_fabric::{Interrupt, Library, ServeOptions, Server, connect};
use serde_json::Value;

use super::processes::{LIMIT, Process, argument, quick};
use super::secret::{SECRET, secret};

/// Bytes before the JSON of a frame: magic, version, length.
pub(crate) const HEADER: usize = 10;
/// Largest message that the servers here take.
pub(crate) const MAX_SIZE: usize = 1 << 20;
/// What a server may take beyond its own start: two endpoints of libfabric 1.17 over tcp are
/// 64 MiB each, buffers for the largest message a few.
pub(crate) const MEMORY_KIB: u64 = 400 << 10;

/// What a test named `child` does: serves one peer after another, and states how each ended.
pub(crate) fn serve_if_child() {
    if std::env::var_os("EFA_TEST_ROLE").is_none() {
        return;
    }
    let library = Library::find().unwrap();
    let server = Server::bind(Server::LOOPBACK, secret()).unwrap();
    let mut options = ServeOptions::default();
    options.max_size = MAX_SIZE;
    options.deadline = Duration::from_secs(argument("DEADLINE").parse().unwrap());
    println!("\n@address {}", server.address());
    loop {
        match server.serve_one(&library, &options, Interrupt::never()) {
            Ok(_) => println!("\n@served ok"),
            Err(error) => println!("\n@served {} {error}", error.code().as_str()),
        }
    }
}

pub(crate) struct Target {
    pub(crate) library: Arc<Library>,
    pub(crate) process: Process,
    pub(crate) address: String,
}

impl Target {
    pub(crate) fn start(library: &Arc<Library>, deadline_s: u32) -> Self {
        let deadline = deadline_s.to_string();
        let process = Process::start(
            "serve",
            library.path(),
            &[("EFA_TEST_DEADLINE", &deadline), ("FI_TCP_IFACE", "lo")],
        );
        let address = process.line("@address");
        Self {
            library: Arc::clone(library),
            process,
            address,
        }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream
    }

    pub(crate) fn outcome(&self) -> String {
        let line = self.process.line("@served");
        line.split(' ').next().unwrap().to_owned()
    }

    /// The server still does its job.
    pub(crate) fn still_serves(&self, after: &str) {
        let mut options = quick("tcp");
        options.connect_timeout = LIMIT;
        let never = Interrupt::never();
        connect(&self.library, &self.address, &secret(), &options, never)
            .unwrap_or_else(|error| panic!("after {after}: {error}"));
        assert_eq!(self.outcome(), "ok", "after {after}");
    }
}

/// What an honest client sends, frame by frame.
#[derive(Clone)]
pub(crate) struct Recording {
    /// Magic and version.
    pub(crate) prefix: Vec<u8>,
    pub(crate) frames: Vec<Value>,
}

impl Recording {
    /// Of a probe over this provider, taken between both sides.
    pub(crate) fn take(target: &Target, provider: &str) -> Self {
        let between = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = between.local_addr().unwrap().to_string();
        let onward = target.address.clone();
        let recording = std::thread::spawn(move || {
            let (client, _) = between.accept().unwrap();
            let server = TcpStream::connect(onward).unwrap();
            for stream in [&client, &server] {
                stream.set_nodelay(true).unwrap();
            }
            let (mut from_server, mut to_client) =
                (server.try_clone().unwrap(), client.try_clone().unwrap());
            let back = std::thread::spawn(move || {
                std::io::copy(&mut from_server, &mut to_client).ok();
                to_client.shutdown(Shutdown::Both).ok();
            });
            let (mut from_client, mut to_server) = (client, server);
            let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
            loop {
                match from_client.read(&mut chunk) {
                    Ok(0) | Err(_) => break,
                    Ok(count) => {
                        bytes.extend_from_slice(&chunk[..count]);
                        to_server.write_all(&chunk[..count]).unwrap();
                    }
                }
            }
            to_server.shutdown(Shutdown::Both).ok();
            back.join().unwrap();
            bytes
        });
        let options = quick(provider);
        connect(
            &target.library,
            &address,
            &secret(),
            &options,
            Interrupt::never(),
        )
        .unwrap();
        assert_eq!(target.outcome(), "ok");
        Self::parse(&recording.join().unwrap())
    }

    pub(crate) fn parse(mut bytes: &[u8]) -> Self {
        let prefix = bytes[..6].to_vec();
        let mut frames = Vec::new();
        while !bytes.is_empty() {
            assert_eq!(bytes[..6], prefix);
            let length = u32::from_be_bytes(bytes[6..HEADER].try_into().unwrap()) as usize;
            frames.push(serde_json::from_slice(&bytes[HEADER..HEADER + length]).unwrap());
            bytes = &bytes[HEADER + length..];
        }
        Self { prefix, frames }
    }

    pub(crate) fn frame(&self, name: &str) -> Value {
        let found = self.frames.iter().find(|frame| frame.get(name).is_some());
        found
            .unwrap_or_else(|| panic!("no {name} was recorded"))
            .clone()
    }

    /// A recorded frame with one value changed, by JSON pointer.
    pub(crate) fn changed(&self, name: &str, pointer: &str, value: Value) -> Vec<u8> {
        let mut frame = self.frame(name);
        *frame
            .pointer_mut(&format!("/{name}{pointer}"))
            .unwrap_or_else(|| panic!("no {pointer} in {name}")) = value;
        self.encode(frame.to_string().as_bytes())
    }

    pub(crate) fn encode(&self, body: &[u8]) -> Vec<u8> {
        self.with_length(body.len() as u32, body)
    }

    pub(crate) fn with_length(&self, length: u32, body: &[u8]) -> Vec<u8> {
        [&self.prefix, length.to_be_bytes().as_slice(), body].concat()
    }

    /// The first frame.
    pub(crate) fn knock(&self) -> Vec<u8> {
        self.encode(self.frame("Knock").to_string().as_bytes())
    }

    /// The first frame, and a proof that does not wait for the challenge.
    pub(crate) fn prove(&self, proof: Value) -> Vec<u8> {
        [self.knock(), self.changed("Proof", "/proof", proof)].concat()
    }

    /// Shows the server that this side has the token, and reads that it is let in.
    pub(crate) fn enter(&self, stream: &mut TcpStream) {
        stream.write_all(&self.knock()).unwrap();
        let challenge = read_frame(stream);
        let own = self.frame("Knock")["Knock"]["nonce"].clone();
        let theirs = &challenge["Challenge"]["nonce"];
        let [proof, _] =
            efa_fabric::fuzzing::proofs(SECRET, own.as_str().unwrap(), theirs.as_str().unwrap());
        let proof = self.changed("Proof", "/proof", proof.into());
        stream.write_all(&proof).unwrap();
        assert!(read_frame(stream).get("Accepted").is_some());
    }
}

pub(crate) fn read_frame(stream: &mut TcpStream) -> Value {
    let mut header = [0; HEADER];
    stream.read_exact(&mut header).unwrap();
    let length = u32::from_be_bytes(header[6..].try_into().unwrap()) as usize;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    serde_json::from_slice(&body).unwrap()
}

/// An address between a client and the target, where each frame of the client is changed on its way
/// by what gives `Some` for it.
pub(crate) fn between(
    target: &Target,
    change: impl Fn(&mut Value) -> Option<()> + Send + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let onward = target.address.clone();
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut server = TcpStream::connect(onward).unwrap();
        let (mut from_server, mut to_client) =
            (server.try_clone().unwrap(), client.try_clone().unwrap());
        std::thread::spawn(move || {
            std::io::copy(&mut from_server, &mut to_client).ok();
            to_client.shutdown(Shutdown::Both).ok();
        });
        let mut header = [0; HEADER];
        while client.read_exact(&mut header).is_ok() {
            let length = u32::from_be_bytes(header[6..].try_into().unwrap()) as usize;
            let mut body = vec![0; length];
            client.read_exact(&mut body).unwrap();
            let mut frame: Value = serde_json::from_slice(&body).unwrap();
            if change(&mut frame).is_some() {
                body = frame.to_string().into_bytes();
                header[6..].copy_from_slice(&(body.len() as u32).to_be_bytes());
            }
            if server
                .write_all(&[&header, body.as_slice()].concat())
                .is_err()
            {
                break;
            }
        }
        server.shutdown(Shutdown::Both).ok();
    });
    address
}

pub(crate) enum Then {
    Close,
    Reset,
    /// Waits until the server gives up.
    Wait,
    /// Sends a byte now and then until the server gives up.
    Drip,
}

pub(crate) fn reset(stream: TcpStream) {
    use std::os::fd::AsRawFd;
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    // SAFETY: the descriptor is open, the option's value is of the type that it takes.
    let code = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            size_of_val(&linger) as libc::socklen_t,
        )
    };
    assert_eq!(code, 0);
    drop(stream);
}

/// Reads until the server closes, within [`LIMIT`].
pub(crate) fn until_closed(stream: &mut TcpStream) {
    let end = Instant::now() + LIMIT;
    let mut chunk = [0; 4096];
    loop {
        assert!(Instant::now() < end, "the server keeps the connection");
        match stream.read(&mut chunk) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                assert_ne!(
                    error.kind(),
                    ErrorKind::WouldBlock,
                    "the connection was kept"
                );
                return;
            }
        }
    }
}

/// Proves the token, waits to be let in, sends the bytes and does what then is to be done.
pub(crate) fn after_knocking(target: &Target, good: &Recording, bytes: &[u8], then: &Then) {
    let mut stream = target.connect();
    good.enter(&mut stream);
    // The server may close before it has read everything.
    stream.write_all(bytes).ok();
    match then {
        Then::Close => {
            // What the server still reports is left unread: half of the connection goes on.
            stream.shutdown(Shutdown::Write).ok();
            until_closed(&mut stream);
        }
        Then::Reset => reset(stream),
        Then::Wait | Then::Drip => until_closed(&mut stream),
    }
}

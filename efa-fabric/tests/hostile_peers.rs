//! Peers that have the token and lie: about shared memory, or as the serving side.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use efa_fabric::{Code, Interrupt, connect};
use serde_json::json;

#[path = "support/processes.rs"]
mod processes;
#[path = "support/rendezvous.rs"]
mod rendezvous;
#[path = "support/secret.rs"]
mod secret;
use processes::{LIMIT, quick, with_each_library};
use rendezvous::{HEADER, Recording, Target, Then, after_knocking, until_closed};
use secret::secret;

const REFUSED: &[Code] = &[Code::RendezvousRefused];
const GONE: &[Code] = &[Code::Unreachable];
const ABSENT: &[Code] = &[Code::ProviderNotFound];

/// Not a test: the server, in the process that a test starts.
#[test]
fn child() {
    rendezvous::serve_if_child();
}

// --------------------------------------------------------------------------- addresses of shm

/// Addresses of `shm` are names of files in /dev/shm. The name of a file that is there and is no
/// endpoint's memory is not among these: libfabric 1.17 and 2.5.1 believe what it says, and end
/// the process (docs/robustness.md).
#[test]
fn names_of_shared_memory_that_is_none() {
    with_each_library("names_of_shared_memory_that_is_none", |library| {
        let target = Target::start(&library, 3);
        let good = Recording::take(&target, "shm");
        let names = [
            b"fi_shm://no-such-name".to_vec(),
            b"../../etc/passwd".to_vec(),
            vec![b'n'; 900],
            vec![0xff; 40],
            vec![0; 16],
        ];
        for name in names {
            let digits: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
            let bytes = good.changed("Hello", "/side/address", json!(digits));
            let start = Instant::now();
            after_knocking(&target, &good, &bytes, &Then::Wait);
            let outcome = target.outcome();
            let shown = String::from_utf8_lossy(&name[..name.len().min(40)]).into_owned();
            assert!(start.elapsed() < LIMIT, "{shown}");
            let typed = Code::ALL.iter().any(|code| code.as_str() == outcome);
            assert!(typed, "{shown}: {outcome}");
        }
        target.still_serves("all names");
    });
}

// ------------------------------------------------------------------------- a hostile server

/// A listener that lets everyone in, then sends these bytes in answer to hello.
fn false_server(answers: Vec<Vec<u8>>) -> (String, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        for answer in answers {
            let mut header = [0; HEADER];
            if stream.read_exact(&mut header).is_err() {
                return;
            }
            let length = u32::from_be_bytes(header[6..].try_into().unwrap()) as usize;
            stream.read_exact(&mut vec![0; length]).unwrap();
            stream.write_all(&answer).ok();
        }
        until_closed(&mut stream);
    });
    (address, serving)
}

#[test]
fn a_server_that_sends_nonsense_is_a_typed_error() {
    with_each_library("a_server_that_sends_nonsense", |library| {
        let target = Target::start(&library, 5);
        let good = Recording::take(&target, "tcp");
        let accepted = good.encode(br#"{"Accepted":{"providers":["tcp","tcp;ofi_rxm"]}}"#);
        let mut side = good.frame("Hello")["Hello"]["side"].clone();
        let mut welcome = |address: &str| {
            side["address"] = json!(address);
            good.encode(json!({"Welcome": {"side": side}}).to_string().as_bytes())
        };
        let many = json!({"Accepted": {"providers": vec!["p"; 30_000]}}).to_string();
        for (name, answers, codes) in [
            ("garbage", vec![vec![0xff; 9999]], REFUSED),
            (
                "the longest length",
                vec![good.with_length(u32::MAX, b"")],
                REFUSED,
            ),
            ("half a frame", vec![accepted[..20].to_vec()], GONE),
            (
                "no providers",
                vec![good.encode(br#"{"Accepted":{"providers":[]}}"#)],
                ABSENT,
            ),
            ("many providers", vec![good.encode(many.as_bytes())], ABSENT),
            ("a wrong frame", vec![good.encode(br#""Ready""#)], REFUSED),
            (
                "no endpoint",
                vec![accepted.clone(), vec![]],
                &[Code::Deadline, Code::Unreachable],
            ),
            (
                "garbage for an endpoint",
                vec![accepted.clone(), vec![9; 99]],
                REFUSED,
            ),
            (
                "a short address",
                vec![accepted.clone(), welcome("00")],
                REFUSED,
            ),
            ("no address", vec![accepted.clone(), welcome("")], REFUSED),
            (
                "a long address",
                vec![accepted.clone(), welcome(&"f".repeat(99_998))],
                REFUSED,
            ),
        ] {
            let (address, serving) = false_server(answers);
            let mut options = quick("tcp");
            options.connect_timeout = Duration::from_secs(2);
            options.deadline = Duration::from_secs(4);
            let start = Instant::now();
            let error = connect(&library, &address, &secret(), &options, Interrupt::never());
            let error = error.unwrap_err();
            assert!(codes.contains(&error.code()), "{name}: {error:?}");
            assert!(start.elapsed() < LIMIT, "{name}");
            serving.join().unwrap();
        }
    });
}

//! Peers that have the token and lie: about shared memory, or as the serving side.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use efa_fabric::{Code, Interrupt, connect, fuzzing};
use serde_json::json;

#[path = "support/processes.rs"]
mod processes;
#[path = "support/rendezvous.rs"]
mod rendezvous;
#[path = "support/secret.rs"]
mod secret;
use processes::{LIMIT, quick, with_each_library};
use rendezvous::{HEADER, Recording, Target, Then, after_knocking, read_frame, until_closed};
use secret::{SECRET, secret};

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
/// endpoint's memory is not among these: libfabric 1.17 and 2.5.1 believe what it reports, and end
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

/// Stands for the proof that the listener has the token.
const PROOF: [u8; 64] = [b'P'; 64];

/// A listener that has the token and lets everyone in with the first answer, then sends the others
/// in answer to hello.
fn false_server(good: &Recording, answers: Vec<Vec<u8>>) -> (String, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let nonce = "5".repeat(64);
    let challenge = good.encode(
        json!({"Challenge": {"nonce": nonce}})
            .to_string()
            .as_bytes(),
    );
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let knock = read_frame(&mut stream);
        let knocked = knock["Knock"]["nonce"].as_str().unwrap();
        let [_, proof] = fuzzing::proofs(SECRET, knocked, &nonce);
        stream.write_all(&challenge).unwrap();
        for mut answer in answers {
            let mut header = [0; HEADER];
            if stream.read_exact(&mut header).is_err() {
                return;
            }
            let length = u32::from_be_bytes(header[6..].try_into().unwrap()) as usize;
            stream.read_exact(&mut vec![0; length]).unwrap();
            let place = answer.windows(PROOF.len()).position(|part| part == PROOF);
            if let Some(at) = place {
                answer[at..at + PROOF.len()].copy_from_slice(proof.as_bytes());
            }
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
        let proof = String::from_utf8(PROOF.to_vec()).unwrap();
        let accept = |proof: &str, providers: &[&str]| {
            let frame = json!({"Accepted": {"proof": proof, "providers": providers}});
            good.encode(frame.to_string().as_bytes())
        };
        let accepted = accept(&proof, &["tcp", "tcp;ofi_rxm"]);
        let mut side = good.frame("Hello")["Hello"]["side"].clone();
        let mut welcome = |address: &str| {
            side["address"] = json!(address);
            good.encode(json!({"Welcome": {"side": side}}).to_string().as_bytes())
        };
        for (name, answers, codes) in [
            ("garbage", vec![vec![0xff; 9999]], REFUSED),
            (
                "the longest length",
                vec![good.with_length(u32::MAX, b"")],
                REFUSED,
            ),
            ("half a frame", vec![accepted[..20].to_vec()], GONE),
            (
                "an impostor",
                vec![accept(&"7".repeat(64), &["tcp"])],
                REFUSED,
            ),
            ("half a proof", vec![accept("7", &["tcp"])], REFUSED),
            ("no providers", vec![accept(&proof, &[])], ABSENT),
            (
                "many providers",
                vec![accept(&proof, &["p"; 30_000])],
                ABSENT,
            ),
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
            let (address, serving) = false_server(&good, answers);
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

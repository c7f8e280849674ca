//! Hostile input at the rendezvous: whatever comes, the server goes on or ends with a typed
//! error within its deadline, without a panic and without taking memory that was not agreed on.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::Write;
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
use rendezvous::{
    MAX_SIZE, MEMORY_KIB, Recording, Target, Then, after_knocking, between, reset, until_closed,
};
use secret::secret;

/// Not a test: the server, in the process that a test starts.
#[test]
fn child() {
    rendezvous::serve_if_child();
}

// --------------------------------------------------------------------------- without a token

fn without_a_token(good: &Recording) -> Vec<(&'static str, Vec<u8>, Then)> {
    let (magic, version) = good.prefix.split_at(4);
    let other_version = [magic, &[version[0], version[1] + 1], &[0, 0, 0, 2], b"{}"].concat();
    let knock = good.knock();
    let nonce = "7".repeat(64);
    let twice = format!(r#"{{"Knock":{{"nonce":"{nonce}","nonce":"{nonce}"}}}}"#);
    let more = format!(r#"{{"Knock":{{"nonce":"{nonce}"}}}}{{"Proof":{{"proof":"{nonce}"}}}}"#);
    let deep = [b"{\"Knock\":".as_slice(), &b"[".repeat(200_000)].concat();
    let wide = format!("{{\"Knock\":[{}0]}}", "0,".repeat(100_000));
    vec![
        ("nothing, closed", vec![], Then::Close),
        ("nothing, reset", vec![], Then::Reset),
        ("nothing, and waits", vec![], Then::Wait),
        ("half of the magic", magic[..2].to_vec(), Then::Wait),
        ("half of the header", good.prefix.clone(), Then::Wait),
        (
            "half of a frame, closed",
            knock[..knock.len() - 3].to_vec(),
            Then::Close,
        ),
        (
            "half of a frame, and waits",
            knock[..knock.len() - 3].to_vec(),
            Then::Wait,
        ),
        ("a frame, slowly", good.encode(&[b' '; 200_000]), Then::Drip),
        ("http", b"GET / HTTP/1.1\r\n\r\n".to_vec(), Then::Wait),
        (
            "tls",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
            Then::Wait,
        ),
        ("zeros", vec![0; 100_000], Then::Close),
        ("another version", other_version, Then::Wait),
        (
            "the longest length",
            good.with_length(u32::MAX, b"{"),
            Then::Wait,
        ),
        (
            "a length of 16 MiB",
            good.with_length(16 << 20, b"{"),
            Then::Wait,
        ),
        ("an empty frame", good.encode(b""), Then::Wait),
        (
            "no utf-8",
            good.encode(b"{\"Knock\":{\"nonce\":\"\xff\xfe\"}}"),
            Then::Wait,
        ),
        (
            "half a surrogate",
            good.encode(br#"{"Knock":{"nonce":"\ud800"}}"#),
            Then::Wait,
        ),
        ("deep json", good.encode(&deep), Then::Wait),
        ("wide json", good.encode(wide.as_bytes()), Then::Wait),
        (
            "a number of 200,000 digits",
            good.encode(&b"9".repeat(200_000)),
            Then::Wait,
        ),
        ("another proof", good.prove(json!(nonce)), Then::Wait),
        (
            "the proof that was right before",
            good.prove(good.frame("Proof")["Proof"]["proof"].clone()),
            Then::Wait,
        ),
        ("no proof", good.prove(json!("")), Then::Wait),
        (
            "half a proof",
            good.prove(json!("7".repeat(63))),
            Then::Wait,
        ),
        (
            "a long proof",
            good.prove(json!("7".repeat(200_000))),
            Then::Wait,
        ),
        ("a proof that is a number", good.prove(json!(7)), Then::Wait),
        (
            "a proof that is a list",
            good.prove(json!([nonce])),
            Then::Wait,
        ),
        (
            "a nonce that is not one",
            good.changed("Knock", "/nonce", json!("zz")),
            Then::Wait,
        ),
        (
            "a proof before knocking",
            good.encode(good.frame("Proof").to_string().as_bytes()),
            Then::Wait,
        ),
        (
            "knocks twice",
            [knock.clone(), knock.clone()].concat(),
            Then::Wait,
        ),
        ("two nonces", good.encode(twice.as_bytes()), Then::Wait),
        (
            "two values in a frame",
            good.encode(more.as_bytes()),
            Then::Wait,
        ),
        (
            "hello before knocking",
            good.encode(good.frame("Hello").to_string().as_bytes()),
            Then::Wait,
        ),
        (
            "an unknown frame",
            good.encode(br#"{"Open":{}}"#),
            Then::Wait,
        ),
    ]
}

#[test]
fn unknown_clients_do_not_end_the_wait() {
    with_each_library("unknown_clients_do_not_end_the_wait", |library| {
        let target = Target::start(&library, 30);
        let good = Recording::take(&target, "tcp");
        let descriptors = target.process.descriptors();
        let before_kib = target.process.status_kib("VmHWM");
        for (name, bytes, then) in without_a_token(&good) {
            let mut stream = target.connect();
            match then {
                Then::Drip => {
                    let end = Instant::now() + LIMIT;
                    for byte in &bytes {
                        if stream.write_all(&[*byte]).is_err() {
                            break;
                        }
                        assert!(Instant::now() < end, "{name}: still listened to");
                        std::thread::sleep(Duration::from_millis(50));
                    }
                }
                _ => drop(stream.write_all(&bytes)),
            }
            match then {
                Then::Close => drop(stream),
                Then::Reset => reset(stream),
                Then::Wait | Then::Drip => until_closed(&mut stream),
            }
        }
        // None of them ended `serve_one`: its first word is about the honest one.
        target.still_serves("all unknown clients");
        assert_eq!(target.process.descriptors(), descriptors);
        let grown = target.process.status_kib("VmHWM") - before_kib;
        assert!(grown < MEMORY_KIB, "took {grown} KiB");
    });
}

/// One after the other they would hold the server for longer than the honest one waits.
#[test]
fn unknown_clients_who_say_nothing_do_not_hold_up_the_peer() {
    with_each_library(
        "unknown_clients_who_say_nothing_do_not_hold_up_the_peer",
        |library| {
            let target = Target::start(&library, 30);
            let good = Recording::take(&target, "tcp");
            // Fewer than are listened to at once, and more.
            for count in [16, 40] {
                let half = &good.prefix[..3];
                let mut unknown_clients: Vec<_> = (0..count).map(|_| target.connect()).collect();
                for unknown in unknown_clients.iter_mut().step_by(2) {
                    unknown.write_all(half).unwrap();
                }
                let mut options = quick("tcp");
                options.connect_timeout = Duration::from_secs(10);
                let never = Interrupt::never();
                connect(&library, &target.address, &secret(), &options, never)
                    .unwrap_or_else(|error| panic!("behind {count}: {error}"));
                assert_eq!(target.outcome(), "ok");
                for unknown in &mut unknown_clients {
                    until_closed(unknown);
                }
            }
        },
    );
}

/// A peer that comes while another is answered is answered next.
#[test]
fn peers_wait_for_their_turn() {
    with_each_library("peers_wait_for_their_turn", |library| {
        let target = Target::start(&library, 30);
        std::thread::scope(|scope| {
            let probe = || {
                let mut options = quick("tcp");
                options.connect_timeout = LIMIT;
                let never = Interrupt::never();
                connect(&library, &target.address, &secret(), &options, never).map(drop)
            };
            let probes: Vec<_> = (0..4).map(|_| scope.spawn(probe)).collect();
            for probe in probes {
                probe.join().unwrap().unwrap();
                assert_eq!(target.outcome(), "ok");
            }
        });
    });
}

// ------------------------------------------------------------------------- with the token

struct Case {
    name: String,
    /// Sent after knocking with the right token.
    bytes: Vec<u8>,
    then: Then,
    codes: &'static [Code],
}

const REFUSED: &[Code] = &[Code::RendezvousRefused];
const GONE: &[Code] = &[Code::Unreachable];
const INVALID: &[Code] = &[Code::InvalidOption];
const SIZE: &[Code] = &[Code::BadSize];
const ABSENT: &[Code] = &[Code::ProviderNotFound];
/// An address that leads nowhere: the provider may state this at once or the peer's end comes first.
const NOWHERE: &[Code] = &[Code::RendezvousRefused, Code::Unreachable, Code::CallFailed];

fn with_the_token(good: &Recording, address_digits: usize) -> Vec<Case> {
    let case = |name: &str, bytes: Vec<u8>, then, codes| Case {
        name: name.to_owned(),
        bytes,
        then,
        codes,
    };
    let hello = good.encode(good.frame("Hello").to_string().as_bytes());
    let begin = good.encode(good.frame("Begin").to_string().as_bytes());
    let knock = good.knock();
    let end = good.encode(br#"{"End":{"count":1}}"#);
    let mut cases = vec![
        case("closes", vec![], Then::Close, GONE),
        case("resets", vec![], Then::Reset, GONE),
        case("is silent", vec![], Then::Wait, &[Code::Deadline]),
        case("garbage", vec![0xff; 5000], Then::Wait, REFUSED),
        case(
            "garbage, then closes",
            vec![0xff; 5000],
            Then::Close,
            REFUSED,
        ),
        case(
            "the longest length",
            good.with_length(u32::MAX, b"{"),
            Then::Wait,
            REFUSED,
        ),
        case(
            "half of hello",
            hello[..hello.len() / 2].to_vec(),
            Then::Close,
            GONE,
        ),
        case(
            "deep json",
            good.encode(&b"{\"Hello\":".repeat(20_000)),
            Then::Wait,
            REFUSED,
        ),
        case("knocks again", knock, Then::Wait, REFUSED),
        case("begins before hello", begin.clone(), Then::Wait, REFUSED),
        case(
            "hello twice",
            [hello.clone(), hello.clone()].concat(),
            Then::Wait,
            REFUSED,
        ),
        case("hello, then closes", hello.clone(), Then::Close, GONE),
        case(
            "hello, then garbage",
            [hello.as_slice(), &[7; 99]].concat(),
            Then::Wait,
            REFUSED,
        ),
        case(
            "ends what never began",
            [hello.clone(), end].concat(),
            Then::Wait,
            REFUSED,
        ),
        case(
            "begins, then closes",
            [hello.clone(), begin].concat(),
            Then::Close,
            GONE,
        ),
    ];
    for (pointer, value, codes) in [
        ("/side/address", json!(""), REFUSED),
        ("/side/address", json!("0"), REFUSED),
        (
            "/side/address",
            json!("zz".repeat(address_digits / 2)),
            REFUSED,
        ),
        (
            "/side/address",
            json!("00".repeat(address_digits / 2 - 1)),
            REFUSED,
        ),
        (
            "/side/address",
            json!("00".repeat(address_digits / 2 + 1)),
            REFUSED,
        ),
        ("/side/address", json!("00".repeat(100_000)), REFUSED),
        (
            "/side/address",
            json!("é".repeat(address_digits / 2)),
            REFUSED,
        ),
        (
            "/side/address",
            json!("00".repeat(address_digits / 2)),
            NOWHERE,
        ),
        (
            "/side/address",
            json!("ff".repeat(address_digits / 2)),
            NOWHERE,
        ),
        ("/side/address_format", json!("FI_ADDR_STR"), ABSENT),
        ("/side/address_format", json!("FI_NOTHING"), ABSENT),
        ("/side/protocol", json!("FI_PROTO_NOTHING"), ABSENT),
        ("/side/tx_size", json!(0), GONE),
        ("/side/rx_size", json!(0), GONE),
        ("/side/tx_size", json!(u64::MAX), GONE),
        ("/side/tx_size", json!(-1), REFUSED),
        ("/side/peer/provider", json!("nosuch"), ABSENT),
        ("/side/peer/provider", json!("p".repeat(100_000)), ABSENT),
        (
            "/side/peer/provider",
            json!("tcp\0;ofi_rxm"),
            &[Code::InvalidOption, Code::ProviderNotFound],
        ),
        ("/side/peer/domain", json!("d".repeat(100_000)), GONE),
        ("/options/window", json!(0), INVALID),
        ("/options/window", json!(u32::MAX), INVALID),
        ("/options/min_iterations", json!(0), INVALID),
        ("/options/max_iterations", json!(u32::MAX), INVALID),
        ("/options/sizes", json!([]), INVALID),
        ("/options/sizes", json!(vec![1; 300]), INVALID),
        ("/options/sizes", json!([0]), SIZE),
        ("/options/sizes", json!([MAX_SIZE + 1]), SIZE),
        ("/options/sizes", json!([u64::MAX]), SIZE),
        ("/options/sizes", json!([1.5]), REFUSED),
        ("/options/deadline", json!({"secs": 0, "nanos": 0}), INVALID),
        (
            "/options/deadline",
            json!({"secs": u64::MAX, "nanos": 999_999_999}),
            GONE,
        ),
        (
            "/options/deadline",
            json!({"secs": u64::MAX, "nanos": u32::MAX}),
            REFUSED,
        ),
        ("/options/buffers", json!("none"), REFUSED),
        ("/options/endpoint/provider", json!(""), INVALID),
    ] {
        let shown: String = value.to_string().chars().take(30).collect();
        cases.push(case(
            &format!("hello with {pointer} {shown}"),
            good.changed("Hello", pointer, value),
            Then::Close,
            codes,
        ));
    }
    for (pointer, value, codes) in [
        ("/size", json!(0), SIZE),
        ("/size", json!(MAX_SIZE), SIZE),
        ("/size", json!(u64::MAX), SIZE),
        ("/quantum", json!(0), SIZE),
        ("/quantum", json!(-1), REFUSED),
        ("/kind", json!("Nothing"), REFUSED),
    ] {
        cases.push(case(
            &format!("begin with {pointer} {value}"),
            [hello.clone(), good.changed("Begin", pointer, value)].concat(),
            Then::Wait,
            codes,
        ));
    }
    cases
}

#[test]
fn who_has_the_token_and_sends_nonsense_is_a_typed_error() {
    with_each_library("who_has_the_token_and_sends_nonsense", |library| {
        let target = Target::start(&library, 5);
        let good = Recording::take(&target, "tcp");
        let digits = good.frame("Hello")["Hello"]["side"]["address"]
            .as_str()
            .unwrap()
            .len();
        let descriptors = target.process.descriptors();
        let before_kib = target.process.status_kib("VmHWM");
        for case in with_the_token(&good, digits) {
            let start = Instant::now();
            after_knocking(&target, &good, &case.bytes, &case.then);
            let outcome = target.outcome();
            assert!(start.elapsed() < LIMIT, "{}", case.name);
            assert!(
                case.codes.iter().any(|code| code.as_str() == outcome),
                "{}: {outcome}, not one of {:?}",
                case.name,
                case.codes
            );
        }
        target.still_serves("all nonsense");
        assert_eq!(target.process.descriptors(), descriptors);
        let grown = target.process.status_kib("VmHWM") - before_kib;
        assert!(grown < MEMORY_KIB, "took {grown} KiB");
    });
}

/// A count of what was sent that is below what came: before, the receiver waited for its deadline.
#[test]
fn an_end_that_is_too_low_is_a_typed_error_at_once() {
    with_each_library(
        "an_end_that_is_too_low_is_a_typed_error_at_once",
        |library| {
            // Longer than the test may take: the deadline is not what ends it.
            let target = Target::start(&library, 600);
            for (latency, bandwidth) in [(true, false), (false, true)] {
                let mut options = quick("tcp");
                (options.latency, options.bandwidth) = (latency, bandwidth);
                let address = between(&target, |frame| {
                    let count = frame.pointer_mut("/End/count")?;
                    // Of the warm-up and the samples, not of the first message alone.
                    let said = count.as_u64().filter(|&said| said > 1)?;
                    *count = json!(said - 2);
                    Some(())
                });
                let error = connect(&library, &address, &secret(), &options, Interrupt::never());
                let error = error.unwrap_err();
                assert_eq!(target.outcome(), "fabric.peer_failed", "{error}");
                assert_eq!(error.code(), Code::PeerFailed, "{error}");
            }
            target.still_serves("ends that were too low");
        },
    );
}

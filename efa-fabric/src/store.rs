//! A small key-value store over TCP, where the ranks of a survey meet when nothing else is there.
//!
//! One process has the [`Server`], every rank a [`Client`], which is an
//! [`Exchange`](crate::probe::Exchange).
//! Both sides prove to each other that they have the [`Token`](crate::token::Token), which is never
//! sent; values are sent as they are, without encryption. Every length is bounded before memory is
//! taken, and an unknown client that sends nothing costs one thread for two seconds.

mod client;
mod server;
mod wire;

pub use client::Client;
pub use server::{Options, Server};

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpStream};
    use std::time::{Duration, Instant};

    use super::*;
    use crate::error::Code;
    use crate::probe::{Exchange, Interrupt, KeyInUse};
    use crate::token::Token;

    fn local() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 0))
    }

    const SECRET: &str = "a secret of tests";

    fn token(text: &str) -> Token {
        Token::parse(text).unwrap()
    }

    fn server(options: Options) -> (Server, String) {
        let server = Server::start(local(), &token(SECRET), &options).unwrap();
        let address = server.address().to_string();
        (server, address)
    }

    fn client(address: &str) -> crate::error::Result<Client> {
        client_with(address, SECRET)
    }

    fn client_with(address: &str, secret: &str) -> crate::error::Result<Client> {
        let timeout = Duration::from_secs(5);
        Client::connect(address, &token(secret), timeout, Interrupt::never())
    }

    #[test]
    fn what_one_leaves_another_takes_once() {
        let (_server, address) = server(Options::default());
        let mut left = client(&address).unwrap();
        let mut right = client(&address).unwrap();
        assert_eq!(right.take("a/0").unwrap(), None);
        left.put("a/0", b"one").unwrap();
        left.put("a/1", b"").unwrap();
        assert_eq!(right.take("a/1").unwrap().as_deref(), Some(&b""[..]));
        assert_eq!(right.take("a/0").unwrap().as_deref(), Some(&b"one"[..]));
        assert_eq!(right.take("a/0").unwrap(), None);
        let large = vec![7; 1 << 20];
        left.put("large", &large).unwrap();
        assert_eq!(right.take("large").unwrap(), Some(large));
    }

    #[test]
    fn a_wrong_token_is_refused() {
        let (_server, address) = server(Options::default());
        for secret in [
            "a secret of test",
            "a secret of tests2",
            "A secret of tests",
        ] {
            let error = client_with(&address, secret).unwrap_err();
            assert_eq!(error.code(), Code::RendezvousRefused, "{secret:?}");
            assert!(error.to_string().contains("refused the token"), "{error}");
        }
        assert!(client(&address).is_ok());
    }

    /// What a recorded meeting is worth to whoever plays it again, and what an impostor learns.
    #[test]
    fn the_token_is_never_sent_and_a_recording_opens_nothing() {
        let (_server, address) = server(Options::default());
        let between = std::net::TcpListener::bind(local()).unwrap();
        let own = between.local_addr().unwrap().to_string();
        let onward = address.clone();
        let relay = std::thread::spawn(move || {
            let (mut left, _) = between.accept().unwrap();
            let mut right = TcpStream::connect(onward).unwrap();
            let mut relayed = Vec::new();
            for (from_left, length) in [(true, 38), (false, 38), (true, 32), (false, 33)] {
                let mut bytes = vec![0; length];
                let (from, to) = if from_left {
                    (&mut left, &mut right)
                } else {
                    (&mut right, &mut left)
                };
                from.read_exact(&mut bytes).unwrap();
                to.write_all(&bytes).unwrap();
                relayed.push(bytes);
            }
            relayed
        });
        client(&own).unwrap();
        let relayed = relay.join().unwrap();
        let all = relayed.concat();
        assert!(!all.windows(8).any(|part| part == &SECRET.as_bytes()[..8]));
        let mut again = TcpStream::connect(&address).unwrap();
        again.write_all(&relayed[0]).unwrap();
        again.read_exact(&mut [0; 38]).unwrap();
        again.write_all(&relayed[2]).unwrap();
        let mut answer = Vec::new();
        again.read_to_end(&mut answer).unwrap();
        assert_eq!(answer, [0]);
    }

    #[test]
    fn an_impostor_is_found_out() {
        let impostor = std::net::TcpListener::bind(local()).unwrap();
        let address = impostor.local_addr().unwrap().to_string();
        let pretending = std::thread::spawn(move || {
            let (mut stream, _) = impostor.accept().unwrap();
            stream.read_exact(&mut [0; 38]).unwrap();
            stream
                .write_all(&[&wire::HELLO[..], &[7; 32]].concat())
                .unwrap();
            stream.read_exact(&mut [0; 32]).unwrap();
            stream.write_all(&[&[1][..], &[7; 32]].concat()).unwrap();
            let mut more = Vec::new();
            stream.read_to_end(&mut more).unwrap();
            more
        });
        let error = client(&address).unwrap_err();
        assert_eq!(error.code(), Code::RendezvousRefused);
        assert!(
            error.to_string().contains("does not have the token"),
            "{error}"
        );
        assert!(pretending.join().unwrap().is_empty());
    }

    #[test]
    fn a_key_is_used_once() {
        let (_server, address) = server(Options::default());
        let mut client = client(&address).unwrap();
        client.put("a", b"1").unwrap();
        let refused = client.put("a", b"2").unwrap_err();
        assert!(refused.is::<KeyInUse>(), "{refused}");
        assert_eq!(client.take("a").unwrap().as_deref(), Some(&b"1"[..]));
    }

    #[test]
    fn lengths_are_bounded() {
        let options = Options {
            max_value: 100,
            // Two entries: 128 bytes, a key of one byte and a value of 100 each.
            max_total: 458,
            room_timeout: Duration::from_millis(50),
            ..Options::default()
        };
        let (_server, address) = server(options);
        let mut first = client(&address).unwrap();
        assert!(first.put("long", &[0; 101]).is_err());
        let mut second = client(&address).unwrap();
        second.put("a", &[0; 100]).unwrap();
        second.put("b", &[0; 100]).unwrap();
        for (key, value) in [("c", &[0; 100][..]), ("d", b"")] {
            let full = second.put(key, value).unwrap_err().to_string();
            assert!(full.contains("full"), "{full}");
        }
        second.take("a").unwrap();
        second.put("c", &[0; 100]).unwrap();
        assert!(second.put(&"k".repeat(1025), b"").is_err());
    }

    #[test]
    fn a_value_that_is_on_its_way_takes_room_until_its_connection_ends() {
        let options = Options {
            max_value: 100,
            max_total: 300,
            room_timeout: Duration::from_millis(50),
            ..Options::default()
        };
        let (_server, address) = server(options);
        let mut slow = client(&address).unwrap();
        let mut other = client(&address).unwrap();
        slow.raw(b"P\x00\x01s\x00\x00\x00\x64half");
        let end = Instant::now() + Duration::from_secs(10);
        while other.put("o", &[0; 100]).is_ok() {
            assert!(Instant::now() < end, "half a value takes no room");
            other.take("o").unwrap();
        }
        drop(slow);
        while other.put("o", &[0; 100]).is_err() {
            assert!(Instant::now() < end, "the room was not given back");
        }
    }

    /// Where a store proves that it has the token, and then sends nothing more.
    fn silent_store() -> (String, std::thread::JoinHandle<()>) {
        let listener = std::net::TcpListener::bind(local()).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let silent = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut theirs = [0; 38];
            stream.read_exact(&mut theirs).unwrap();
            let nonces = crate::token::Nonces {
                connecting: theirs[6..].try_into().unwrap(),
                listening: [7; 32],
            };
            stream
                .write_all(&[&wire::HELLO[..], &[7; 32]].concat())
                .unwrap();
            stream.read_exact(&mut [0; 32]).unwrap();
            let proof = token(SECRET).proof(crate::token::Prover::Listening, &nonces);
            stream.write_all(&[&[1][..], &proof].concat()).unwrap();
            stream.read_to_end(&mut Vec::new()).unwrap();
        });
        (address, silent)
    }

    #[test]
    fn a_request_can_be_stopped_and_ends_the_connection() {
        let (address, silent) = silent_store();
        let mut client = client(&address).unwrap();
        assert!(client.take_until("a", &|| true).is_err());
        silent.join().unwrap();
        assert!(client.take("a").is_err());
    }

    #[test]
    fn a_store_that_falls_silent_is_waited_for_as_long_as_was_said() {
        let (address, silent) = silent_store();
        let client = client(&address).unwrap();
        let mut client = client.with_request_timeout(Duration::from_millis(50));
        let error = client.take("a").unwrap_err();
        let kind = error.downcast_ref::<std::io::Error>().unwrap().kind();
        assert_eq!(kind, std::io::ErrorKind::TimedOut);
        silent.join().unwrap();
    }

    #[test]
    fn unknown_clients_are_sent_away_and_others_go_on() {
        let (_server, address) = server(Options::default());
        let mut good = client(&address).unwrap();
        for bytes in [
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            b"efaS",
            b"efaS\xff\xff\x00\x00",
            b"efaS\x00\x01\xff\xff",
            &[0; 5000],
        ] {
            let mut unknown = TcpStream::connect(&address).unwrap();
            // The server may have hung up after the first bytes.
            let _ = unknown.write_all(bytes);
            unknown
                .set_read_timeout(Some(Duration::from_secs(10)))
                .unwrap();
            let mut answer = Vec::new();
            let _ = unknown.read_to_end(&mut answer);
            assert!(!answer.ends_with(&[1]), "{answer:?}");
        }
        good.put("a", b"1").unwrap();
        assert_eq!(good.take("a").unwrap().as_deref(), Some(&b"1"[..]));
    }

    #[test]
    fn a_store_ends_at_its_deadline_and_when_dropped() {
        let options = Options {
            deadline: Duration::from_millis(50),
            ..Options::default()
        };
        let (_server, address) = server(options);
        let mut late = client(&address);
        let end = Instant::now() + Duration::from_secs(10);
        while late.as_mut().is_ok_and(|client| client.take("a").is_ok()) {
            assert!(Instant::now() < end, "the store did not end");
            std::thread::sleep(Duration::from_millis(10));
        }
        let (other, address) = server(Options::default());
        let mut client = client(&address).unwrap();
        drop(other);
        assert!(client.take("a").is_err());
    }

    #[test]
    fn nobody_there_is_unreachable() {
        let free = std::net::TcpListener::bind(local()).unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        let timeout = Duration::from_millis(100);
        let error =
            Client::connect(&address, &token(SECRET), timeout, Interrupt::never()).unwrap_err();
        assert_eq!(error.code(), Code::Unreachable);
    }
}

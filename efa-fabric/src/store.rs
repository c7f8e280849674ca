//! A small key-value store over TCP, where the ranks of a survey meet when nothing else is there.
//!
//! One process has the [`Server`], every rank a [`Client`], which is an
//! [`Exchange`](crate::probe::Exchange).
//! The token keeps out whoever does not have it; it and the values are sent as they are, without
//! encryption. Every length is bounded before memory is taken, and a stranger who says nothing
//! costs one thread for two seconds.

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
    use crate::probe::{Exchange, Interrupt};

    fn local() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 0))
    }

    fn server(options: Options) -> (Server, String) {
        let server = Server::start(local(), "secret", &options).unwrap();
        let address = server.address().to_string();
        (server, address)
    }

    fn client(address: &str, token: &str) -> crate::error::Result<Client> {
        Client::connect(address, token, Duration::from_secs(5), Interrupt::never())
    }

    #[test]
    fn what_one_leaves_another_takes_once() {
        let (_server, address) = server(Options::default());
        let mut left = client(&address, "secret").unwrap();
        let mut right = client(&address, "secret").unwrap();
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
        for token in ["", "secre", "secret2", "Secret"] {
            let error = client(&address, token).unwrap_err();
            assert_eq!(error.code(), Code::RendezvousRefused, "{token:?}");
        }
        assert!(client(&address, "secret").is_ok());
    }

    #[test]
    fn a_store_needs_a_token_of_some_length() {
        for token in ["", &"x".repeat(2000)] {
            let error = Server::start(local(), token, &Options::default()).unwrap_err();
            assert_eq!(error.code(), Code::InvalidOption);
        }
    }

    #[test]
    fn a_key_is_used_once() {
        let (_server, address) = server(Options::default());
        let mut client = client(&address, "secret").unwrap();
        client.put("a", b"1").unwrap();
        let refused = client.put("a", b"2").unwrap_err().to_string();
        assert!(refused.contains("was left before"), "{refused}");
        assert_eq!(client.take("a").unwrap().as_deref(), Some(&b"1"[..]));
    }

    #[test]
    fn lengths_are_bounded() {
        let options = Options {
            max_value: 100,
            max_total: 250,
            room_timeout: Duration::from_millis(50),
            ..Options::default()
        };
        let (_server, address) = server(options);
        let mut first = client(&address, "secret").unwrap();
        assert!(first.put("long", &[0; 101]).is_err());
        let mut second = client(&address, "secret").unwrap();
        second.put("a", &[0; 100]).unwrap();
        second.put("b", &[0; 100]).unwrap();
        let full = second.put("c", &[0; 100]).unwrap_err().to_string();
        assert!(full.contains("full"), "{full}");
        second.take("a").unwrap();
        second.put("c", &[0; 100]).unwrap();
        assert!(second.put(&"k".repeat(1025), b"").is_err());
    }

    #[test]
    fn strangers_are_sent_away_and_others_go_on() {
        let (_server, address) = server(Options::default());
        let mut good = client(&address, "secret").unwrap();
        for bytes in [
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            b"efaS",
            b"efaS\xff\xff\x00\x00",
            b"efaS\x00\x01\xff\xff",
            &[0; 5000],
        ] {
            let mut stranger = TcpStream::connect(&address).unwrap();
            // The server may have hung up after the first bytes.
            let _ = stranger.write_all(bytes);
            stranger
                .set_read_timeout(Some(Duration::from_secs(10)))
                .unwrap();
            let mut answer = Vec::new();
            let _ = stranger.read_to_end(&mut answer);
            assert!(!answer.starts_with(b"efaS\x00\x01\x01"), "{answer:?}");
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
        let mut late = client(&address, "secret");
        let end = Instant::now() + Duration::from_secs(10);
        while late.as_mut().is_ok_and(|client| client.take("a").is_ok()) {
            assert!(Instant::now() < end, "the store did not end");
            std::thread::sleep(Duration::from_millis(10));
        }
        let (other, address) = server(Options::default());
        let mut client = client(&address, "secret").unwrap();
        drop(other);
        assert!(client.take("a").is_err());
    }

    #[test]
    fn nobody_there_is_unreachable() {
        let free = std::net::TcpListener::bind(local()).unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        let timeout = Duration::from_millis(100);
        let error = Client::connect(&address, "secret", timeout, Interrupt::never()).unwrap_err();
        assert_eq!(error.code(), Code::Unreachable);
    }
}

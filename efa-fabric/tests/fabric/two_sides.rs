//! Two processes, and what becomes of one when the other is not as it should be.

use efa_fabric::token::Token;

use super::*;

#[test]
fn two_processes_measure_tcp_and_shm() {
    for library in libraries("two_processes_measure_tcp_and_shm") {
        for provider in ["tcp", "shm"] {
            let (mut server, address) = Process::serve(&library);
            let options = quick(provider);
            let report =
                connect(&library, &address, &secret(), &options, Interrupt::never()).unwrap();
            assert_eq!(report.role, Role::Connect);
            check_report(&report, provider, &options);
            let theirs: ProbeReport = serde_json::from_str(&server.outcome().unwrap()).unwrap();
            check_report(&theirs, provider, &options);
            assert_eq!(theirs.rows, report.rows);
        }
    }
}

#[test]
fn versions_mix_on_tcp_and_are_refused_on_shm() {
    let all = libraries("versions_mix");
    let [first, second] = all.as_slice() else {
        return;
    };
    for (serving, measuring) in [(first, second), (second, first)] {
        for provider in ["tcp", "shm"] {
            let (mut server, address) = Process::serve(serving);
            let variables = [
                ("EFA_TEST_ADDRESS", address.as_str()),
                ("EFA_TEST_PROVIDER", provider),
            ];
            let start = Instant::now();
            let outcome = Process::start("connect", Some(measuring.path()), &variables).outcome();
            if provider == "tcp" {
                let report: ProbeReport = serde_json::from_str(&outcome.unwrap()).unwrap();
                check_report(&report, provider, &quick(provider));
                // Both have the layered one, and only the newer has another.
                assert_eq!(report.provider, "tcp;ofi_rxm");
                assert_ne!(report.library_version, report.peer.library_version);
                assert!(server.outcome().is_ok());
            } else {
                assert_eq!(outcome, Err("fabric.version_mismatch".into()));
                assert_eq!(server.outcome(), Err("fabric.version_mismatch".into()));
            }
            assert!(start.elapsed() < LIMIT);
        }
    }
}

#[test]
fn a_peer_that_never_listens_is_unreachable() {
    for library in libraries("a_peer_that_never_listens") {
        let closed = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .to_string();
        let mut options = quick("tcp");
        options.connect_timeout = Duration::from_millis(300);
        for address in [closed.as_str(), "no.such.host.invalid:7", "127.0.0.1"] {
            let start = Instant::now();
            let error =
                connect(&library, address, &secret(), &options, Interrupt::never()).unwrap_err();
            assert_eq!(error.code(), Code::Unreachable, "{error}");
            assert!(error.context_value("peer").unwrap().contains(address));
            assert!(start.elapsed() < LIMIT);
        }
    }
}

#[test]
fn a_peer_that_never_answers_is_unreachable() {
    for library in libraries("a_peer_that_never_answers") {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut options = quick("tcp");
        options.connect_timeout = Duration::from_millis(300);
        let address = silent.local_addr().unwrap().to_string();
        let error =
            connect(&library, &address, &secret(), &options, Interrupt::never()).unwrap_err();
        assert_eq!(error.code(), Code::Unreachable, "{error}");
    }
}

#[test]
fn a_peer_that_is_no_probe_is_refused() {
    for library in libraries("a_peer_that_is_no_probe") {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let unknown = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream
                .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                .unwrap();
            std::thread::sleep(Duration::from_millis(200));
        });
        let error = connect(
            &library,
            &address,
            &secret(),
            &quick("tcp"),
            Interrupt::never(),
        )
        .unwrap_err();
        assert_eq!(error.code(), Code::RendezvousRefused, "{error}");
        unknown.join().unwrap();
    }
}

#[test]
fn a_wrong_token_is_refused_and_the_server_waits_on() {
    for library in libraries("a_wrong_token_is_refused") {
        let (mut server, address) = Process::serve(&library);
        let mut options = quick("tcp");
        options.sizes = vec![64];
        for wrong in ["a secret of test", "a secret of tests2"] {
            let wrong = Token::parse(wrong).unwrap();
            let error =
                connect(&library, &address, &wrong, &options, Interrupt::never()).unwrap_err();
            assert_eq!(error.code(), Code::RendezvousRefused, "{error}");
            assert!(error.to_string().contains("the token is wrong"), "{error}");
        }
        TcpStream::connect(&address)
            .unwrap()
            .write_all(b"GET / HTTP/1.1\r\n\r\n")
            .unwrap();
        drop(TcpStream::connect(&address).unwrap());
        connect(&library, &address, &secret(), &options, Interrupt::never()).unwrap();
        assert!(server.outcome().is_ok());
    }
}

#[test]
fn a_server_refuses_what_it_cannot_serve() {
    for library in libraries("a_server_refuses_what_it_cannot_serve") {
        let server = Server::bind(Server::LOOPBACK, secret()).unwrap();
        let address = server.address().to_string();
        let mut serve = ServeOptions::default();
        serve.endpoint = EndpointOptions::new("shm");
        std::thread::scope(|scope| {
            let serving = scope.spawn(|| server.serve_one(&library, &serve, Interrupt::never()));
            let error = connect(
                &library,
                &address,
                &secret(),
                &quick("tcp"),
                Interrupt::never(),
            )
            .unwrap_err();
            assert_eq!(error.code(), Code::RendezvousRefused, "{error}");
            assert_eq!(
                serving.join().unwrap().unwrap_err().code(),
                Code::InvalidOption
            );
        });
        serve.accept_timeout = Duration::from_millis(50);
        let error = server
            .serve_one(&library, &serve, Interrupt::never())
            .unwrap_err();
        assert_eq!(error.code(), Code::Deadline);
        let error = server
            .serve_one(&library, &ServeOptions::default(), Interrupt::new(&|| true))
            .unwrap_err();
        assert_eq!(error.code(), Code::Interrupted);
    }
}

#[test]
fn a_peer_that_dies_in_the_middle_is_unreachable() {
    // tcp only: a peer killed while it holds the spin lock in shm's shared memory leaves every
    // call of libfabric on that endpoint spinning for ever (see the binding decision).
    for library in libraries("a_peer_that_dies") {
        for bandwidth in [false, true] {
            let (server, address) = Process::serve(&library);
            let mut options = endless("tcp");
            (options.latency, options.bandwidth) = (!bandwidth, bandwidth);
            let killer = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(500));
                drop(server);
            });
            let start = Instant::now();
            let error =
                connect(&library, &address, &secret(), &options, Interrupt::never()).unwrap_err();
            assert_eq!(error.code(), Code::Unreachable, "{error}");
            assert!(start.elapsed() < LIMIT);
            killer.join().unwrap();
        }
    }
}

#[test]
fn a_peer_that_stops_in_the_middle_meets_the_deadline() {
    // tcp only, as above: a stopped peer may hold the lock too.
    for library in libraries("a_peer_that_stops") {
        let (server, address) = Process::serve(&library);
        let mut options = endless("tcp");
        options.deadline = Duration::from_secs(2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(500));
                server.signal("-STOP");
            });
            let start = Instant::now();
            let error =
                connect(&library, &address, &secret(), &options, Interrupt::never()).unwrap_err();
            assert_eq!(error.code(), Code::Deadline, "{error}");
            assert!(start.elapsed() < LIMIT);
        });
    }
}

//! Two sides that meet through something of the caller's: a Ray actor, a torch store, a folder.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::channel::{Channel, Frame};
use super::guard::Guard;
use super::options::{ProbeOptions, ServeOptions};
use super::report::{ProbeReport, Role};
use super::session::{self, Keep, Session};
use super::start_line::StartLine;
use super::{initiator, responder, side};
use crate::error::{Code, Error, Result};
use crate::interrupt::Interrupt;
use crate::library::Library;
use crate::token;

/// Longest message that is taken from the other side, in bytes.
const MAX_MESSAGE: usize = 256 << 10;
/// Time between two questions to the exchange: it grows from the first to the last while
/// nothing comes, since each may cost a round trip to a store.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LAST_PAUSE: Duration = Duration::from_millis(20);

/// The failure of an [`Exchange`].
pub type ExchangeError = Box<dyn std::error::Error + Send + Sync>;

/// The error of an [`Exchange`] under whose key something lies already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyInUse;

impl std::fmt::Display for KeyInUse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("something was left before under the key")
    }
}

impl std::error::Error for KeyInUse {}

/// A place where two sides leave bytes for each other.
///
/// Whoever can write to it takes part in the probe, so it must be as private as a token.
pub trait Exchange {
    /// Leaves these bytes under a key that was not used before.
    ///
    /// # Errors
    /// [`KeyInUse`] where it refuses since something lies there already; whatever else went wrong.
    /// The probe ends with it as the source of `fabric.rendezvous_failed`.
    fn put(&mut self, key: &str, value: &[u8]) -> Result<(), ExchangeError>;

    /// Takes away what the other side left under this key, or `None` while it has not. Must not
    /// wait.
    ///
    /// # Errors
    /// As [`Exchange::put`].
    fn take(&mut self, key: &str) -> Result<Option<Vec<u8>>, ExchangeError>;
}

/// A folder that both sides see, such as one on a shared file system.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// Returns the folder at this path, which must exist.
    ///
    /// # Errors
    /// `fabric.rendezvous_failed` if it is not a folder.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        if path.is_dir() {
            return Ok(Self(path));
        }
        Err(Error::new(
            Code::RendezvousFailed,
            format!("{} is not a folder", path.display()),
        )
        .with_cure("make it, private to you, where both sides see it")
        .with_context("folder", path.display()))
    }

    fn file(&self, key: &str) -> PathBuf {
        self.0.join(key.replace('%', "%25").replace('/', "%2f"))
    }
}

impl Exchange for Folder {
    fn put(&mut self, key: &str, value: &[u8]) -> Result<(), ExchangeError> {
        let path = self.file(key);
        let mut unfinished = path.clone().into_os_string();
        // A name that nobody can prepare: whoever else writes to the folder could point it elsewhere.
        unfinished.push(format!(".{}.part", hex::encode(&token::nonce()?[..8])));
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        options.open(&unfinished)?.write_all(value)?;
        Ok(fs::rename(&unfinished, &path)?)
    }

    fn take(&mut self, key: &str) -> Result<Option<Vec<u8>>, ExchangeError> {
        let path = self.file(key);
        let mut options = fs::OpenOptions::new();
        // No link is followed, and no pipe is waited for.
        options
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let file = match options.open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if !file.metadata()?.is_file() {
            return Err(format!("{} is not a regular file", path.display()).into());
        }
        let mut bytes = Vec::new();
        // One more than is taken, so that what is too long shows.
        file.take(MAX_MESSAGE as u64 + 1).read_to_end(&mut bytes)?;
        fs::remove_file(&path)?;
        Ok(Some(bytes))
    }
}

/// Measures to a side that calls [`answer_through`] with the same name on the same exchange.
///
/// The name distinguishes this pair from others and must not be used again. Providers with IP addresses
/// use the one that libfabric chooses, unless the options name an address or a domain. The other
/// side's death shows only as a deadline.
///
/// # Errors
/// As [`super::connect`]; `fabric.unreachable` if nobody answers within `connect_timeout`,
/// `fabric.rendezvous_failed` as the exchange reports.
pub fn measure_through(
    library: &Arc<Library>,
    exchange: &mut dyn Exchange,
    name: &str,
    options: &ProbeOptions,
    interrupt: Interrupt<'_>,
) -> Result<ProbeReport> {
    measure_from(library, exchange, name, options, interrupt, None)
}

/// As [`measure_through`], with a start line where other probes wait as well.
pub(crate) fn measure_from(
    library: &Arc<Library>,
    exchange: &mut dyn Exchange,
    name: &str,
    options: &ProbeOptions,
    interrupt: Interrupt<'_>,
    start_line: Option<&StartLine>,
) -> Result<ProbeReport> {
    options.check()?;
    let mut channel = Through::new(exchange, name, ("measure", "answer"))?;
    let mut guard = Guard::new(&mut channel, interrupt, options.deadline, options.wait);
    guard.start_line = start_line;
    guard.expect_contact(options.connect_timeout);
    let open = |guard: &mut Guard<'_>, keep: &mut Keep| {
        session::initiate(library, options, None, guard, keep)
    };
    let measure = |session: &mut Session, guard: &mut Guard<'_>| {
        guard.contact();
        initiator::measure(&mut session.traffic, &session.options, guard)
    };
    let measured = side::run(&mut guard, open, measure)
        .map_err(|error| error.with_context("exchange", name))?;
    Ok(session::report(Role::Connect, library, measured))
}

/// Answers one side that calls [`measure_through`] with the same name on the same exchange.
///
/// # Errors
/// As [`super::Server::serve_one`]; `fabric.unreachable` if nobody comes within
/// `accept_timeout`, `fabric.rendezvous_failed` as the exchange reports.
pub fn answer_through(
    library: &Arc<Library>,
    exchange: &mut dyn Exchange,
    name: &str,
    options: &ServeOptions,
    interrupt: Interrupt<'_>,
) -> Result<ProbeReport> {
    let mut channel = Through::new(exchange, name, ("answer", "measure"))?;
    let time = options.accept_timeout.saturating_add(options.deadline);
    let mut guard = Guard::new(&mut channel, interrupt, time, options.wait);
    guard.expect_contact(options.accept_timeout);
    let local = |_: &str| Ok(options.endpoint.clone());
    let open = |guard: &mut Guard<'_>, keep: &mut Keep| {
        session::respond(library, &local, options.max_size, guard, keep)
    };
    let answer = |session: &mut Session, guard: &mut Guard<'_>| {
        guard.contact();
        guard.shorten(options.deadline);
        responder::answer(&mut session.traffic, &session.options, guard)
    };
    let answered = side::run(&mut guard, open, answer)
        .map_err(|error| error.with_context("exchange", name))?;
    Ok(session::report(Role::Serve, library, answered))
}

/// Frames as messages that are numbered, in each direction apart.
struct Through<'a> {
    exchange: &'a mut dyn Exchange,
    outgoing: String,
    incoming: String,
    sent: u64,
    received: u64,
    pause: Duration,
    next_take: Instant,
}

impl<'a> Through<'a> {
    fn new(exchange: &'a mut dyn Exchange, name: &str, (own, other): (&str, &str)) -> Result<Self> {
        if name.is_empty() || name.len() > 200 || name.contains(|c: char| c.is_control()) {
            return Err(Error::new(
                Code::InvalidOption,
                "the name of a meeting has 1 to 200 characters, none of them a control character",
            )
            .with_context("option", "name")
            .with_context("value", format!("{name:?}")));
        }
        Ok(Self {
            exchange,
            outgoing: format!("{name}/{own}"),
            incoming: format!("{name}/{other}"),
            sent: 0,
            received: 0,
            pause: FIRST_PAUSE,
            next_take: Instant::now(),
        })
    }
}

impl Channel for Through<'_> {
    fn send(&mut self, frame: &Frame) -> Result<()> {
        let json = serde_json::to_vec(frame).map_err(|error| {
            Error::new(Code::RendezvousFailed, "a frame cannot be written").with_source(error)
        })?;
        let key = format!("{}/{}", self.outgoing, self.sent);
        self.exchange
            .put(&key, &json)
            .map_err(|error| failed("cannot be left", &key, error))?;
        self.sent += 1;
        self.pause = FIRST_PAUSE;
        Ok(())
    }

    fn poll(&mut self) -> Result<Option<Frame>> {
        let now = Instant::now();
        if now < self.next_take {
            return Ok(None);
        }
        let key = format!("{}/{}", self.incoming, self.received);
        let Some(bytes) = self
            .exchange
            .take(&key)
            .map_err(|error| failed("cannot be taken", &key, error))?
        else {
            self.pause = (self.pause * 2).min(LAST_PAUSE);
            self.next_take = now + self.pause;
            return Ok(None);
        };
        if bytes.len() > MAX_MESSAGE {
            return Err(Error::new(
                Code::RendezvousRefused,
                format!("the message under {key} has more than {MAX_MESSAGE} bytes"),
            )
            .with_context("key", key));
        }
        let frame = serde_json::from_slice(&bytes).map_err(|error| {
            Error::new(
                Code::RendezvousRefused,
                format!("the message under {key} is not of a probe"),
            )
            .with_cure(
                "use the same version of efa-fabric on both sides, and a name for this pair only",
            )
            .with_context("key", &key)
            .with_source(error)
        })?;
        self.received += 1;
        self.pause = FIRST_PAUSE;
        Ok(Some(frame))
    }
}

fn failed(what: &str, key: &str, error: ExchangeError) -> Error {
    Error::new(
        Code::RendezvousFailed,
        format!("the message under {key} {what}: {error}"),
    )
    .with_cure("check the exchange that both sides were given")
    .with_context("key", key)
    .with_source(error)
}

#[cfg(test)]
pub(crate) mod doubles;

#[cfg(test)]
mod tests {
    use super::doubles::Memory;
    use super::*;

    fn next(channel: &mut Through<'_>) -> Result<Option<Frame>> {
        channel.next_take = Instant::now();
        channel.poll()
    }

    #[test]
    fn frames_come_in_order_and_leave_nothing() {
        let mut memory = Memory::default();
        let mut left = Through::new(&mut memory, "a", ("measure", "answer")).unwrap();
        for count in 0..3 {
            left.send(&Frame::End { count }).unwrap();
        }
        let mut right = Through::new(&mut memory, "a", ("answer", "measure")).unwrap();
        for count in 0..3 {
            assert_eq!(next(&mut right).unwrap(), Some(Frame::End { count }));
        }
        assert_eq!(next(&mut right).unwrap(), None);
        assert!(memory.0.is_empty());
    }

    #[test]
    fn pairs_of_other_names_are_not_read() {
        let mut memory = Memory::default();
        let mut left = Through::new(&mut memory, "a", ("measure", "answer")).unwrap();
        left.send(&Frame::Ready).unwrap();
        let mut other = Through::new(&mut memory, "b", ("answer", "measure")).unwrap();
        assert_eq!(next(&mut other).unwrap(), None);
    }

    #[test]
    fn garbage_is_refused() {
        for bytes in [&b"{}"[..], b"", b"\xff", &vec![b'['; MAX_MESSAGE + 1]] {
            let mut memory = Memory::default();
            memory.put("a/measure/0", bytes).unwrap();
            let mut right = Through::new(&mut memory, "a", ("answer", "measure")).unwrap();
            let error = next(&mut right).unwrap_err();
            assert_eq!(
                error.code(),
                Code::RendezvousRefused,
                "{} bytes",
                bytes.len()
            );
        }
    }

    #[test]
    fn questions_become_rare() {
        let mut memory = Memory::default();
        let mut right = Through::new(&mut memory, "a", ("answer", "measure")).unwrap();
        for _ in 0..10 {
            assert_eq!(next(&mut right).unwrap(), None);
        }
        assert_eq!(right.pause, LAST_PAUSE);
    }

    #[test]
    fn names_are_checked() {
        let mut memory = Memory::default();
        for name in ["", "a\n", &"a".repeat(201)] {
            let refused = Through::new(&mut memory, name, ("answer", "measure"));
            assert_eq!(refused.err().unwrap().code(), Code::InvalidOption);
        }
    }

    #[test]
    fn a_folder_must_exist() {
        let missing = Folder::open("/nonexistent/folder").unwrap_err();
        assert_eq!(missing.code(), Code::RendezvousFailed);
        assert_eq!(missing.context_value("folder"), Some("/nonexistent/folder"));
    }
    /// A folder of this test alone.
    fn folder(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("efa-exchange-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        path
    }

    #[test]
    fn a_folder_carries_messages_and_leaves_nothing() {
        let path = folder("carries");
        let (mut left, mut right) = (Folder::open(&path).unwrap(), Folder::open(&path).unwrap());
        assert_eq!(right.take("a/measure/0").unwrap(), None);
        left.put("a/measure/0", b"one").unwrap();
        assert_eq!(right.take("a/measure/0").unwrap().unwrap(), b"one");
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
        fs::remove_dir(&path).unwrap();
    }

    #[test]
    fn a_link_in_a_folder_is_neither_read_nor_written_through() {
        let path = folder("links");
        let secret = path.join("secret");
        fs::write(&secret, "untouched").unwrap();
        for name in ["a%2fmeasure%2f0", "a%2fmeasure%2f0.part", "a%2fanswer%2f0"] {
            std::os::unix::fs::symlink(&secret, path.join(name)).unwrap();
        }
        let mut folder = Folder::open(&path).unwrap();
        assert!(folder.take("a/answer/0").is_err());
        folder.put("a/measure/0", b"one").unwrap();
        assert_eq!(fs::read_to_string(&secret).unwrap(), "untouched");
        assert_eq!(folder.take("a/measure/0").unwrap().unwrap(), b"one");
        fs::remove_dir_all(&path).unwrap();
    }

    #[test]
    fn a_pipe_in_a_folder_is_refused_at_once() {
        let path = folder("pipes");
        let made = std::process::Command::new("mkfifo")
            .arg(path.join("a%2fmeasure%2f0"))
            .status()
            .unwrap();
        assert!(made.success());
        let refused = Folder::open(&path).unwrap().take("a/measure/0");
        let error = refused.unwrap_err().to_string();
        assert!(error.contains("not a regular file"), "{error}");
        fs::remove_dir_all(&path).unwrap();
    }
}

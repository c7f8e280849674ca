//! The caller: starts the child, gathers what it reports until it ends or the deadline passes.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::answer::{Answer, Outcome, Step};
use super::command::{CALL_FIRST, ChildCommand};
use super::maps;
use super::os::{self, ChildState};
use super::question::Question;
use super::wire::{CHILD_VARIABLE, PROTOCOL, Report, Request, TRIAL_MARK};
use crate::error::{Code, Error, Result};
use crate::fabric_log;
use crate::interrupt::Interrupt;
use crate::library::c_string;

mod output;

use output::{Lines, Output};

const LEVEL: &str = "FI_LOG_LEVEL";
/// Variables that would keep libfabric's log from us.
const LOG_FILTERS: [&str; 3] = ["FI_LOG_PROV", "FI_LOG_SUBSYS", "FI_LOG_LOCATION"];
/// Longest request, in bytes: it has to fit into a socket that nobody reads yet.
const MAX_REQUEST: usize = 64 << 10;
/// How often a child is looked at that holds its channel, and one that closed it. The first may
/// have ended as well, if it left a process behind that has the channel.
const GLANCES: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(2)];
/// What a deadline beyond the clock's range is taken as.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);
/// How long a killed child may take to end before someone else waits for it.
const AFTER_KILL: Duration = Duration::from_secs(2);

/// Asks libfabric in a child process; blocks until the child ended or was killed.
///
/// The child has the caller's environment, with the question's changes, level `info` for
/// libfabric's log and no filter on it. Nothing of the child stays: no process, no descriptor.
/// Any thread may call it, with standard input and output closed, and while `SIGCHLD` is
/// ignored; under tokio it belongs in `spawn_blocking`.
///
/// # Errors
/// `fabric.child_unusable` if the child cannot be started, is a program that does not call
/// [`answer_if_child`](super::answer_if_child), or the system is not Linux; `fabric.invalid_option` for hints with unknown
/// names, and for text that cannot be an argument or part of an environment.
pub fn ask(command: &ChildCommand, question: &Question) -> Result<Answer> {
    ask_with(command, question, Interrupt::never())
}

/// Does the same as [`ask`], until the caller wishes to stop: the hook is asked about every 50 ms
/// on the calling thread; then the child is killed.
///
/// # Errors
/// As [`ask`], and `fabric.interrupted`.
pub fn ask_with(
    command: &ChildCommand,
    question: &Question,
    interrupt: Interrupt<'_>,
) -> Result<Answer> {
    if !cfg!(target_os = "linux") {
        return Err(Error::new(
            Code::ChildUnusable,
            "a child process that ends with its caller is supported on Linux only",
        )
        .with_cure("ask on a node of the cluster")
        .with_context("system", std::env::consts::OS));
    }
    if std::env::var_os(CHILD_VARIABLE).is_some() {
        return Err(Error::new(
            Code::ChildUnusable,
            "this process was itself started to ask libfabric, and did not answer",
        )
        .with_cure(CALL_FIRST)
        .with_context("variable", CHILD_VARIABLE));
    }
    let now = Instant::now();
    let deadline = now.checked_add(question.deadline).unwrap_or(now + LONGEST);
    let request = request(question)?;
    let mut conversation = start(command, question, &request)?;
    let end = conversation.listen(deadline, interrupt)?;
    conversation.answer(end, question)
}

/// The first line of the conversation; what is wrong with a question is found here.
fn request(question: &Question) -> Result<Vec<u8>> {
    c_string("provider", &question.provider)?;
    for (option, name) in [
        ("fabric", &question.hints.fabric),
        ("domain", &question.hints.domain),
    ] {
        if let Some(name) = name {
            c_string(option, name)?;
        }
    }
    question.hints.raw(&question.provider)?;
    for (name, value) in &question.environment {
        c_string("environment", name)?;
        c_string("environment", value.as_deref().unwrap_or_default())?;
        if name.is_empty() || name.contains('=') {
            return Err(Error::new(
                Code::InvalidOption,
                format!("{name:?} cannot be the name of an environment variable"),
            )
            .with_context("option", "environment"));
        }
    }
    let request = Request {
        protocol: PROTOCOL,
        library: question.library.clone(),
        provider: question.provider.clone(),
        hints: question.hints.clone(),
    };
    let invalid = |error: serde_json::Error| {
        Error::new(Code::InvalidOption, "the question cannot be passed on").with_source(error)
    };
    let mut line = serde_json::to_vec(&request).map_err(invalid)?;
    line.push(b'\n');
    if line.len() > MAX_REQUEST {
        return Err(
            Error::new(Code::InvalidOption, "the question is longer than 64 KiB")
                .with_context("bytes", line.len()),
        );
    }
    Ok(line)
}

fn start(command: &ChildCommand, question: &Question, request: &[u8]) -> Result<Conversation> {
    let failed = |error: std::io::Error| {
        Error::new(
            Code::ChildUnusable,
            format!("cannot start {}: {error}", command.program().display()),
        )
        .with_context("program", command.program().display())
        .with_source(error)
    };
    let (mut channel, theirs) = pair().map_err(failed)?;
    let (output, output_theirs) = pair().map_err(failed)?;
    // Nobody reads yet, and nobody can have hung up: this cannot raise SIGPIPE.
    channel.write_all(request).map_err(failed)?;
    let mut start = Command::new(command.program());
    start.args(command.arguments());
    for (name, value) in &question.environment {
        match value {
            Some(value) => start.env(name, value),
            None => start.env_remove(name),
        };
    }
    for name in LOG_FILTERS {
        start.env_remove(name);
    }
    let child = start
        .env(LEVEL, "info")
        .env(CHILD_VARIABLE, PROTOCOL.to_string())
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::from(OwnedFd::from(
            output_theirs.try_clone().map_err(failed)?,
        )))
        .stderr(Stdio::from(OwnedFd::from(output_theirs)))
        .process_group(0)
        .spawn()
        .map_err(failed)?;
    // The command holds the child's ends, without whose closing this process's never end.
    drop(start);
    Ok(Conversation {
        child: Some(child),
        channel: Some(channel),
        output: Some(output),
        lines: Lines::default(),
        written: Output::default(),
        program: command.program().display().to_string(),
    })
}

/// Two connected sockets above the standard descriptors, where a caller that closed those would
/// get them, and where they would be in each other's way in the child.
fn pair() -> std::io::Result<(UnixStream, UnixStream)> {
    let (ours, theirs) = UnixStream::pair()?;
    // A clone is never below 3.
    let (ours, theirs) = (ours.try_clone()?, theirs.try_clone()?);
    ours.set_nonblocking(true)?;
    Ok((ours, theirs))
}

/// How the child ended, according to the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Status(ExitStatus),
    Unknown,
    Killed,
}

struct Conversation {
    child: Option<Child>,
    channel: Option<UnixStream>,
    output: Option<UnixStream>,
    lines: Lines,
    written: Output,
    program: String,
}

impl Conversation {
    /// Reads until the child has ended, or the deadline.
    fn listen(&mut self, deadline: Instant, interrupt: Interrupt<'_>) -> Result<End> {
        loop {
            if interrupt.check().is_err() {
                self.kill();
                return Err(Error::new(
                    Code::Interrupted,
                    "asking libfabric in a child process was interrupted",
                )
                .retryable(true));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || self.lines.is_too_much() {
                return Ok(self.kill());
            }
            let open: Vec<_> = self
                .channel
                .iter()
                .chain(&self.output)
                .map(AsRawFd::as_raw_fd)
                .collect();
            let glance = GLANCES[usize::from(self.channel.is_none())];
            if os::wait_readable(&open, left.min(glance)).is_err() {
                return Ok(self.kill());
            }
            drain(&mut self.channel, |bytes| self.lines.push(bytes));
            drain(&mut self.output, |bytes| self.written.push(bytes));
            match self.state() {
                ChildState::Running => {}
                ChildState::Ended => {
                    // Before the child is waited for, its number and its group are its own.
                    self.kill_group();
                    return Ok(self.reap());
                }
                ChildState::Gone => return Ok(self.reap()),
            }
        }
    }

    fn state(&self) -> ChildState {
        self.child
            .as_ref()
            .map_or(ChildState::Gone, |child| os::child_state(child.id()))
    }

    fn kill_group(&self) {
        if let Some(child) = &self.child {
            os::kill_group(child.id());
        }
    }

    fn reap(&mut self) -> End {
        self.drain_all();
        match self.child.take().map(|mut child| child.wait()) {
            Some(Ok(status)) => End::Status(status),
            _ => End::Unknown,
        }
    }

    fn drain_all(&mut self) {
        drain_all(&mut self.channel, |bytes| self.lines.push(bytes));
        drain_all(&mut self.output, |bytes| self.written.push(bytes));
    }

    /// Ends the child and its group. A child that the kernel does not let go is left to a
    /// thread that waits for it, so that the deadline holds.
    fn kill(&mut self) -> End {
        if self.state() != ChildState::Gone {
            self.kill_group();
        }
        let limit = Instant::now() + AFTER_KILL;
        while self.state() == ChildState::Running && Instant::now() < limit {
            std::thread::sleep(Duration::from_millis(1));
        }
        if self.state() == ChildState::Running {
            self.drain_all();
            if let Some(mut child) = self.child.take() {
                std::thread::spawn(move || child.wait());
            }
        } else {
            self.reap();
        }
        End::Killed
    }

    fn answer(&mut self, end: End, question: &Question) -> Result<Answer> {
        let mut answer = Answer {
            outcome: Outcome::Answered,
            library: None,
            mapped_libraries: Vec::new(),
            caller_libraries: maps::own(),
            providers: None,
            infos: None,
            efa_infos: None,
            efa_errno: None,
            rdma_read: None,
            has_libefa: false,
            trials: Vec::new(),
            log: fabric_log::Log::default(),
            user_log_level: match question.environment.get(LEVEL) {
                Some(changed) => changed.clone(),
                None => std::env::var_os(LEVEL).map(|level| level.to_string_lossy().into_owned()),
            },
            output_tail: self.written.tail(),
        };
        let said = self.lines.replay(&mut answer).map_err(|line| {
            self.unusable("answered with something else")
                .with_context("line", line)
        })?;
        self.read_log(&mut answer);
        answer.outcome = match (end, said.no_library) {
            (_, Some(outcome)) if said.is_done => outcome,
            _ if said.is_done => Outcome::Answered,
            (End::Killed, _) if self.lines.is_too_much() => {
                return Err(self.unusable("answered with something else"));
            }
            (End::Killed, _) => Outcome::TimedOut {
                last_step: said.step,
            },
            (end, _) => {
                let status = match end {
                    End::Status(status) => Some(status),
                    _ => None,
                };
                let signal = status.and_then(|status| status.signal()).or(said.signal);
                let code = status.and_then(|status| status.code());
                match signal {
                    Some(signal) => Outcome::Aborted {
                        signal,
                        last_step: said.step,
                    },
                    None if said.is_ours => Outcome::Exited {
                        status: code,
                        last_step: said.step,
                    },
                    None => {
                        let error = self.unusable("did not answer");
                        return Err(match code {
                            Some(code) => error.with_context("status", code),
                            None => error,
                        });
                    }
                }
            }
        };
        Ok(answer)
    }

    fn unusable(&self, what: &str) -> Error {
        Error::new(
            Code::ChildUnusable,
            format!("the child process {} {what}", self.program),
        )
        .with_cure(format!("use a program that does: {CALL_FIRST}"))
        .with_context("program", &self.program)
        .with_context("output", self.written.tail())
    }

    /// Divides the log among the trials; what belongs to none, or to one that did not end, is
    /// the answer's.
    fn read_log(&self, answer: &mut Answer) {
        let text = self.written.text();
        let mut parts = text.split(TRIAL_MARK);
        let is_cut = self.written.is_cut();
        let mut main = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (number, rest) = part.split_once('\n').unwrap_or((part, ""));
            let trial = number
                .trim()
                .parse::<usize>()
                .ok()
                .and_then(|number| answer.trials.get_mut(number));
            match trial {
                Some(trial) => trial.fingerprints = fabric_log::Log::parse(rest).fingerprints,
                None => main.push_str(rest),
            }
        }
        answer.log = fabric_log::Log::parse_part(&main, is_cut);
    }
}

/// Reads what is there without waiting, at most a few buffers so that the deadline is looked
/// at; at the end of the stream it is closed.
fn drain(stream: &mut Option<UnixStream>, mut take: impl FnMut(&[u8])) {
    for _ in 0..16 {
        if !read_once(stream, &mut take) {
            return;
        }
    }
}

/// Reads all that is left of a child that ended, and closes.
fn drain_all(stream: &mut Option<UnixStream>, mut take: impl FnMut(&[u8])) {
    // A process that left the child's group may write for ever.
    for _ in 0..1024 {
        if !read_once(stream, &mut take) {
            break;
        }
    }
    *stream = None;
}

/// Whether there may be more.
fn read_once(stream: &mut Option<UnixStream>, take: &mut impl FnMut(&[u8])) -> bool {
    let Some(open) = stream else { return false };
    let mut buffer = [0; 16 << 10];
    match open.read(&mut buffer) {
        Ok(0) => *stream = None,
        Ok(length) => {
            take(&buffer[..length]);
            return true;
        }
        Err(error) if error.kind() == ErrorKind::Interrupted => return true,
        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
        Err(_) => *stream = None,
    }
    false
}

/// The child's output, apart from what went into the answer.
struct Said {
    is_ours: bool,
    is_done: bool,
    step: Step,
    signal: Option<i32>,
    no_library: Option<Outcome>,
}

impl Lines {
    /// Puts the reports into the answer; fails with the first invalid line.
    fn replay(&self, answer: &mut Answer) -> std::result::Result<Said, String> {
        let mut said = Said {
            is_ours: false,
            is_done: false,
            step: Step::Start,
            signal: None,
            no_library: None,
        };
        for line in self.whole() {
            let Ok(report) = serde_json::from_slice(line) else {
                // A signal may cut a line of this crate short.
                if said.is_ours {
                    continue;
                }
                return Err(String::from_utf8_lossy(&line[..line.len().min(200)]).into_owned());
            };
            match report {
                Report::Hello(PROTOCOL) => said.is_ours = true,
                Report::Hello(other) => return Err(format!("protocol {other}")),
                Report::Step(step) => said.step = step,
                Report::Library(library) => answer.library = Some(library),
                Report::Mapped(files) => answer.mapped_libraries = files,
                Report::HasLibefa(found) => answer.has_libefa = found,
                Report::Providers(names) => answer.providers = Some(names),
                Report::Infos(infos) => answer.infos = Some(infos),
                Report::ProviderInfos { infos, errno } => {
                    answer.efa_infos = Some(infos);
                    answer.efa_errno = errno;
                }
                Report::RdmaRead(said) => answer.rdma_read = said,
                Report::Trial(trial) => answer.trials.push(trial),
                Report::Signal(signal) => said.signal = Some(signal),
                Report::NoLibrary {
                    code,
                    message,
                    searched,
                } => {
                    said.no_library = Some(Outcome::NoLibrary {
                        code,
                        message,
                        searched,
                    });
                }
                Report::Done => said.is_done = true,
            }
        }
        Ok(said)
    }
}

//! Probes whose two sides meet through a folder.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use efa_fabric::probe::{Folder, Role, answer_through, measure_through};
use efa_fabric::{Code, Interrupt, Library, ProbeOptions, ServeOptions};

/// A new folder, removed at the end.
struct Meeting(PathBuf);

impl Meeting {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("efa-meeting-{}-{count}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn folder(&self) -> Folder {
        Folder::open(&self.0).unwrap()
    }

    fn left(&self) -> usize {
        std::fs::read_dir(&self.0).unwrap().count()
    }
}

impl Drop for Meeting {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

fn library() -> Arc<Library> {
    Library::find().expect("the test machine has libfabric")
}

fn options(provider: &str) -> ProbeOptions {
    let mut options = ProbeOptions::new(provider);
    options.sizes = vec![64, 65536];
    options.size_budget = Duration::from_millis(20);
    if provider == "tcp" {
        options.endpoint.source_address = Some("127.0.0.1".into());
    }
    options
}

fn serve(provider: &str) -> ServeOptions {
    let mut serve = ServeOptions::default();
    serve.accept_timeout = Duration::from_secs(30);
    serve.deadline = Duration::from_secs(60);
    serve.endpoint = options(provider).endpoint;
    serve
}

#[test]
fn two_sides_measure_through_a_folder() {
    let meeting = Meeting::new();
    for round in 0..2 {
        let name = format!("pair/{round}");
        let (mine, theirs) = std::thread::scope(|scope| {
            let answering = scope.spawn(|| {
                let mut folder = meeting.folder();
                answer_through(
                    &library(),
                    &mut folder,
                    &name,
                    &serve("tcp"),
                    Interrupt::never(),
                )
            });
            let mut folder = meeting.folder();
            let mine = measure_through(
                &library(),
                &mut folder,
                &name,
                &options("tcp"),
                Interrupt::never(),
            );
            (mine.unwrap(), answering.join().unwrap().unwrap())
        });
        assert_eq!((mine.role, theirs.role), (Role::Connect, Role::Serve));
        assert_eq!(mine.rows, theirs.rows, "both have what one measured");
        assert_eq!(mine.rows.len(), 2);
        assert_eq!(meeting.left(), 0, "what was taken is gone");
    }
}

#[test]
fn nobody_answers() {
    let meeting = Meeting::new();
    let mut options = options("tcp");
    options.connect_timeout = Duration::from_millis(200);
    let error = measure_through(
        &library(),
        &mut meeting.folder(),
        "alone",
        &options,
        Interrupt::never(),
    )
    .unwrap_err();
    assert_eq!(error.code(), Code::Unreachable, "{error}");
    assert_eq!(error.context_value("exchange"), Some("alone"));
}

#[test]
fn nobody_measures() {
    let meeting = Meeting::new();
    let mut serve = serve("tcp");
    serve.accept_timeout = Duration::from_millis(200);
    let error = answer_through(
        &library(),
        &mut meeting.folder(),
        "alone",
        &serve,
        Interrupt::never(),
    )
    .unwrap_err();
    assert_eq!(error.code(), Code::Unreachable, "{error}");
}

#[test]
fn a_refusal_reaches_the_other_side() {
    let meeting = Meeting::new();
    std::thread::scope(|scope| {
        let answering = scope.spawn(|| {
            let mut folder = meeting.folder();
            let mut serve = serve("tcp");
            serve.max_size = 1024;
            answer_through(&library(), &mut folder, "pair", &serve, Interrupt::never())
        });
        let mut folder = meeting.folder();
        let mine = measure_through(
            &library(),
            &mut folder,
            "pair",
            &options("tcp"),
            Interrupt::never(),
        );
        assert_eq!(mine.unwrap_err().code(), Code::BadSize);
        assert_eq!(answering.join().unwrap().unwrap_err().code(), Code::BadSize);
    });
}

#[test]
fn a_side_that_is_interrupted_tells_the_other() {
    let meeting = Meeting::new();
    std::thread::scope(|scope| {
        let answering = scope.spawn(|| {
            let mut folder = meeting.folder();
            answer_through(
                &library(),
                &mut folder,
                "pair",
                &serve("tcp"),
                Interrupt::never(),
            )
        });
        let mut folder = meeting.folder();
        let mut options = options("tcp");
        options.size_budget = Duration::from_secs(30);
        let start = std::time::Instant::now();
        let hook = || start.elapsed() > Duration::from_millis(500);
        let mine = measure_through(
            &library(),
            &mut folder,
            "pair",
            &options,
            Interrupt::new(&hook),
        );
        assert_eq!(mine.unwrap_err().code(), Code::Interrupted);
        let theirs = answering.join().unwrap().unwrap_err();
        assert_eq!(theirs.code(), Code::PeerFailed, "{theirs}");
    });
}

//! Over the stand-ins: each probe is a process, since the driver is loaded once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use efa_fabric::gpu::{CudaMemory, GpuDirect, Memory};
use efa_fabric::probe::Operation;
use efa_fabric::{
    Interrupt, Library, ProbeOptions, ProbeReport, ServeOptions, Server, connect, loopback,
};
use serde_json::Value;

use crate::processes::{libraries, quick};
use crate::secret::secret;

/// What [`probe_if_child`] reads.
const ROLE: &str = "EFA_TEST_GPU";

/// The libraries that stand in, built once by each run.
struct StandIns {
    cuda: PathBuf,
    old_cuda: PathBuf,
    libfabric: PathBuf,
}

fn stand_ins() -> &'static StandIns {
    static BUILT: OnceLock<StandIns> = OnceLock::new();
    BUILT.get_or_init(|| {
        let support = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support");
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("gpu");
        std::fs::create_dir_all(&directory).unwrap();
        let build = |source: &str, name: &str, flags: &[&str]| {
            let library = directory.join(format!("{name}.so"));
            let unfinished = directory.join(format!("{name}-{}.part", std::process::id()));
            let output = Command::new("gcc")
                .args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror"])
                .args(flags)
                .arg("-o")
                .arg(&unfinished)
                .arg(support.join(source))
                .output()
                .expect("gcc");
            let text = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{source}: {text}");
            std::fs::rename(&unfinished, &library).unwrap();
            library
        };
        StandIns {
            cuda: build("fake_libcuda.c", "libfake_cuda", &[]),
            old_cuda: build("fake_libcuda.c", "libold_cuda", &["-DNO_DMABUF"]),
            libfabric: build("hmem_libfabric.c", "libhmem_libfabric", &[]),
        }
    })
}

/// What came of a probe in a process of its own.
#[derive(Debug)]
struct Outcome {
    /// The report, or the error's code, message and context.
    said: Value,
    /// What the stand-ins were called for, in order.
    log: Vec<String>,
}

impl Outcome {
    fn report(&self) -> ProbeReport {
        let report = self
            .said
            .get("report")
            .unwrap_or_else(|| panic!("{self:?}"));
        serde_json::from_value(report.clone()).unwrap()
    }

    /// The error's code and what its context has under this key.
    fn error(&self, key: &str) -> (&str, &str) {
        let text = |key: &str| self.said["error"][key].as_str().unwrap_or_default();
        (text("code"), text(key))
    }

    fn count(&self, line: &str) -> usize {
        self.log
            .iter()
            .filter(|entry| entry.starts_with(line))
            .count()
    }

    /// Whatever was taken was given back, and no call failed that must not.
    fn assert_nothing_leaked(&self) {
        let allocated = self
            .log
            .iter()
            .filter(|l| l.starts_with("alloc") && l.ends_with("-> 0"));
        assert_eq!(allocated.count(), self.count("free -> 0"), "{:?}", self.log);
        assert_eq!(
            self.count("free"),
            self.count("free -> 0"),
            "{:?}",
            self.log
        );
        assert_eq!(
            self.count("retain"),
            self.count("release"),
            "{:?}",
            self.log
        );
        let released_well = self
            .log
            .iter()
            .filter(|l| l.starts_with("release") && l.ends_with("-> 0"));
        assert_eq!(released_well.count(), self.count("release"));
    }
}

/// A probe and its surroundings.
struct Case<'a> {
    library: &'a Library,
    provider: &'a str,
    memory: CudaMemory,
    operation: Operation,
    /// Two processes' roles in one process: this side has GPU memory, the other host memory.
    mixed: bool,
    variables: Vec<(&'a str, String)>,
    cuda: PathBuf,
    is_over_stand_in: bool,
}

impl<'a> Case<'a> {
    fn new(library: &'a Library, provider: &'a str) -> Self {
        Self {
            library,
            provider,
            memory: CudaMemory::new(1),
            operation: Operation::Message,
            mixed: false,
            variables: Vec::new(),
            cuda: stand_ins().cuda.clone(),
            is_over_stand_in: true,
        }
    }

    fn on_the_real_libfabric(library: &'a Library, provider: &'a str) -> Self {
        Self {
            is_over_stand_in: false,
            ..Self::new(library, provider)
        }
    }

    fn with(mut self, name: &'a str, value: impl ToString) -> Self {
        self.variables.push((name, value.to_string()));
        self
    }

    fn run(self) -> Outcome {
        static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let log = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join("gpu")
            .join(format!("log-{}-{number}", std::process::id()));
        std::fs::write(&log, "").unwrap();
        let real = self.library.path();
        let role = serde_json::json!({
            "provider": self.provider, "memory": Memory::Cuda(self.memory),
            "operation": self.operation, "mixed": self.mixed,
        });
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["child", "--exact", "--nocapture"])
            .env(ROLE, role.to_string())
            .env("EFA_FABRIC_TEST_LIBCUDA", &self.cuda)
            .env("EFA_TEST_CUDA_LOG", &log)
            .env("EFA_TEST_REAL_LIBFABRIC", real)
            .env(
                "EFA_FABRIC_LIB",
                if self.is_over_stand_in {
                    &stand_ins().libfabric
                } else {
                    real
                },
            )
            .env("FI_TCP_IFACE", "lo")
            .envs(self.variables.iter().map(|(name, value)| (*name, value)))
            .output()
            .unwrap();
        let out = String::from_utf8_lossy(&output.stdout);
        let said = out.lines().find_map(|line| line.strip_prefix("@said "));
        let err = String::from_utf8_lossy(&output.stderr);
        let said =
            said.unwrap_or_else(|| panic!("{}: {:?} {out} {err}", real.display(), output.status));
        let text = std::fs::read_to_string(&log).unwrap();
        std::fs::remove_file(&log).ok();
        Outcome {
            said: serde_json::from_str(said).unwrap(),
            log: text.lines().map(str::to_owned).collect(),
        }
    }
}

/// Probes as the environment states, and prints what came of it.
pub(crate) fn probe_if_child() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let role: Value = serde_json::from_str(&role).unwrap();
    let library = Library::find().unwrap();
    let mut options = quick(role["provider"].as_str().unwrap());
    options.endpoint.memory = serde_json::from_value(role["memory"].clone()).unwrap();
    options.operation = serde_json::from_value(role["operation"].clone()).unwrap();
    let result = match role["mixed"] == true {
        false => loopback(&library, &options),
        true => between_two_sides(&library, &options),
    };
    let said = match result {
        Ok(report) => serde_json::json!({ "report": report }),
        Err(error) => {
            let mut said = BTreeMap::from([
                ("code", error.code().as_str().to_owned()),
                ("message", error.message().to_owned()),
                ("cure", error.cure().unwrap_or_default().to_owned()),
            ]);
            said.extend(
                error
                    .context()
                    .iter()
                    .map(|(key, value)| (*key, value.clone())),
            );
            serde_json::json!({ "error": said })
        }
    };
    println!("\n@said {said}");
}

/// A server with host memory, and this side with its own.
fn between_two_sides(
    library: &std::sync::Arc<Library>,
    options: &ProbeOptions,
) -> efa_fabric::Result<ProbeReport> {
    let server = Server::bind(Server::LOOPBACK, secret()).unwrap();
    let address = server.address().to_string();
    std::thread::scope(|scope| {
        let serving = scope.spawn(|| {
            let report = server.serve_one(library, &ServeOptions::default(), Interrupt::never());
            let report = report.unwrap();
            assert_eq!((report.memory, report.gpu), (Memory::Host, None));
            assert_eq!(report.peer.memory, options.endpoint.memory);
        });
        let report = connect(library, &address, &secret(), options, Interrupt::never());
        serving.join().unwrap();
        report
    })
}

#[test]
fn what_is_missing_is_named() {
    for library in libraries("what_is_missing_is_named") {
        let case = || Case::on_the_real_libfabric(&library, "shm");
        let mut cases = vec![
            (
                "libcuda",
                Case {
                    cuda: "/no/such/libcuda.so.1".into(),
                    ..case()
                },
            ),
            // It loads, and is not the driver's.
            (
                "libcuda",
                Case {
                    cuda: library.path().into(),
                    ..case()
                },
            ),
            ("device", case().with("EFA_TEST_CUDA_INIT", 100)),
            ("driver", case().with("EFA_TEST_CUDA_INIT", 803)),
            ("device", case().with("EFA_TEST_CUDA_DEVICES", 1)),
            ("device", case().with("EFA_TEST_CUDA_DEVICES", 0)),
        ];
        // Neither libfabric offers FI_HMEM on tcp; both do on shm, and refuse to register.
        cases.push(("hmem", Case::on_the_real_libfabric(&library, "tcp")));
        cases.push(("registration", case()));
        for (missing, case) in cases {
            let outcome = case.run();
            assert_eq!(
                outcome.error("missing"),
                ("fabric.gpu_unavailable", missing),
                "{outcome:?}"
            );
            assert!(!outcome.error("cure").1.is_empty(), "{outcome:?}");
            outcome.assert_nothing_leaked();
        }
    }
}

#[test]
fn without_a_stand_in_the_systems_driver_is_asked_for() {
    let found = std::process::Command::new("sh")
        .args([
            "-c",
            "PATH=$PATH:/sbin:/usr/sbin ldconfig -p | grep -q libcuda.so.1",
        ])
        .status()
        .unwrap();
    if found.success() {
        return eprintln!(
            "SKIPPED without_a_stand_in_the_systems_driver_is_asked_for: it is there"
        );
    }
    for library in libraries("without_a_stand_in_the_systems_driver_is_asked_for") {
        let mut options = quick("shm");
        options.endpoint.memory = Memory::cuda(0);
        let error = loopback(&library, &options).unwrap_err();
        assert_eq!(error.context_value("missing"), Some("libcuda"));
        assert!(error.message().contains("libcuda.so.1"), "{error}");
        assert!(error.cure().unwrap().contains("driver"), "{error}");
    }
}

/// A processor that followed an address of the device would crash the process.
#[test]
fn what_cannot_be_registered_is_never_touched() {
    for library in libraries("what_cannot_be_registered_is_never_touched") {
        let case = Case::on_the_real_libfabric(&library, "shm").with("EFA_TEST_CUDA_PROTECT", 1);
        let outcome = case.run();
        let expected = ("fabric.gpu_unavailable", "38");
        assert_eq!(outcome.error("fi_errno"), expected, "{outcome:?}");
        let message = outcome.error("message").1;
        assert!(message.contains("no GPU 1 (fake_libcuda.c)"), "{message}");
        outcome.assert_nothing_leaked();
    }
}

#[test]
fn a_probe_over_the_stand_ins_copies_compares_and_frees() {
    for library in libraries("a_probe_over_the_stand_ins_copies_compares_and_frees") {
        for operation in [Operation::Message, Operation::Tagged, Operation::Write] {
            let outcome = Case {
                operation,
                ..Case::new(&library, "tcp")
            }
            .run();
            let report = outcome.report();
            assert!(report.rows.iter().all(|row| row.verified), "{report}");
            assert_eq!(report.memory, Memory::cuda(1));
            assert_eq!(report.peer.memory, Memory::cuda(1));
            // Nobody can take it for a GPU.
            let gpu = report.gpu.as_ref().unwrap();
            assert!(gpu.is_stand_in);
            assert_eq!(gpu.device_name, "no GPU 1 (fake_libcuda.c)");
            assert_eq!(Path::new(&gpu.driver_path), stand_ins().cuda);
            assert_eq!(gpu.gpudirect, GpuDirect::Unknown);
            assert!(report.to_string().contains("NO GPU"), "{report}");

            // Two sides, each with what it sends, receives, and exposes to memory operations.
            let buffers = if operation == Operation::Write { 6 } else { 4 };
            assert_eq!(
                outcome.count("alloc"),
                buffers,
                "{operation}: {:?}",
                outcome.log
            );
            assert_eq!(outcome.count("sync_memops -> 0"), buffers);
            assert_eq!(outcome.count("regattr cuda:1 address"), buffers);
            // One pattern filled and one compared, for each of two sizes.
            assert_eq!(outcome.count("to_host"), 2, "{:?}", outcome.log);
            assert_eq!(outcome.count("to_device"), buffers + 2, "{:?}", outcome.log);
            outcome.assert_nothing_leaked();
            let at = |line: &str| outcome.log.iter().position(|entry| entry.starts_with(line));
            let order = [
                "cuInit",
                "retain 1",
                "current 1",
                "alloc",
                "regattr",
                "to_host",
                "free",
                "release 1",
            ];
            assert!(order.map(at).is_sorted(), "{:?}", outcome.log);
            // The contexts that were current before, none, are so again.
            assert_eq!(outcome.count("current -1"), 2, "{:?}", outcome.log);
        }
    }
}

#[test]
fn each_side_has_its_own_memory() {
    for library in libraries("each_side_has_its_own_memory") {
        let outcome = Case {
            mixed: true,
            ..Case::new(&library, "tcp")
        }
        .run();
        let report = outcome.report();
        assert_eq!(
            (report.memory, report.peer.memory),
            (Memory::cuda(1), Memory::Host)
        );
        assert!(
            report
                .to_string()
                .contains("memory cuda:1, the peer's host"),
            "{report}"
        );
        assert_eq!(outcome.count("retain"), 1);
        outcome.assert_nothing_leaked();
    }
}

#[test]
fn dma_bufs_are_registered_where_both_libraries_have_them() {
    for library in libraries("dma_bufs_are_registered_where_both_libraries_have_them") {
        let case = || {
            let mut case = Case::new(&library, "tcp");
            case.memory.dmabuf = true;
            case
        };
        let outcome = case().run();
        if library.version().major == 1 {
            // Below 1.20.
            let expected = ("fabric.gpu_unavailable", "dmabuf");
            assert_eq!(outcome.error("missing"), expected, "{outcome:?}");
        } else {
            assert!(outcome.report().gpu.unwrap().dmabuf);
            let registered = outcome.count("regattr cuda:1 dmabuf fits=1 same=1");
            assert_eq!(registered, 4, "{:?}", outcome.log);
        }
        outcome.assert_nothing_leaked();
        let old = Case {
            cuda: stand_ins().old_cuda.clone(),
            ..case()
        }
        .run();
        let expected = ("fabric.gpu_unavailable", "dmabuf");
        assert_eq!(old.error("missing"), expected, "{old:?}");
        old.assert_nothing_leaked();
    }
}

#[test]
fn bytes_are_compared_as_the_device_has_them() {
    for library in libraries("bytes_are_compared_as_the_device_has_them") {
        let outcome = Case::new(&library, "tcp")
            .with("EFA_TEST_CUDA_CORRUPT", 1)
            .run();
        let (code, message) = outcome.error("message");
        assert_eq!(code, "fabric.data_mismatch", "{outcome:?}");
        assert!(
            message.contains("byte 63 of a message of 64 bytes"),
            "{message}"
        );
        outcome.assert_nothing_leaked();
    }
}

#[test]
fn a_full_device_is_a_typed_error() {
    for library in libraries("a_full_device_is_a_typed_error") {
        // Room for the first buffers, not for all.
        let outcome = Case::new(&library, "tcp")
            .with("EFA_TEST_CUDA_LIMIT", 5 << 20)
            .run();
        let (code, call) = outcome.error("call");
        assert_eq!(
            (code, call),
            ("fabric.call_failed", "cuMemAlloc"),
            "{outcome:?}"
        );
        assert!(
            outcome.error("message").1.contains("out of memory"),
            "{outcome:?}"
        );
        outcome.assert_nothing_leaked();
    }
}

/// What is asked of `efa` and read from it, over a tcp that is called so. That a stand-in has no GPU
/// keeps the verdict from ever being that GPUDirect works.
#[test]
fn efa_is_asked_for_peer_to_peer_access() {
    for library in libraries("efa_is_asked_for_peer_to_peer_access") {
        for (code, shows) in [
            (0, GpuDirect::Proven),
            (-95, GpuDirect::Disproven),
            (-22, GpuDirect::Unknown),
        ] {
            let mut case = Case::new(&library, "efa")
                .with("EFA_TEST_HMEM_AS", "efa")
                .with("EFA_TEST_HMEM_P2P", code)
                .with("EFA_TEST_HMEM_EMULATED", 0);
            case.memory.forbid_cuda_calls = true;
            let outcome = case.run();
            let report = outcome.report();
            assert_eq!(report.fabric, "efa");
            assert_eq!(outcome.count("setopt p2p 1"), 2, "{:?}", outcome.log);
            assert_eq!(outcome.count("setopt cuda_api_permitted 0 of 1 bytes"), 2);
            let accepted = |name: &str| {
                let mut options = report.endpoint_options.iter();
                options
                    .find(|option| option.name == name)
                    .map(|option| option.accepted)
            };
            assert_eq!(accepted("FI_OPT_CUDA_API_PERMITTED"), Some(true));
            assert_eq!(accepted("FI_OPT_FI_HMEM_P2P"), Some(code == 0));
            let gpu = report.gpu.unwrap();
            let by = |source: &str| {
                let mut evidence = gpu.evidence.iter();
                evidence
                    .find(|one| one.source == source)
                    .map(|one| (one.shows, one.finding.as_str()))
            };
            assert_eq!(by("FI_OPT_FI_HMEM_P2P").unwrap().0, shows, "{gpu}");
            assert!(
                by("FI_OPT_EFA_EMULATED_WRITE")
                    .unwrap()
                    .1
                    .starts_with("false"),
                "{gpu}"
            );
            assert_eq!(gpu.gpudirect, GpuDirect::Unknown);
        }
        let direct = Case::new(&library, "efa").with("EFA_TEST_HMEM_AS", "efa-direct");
        let outcome = direct.run();
        // Nothing names that fabric unless the caller does.
        assert_eq!(
            outcome.error("provider").0,
            "fabric.provider_not_found",
            "{outcome:?}"
        );
    }
}

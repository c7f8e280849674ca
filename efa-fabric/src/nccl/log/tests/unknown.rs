//! Warnings that no rule knows, failures that are no warning, and what closes a job in order.

use super::super::*;
use super::{causes, log, read};

fn with(lines: &str) -> Report {
    read(&format!("{}{lines}", log("1.16")))
}

#[test]
fn each_unknown_warning_is_quoted_once() {
    let report = with(
        "gpu-1:40:90 [0] NCCL WARN first odd thing at 0x7f12\n\
         gpu-2:41:91 [0] NCCL WARN first odd thing at 0x7f99\n\
         gpu-1:40:90 [0] NCCL WARN second odd thing\n",
    );
    assert_eq!(
        causes(&report),
        [Cause::UnknownWarning, Cause::UnknownWarning]
    );
    let first = &report.findings[0];
    assert!(
        first.message.contains("first odd thing at 0x7f12"),
        "{report}"
    );
    assert_eq!(first.rank_count, 2);
    assert_eq!(
        (report.verdict, report.exit_code()),
        (Verdict::OnEfaDegraded, 1)
    );
    // Without end they are bounded, and that is stated.
    let many: String = (0..2000)
        .map(|n| {
            let word: String = format!("{n}")
                .bytes()
                .map(|b| char::from(b + b'a' - b'0'))
                .collect();
            format!("gpu-{}:{}:1 [0] NCCL WARN odd {word}\n", n / 8, n % 8 + 1)
        })
        .collect();
    let report = with(&many);
    assert!(report.findings.len() < 40, "{}", report.findings.len());
    assert!(report.to_string().contains("are not listed"), "{report}");
}

#[test]
fn a_known_warning_after_the_choice_counts_and_before_it_is_a_note() {
    let warning = "gpu-1:40:90 [0] NCCL WARN NET/OFI No eligible providers were found\n";
    let report = with(warning);
    assert_eq!(report.verdict, Verdict::OnEfaDegraded, "{report}");
    assert_eq!(causes(&report), [Cause::NoEligibleProvider]);
    let report = read(&format!("{warning}{}", log("1.16")));
    assert_eq!(report.verdict, Verdict::OnEfa, "{report}");
    assert_eq!(report.findings[0].severity, Severity::Note);
    assert!(report.findings[0].message.contains("EFA was chosen after"));
}

#[test]
fn the_first_warning_before_a_failed_start_is_shown() {
    let report = read(
        "h:1:1 [0] NCCL INFO NET/OFI Initializing aws-ofi-nccl 1.21.0\n\
         h:1:1 [0] NCCL WARN NET/OFI the flux of the capacitor is 7\n\
         h:1:1 [0] NCCL WARN NET/OFI aws-ofi-nccl initialization failed\n\
         h:1:1 [0] NCCL INFO Using network Socket\n",
    );
    assert_eq!(report.verdict, Verdict::TcpSockets);
    let text = report.to_string();
    assert!(
        text.contains("the first warning before it, line 2: NET/OFI the flux of the capacitor"),
        "{text}"
    );
    assert!(!text.contains("look for"), "{text}");
}

#[test]
fn an_orderly_shutdown_is_no_failure() {
    let close = "gpu-1:40:99 [0] NCCL INFO [Service thread] Connection closed by localRank 0\n";
    let calls = "gpu-1:40:99 [0] NCCL INFO misc/socket.cc:47 -> 3\n\
                 gpu-1:40:99 [0] NCCL INFO misc/socket.cc:752 -> 3\n\
                 gpu-1:40:99 [0] NCCL INFO proxy.cc:1458 -> 3\n";
    let python = "[rank0]:[W1129 08:00:00.123456789 ProcessGroupNCCL.cpp:1250] Warning: WARNING: process group has NOT been destroyed before we destruct ProcessGroupNCCL. (function operator())\n\
                  Exception ignored in: <function Pool.__del__ at 0x7f>\n\
                  Traceback (most recent call last):\n  File \"pool.py\", line 271, in __del__\n\
                  TypeError: 'NoneType' object is not callable\n\
                  /usr/lib/python3.12/multiprocessing/resource_tracker.py:254: UserWarning: resource_tracker: There appear to be 1 leaked semaphore objects to clean up at shutdown\n";
    for order in [format!("{close}{calls}"), format!("{calls}{close}")] {
        let report = with(&format!("{order}{python}"));
        assert_eq!(report.verdict, Verdict::OnEfa, "{report}");
        assert_eq!(
            (report.findings.len(), report.end),
            (0, End::Orderly),
            "{report}"
        );
    }
    // Without the close it is a failure, and so is any other call.
    assert_eq!(causes(&with(calls)), [Cause::CallFailed]);
    for call in [
        "transport/net.cc:753 -> 6",
        "transport.cc:198 -> 2",
        "enqueue.cc:1402 -> 1",
    ] {
        let report = with(&format!("{close}gpu-1:40:99 [0] NCCL INFO {call}\n"));
        assert_eq!(causes(&report), [Cause::CallFailed], "{call}");
        assert_ne!(report.exit_code(), 0);
    }
    for call in [
        "transport/net.cc:753 -> 7",
        "a -> b",
        "Channel 00/0 : 0 -> 1",
        "x.cc:1 -> 0",
    ] {
        let report = with(&format!("gpu-1:40:99 [0] NCCL INFO {call}\n"));
        assert_eq!(report.findings.len(), 0, "{call}: {report}");
    }
}

#[test]
fn ends_of_jobs_are_seen_and_quoted() {
    use Cause as C;
    #[rustfmt::skip]
    let ends = [
        (C::JobError, "[rank3]: torch.distributed.DistBackendError: NCCL error in: x.cpp:1, unhandled system error, NCCL version 2.27.3"),
        (C::JobError, "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: "),
        (C::JobError, "srun: error: node-3: task 24: Exited with exit code 1"),
        (C::JobError, "node-1: Test NCCL failure common.cu:961 'unhandled system error'"),
        (C::JobError, "(RayTrainWorker pid=3, ip=10.0.0.3) RuntimeError: NCCL Error 2: unhandled system error"),
        (C::JobError, "ray.exceptions.RayTaskError(RuntimeError): ray::f() (pid=3)"),
        (C::JobError, "(EngineCore_DP0 pid=71) ERROR 11-29 12:00:00 [core.py:700] RuntimeError: NCCL error: remote process exited"),
        (C::JobError, "[2026-01-01 12:00:00 TP0] Scheduler hit an exception: Traceback (most recent call last):"),
        (C::WatchdogTimeout, "[rank0]:[E1129 10:00:00.000000000 ProcessGroupNCCL.cpp:1794] [PG ID 0 PG GUID 0 Rank 0] Process group watchdog thread terminated with exception: x"),
        (C::WatchdogTimeout, "[rank5]:[F1129 10:00:00.000000000 ProcessGroupNCCL.cpp:1554] [PG ID 0] ProcessGroupNCCL's watchdog got stuck for 480 seconds without making progress"),
        (C::ProcessAborted, "[ip-10-0-0-1:00101] Signal: Segmentation fault (11)"),
        (C::ProcessAborted, "terminate called after throwing an instance of 'c10::DistBackendError'"),
        (C::ProcessAborted, "Fatal Python error: Aborted"),
        (C::ProcessAborted, "  exitcode  : -6 (pid: 123)"),
        (C::ProcessAborted, "/bin/bash: line 1:   123 Aborted (core dumped) python train.py"),
        (C::ProcessAborted, "mpirun noticed that process rank 3 with PID 0 on node x exited on signal 9 (Killed)."),
        (C::ProcessAborted, "[2026-01-01 12:00:00] Received sigquit from a child process. It usually means the child failed."),
        (C::ProcessAborted, "Aborted"),
        (C::ProcessAborted, "/tmp/x.sh: line 3:  1234 Killed                  python train.py"),
        (C::ProcessAborted, "traceback : Signal 6 (SIGABRT) received by PID 123"),
        (C::JobError, "E1129 10:00:00.000000 71 torch/distributed/elastic/multiprocessing/api.py:869] failed (exitcode: 1) local_rank: 0 (pid: 123) of binary: python"),
        (C::JobError, "[2026-11-29 10:00:00,123] [ERROR] [launch.py:325:sigkill_handler] ['python'] exits with return code = 1"),
        (C::OutOfMemory, "[ 1632.420956] Out of memory: Killed process 123 (python) total-vm:1kB"),
        (C::OutOfMemory, "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB"),
        (C::OutOfMemory, "slurmstepd: error: Detected 1 oom_kill event in StepId=1.0."),
    ];
    for (cause, line) in ends {
        let report = with(&format!("{line}\n"));
        assert_eq!(report.verdict, Verdict::JobFailed, "{line}: {report}");
        assert_eq!(report.end, End::Failed);
        assert_eq!(
            report.reason.as_ref().map(|r| r.cause),
            Some(cause),
            "{line}: {report}"
        );
        let evidence = report.reason.unwrap().evidence.unwrap();
        assert!(
            line.contains(&evidence.text) && !evidence.text.is_empty(),
            "{line}"
        );
    }
    let report =
        with("Traceback (most recent call last):\n  File \"x\", line 1\nValueError: seven\n");
    assert_eq!(causes(&report), [Cause::JobError]);
    assert_eq!(
        report.reason.unwrap().evidence.unwrap().text,
        "ValueError: seven"
    );
}

#[test]
fn formats_of_other_programs_are_read_or_named() {
    use Verdict as V;
    let nixl =
        "I0214 02:57:26.278597      25 libfabric_topology.cpp:100] Discovered 32 EFA devices\n";
    let ready =
        "I0214 02:57:26.300000      25 nixl_agent.cpp:300] Backend LIBFABRIC was instantiated\n";
    let ucx_backend =
        "I0214 02:57:26.300000      25 nixl_agent.cpp:300] Backend UCX was instantiated\n";
    let cfg = "[1.0] [n:2:3]  ucp_worker.c:1903 UCX  INFO    ucp_context_2 inter-node cfg#3 tag(srd/rdmap79s0:1)\n";
    #[rustfmt::skip]
    let logs = [
        (format!("{nixl}{ready}"), V::OnEfa, Source::Nixl, true),
        (ready.to_owned(), V::NotJudged, Source::Nixl, false),
        (nixl.to_owned(), V::NotJudged, Source::Nixl, false),
        (nixl.replace("32", "0"), V::NotInitialised, Source::Nixl, true),
        (ucx_backend.to_owned(), V::NotJudged, Source::Nixl, false),
        (cfg.to_owned(), V::OnEfa, Source::Ucx, true),
        (cfg.replace("srd/rdmap79s0", "tcp/ens5"), V::TcpSockets, Source::Ucx, true),
        (cfg.replace("srd/rdmap79s0", "rc_mlx5/mlx5_0"), V::Infiniband, Source::Ucx, true),
        ("[n:3] mtl_ofi_component.c:860: mtl:ofi:prov: efa\n".into(), V::OnEfa, Source::OpenMpi, true),
        ("[n:3] mtl_ofi_component.c:860: mtl:ofi:prov: tcp;ofi_rxm\n".into(), V::TcpSockets, Source::OpenMpi, true),
        ("[n:3] select: component ob1 selected\n".into(), V::NotJudged, Source::OpenMpi, false),
        ("n:4:4 [0] NVSHMEM INFO Selected provider efa, fabric efa-direct\n".into(), V::OnEfa, Source::Nvshmem, true),
        ("n:4:4 [0] NVSHMEM INFO Selected provider tcp, fabric x\n".into(), V::TcpSockets, Source::Nvshmem, true),
        ("INFO 11-29 12:00:00 [core.py:58] hello\n".into(), V::NotJudged, Source::Vllm, false),
        ("[2026-01-01 12:00:00 TP0] Load weight begin\n".into(), V::NotJudged, Source::Sglang, false),
        ("provider: efa\n    fabric: efa-direct\n    domain: rdmap0s6-rdm\n".into(), V::NotJudged, Source::FiInfo, false),
        ("fi_getinfo: -61 (No data available)\n".into(), V::NotInitialised, Source::FiInfo, true),
        ("$ fi_pingpong -p efa\nfi_getinfo(): common.c:711, ret=-61 (No data available)\n".into(), V::NotInitialised, Source::FiPingpong, true),
        ("bytes   #sent   #ack     total       time     MB/sec    usec/xfer   Mxfers/sec\n".into(), V::NotJudged, Source::FiPingpong, false),
        ("hca_id:\trdmap0s6\n\tvendor_id:\t\t\t0x1d0f\n".into(), V::NotJudged, Source::IbvDevinfo, false),
        ("No IB devices found\n".into(), V::NotInitialised, Source::IbvDevinfo, true),
        ("00:1d.0 Ethernet controller: Amazon.com, Inc. Elastic Fabric Adapter (EFA)\n".into(), V::NotJudged, Source::Lspci, false),
        ("[    5.1] efa: hello\n[    5.123456] efa 0000:00:1d.0: Setup irq\n".into(), V::NotJudged, Source::Kernel, false),
        ("[ 1632.420956] infiniband efa_0: Failed to process command ALLOC_PD (opcode 14) comp_status 1 err -12\n".into(), V::JobFailed, Source::Kernel, true),
        ("libfabric:7:1::core:core:fi_fabric_():1591<info> Opened fabric: efa\n".into(), V::NotJudged, Source::Libfabric, false),
    ];
    for (text, verdict, source, is_judged) in logs {
        let report = read(&text);
        assert_eq!(report.verdict, verdict, "{text}: {report}");
        assert_ne!(report.exit_code() == 0, verdict != V::OnEfa, "{text}");
        let seen = report.sources.iter().find(|seen| seen.source == source);
        let seen = seen.unwrap_or_else(|| panic!("{text}: {report}"));
        assert_eq!(seen.is_judged, is_judged, "{text}: {report}");
        assert!(!report.to_string().contains("NCCL"), "{text}: {report}");
    }
    let two = "provider: efa\n    domain: rdmap0s6-rdm\nprovider: efa\n    domain: rdmap0s6-dgrm\nprovider: efa\n    domain: rdmap0s7-rdm\n";
    assert!(
        read(two)
            .to_string()
            .contains("efa is offered with 2 domains")
    );
}

#[test]
fn noise_of_jobs_without_fault_is_no_finding() {
    for line in [
        "Epoch 1:  50%|#####     | 5/10 [00:01<00:00, 5.55it/s, error=0.1]",
        "INFO:root:validation error: 0.11",
        "{\"level\": \"info\", \"message\": \"errors: 0, failed: 0\"}",
        "gpu-1:40:95 [0] NCCL INFO comm 0x1 rank 0 nranks 16 cudaDev 0 busId 1 - Abort COMPLETE",
        "[rank0]:[W1129 08:00:00.123456789 TCPStore.cpp:125] [c10d] recvValue failed on SocketImpl(fd=94): failed to recv, got 0 bytes",
        "Exception raised from recvBytes at /pytorch/torch/csrc/distributed/c10d/Utils.hpp:678 (most recent call first):",
        "frame #0: c10::Error::Error(c10::SourceLocation, std::string) + 0x80",
        "(EngineCore_DP0 pid=71) WARNING 11-29 12:00:02 [x.py:1] something deprecated failed",
        "Loading safetensors checkpoint shards:  50% Completed | 1/2 [00:01<00:01,  1.2s/it]",
        "[2026-01-01 12:00:00] server_args=ServerArgs(watchdog_timeout=300, crash_dump_folder=None)",
        "gpu-1:40:90 [0] NCCL INFO NET/OFI gin: Finalizing",
        "gpu-1:40:90 [0] NCCL INFO GIN/Plugin: Failed to initialize any GIN plugin",
        "libfabric:40:1747::core:core:ofi_hmem_init():675<warn> Failed to initialize hmem iface FI_HMEM_ROCR: No data available",
        "[    7.323456] infiniband efa_0: IB device registered",
    ] {
        let report = with(&format!("{line}\n"));
        assert_eq!(
            (report.exit_code(), report.findings.len()),
            (0, 0),
            "{line}: {report}"
        );
    }
}

#[test]
fn diagnostics_of_nccl_are_read() {
    for (line, is_fault) in [
        (
            "h:1:1 [0] NCCL DIAG rank 3 -> rank 9: timeout on NET/Libfabric/2",
            true,
        ),
        (
            "h:1:1 [0] NCCL DIAG: path 0 -> 8 failed, peer unreachable",
            true,
        ),
        ("h:1:1 [0] NCCL DIAG all paths ok, 0 failed", false),
    ] {
        let report = with(&format!("{line}\n"));
        assert_eq!(
            causes(&report).contains(&Cause::DiagnosticFailed),
            is_fault,
            "{line}"
        );
        assert_eq!(report.exit_code() != 0, is_fault, "{line}");
    }
}

#[test]
fn names_of_plugins_are_distinguished() {
    let run = |lines: &str| {
        let text = format!("{lines}h:1:1 [0] NCCL INFO Using network Socket\n");
        read(&text).reason.unwrap().cause
    };
    for value in [
        "spcx",
        "libnccl-net-spcx.so",
        "rccl",
        "/opt/hpcx/nccl_spectrum-x_plugin/lib/libnccl-net.so",
        "gcp-tcpx",
        "ibext",
    ] {
        let line = format!("h:1:1 [0] NCCL INFO NCCL_NET_PLUGIN set by environment to {value}\n");
        assert_eq!(run(&line), Cause::OtherPluginNamed, "{value}");
    }
    for value in [
        "ofi",
        "aws-ofi",
        "libnccl-net.so",
        "/opt/amazon/ofi-nccl/lib/libnccl-net-ofi.so",
        "spcx,ofi",
    ] {
        let line = format!(
            "h:1:1 [0] NCCL INFO NCCL_NET_PLUGIN set by environment to {value}\n\
             h:1:1 [0] NCCL INFO NET/Plugin: Could not find: {value} libnccl-net-{value}.so.\n"
        );
        assert_eq!(run(&line), Cause::PluginNotFound, "{value}");
    }
    let line = "h:1:1 [0] NCCL INFO NET/Plugin: Could not find: spcx libnccl-net-spcx.so.\n";
    assert_eq!(run(line), Cause::OtherPluginNamed);
}

#[test]
fn a_long_line_costs_what_its_length_is() {
    // Bytes looked at, not time: a line of 64 KiB that was searched once for each rule, or from its
    // start for each message in it, would look at hundreds of times its length.
    let kib = |text: &str| text.repeat(lines::LINE_LIMIT / text.len());
    for line in [
        format!(
            "h:1:1 [0] NCCL INFO {}",
            kib("NET/OFI couldn't NET/Plugin ")
        ),
        kib("NCCL INFO "),
        kib("h:1:1 [0] NCCL INFO x "),
        format!("{}NCCL INFO x", kib("[0]")),
        format!("{}NCCL INFO x", kib("a:1:1 [0")),
        kib("libfabric:7:1::"),
        kib("NET/OFI "),
        kib("plugin efa completed with error "),
        kib("x"),
    ] {
        text::WORK.with(|work| work.set(0));
        let report = read(&format!("{line}\n"));
        let work = text::WORK.with(std::cell::Cell::get);
        assert!(
            work <= 16 * line.len(),
            "{} of {}: {report}",
            work,
            &line[..40]
        );
    }
}

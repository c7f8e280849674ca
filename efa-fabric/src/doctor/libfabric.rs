//! libfabric itself: is there one, does it live, which is it, does it have efa, does it offer it.

use super::environment::killers;
use super::finding::{Check, Evidence, Finding, Status};
use super::scene::Scene;
use crate::fabric_log::FingerprintKind;
use crate::isolated::{Answer, Outcome, Relaxation};
use crate::library::Version;

const INSTALLER: &str = "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/efa-start.html";
const TWO_LIBRARIES: &str = "https://github.com/aws/aws-ofi-nccl/issues/241";
const NOT_BUILT: &str = "https://github.com/ofiwg/libfabric/issues/10757";
const FI_GETINFO: &str = "https://ofiwg.github.io/libfabric/main/man/fi_getinfo.3.html";
const FI_EFA: &str = "https://ofiwg.github.io/libfabric/main/man/fi_efa.7.html";
/// The first with the fabric efa-direct, and the first that lists efa without a device.
const V2_1: Version = Version { major: 2, minor: 1 };
/// aws-ofi-nccl asks for at least this of the efa provider.
const NCCL_PLUGIN_NEEDS: Version = Version {
    major: 1,
    minor: 22,
};
const AWS_LIBRARY: &str = "/opt/amazon/efa/";
/// `SIGABRT`, with which the efa provider aborts the process.
const SIGABRT: i32 = 6;

/// Whether libfabric ended the child by itself, as killer variables make it; `None` where it was
/// not asked.
pub(crate) fn was_aborted(scene: &Scene<'_>) -> Option<bool> {
    Some(matches!(
        scene.answer?.outcome,
        Outcome::Aborted {
            signal: SIGABRT,
            ..
        }
    ))
}

/// `libfabric.found`.
pub(crate) fn found(scene: &Scene<'_>) -> Finding {
    let check = Check::LibfabricFound;
    let Some(answer) = scene.answer else {
        return unanswered(scene, check);
    };
    if let Some(library) = &answer.library {
        return Finding::ok(
            check,
            format!(
                "libfabric {} at {}",
                library.version,
                library.path.display()
            ),
        );
    }
    let Outcome::NoLibrary {
        code,
        message,
        searched,
    } = &answer.outcome
    else {
        return Finding::new(check, Status::Unknown, "loading libfabric did not finish");
    };
    let searched: Vec<_> = searched
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let (title, cure) = match code.as_str() {
        "fabric.library_not_found" => (
            "there is no libfabric".to_owned(),
            "run the EFA installer, or set EFA_FABRIC_LIB or LD_LIBRARY_PATH to where it is",
        ),
        "fabric.library_too_old" => (
            message.clone(),
            "run the current EFA installer, or set EFA_FABRIC_LIB to a newer one",
        ),
        _ => (
            format!("libfabric does not load: {message}"),
            "install libfabric again with what it needs; ldd on the file shows what is missing",
        ),
    };
    let finding = if scene.has_efa() {
        Finding::failed(check, title)
    } else {
        Finding::new(check, Status::Info, title)
    };
    finding
        .evidence(code, message)
        .evidence("searched", searched.join(" "))
        .cure(cure)
        .reference(INSTALLER)
}

/// What was not seen because libfabric was not asked, ended before, or is not there.
fn unanswered(scene: &Scene<'_>, check: Check) -> Finding {
    if let Some(reason) = scene.by_design() {
        return Finding::skipped(check, format!("no EFA is expected: {reason}"));
    }
    let title = match scene.answer.map(|answer| &answer.outcome) {
        None => "libfabric was not asked",
        Some(Outcome::NoLibrary { .. }) => "not reached: there is no libfabric to ask",
        Some(_) => "not reached: libfabric ended before",
    };
    Finding::new(check, Status::Unknown, title)
}

/// `libfabric.crash`: an end that no killer variable explains.
pub(crate) fn crash(scene: &Scene<'_>) -> Finding {
    let check = Check::LibfabricCrash;
    let Some(answer) = scene.answer else {
        return unanswered(scene, check);
    };
    let title = match &answer.outcome {
        Outcome::Answered => return Finding::ok(check, "libfabric answers"),
        Outcome::NoLibrary { .. } => {
            return Finding::skipped(check, "there is no libfabric to ask");
        }
        Outcome::Aborted { signal, .. }
            if *signal == SIGABRT
                && (scene
                    .environment
                    .is_some_and(|all| !killers(all).is_empty())
                    || scene
                        .fingerprint(FingerprintKind::BadUseDeviceRdma)
                        .is_some()) =>
        {
            return Finding::skipped(check, "see environment.killer");
        }
        Outcome::Aborted { signal, last_step } => {
            format!("libfabric ended its process by signal {signal} while {last_step}")
        }
        Outcome::TimedOut { last_step } => {
            format!("libfabric did not return while {last_step}")
        }
        other => format!("libfabric did not answer: it {other}"),
    };
    let finding = Finding::failed(check, title)
        .cause("a fault in libfabric, or in a library that it loads, such as CUDA's or rdma-core's")
        .cure("run it again with FI_LOG_LEVEL=debug; try another libfabric with EFA_FABRIC_LIB")
        .reference(FI_EFA);
    let mut last = answer
        .output_tail
        .lines()
        .rev()
        .filter(|line| !line.trim().is_empty());
    match last.next() {
        Some(line) => finding.evidence("the last line that it wrote", line),
        None => finding,
    }
}

/// `libfabric.copies`.
pub(crate) fn copies(scene: &Scene<'_>) -> Finding {
    let check = Check::LibfabricCopies;
    let Some(answer) = scene.answer.filter(|answer| answer.library.is_some()) else {
        return unanswered(scene, check);
    };
    let loaded: Vec<_> = answer
        .all_libraries()
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let evidence = Evidence::new("/proc/self/maps", loaded.join(" "));
    if loaded.len() < 2 {
        return Finding::ok(check, "one libfabric is loaded").all_evidence([evidence]);
    }
    let offers = scene.offers_efa();
    let status = if offers {
        Status::Warning
    } else {
        Status::Failed
    };
    Finding::new(
        check,
        // A machine without EFA loses nothing by it.
        if scene.has_efa() { status } else { Status::Info },
        format!("{} different libfabric in one program", loaded.len()),
    )
    .all_evidence([evidence])
    .cause(
        "a framework or an MPI brings its own, and each part of the program may use another one \
         than was asked here",
    )
    .cure("load one only: put /opt/amazon/efa/lib64 or lib first in LD_LIBRARY_PATH, or remove the other")
    .reference(TWO_LIBRARIES)
}

/// `libfabric.version`.
pub(crate) fn version(scene: &Scene<'_>) -> Finding {
    let check = Check::LibfabricVersion;
    let Some(library) = scene.answer.and_then(|answer| answer.library.as_ref()) else {
        return unanswered(scene, check);
    };
    let version = library.version;
    let evidence = Evidence::new(library.path.display(), version);
    if let Some(line) = scene.fingerprint(FingerprintKind::VersionTooNew) {
        return Finding::failed(
            check,
            format!("libfabric {version} is older than what was requested of it"),
        )
        .all_evidence([evidence, Evidence::new("libfabric's log", &line.evidence)])
        .cause("a program that was built for a newer libfabric gets error -38 from an older one")
        .cure("load the newer libfabric first, or run the current EFA installer")
        .reference(FI_GETINFO);
    }
    let has_plugin = !scene.node.software.nccl_plugins.is_empty();
    if scene.has_efa() && has_plugin && version < NCCL_PLUGIN_NEEDS {
        return Finding::new(
            check,
            Status::Warning,
            format!("libfabric {version} is too old for current NCCL plugins"),
        )
        .all_evidence([evidence])
        .cause(format!(
            "aws-ofi-nccl takes efa only from libfabric {NCCL_PLUGIN_NEEDS} and later, and falls \
             back to sockets"
        ))
        .cure("run the current EFA installer")
        .reference(INSTALLER);
    }
    if version < V2_1 {
        return Finding::new(
            check,
            Status::Info,
            format!("libfabric {version} has no fabric efa-direct, which came with {V2_1}"),
        )
        .all_evidence([evidence]);
    }
    Finding::ok(check, format!("libfabric {version} is new enough")).all_evidence([evidence])
}

/// `libfabric.efa_provider`: `rest_is_fine` is whether no later check explains a missing efa.
pub(crate) fn efa_provider(scene: &Scene<'_>, rest_is_fine: bool) -> Finding {
    let check = Check::LibfabricEfaProvider;
    let Some(answer) = scene.answer else {
        return unanswered(scene, check);
    };
    let (Some(library), Some(has_efa)) = (&answer.library, answer.has_provider("efa")) else {
        return unanswered(scene, check);
    };
    if has_efa {
        return Finding::ok(check, "the efa provider is compiled in");
    }
    let version = library.version;
    let names: Vec<_> = answer
        .providers
        .iter()
        .flatten()
        .map(|provider| provider.name.as_str())
        .collect();
    let listed = Evidence::new("providers", names.join(" "));
    let is_certain = version >= V2_1;
    if !is_certain && answer.has_libefa {
        return Finding::ok(
            check,
            "the efa provider is compiled in: libfabric is linked with rdma-core's libefa",
        )
        .all_evidence([listed]);
    }
    let is_known = is_certain || rest_is_fine && scene.has_efa();
    if !is_known {
        return Finding::new(
            check,
            Status::Info,
            format!("libfabric {version} does not list efa: not compiled in, or no device"),
        )
        .all_evidence([listed])
        .cause("before 2.1 libfabric lists efa only where it finds a device")
        .reference(NOT_BUILT);
    }
    let other = scene
        .node
        .software
        .libfabrics
        .iter()
        .find(|path| path.starts_with(AWS_LIBRARY) && !library.path.starts_with(AWS_LIBRARY));
    let title = format!(
        "the efa provider is not compiled in: libfabric {version} at {}",
        library.path.display()
    );
    let finding = if scene.has_efa() {
        Finding::failed(check, title)
    } else {
        Finding::new(check, Status::Info, title)
    };
    finding
        .all_evidence([listed])
        .cause(if is_certain {
            "from 2.1 libfabric lists efa wherever it is compiled in"
        } else {
            "hardware, driver and rdma-core are as they should be, so that nothing else is left"
        })
        .cure(match other {
            Some(path) => format!("use AWS's build, which is here: {path}"),
            None => "use AWS's build: run the EFA installer".to_owned(),
        })
        .reference(NOT_BUILT)
}

/// `libfabric.hints`: a demand without which EFA appears.
pub(crate) fn hints(scene: &Scene<'_>) -> Finding {
    let check = Check::Hints;
    let Some(answer) = scene.answered() else {
        return unanswered(scene, check);
    };
    if !scene.has_efa() {
        return Finding::skipped(check, "there is no EFA device to ask for");
    }
    let Some(asked) = answer.trials.first() else {
        return Finding::skipped(check, "no hints were tried");
    };
    if asked.found > 0 {
        return Finding::ok(check, "libfabric offers EFA for what is asked")
            .evidence("hints", &asked.asked);
    }
    let lines = || {
        asked
            .fingerprints
            .iter()
            .filter(|line| is_about_hints(line.kind))
            .map(|line| Evidence::new("libfabric's log", &line.evidence))
    };
    match answer.first_help() {
        Some(trial) => {
            let what = match &trial.relaxed {
                Relaxation::All => "everything but the provider's name".to_owned(),
                relaxed => format!("the {relaxed}"),
            };
            Finding::failed(check, format!("libfabric offers EFA only without {what}"))
                .evidence("asked", &asked.asked)
                .evidence("answered", &trial.asked)
                .all_evidence(lines())
                .cause(
                    "the device works, but the provider does not support everything that was \
                        requested",
                )
                .cure(format!("request without {what}"))
                .reference(FI_GETINFO)
        }
        None => Finding::new(
            check,
            Status::Info,
            format!(
                "none of {} relaxed requests makes EFA appear: the hints are not the cause",
                answer.trials.len().saturating_sub(1)
            ),
        ),
    }
}

/// `libfabric.no_efa`: what libfabric offers in the end; `is_explained` is whether another
/// finding states why it does not.
pub(crate) fn offer(scene: &Scene<'_>, is_explained: bool) -> Finding {
    let check = Check::Unexplained;
    let Some(answer) = scene.answered() else {
        return unanswered(scene, check);
    };
    let (devices, fabrics) = offered(answer);
    if !devices.is_empty() {
        let known = scene.node.efa_devices.len();
        let is_chosen = scene.variable("FI_EFA_IFACE").is_some();
        let title = format!(
            "libfabric offers {} EFA devices on {}",
            devices.len(),
            fabrics.join(" and ")
        );
        if devices.len() < known && !is_chosen && !scene.node.container.is_container() {
            return Finding::new(
                check,
                Status::Warning,
                format!("{title}, of {known} that the kernel has"),
            )
            .evidence("fi_getinfo", devices.join(" "))
            .cure("see the checks of verbs");
        }
        return Finding::ok(check, title).evidence("fi_getinfo", devices.join(" "));
    }
    let returned = match answer.efa_errno {
        Some(errno) => format!("-{errno}"),
        None => "nothing".to_owned(),
    };
    if !scene.has_efa() {
        return Finding::skipped(check, "there is no EFA device to offer")
            .evidence("fi_getinfo", returned);
    }
    let title = format!("libfabric offers no EFA: fi_getinfo returned {returned}");
    let lines = answer
        .log
        .fingerprints
        .iter()
        .map(|line| Evidence::new("libfabric's log", &line.evidence))
        .chain(
            answer
                .log
                .warnings
                .iter()
                .map(|line| Evidence::new("libfabric's log", line)),
        )
        .take(8);
    if is_explained {
        return Finding::new(check, Status::Info, title).all_evidence(lines);
    }
    let has = |kind| scene.fingerprint(kind).is_some();
    let were_selected = scene
        .fingerprint(FingerprintKind::SelectedDevices)
        .is_some_and(|line| line.number > Some(0));
    Finding::failed(check, title)
        .all_evidence(lines)
        .cause(if has(FingerprintKind::NoVerbsDevices) {
            "libibverbs finds no verbs device, which the kernel has: another libibverbs is loaded \
             than the one that was examined, or it sees another /sys"
        } else if were_selected {
            "libfabric opened the devices, so a hint is the cause, and none of those that were \
             tried"
        } else {
            "none of the checks explains it"
        })
        .cure("look at libfabric's log: FI_LOG_LEVEL=info fi_info -p efa; and at dmesg | grep efa")
        .reference(FI_EFA)
}

fn is_about_hints(kind: FingerprintKind) -> bool {
    matches!(
        kind,
        FingerprintKind::UnsupportedEndpointType
            | FingerprintKind::UnsupportedCapabilities
            | FingerprintKind::InvalidMrMode
            | FingerprintKind::ModeNotSet
            | FingerprintKind::UnsupportedAddressFormat
            | FingerprintKind::Requested
            | FingerprintKind::OtherHint
            | FingerprintKind::HmemWithoutLibraries
            | FingerprintKind::HmemWithoutMrMode
            | FingerprintKind::HmemWithoutPeerToPeer
            | FingerprintKind::MessageTooLarge
    )
}

/// The EFA devices that an answer offers, and their fabrics, each once.
pub(crate) fn offered(answer: &Answer) -> (Vec<String>, Vec<String>) {
    let (mut devices, mut fabrics) = (Vec::new(), Vec::new());
    for info in answer.efa_infos.iter().flatten() {
        let device = info
            .domain
            .trim_end_matches("-rdm")
            .trim_end_matches("-dgrm");
        for (list, name) in [(&mut devices, device), (&mut fabrics, info.fabric.as_str())] {
            if !list.iter().any(|known| known == name) {
                list.push(name.to_owned());
            }
        }
    }
    (devices, fabrics)
}

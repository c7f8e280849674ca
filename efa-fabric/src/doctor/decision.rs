//! The order of the checks, what they prove to one another, and the verdict.

use super::environment::{self, Environment};
use super::finding::{Check, Finding, Status};
use super::report::{LibfabricSeen, NodeSummary, Report, Verdict};
use super::scene::Scene;
use super::{hardware, libfabric, machine, nccl_plugin, verbs};
use crate::fabric_log::FingerprintKind;
use crate::isolated::Answer;
use crate::node::{Expected, Node};

/// Returns what a machine, an environment and libfabric's answer come to, wherever and whenever
/// they were taken: a function of values.
///
/// `environment` is that of the process that is to use EFA (`None` if it is not known), `answer`
/// libfabric's answer there (`None` if it was not asked), `expected` what the instance type should
/// have.
#[must_use]
pub fn diagnose<'a>(
    node: &Node,
    environment: impl Into<Option<&'a Environment>>,
    answer: Option<&Answer>,
    expected: Option<&Expected>,
) -> Report {
    let scene = Scene {
        node,
        environment: environment.into(),
        answer,
        expected,
    };
    match answer {
        Some(_) => report(&scene, "libfabric did not answer"),
        None => report(&scene, "libfabric was not asked"),
    }
}

/// As [`diagnose`] where libfabric could not be asked, for this reason.
pub(super) fn diagnose_unasked(
    node: &Node,
    environment: Option<&Environment>,
    expected: Option<&Expected>,
    reason: &str,
) -> Report {
    let scene = Scene {
        node,
        environment,
        answer: None,
        expected,
    };
    report(&scene, reason)
}

fn report(scene: &Scene<'_>, no_answer: &str) -> Report {
    let findings = findings(scene);
    let library = scene.answer.and_then(|answer| answer.library.as_ref());
    Report::new(
        verdict(scene, &findings, no_answer),
        NodeSummary::of(scene.node),
        library.map(|library| LibfabricSeen {
            path: library.path.display().to_string(),
            version: library.version,
        }),
        findings,
    )
}

/// Every finding, in order of the decision. One that another makes pointless is
/// [`Status::NotApplicable`]; what libfabric's answer disproves does not fail.
fn findings(scene: &Scene<'_>) -> Vec<Finding> {
    let mut findings = independent(scene);
    if scene.offers_efa() {
        findings.iter_mut().for_each(believe_libfabric);
    }
    let rest_is_fine = !has_failed(&findings);
    findings.push(libfabric::efa_provider(scene, rest_is_fine));
    findings.push(libfabric::hints(scene));
    let is_explained = has_failed(&findings);
    findings.push(libfabric::offer(scene, is_explained));
    for check in [
        machine::memlock,
        machine::hugepages,
        machine::shm,
        machine::process_vm,
        machine::fork,
        nccl_plugin::nccl_plugin,
        machine::retransmissions,
        machine::unresponsive,
    ] {
        findings.push(check(scene));
    }
    findings.sort_by_key(Finding::step);
    findings
}

/// By design first, then the first failure in order of the decision, then what is not known.
/// Usable is only what libfabric offers and every check was made of.
fn verdict(scene: &Scene<'_>, findings: &[Finding], no_answer: &str) -> Verdict {
    if let Some(reason) = scene.by_design() {
        return Verdict::NoEfaByDesign { reason };
    }
    let first = findings
        .iter()
        .filter(|finding| finding.status == Status::Failed)
        .min_by_key(|finding| finding.step());
    if let Some(finding) = first {
        return Verdict::NotUsable {
            cause: finding.id.clone(),
        };
    }
    let open: Vec<&str> = findings
        .iter()
        .filter(|finding| finding.status == Status::Unknown)
        .map(|finding| finding.id.as_str())
        .collect();
    let reason = match (scene.offers_efa(), open.as_slice()) {
        (true, []) => return Verdict::Usable,
        (true, _) => format!("libfabric offers EFA; not known: {}", open.join(", ")),
        (false, _) => match (scene.has_efa(), scene.unknown_type()) {
            (false, Some(name)) => {
                format!("there is no EFA device, and whether {name} takes EFA is not known")
            }
            _ => no_answer.to_owned(),
        },
    };
    Verdict::Unknown { reason }
}

/// The checks of variables, which no environment leaves open.
fn of_environment(scene: &Scene<'_>) -> [Finding; 4] {
    let Some(variables) = scene.environment else {
        return [
            Check::EnvironmentKiller,
            Check::EnvironmentFiProvider,
            Check::EnvironmentFiEfaIface,
            Check::EnvironmentIneffective,
        ]
        .map(|check| Finding::not_recorded(check, "the environment (/proc/self/environ)"));
    };
    let subject_of = |kind| scene.fingerprint(kind)?.subject.as_deref();
    let last_words = scene
        .answer
        .and_then(|answer| answer.log.fingerprints.iter().find(|f| f.kind.is_fatal()))
        .map(|line| line.evidence.as_str());
    let devices: Vec<&str> = scene
        .node
        .efa_devices
        .iter()
        .map(|device| device.name.as_str())
        .collect();
    let fi_provider =
        environment::fi_provider(variables, subject_of(FingerprintKind::UnknownProvider));
    [
        environment::killer(
            variables,
            libfabric::was_aborted(scene),
            last_words,
            &scene.rdma_read(),
        ),
        quoting(
            fi_provider,
            scene,
            &[
                FingerprintKind::UnknownProvider,
                FingerprintKind::FilteredProvider,
            ],
        ),
        quoting(
            environment::fi_efa_iface(variables, &devices),
            scene,
            &[FingerprintKind::FilteredDevice],
        ),
        environment::ineffective(variables),
    ]
}

/// The checks that need no other one's result.
fn independent(scene: &Scene<'_>) -> Vec<Finding> {
    let of_the_rest = [
        libfabric::found,
        libfabric::crash,
        libfabric::copies,
        libfabric::version,
        hardware::pci_devices,
        hardware::pci_count,
        hardware::driver_ofed,
        hardware::driver_module,
        hardware::driver_uverbs,
        hardware::driver_device_id,
        hardware::rdma_devices,
        hardware::rdma_ports,
        verbs::kubernetes_resource,
        verbs::container_devices,
        verbs::nodes,
        verbs::unopenable,
        verbs::rdma_core,
        verbs::libefa,
    ]
    .map(|check| check(scene));
    of_environment(scene)
        .into_iter()
        .chain(of_the_rest)
        .collect()
}

/// Adds the log's first line of these kinds to a finding that failed.
fn quoting(finding: Finding, scene: &Scene<'_>, kinds: &[FingerprintKind]) -> Finding {
    let line = kinds.iter().find_map(|kind| scene.fingerprint(*kind));
    match line {
        Some(line) if finding.status == Status::Failed => {
            finding.evidence("libfabric's log", &line.evidence)
        }
        _ => finding,
    }
}

/// What libfabric offers is there, whatever the files show.
fn believe_libfabric(finding: &mut Finding) {
    let disproved = [
        Check::EnvironmentFiProvider,
        Check::EnvironmentFiEfaIface,
        Check::PciDevices,
        Check::DriverModule,
        Check::DriverUverbs,
        Check::RdmaDevices,
        Check::KubernetesResource,
        Check::ContainerDevices,
        Check::VerbsNodes,
        Check::VerbsUnopenable,
        Check::VerbsRdmaCore,
        Check::VerbsLibefa,
    ];
    if finding.status == Status::Failed && finding.is(Check::DriverDeviceId) {
        // Some devices work, and these are lost all the same.
        finding.status = Status::Warning;
    }
    let is_open = matches!(finding.status, Status::Failed | Status::Unknown);
    if is_open && disproved.iter().any(|check| finding.is(*check)) {
        finding.status = Status::Info;
        finding
            .title
            .push_str("; libfabric offers EFA all the same");
    }
}

fn has_failed(findings: &[Finding]) -> bool {
    findings
        .iter()
        .any(|finding| finding.status == Status::Failed)
}

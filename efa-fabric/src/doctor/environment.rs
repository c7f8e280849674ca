//! Variables that kill the process, hide EFA, or do nothing.

use std::collections::BTreeMap;
use std::ffi::OsString;

use efa_core::types::RdmaSupport;

use super::finding::{Check, Finding, Status};
use crate::environment::{DEVICE_RDMA, DEVICE_RDMA_CURE, refuse_killers_in, wants_device_rdma};

/// The variables of a process, by name.
pub type Environment = BTreeMap<String, String>;

const FI_EFA: &str = "https://ofiwg.github.io/libfabric/main/man/fi_efa.7.html";
const FI_PROVIDER: &str = "https://ofiwg.github.io/libfabric/main/man/fabric.7.html";

/// What a setting does that aborts the process: the variable and the sentence about it.
pub(crate) struct Killer {
    pub(crate) variable: String,
    pub(crate) message: String,
    pub(crate) cure: String,
}

/// Every setting with which libfabric's efa provider calls `abort()`.
pub(crate) fn killers(environment: &Environment) -> Vec<Killer> {
    let mut left = environment.clone();
    let mut found = Vec::new();
    while let Err(error) = refuse_killers_in(&|name| left.get(name).map(OsString::from)) {
        let variable = error
            .context_value("variable")
            .unwrap_or_default()
            .to_owned();
        if left.remove(&variable).is_none() {
            break;
        }
        found.push(Killer {
            message: error.message().to_owned(),
            cure: error.cure().unwrap_or_default().to_owned(),
            variable,
        });
    }
    found
}

/// `environment.killer`: `died` is whether libfabric ended the child process that asked it, and
/// `None` where it was not asked. `rdma_read` is whether the devices can read remote memory, and
/// how that is known.
pub(crate) fn killer(
    environment: &Environment,
    died: Option<bool>,
    last_words: Option<&str>,
    rdma_read: &(RdmaSupport, String),
) -> Finding {
    let killers = killers(environment);
    let Some(first) = killers.first() else {
        return device_rdma(environment, rdma_read);
    };
    let names: Vec<_> = killers.iter().map(|k| k.variable.as_str()).collect();
    let (status, title) = match died {
        Some(true) => (
            Status::Failed,
            format!("{} makes libfabric abort the process", names.join(", ")),
        ),
        None => (
            Status::Failed,
            format!(
                "{} would make libfabric abort the process",
                names.join(", ")
            ),
        ),
        Some(false) => (
            Status::Warning,
            format!(
                "{} would make another libfabric abort the process; this one continued",
                names.join(", ")
            ),
        ),
    };
    let mut finding = Finding::new(Check::EnvironmentKiller, status, title)
        .cause(
            killers
                .iter()
                .map(|k| k.message.as_str())
                .collect::<Vec<_>>()
                .join("; "),
        )
        .cure(if killers.len() == 1 {
            first.cure.clone()
        } else {
            killers
                .iter()
                .map(|k| k.cure.as_str())
                .collect::<Vec<_>>()
                .join("; ")
        })
        .reference(FI_EFA);
    for name in &names {
        finding = with_variable(finding, environment, name);
    }
    if died == Some(true) {
        finding = finding.evidence("child process", "ended by SIGABRT");
    }
    match last_words {
        Some(line) => finding.evidence("libfabric's log", line),
        None => finding,
    }
}

/// A true FI_EFA_USE_DEVICE_RDMA aborts the process where a device cannot read remote memory: 1.20
/// when it is asked, 2.x not before an endpoint is opened, which the child does not do.
fn device_rdma(environment: &Environment, rdma_read: &(RdmaSupport, String)) -> Finding {
    let check = Check::EnvironmentKiller;
    let get = |name: &str| environment.get(name).map(OsString::from);
    let (support, origin) = rdma_read;
    let finding = match (wants_device_rdma(&get), support) {
        (false, _) => {
            return Finding::ok(check, "no variable makes libfabric abort the process");
        }
        (true, RdmaSupport::Yes) => Finding::ok(
            check,
            format!("{DEVICE_RDMA} is set, and the devices have RDMA read"),
        ),
        (true, RdmaSupport::No) => Finding::failed(
            check,
            format!(
                "{DEVICE_RDMA} makes libfabric abort the process, in new versions only when an \
                 endpoint is opened"
            ),
        )
        .cause("the EFA devices here have no RDMA read, and the variable requires it"),
        (true, RdmaSupport::Unknown) => Finding::new(
            check,
            Status::Unknown,
            format!("whether {DEVICE_RDMA} makes libfabric abort the process is not known"),
        )
        .cause("it does on EFA devices without RDMA read, when an endpoint is opened"),
    };
    let finding = match support {
        RdmaSupport::Yes => finding,
        _ => finding.cure(DEVICE_RDMA_CURE),
    };
    with_variable(finding, environment, DEVICE_RDMA)
        .evidence("RDMA read", format!("{support}: {origin}"))
        .reference(FI_EFA)
}

/// `environment.fi_provider`: whether the filter leaves efa in. `unknown_name` is what the log
/// called misspelled.
pub(crate) fn fi_provider(environment: &Environment, unknown_name: Option<&str>) -> Finding {
    let check = Check::EnvironmentFiProvider;
    let Some(value) = environment.get("FI_PROVIDER") else {
        return Finding::ok(check, "FI_PROVIDER is not set");
    };
    let (excludes, list) = match value.strip_prefix('^') {
        Some(list) => (true, list),
        None => (false, value.as_str()),
    };
    // As libfabric 1.17 and 2.5.1 do: case does not count, blanks do, and a name with layers is
    // one name. An empty list to include is empty.
    let names: Vec<String> = list.split(',').map(str::to_ascii_lowercase).collect();
    if names.iter().any(|name| name == "efa") != excludes {
        return with_variable(
            Finding::ok(check, "FI_PROVIDER leaves efa in"),
            environment,
            "FI_PROVIDER",
        );
    }
    let nearly = names
        .iter()
        .map(String::as_str)
        .chain(unknown_name)
        .find(|name| !excludes && is_nearly_efa(name.trim()));
    let finding = match nearly {
        Some(name) if name.trim() == "efa" => Finding::failed(
            check,
            format!("FI_PROVIDER='{value}' has a space next to efa"),
        )
        .cause("libfabric treats spaces as part of the name"),
        Some(name) => Finding::failed(
            check,
            format!("FI_PROVIDER={value} does not name efa: '{name}' is misspelled"),
        )
        .cause(
            "libfabric uses only the providers that FI_PROVIDER names, and has none of this name",
        ),
        None if value.is_empty() => Finding::failed(
            check,
            "FI_PROVIDER is empty, which leaves every provider out",
        )
        .cause("set to nothing is not the same as not set"),
        None => Finding::failed(check, format!("FI_PROVIDER={value} leaves efa out")).cause(
            if excludes {
                "a list that begins with ^ is of providers not to use"
            } else {
                "libfabric uses only the providers that FI_PROVIDER names"
            },
        ),
    };
    with_variable(finding, environment, "FI_PROVIDER")
        .cure("unset FI_PROVIDER, or set it to efa")
        .reference(FI_PROVIDER)
}

/// One edit from `efa`, or its letters in another order.
fn is_nearly_efa(name: &str) -> bool {
    let mut letters: Vec<char> = name.chars().collect();
    letters.sort_unstable();
    if letters == ['a', 'e', 'f'] {
        return true;
    }
    match name.len() {
        2 => ["fa", "ea", "ef"].contains(&name),
        3 => {
            name.chars()
                .zip("efa".chars())
                .filter(|(a, b)| a == b)
                .count()
                == 2
        }
        4 => (0..4).any(|left_out| {
            name.chars()
                .enumerate()
                .filter(|(at, _)| *at != left_out)
                .map(|(_, c)| c)
                .eq("efa".chars())
        }),
        _ => false,
    }
}

/// `environment.fi_efa_iface`: `devices` are the names of the EFA devices of this machine.
pub(crate) fn fi_efa_iface(environment: &Environment, devices: &[&str]) -> Finding {
    let check = Check::EnvironmentFiEfaIface;
    let Some(value) = environment.get("FI_EFA_IFACE") else {
        return Finding::ok(check, "FI_EFA_IFACE is not set");
    };
    if value == "all" {
        return Finding::ok(check, "FI_EFA_IFACE=all takes every device");
    }
    if value.is_empty() {
        return Finding::skipped(check, "FI_EFA_IFACE is empty, see environment.killer");
    }
    if devices.is_empty() {
        return Finding::skipped(check, "there is no EFA device to name");
    }
    let names: Vec<&str> = value.split(',').filter(|name| !name.is_empty()).collect();
    let unknown: Vec<&str> = names
        .iter()
        .copied()
        .filter(|name| !devices.contains(name))
        .collect();
    let finding = match (unknown.is_empty(), unknown.len() == names.len()) {
        (true, _) if names.len() >= devices.len() => {
            Finding::ok(check, "FI_EFA_IFACE names every EFA device")
        }
        (true, _) => Finding::new(
            check,
            Status::Info,
            format!(
                "FI_EFA_IFACE takes {} of {} EFA devices",
                names.len(),
                devices.len()
            ),
        ),
        (false, every) => {
            let status = if every {
                Status::Failed
            } else {
                Status::Warning
            };
            let suffixed = unknown.iter().find_map(|name| {
                let bare = name
                    .strip_suffix("-rdm")
                    .or_else(|| name.strip_suffix("-dgrm"))?;
                devices.contains(&bare).then_some(bare)
            });
            let finding = Finding::new(
                check,
                status,
                format!("FI_EFA_IFACE names {} that does not exist", unknown.join(", ")),
            )
            .cause(match suffixed {
                Some(_) => {
                    "FI_EFA_IFACE takes RDMA device names; -rdm and -dgrm belong to libfabric's domain names"
                }
                None => "names are compared letter by letter, and every device that is not named is left out",
            });
            match suffixed {
                Some(bare) => finding.cure(format!("set FI_EFA_IFACE={bare}, or unset it")),
                None => finding.cure("unset FI_EFA_IFACE, or name devices of this machine"),
            }
            .evidence("/sys/class/infiniband", devices.join(" "))
        }
    };
    with_variable(finding, environment, "FI_EFA_IFACE").reference(FI_EFA)
}

/// `environment.ineffective`: settings that recipes spread and libfabric never reads.
pub(crate) fn ineffective(environment: &Environment) -> Finding {
    let check = Check::EnvironmentIneffective;
    if !environment.contains_key("FI_EFA_DEVICE_NAME") {
        return Finding::ok(check, "no variable that libfabric would ignore");
    }
    let finding = Finding::new(
        check,
        Status::Warning,
        "FI_EFA_DEVICE_NAME does nothing: no libfabric reads it",
    )
    .cause("the variable that chooses devices is FI_EFA_IFACE")
    .cure("unset FI_EFA_DEVICE_NAME; set FI_EFA_IFACE to choose devices")
    .reference(FI_EFA);
    with_variable(finding, environment, "FI_EFA_DEVICE_NAME")
}

fn with_variable(finding: Finding, environment: &Environment, name: &str) -> Finding {
    match environment.get(name) {
        Some(value) => finding.evidence(format_args!("environment {name}"), format!("'{value}'")),
        None => finding,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn unknown() -> (RdmaSupport, String) {
        (RdmaSupport::Unknown, "nobody knows".to_owned())
    }

    #[test]
    fn device_rdma_is_judged_by_what_the_device_can() {
        use RdmaSupport::{No, Unknown, Yes};
        for (value, support, status) in [
            (Some("1"), No, Status::Failed),
            (Some("true"), No, Status::Failed),
            (Some("YES"), No, Status::Failed),
            (Some("on"), Unknown, Status::Unknown),
            (Some("1"), Yes, Status::Ok),
            (Some("0"), No, Status::Ok),
            (Some("off"), Unknown, Status::Ok),
            (None, No, Status::Ok),
            // Not a boolean: it aborts the process on every device.
            (Some("2"), Yes, Status::Failed),
        ] {
            let set: Environment = value
                .map(|value| (DEVICE_RDMA.to_owned(), value.to_owned()))
                .into_iter()
                .collect();
            // That libfabric answered proves nothing: endpoints come later.
            let died = if value == Some("2") {
                None
            } else {
                Some(false)
            };
            let finding = killer(&set, died, None, &(support, "by type".to_owned()));
            assert_eq!(finding.status, status, "{value:?} {support}");
            let has_cure = matches!(status, Status::Failed | Status::Unknown);
            assert_eq!(finding.cure.is_some(), has_cure, "{value:?} {support}");
        }
    }

    #[test]
    fn every_killer_is_found() {
        let environment = environment(&[
            ("FI_EFA_MTU_SIZE", ""),
            ("FI_EFA_RX_IOV_LIMIT", "4"),
            ("FI_EFA_IFACE", ""),
            ("FI_EFA_TX_MIN_CREDITS", "-1"),
            ("FI_EFA_USE_HUGE_PAGE", "1"),
            ("FI_EFA_FORK_SAFE", "1"),
            ("PATH", "/bin"),
        ]);
        let names: Vec<_> = killers(&environment)
            .into_iter()
            .map(|k| k.variable)
            .collect();
        assert_eq!(
            names,
            [
                "FI_EFA_MTU_SIZE",
                "FI_EFA_RX_IOV_LIMIT",
                "FI_EFA_IFACE",
                "FI_EFA_TX_MIN_CREDITS",
                "FI_EFA_USE_HUGE_PAGE"
            ]
        );
    }

    #[test]
    fn a_killer_fails_unless_libfabric_went_on() {
        let set = environment(&[("FI_EFA_MTU_SIZE", "4096")]);
        for (died, status) in [
            (Some(true), Status::Failed),
            (None, Status::Failed),
            (Some(false), Status::Warning),
        ] {
            let finding = killer(&set, died, None, &unknown());
            assert_eq!(finding.status, status, "{died:?}");
            assert_eq!(finding.cure.as_deref(), Some("unset FI_EFA_MTU_SIZE"));
        }
        let finding = killer(
            &set,
            Some(true),
            Some("FI_EFA_MTU_SIZE env variable detected!"),
            &unknown(),
        );
        let values: Vec<_> = finding.evidence.iter().map(|e| e.value.as_str()).collect();
        assert_eq!(
            values,
            [
                "'4096'",
                "ended by SIGABRT",
                "FI_EFA_MTU_SIZE env variable detected!"
            ]
        );
        assert_eq!(
            killer(&Environment::new(), Some(true), None, &unknown()).status,
            Status::Ok
        );
    }

    #[test]
    fn provider_filters() {
        for (value, status, word) in [
            ("efa", Status::Ok, "leaves efa in"),
            ("EFA", Status::Ok, "leaves efa in"),
            ("tcp,efa", Status::Ok, "leaves efa in"),
            ("^tcp", Status::Ok, "leaves efa in"),
            ("^", Status::Ok, "leaves efa in"),
            ("^efaa", Status::Ok, "leaves efa in"),
            ("", Status::Failed, "is empty"),
            (" efa", Status::Failed, "space"),
            ("tcp, EFA", Status::Failed, "space"),
            ("efa;ofi_rxd", Status::Failed, "leaves efa out"),
            ("tcp", Status::Failed, "leaves efa out"),
            ("^efa", Status::Failed, "leaves efa out"),
            ("^tcp,EFA", Status::Failed, "leaves efa out"),
            ("efaa", Status::Failed, "misspelled"),
            ("eaf", Status::Failed, "misspelled"),
            ("ef", Status::Failed, "misspelled"),
            ("efs", Status::Failed, "misspelled"),
            ("verbs,shm", Status::Failed, "leaves efa out"),
            ("udp", Status::Failed, "leaves efa out"),
        ] {
            let finding = fi_provider(&environment(&[("FI_PROVIDER", value)]), None);
            assert_eq!(finding.status, status, "{value}");
            assert!(finding.title.contains(word), "{value}: {}", finding.title);
        }
        assert_eq!(fi_provider(&Environment::new(), None).status, Status::Ok);
    }

    #[test]
    fn device_filters() {
        let devices = ["rdmap0s6", "rdmap0s7"];
        for (value, status, word) in [
            ("all", Status::Ok, "every"),
            ("rdmap0s6,rdmap0s7", Status::Ok, "every"),
            ("rdmap0s6", Status::Info, "1 of 2"),
            ("rdmap0s6,efa_0", Status::Warning, "efa_0"),
            ("rdmap0s6-rdm", Status::Failed, "rdmap0s6-rdm"),
            ("RDMAP0S6", Status::Failed, "RDMAP0S6"),
            ("", Status::NotApplicable, "killer"),
        ] {
            let finding = fi_efa_iface(&environment(&[("FI_EFA_IFACE", value)]), &devices);
            assert_eq!(finding.status, status, "{value}");
            assert!(finding.title.contains(word), "{value}: {}", finding.title);
        }
        let suffixed = fi_efa_iface(&environment(&[("FI_EFA_IFACE", "rdmap0s6-rdm")]), &devices);
        assert!(suffixed.cure.unwrap().contains("FI_EFA_IFACE=rdmap0s6,"));
        let none = fi_efa_iface(&environment(&[("FI_EFA_IFACE", "efa_0")]), &[]);
        assert_eq!(none.status, Status::NotApplicable);
    }

    #[test]
    fn the_variable_that_never_was() {
        let set = environment(&[("FI_EFA_DEVICE_NAME", "rdmap0s6")]);
        assert_eq!(ineffective(&set).status, Status::Warning);
        assert_eq!(ineffective(&Environment::new()).status, Status::Ok);
    }
}

//! Interfaces of any document, against the rules of their type and against what it could have.

use serde_json::Value;

use super::document::Findings;
use super::report::{DocumentFinding, Severity};
use crate::catalog::{Catalog, InstanceType};
use crate::handoff::interfaces;
use crate::layout::{self, Layout, violations};

/// A list of interfaces in a document.
pub(super) struct InterfaceList<'a> {
    /// The type that is launched with it.
    pub(super) instance_type: &'a str,
    /// The entries.
    pub(super) list: &'a [Value],
    /// Where the list stands.
    pub(super) path: String,
}

/// Reports what EC2 would refuse, and EFA that the type has and the list leaves out; `corrected`
/// writes a layout in the document's language.
pub(super) fn check_interfaces(
    list: &InterfaceList<'_>,
    catalog: &Catalog,
    found: &mut Findings,
    corrected: impl Fn(&Layout) -> String,
) {
    let Some(instance_type) = catalog.get(list.instance_type) else {
        found.out_of_sight(&format!(
            "whether the interfaces fit {}, which the catalogue does not hold: give one of your \
             Region (Client.catalog)",
            list.instance_type
        ));
        return;
    };
    let planned = instance_type.layout(&layout::Request::default()).ok();
    let corrected = || planned.as_ref().map(&corrected);
    let interfaces = match interfaces::read_interfaces(list.list) {
        Ok(interfaces) => interfaces,
        Err(malformed) => {
            found.push(DocumentFinding::new(
                Severity::Error,
                "interfaces.malformed",
                format!("{}.{}", list.path, malformed.at),
                malformed.message,
                "write it as EC2's NetworkInterfaces has it",
            ));
            return;
        }
    };
    let broken = violations(instance_type, &interfaces);
    let launches = broken.is_empty();
    for violation in broken {
        let mut finding = DocumentFinding::new(
            Severity::Error,
            violation.code.as_str(),
            &list.path,
            violation.message,
            violation.cure,
        );
        finding.corrected = corrected();
        found.push(finding);
    }
    let efas = interfaces
        .iter()
        .filter(|i| i.interface_type.is_efa())
        .count();
    if launches && let Some(mut finding) = too_few(instance_type, efas, &list.path) {
        finding.corrected = corrected();
        found.push(finding);
    }
}

/// Fewer EFA interfaces than the type can have.
pub(super) fn too_few(
    instance_type: &InstanceType,
    efas: usize,
    path: &str,
) -> Option<DocumentFinding> {
    let maximum = instance_type.maximum_efa_interfaces as usize;
    let wanted = instance_type
        .layout(&layout::Request::default())
        .map_or(maximum, |layout| layout.efa_count());
    (efas < wanted).then(|| {
        let name = &instance_type.name;
        let (id, message) = match efas {
            0 => (
                "interfaces.no_efa",
                format!("no EFA, {name} can have {wanted}"),
            ),
            _ => (
                "interfaces.efa_left_out",
                format!("{efas} EFA of the {wanted} that {name} can have"),
            ),
        };
        DocumentFinding::new(
            Severity::Warning,
            id,
            path,
            message,
            "list an EFA interface on every network card, unless you meant fewer",
        )
    })
}

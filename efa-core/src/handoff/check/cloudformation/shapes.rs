//! What has another shape in a template than its resources have there.

use super::template::{INTERFACE, Template};
use super::uses::KINDS;
use crate::handoff::check::document::{Checked, Findings};
use crate::handoff::check::shape::{self, Place, Shape};

/// What is read of resources that launch nothing from a launch template.
const PLACES: &[(&str, &[Place])] = &[
    (
        "AWS::EC2::Instance",
        &[("NetworkInterfaces", Shape::Mappings)],
    ),
    (
        INTERFACE,
        &[
            ("GroupSet", Shape::Names),
            ("InterfaceType", Shape::Word),
            ("SubnetId", Shape::Name),
        ],
    ),
    ("AWS::EC2::PlacementGroup", &[("Strategy", Shape::Word)]),
    (
        "AWS::EC2::SecurityGroup",
        &[
            ("SecurityGroupEgress", Shape::Mappings),
            ("SecurityGroupIngress", Shape::Mappings),
        ],
    ),
];

pub(super) fn check_shapes(document: &Checked<'_>, template: &Template, found: &mut Findings) {
    for resource in template.all() {
        let path = resource.path(document, "");
        let object = shape::Object {
            name: resource.name,
            path: &path,
            value: resource.properties,
            blocks: false,
        };
        for (_, places) in PLACES.iter().filter(|(kind, _)| *kind == resource.kind) {
            object.check_shapes(places, found);
        }
        for kind in KINDS.iter().filter(|kind| kind.name == resource.kind) {
            for at in kind.templates {
                object.check_shapes(&[(&at[1..], Shape::Mapping)], found);
            }
            for at in kind.types.iter().chain(kind.subnets) {
                let shape = match at.rsplit('/').next() {
                    Some("InstanceType" | "SubnetId") => Shape::Name,
                    _ => Shape::Names,
                };
                object.check_shapes(&[(&at[1..], shape)], found);
            }
        }
    }
}

//! What launches from a launch template of the same text, and with which types and subnets.

use std::collections::HashMap;

use serde_json::Value;

use super::template::{LAUNCH_TEMPLATE, Resource, Template, entries};
use crate::handoff::check::document::Checked;
use crate::handoff::check::launch::{Launch, Places, Types};

/// A resource that launches from a launch template.
pub(super) struct Use {
    types: Types,
    places: Option<Places>,
    /// The node group's name, where EKS manages it.
    node_group: Option<String>,
    /// Whether the types stand in place of the template's own.
    overrides: bool,
}

impl Use {
    /// Adds what the user sets to the launch from the template.
    pub(super) fn describe(&self, launch: &mut Launch<'_>) {
        if self.overrides {
            launch.types.names.clear();
        }
        launch.types.extend(&self.types);
        launch.places.extend(self.places.clone());
        if self.node_group.is_some() {
            launch.node_group.clone_from(&self.node_group);
        }
    }
}

/// Where a kind of resource has its template, types and subnets, as JSON pointers in its
/// properties.
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) templates: &'static [&'static str],
    pub(super) types: &'static [&'static str],
    pub(super) subnets: &'static [&'static str],
    node_group: bool,
}

pub(super) const KINDS: &[Kind] = &[
    Kind {
        name: "AWS::EC2::Instance",
        templates: &["/LaunchTemplate"],
        types: &["/InstanceType"],
        subnets: &[],
        node_group: false,
    },
    Kind {
        name: "AWS::EKS::Nodegroup",
        templates: &["/LaunchTemplate"],
        types: &["/InstanceTypes"],
        subnets: &["/Subnets"],
        node_group: true,
    },
    Kind {
        name: "AWS::Batch::ComputeEnvironment",
        templates: &["/ComputeResources/LaunchTemplate"],
        types: &["/ComputeResources/InstanceTypes"],
        subnets: &["/ComputeResources/Subnets"],
        node_group: false,
    },
    Kind {
        name: "AWS::AutoScaling::AutoScalingGroup",
        templates: &[
            "/LaunchTemplate",
            "/MixedInstancesPolicy/LaunchTemplate/LaunchTemplateSpecification",
        ],
        types: &["/MixedInstancesPolicy/LaunchTemplate/Overrides/*/InstanceType"],
        subnets: &["/VPCZoneIdentifier"],
        node_group: false,
    },
    Kind {
        name: "AWS::PCS::ComputeNodeGroup",
        templates: &["/CustomLaunchTemplate"],
        types: &["/InstanceConfigs/*/InstanceType"],
        subnets: &["/SubnetIds"],
        node_group: false,
    },
    Kind {
        name: "AWS::EC2::EC2Fleet",
        templates: &["/LaunchTemplateConfigs/*/LaunchTemplateSpecification"],
        types: &["/LaunchTemplateConfigs/*/Overrides/*/InstanceType"],
        subnets: &["/LaunchTemplateConfigs/*/Overrides/*/SubnetId"],
        node_group: false,
    },
    Kind {
        name: "AWS::EC2::SpotFleet",
        templates: &[
            "/SpotFleetRequestConfigData/LaunchTemplateConfigs/*/LaunchTemplateSpecification",
        ],
        types: &["/SpotFleetRequestConfigData/LaunchTemplateConfigs/*/Overrides/*/InstanceType"],
        subnets: &["/SpotFleetRequestConfigData/LaunchTemplateConfigs/*/Overrides/*/SubnetId"],
        node_group: false,
    },
];

/// Whether `read` looks at resources of this type.
pub(super) fn reads(kind: &str) -> bool {
    KINDS.iter().any(|known| known.name == kind)
}

/// Every use of a launch template of the text, by the template's name.
pub(super) fn read(document: &Checked<'_>, template: &Template) -> HashMap<String, Vec<Use>> {
    let templates = template.of_kind(LAUNCH_TEMPLATE);
    let by_name: HashMap<String, Resource<'_>> = templates
        .filter_map(|made| Some((made.get("LaunchTemplateName")?.to_string(), made)))
        .collect();
    let mut uses: HashMap<String, Vec<Use>> = HashMap::new();
    for kind in KINDS {
        for resource in template.of_kind(kind.name) {
            for chosen in all_at(resource.properties, kind.templates) {
                let id = [
                    "LaunchTemplateId",
                    "Id",
                    "TemplateId",
                    "LaunchTemplateName",
                    "Name",
                ];
                let Some(id) = id.iter().find_map(|key| chosen.get(key)) else {
                    continue;
                };
                let made = template.referred(id, LAUNCH_TEMPLATE);
                if let Some(made) = made.or_else(|| by_name.get(&id.to_string()).copied()) {
                    let of_template = uses.entry(made.name.to_owned()).or_default();
                    of_template.push(used(document, kind, &resource, made));
                }
            }
        }
    }
    uses
}

fn used(document: &Checked<'_>, kind: &Kind, resource: &Resource<'_>, made: Resource<'_>) -> Use {
    let mut types = Types::default();
    let named = all_at(resource.properties, kind.types);
    let overrides = !named.is_empty();
    for value in named {
        types.add(value);
    }
    let mut subnets: Vec<&Value> = Vec::new();
    for value in all_at(resource.properties, kind.subnets) {
        match value {
            Value::Array(_) => subnets.extend(entries(Some(value))),
            one => subnets.push(one),
        }
    }
    let mut different: Vec<String> = subnets.iter().map(|subnet| subnet.to_string()).collect();
    different.sort();
    different.dedup();
    let at = kind.subnets.first().copied().unwrap_or_default();
    let at = at.trim_start_matches('/').replace('/', ".");
    let places = (different.len() > 1).then(|| Places {
        path: resource.path(document, at.split(".*").next().unwrap_or(&at)),
        what: format!("instances in {} subnets", different.len()),
    });
    Use {
        overrides: overrides
            && made
                .get("LaunchTemplateData")
                .is_some_and(|d| d.get("InstanceType").is_none()),
        types,
        places,
        node_group: kind.node_group.then(|| resource.name.to_owned()),
    }
}

/// The values at JSON pointers in which `*` stands for every entry of a list.
fn all_at<'a>(value: &'a Value, pointers: &[&str]) -> Vec<&'a Value> {
    let mut found = Vec::new();
    for pointer in pointers {
        let mut level = vec![value];
        for part in pointer.split('/').skip(1) {
            level = level
                .into_iter()
                .flat_map(|value| match part {
                    "*" => value.as_array().into_iter().flatten().collect::<Vec<_>>(),
                    key => value.get(key).into_iter().collect(),
                })
                .collect();
        }
        found.extend(level);
    }
    found
}

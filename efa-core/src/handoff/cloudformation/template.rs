//! A template in the making: parameters, resources, outputs, and comments above them.

use super::options::{CloudFormationOptions, TemplateFormat};
use crate::handoff::document::{Document, Node, json_text, mapping, put, yaml_text};
use crate::handoff::launch_template::{shared_tags, tag_list};
use crate::handoff::provenance;
use crate::plan::Plan;

/// A template in the making.
pub(super) struct Template<'a> {
    pub(super) plan: &'a Plan,
    pub(super) options: &'a CloudFormationOptions,
    parameters: yaml_serde::Mapping,
    pub(super) resources: yaml_serde::Mapping,
    outputs: yaml_serde::Mapping,
    comments: Vec<(String, &'static str)>,
}

impl<'a> Template<'a> {
    /// A template without a resource yet.
    pub(super) fn new(plan: &'a Plan, options: &'a CloudFormationOptions) -> Self {
        Self {
            plan,
            options,
            parameters: yaml_serde::Mapping::new(),
            resources: yaml_serde::Mapping::new(),
            outputs: yaml_serde::Mapping::new(),
            comments: Vec::new(),
        }
    }

    /// Adds a parameter with the plan's value as its default; what refers to it.
    pub(super) fn parameter(
        &mut self,
        name: &str,
        kind: &str,
        description: &str,
        default: &str,
    ) -> Node {
        let parameter = mapping! {
            "Type" => kind,
            "Description" => description,
            "Default" => default,
        };
        put(&mut self.parameters, name, parameter);
        reference(name)
    }

    /// Adds a resource; what refers to it.
    pub(super) fn resource(&mut self, name: &str, kind: &str, properties: Node) -> Node {
        let resource = mapping! { "Type" => kind, "Properties" => properties };
        put(&mut self.resources, name, resource);
        reference(name)
    }

    /// A comment above a resource.
    pub(super) fn explain(&mut self, resource: &str, text: &'static str) {
        self.comments.push((format!("Resources.{resource}"), text));
    }

    pub(super) fn output(&mut self, name: &str, description: &str, value: Node) {
        let output = mapping! { "Description" => description, "Value" => value };
        put(&mut self.outputs, name, output);
    }

    /// Tags of efa-sdk on everything that can be tagged.
    pub(super) fn tags(&self) -> Node {
        tag_list(&shared_tags(self.plan))
    }

    pub(super) fn text(self) -> String {
        let plan = self.plan;
        let body = mapping! {
            "AWSTemplateFormatVersion" => "2010-09-09",
            "Description" => format!(
                "EFA cluster {} of {} {}. Written by {} for plan {}.",
                plan.name(),
                plan.spec().count,
                plan.spec().instance_type,
                provenance::tag_value(plan),
                plan.fingerprint()
            ),
            "Metadata" => mapping! { "efa-sdk" => mapping! {
                "Planner" => provenance::tag_value(plan),
                "Plan" => plan.fingerprint(),
                "Interfaces" => plan.layout().notation(),
            } },
            "Parameters" => Node::Mapping(self.parameters),
            "Resources" => Node::Mapping(self.resources),
            "Outputs" => Node::Mapping(self.outputs),
        };
        if self.options.format == TemplateFormat::Json {
            return json_text(&body);
        }
        let document = self
            .comments
            .iter()
            .fold(Document::new(body), |document, (path, text)| {
                document.comment(path, text)
            });
        yaml_text(&provenance::header(plan, plan.layout()), &[document])
    }
}

/// `{"Ref": name}`.
pub(super) fn reference(name: &str) -> Node {
    mapping! { "Ref" => name }
}

/// `{"Fn::GetAtt": [name, attribute]}`.
pub(super) fn attribute(name: &str, attribute: &str) -> Node {
    mapping! { "Fn::GetAtt" => vec![Node::from(name), Node::from(attribute)] }
}

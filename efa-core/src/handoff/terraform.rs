//! `aws_launch_template` in Terraform's JSON syntax.

use super::document::{Node, json_text, mapping};
use super::interfaces::snake_case;
use super::launch_template::{self, LaunchTemplateFor, LaunchTemplateOptions, template_data};
use super::provenance;
use crate::error::Result;
use crate::plan::Plan;

/// The first provider whose `interface_type` takes `efa-only`: hashicorp/terraform-provider-aws
/// pull request 39882, released in 5.74 (terraform-aws-modules/terraform-aws-eks#3196).
const PROVIDER: &str = ">= 5.74.0";

impl Plan {
    /// Returns a configuration in Terraform's JSON syntax, for a file `*.tf.json`: one
    /// `aws_launch_template`, named after the cluster, with the same data as
    /// [`to_launch_template`](Self::to_launch_template).
    ///
    /// # Errors
    /// As [`to_launch_template`](Self::to_launch_template).
    pub fn to_terraform(&self, launcher: LaunchTemplateFor) -> Result<String> {
        self.to_terraform_with(&LaunchTemplateOptions {
            launcher,
            ..LaunchTemplateOptions::default()
        })
    }

    /// Returns [`to_terraform`](Self::to_terraform) with options.
    ///
    /// # Errors
    /// As there, and `handoff.invalid_option`.
    pub fn to_terraform_with(&self, options: &LaunchTemplateOptions) -> Result<String> {
        let data = template_data(self, options)?;
        let mut template = mapping! {
            "name" => launch_template::name(self),
            "description" => provenance::tag_value(self),
            "update_default_version" => true,
        };
        if let (Node::Mapping(template), Node::Mapping(data)) = (&mut template, data) {
            template.extend(data.into_iter().map(argument));
            let tags = launch_template::tag_list(&launch_template::shared_tags(self));
            template.insert("tags".into(), tag_map(&tags));
        }
        // A resource's name has no hyphen by Terraform's own style.
        let resource = self.name().replace('-', "_");
        let comment: Vec<Node> = provenance::header(self, self.layout())
            .into_iter()
            .chain(options.warning().map(str::to_owned))
            .map(Node::from)
            .collect();
        escape(&mut template);
        Ok(json_text(&mapping! {
            "//" => comment,
            "terraform" => mapping! {
                "required_providers" => mapping! {
                    "aws" => mapping! { "source" => "hashicorp/aws", "version" => PROVIDER },
                },
            },
            "resource" => mapping! {
                "aws_launch_template" => mapping! { resource.as_str() => template },
            },
        }))
    }
}

/// Doubles what Terraform would take for the start of an expression: every text of efa-sdk is
/// plain.
fn escape(value: &mut Node) {
    let plain = |text: &str| text.replace("${", "$${").replace("%{", "%%{");
    match value {
        Node::String(text) => *text = plain(text),
        Node::Sequence(list) => list.iter_mut().for_each(escape),
        Node::Mapping(map) => {
            for (mut key, mut value) in std::mem::take(map) {
                escape(&mut key);
                escape(&mut value);
                map.insert(key, value);
            }
        }
        _ => {}
    }
}

/// An entry of EC2's data as Terraform's argument: names in snake case, tags as a map, and a
/// nested structure as a block, which JSON syntax writes as a list of objects.
fn argument((key, value): (Node, Node)) -> (Node, Node) {
    let name = match key.as_str().unwrap_or_default() {
        "Groups" => "security_groups".to_owned(),
        "SecondaryPrivateIpAddressCount" => "ipv4_address_count".to_owned(),
        other => snake_case(other),
    };
    let value = match (name.as_str(), value) {
        ("tags", list) => tag_map(&list),
        (_, Node::Mapping(block)) => Node::Sequence(vec![self::block(block)]),
        (_, Node::Sequence(list)) => list.into_iter().map(entry).collect(),
        (_, plain) => plain,
    };
    (name.into(), value)
}

fn entry(value: Node) -> Node {
    match value {
        Node::Mapping(block) => self::block(block),
        plain => plain,
    }
}

fn block(entries: yaml_serde::Mapping) -> Node {
    Node::Mapping(entries.into_iter().map(argument).collect())
}

/// EC2's list of `Key` and `Value` as a map.
fn tag_map(list: &Node) -> Node {
    let tags = list.as_sequence().into_iter().flatten();
    let tag = |tag: &Node| Some((tag.get("Key")?.clone(), tag.get("Value")?.clone()));
    Node::Mapping(tags.filter_map(tag).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::catalog::Catalog;
    use crate::fixtures::prepared_plan;
    use crate::handoff::{check, interfaces};
    use crate::spec::{Capacity, ClusterSpec};

    fn written(spec: &ClusterSpec) -> (Plan, Value) {
        let plan = prepared_plan(spec);
        let text = plan.to_terraform(LaunchTemplateFor::Ec2).unwrap();
        assert!(check(&text, Catalog::bundled()).unwrap().is_clean());
        (plan, serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn the_resource_says_in_terraforms_words_what_the_template_says() {
        let spec = ClusterSpec::new(
            "train-1",
            "p5.48xlarge",
            2,
            "subnet-00000001",
            "ami-00000001",
        );
        let (plan, document) = written(&spec);
        let template = &document["resource"]["aws_launch_template"]["train_1"];
        assert_eq!(template["name"], "efa-sdk-train-1");
        let list = template["network_interfaces"].as_array().unwrap();
        assert_eq!(
            interfaces::read_interfaces(list).unwrap(),
            plan.layout().interfaces
        );
        assert_eq!(list[32]["security_groups"][0], "sg-1");
        assert_eq!(template["placement"][0]["group_name"], "efa-sdk-train-1");
        assert_eq!(template["metadata_options"][0]["http_tokens"], "required");
        let volume = &template["block_device_mappings"][0]["ebs"][0];
        assert_eq!(
            (&volume["encrypted"], &volume["volume_type"]),
            (&true.into(), &"gp3".into())
        );
        let tags = &template["tag_specifications"][0]["tags"];
        assert_eq!(
            (&tags["efa-sdk:subnet"], &tags["Name"]),
            (&"subnet-00000001".into(), &"train-1".into())
        );
        assert!(
            template["tags"]["efa-sdk:planner"]
                .as_str()
                .unwrap()
                .contains("save-ips")
        );
    }

    #[test]
    fn texts_are_no_expressions() {
        let mut spec = ClusterSpec::new(
            "train",
            "p4d.24xlarge",
            2,
            "subnet-00000001",
            "ami-00000001",
        );
        let tags = [
            ("who", "${var.who} %{if x}"),
            ("a%{b", "100%"),
            ("c", "$${d"),
        ];
        for (key, value) in tags {
            spec.tags.insert(key.to_owned(), value.to_owned());
        }
        let (_, document) = written(&spec);
        let template = &document["resource"]["aws_launch_template"]["train"];
        let written = &template["tag_specifications"][0]["tags"];
        assert_eq!(written["who"], "$${var.who} %%{if x}");
        assert_eq!(written["a%%{b"], "100%");
        assert_eq!(written["c"], "$$${d");
    }

    #[test]
    fn spot_is_a_block_in_a_block() {
        let mut spec = ClusterSpec::new(
            "train",
            "p4d.24xlarge",
            2,
            "subnet-00000001",
            "ami-00000001",
        );
        spec.capacity = Capacity::Spot;
        let (_, document) = written(&spec);
        let options =
            &document["resource"]["aws_launch_template"]["train"]["instance_market_options"][0];
        assert_eq!(options["spot_options"][0]["spot_instance_type"], "one-time");
    }
}

//! The EFA part of Terraform JSON: launch templates, and instances that list their interfaces.

use serde_json::Value;

use super::document::{Checked, Findings};
use super::interfaces::{self, InterfaceList};
use super::report::{DocumentFinding, Severity};
use crate::handoff::document::json_text;
use crate::layout::Layout;

pub(super) fn check_launch_templates(document: &Checked<'_>, found: &mut Findings) {
    for (name, template) in resources(document.document, "aws_launch_template") {
        check_template(
            document,
            &format!("resource.aws_launch_template.{name}"),
            template,
            found,
        );
    }
    for (name, instance) in resources(document.document, "aws_instance") {
        check_instance(
            document,
            &format!("resource.aws_instance.{name}"),
            instance,
            found,
        );
    }
}

/// Name and body of each resource of a type: JSON syntax has an object, or a list of objects, at
/// every level.
fn resources<'a>(document: &'a Value, kind: &str) -> Vec<(&'a str, &'a Value)> {
    let blocks = |value: &'a Value| match value {
        Value::Array(list) => list.iter().collect::<Vec<_>>(),
        other => vec![other],
    };
    let kinds = document.get("resource").map(blocks).unwrap_or_default();
    let named = kinds
        .into_iter()
        .filter_map(|block| block.get(kind))
        .flat_map(blocks);
    named
        .filter_map(Value::as_object)
        .flatten()
        .flat_map(|(name, body)| {
            blocks(body)
                .into_iter()
                .map(move |body| (name.as_str(), body))
        })
        .collect()
}

fn check_template(document: &Checked<'_>, at: &str, template: &Value, found: &mut Findings) {
    let path = |key: &str| document.path(&format!("{at}.{key}"));
    let instance_type = template.get("instance_type").and_then(Value::as_str);
    let Some(instance_type) = instance_type.filter(|name| !name.contains("${")) else {
        found.out_of_sight(
            "the instance type, which stands elsewhere: the interfaces cannot be checked",
        );
        return;
    };
    let Some(list) = template.get("network_interfaces") else {
        if let Some(t) = document.catalog.get(instance_type)
            && let Some(finding) = interfaces::too_few(t, 0, &path("network_interfaces"))
        {
            found.push(finding);
        }
        return;
    };
    let list: Vec<Value> = match list {
        Value::Array(list) => list.clone(),
        one => vec![one.clone()],
    };
    let like = list.first().cloned().unwrap_or_default();
    let list = InterfaceList {
        instance_type,
        list: &list,
        path: path("network_interfaces"),
    };
    interfaces::check_interfaces(&list, document.catalog, found, |layout| {
        corrected(layout, &like)
    });
    for key in ["vpc_security_group_ids", "security_group_names"] {
        if template.get(key).is_some() {
            found.push(DocumentFinding::new(
                Severity::Error,
                "terraform.beside_interfaces",
                path(key),
                format!("EC2 refuses {key} beside network_interfaces"),
                "give security_groups in each network_interfaces block instead",
            ));
        }
    }
    found.out_of_sight(
        "whether the security groups have the all-protocol rules with themselves both ways: \
         Client.verify_instance reads them",
    );
}

/// `aws_instance` has no argument for the type of an interface: EFA comes by a launch template, or
/// by an `aws_network_interface` made before.
fn check_instance(document: &Checked<'_>, at: &str, instance: &Value, found: &mut Findings) {
    let has = |key: &str| instance.get(key).is_some();
    let efa = instance
        .get("instance_type")
        .and_then(Value::as_str)
        .and_then(|name| document.catalog.get(name))
        .is_some();
    if efa
        && !has("launch_template")
        && !has("network_interface")
        && !has("primary_network_interface")
    {
        found.push(DocumentFinding::new(
            Severity::Warning,
            "terraform.instance_without_efa",
            document.path(at),
            "aws_instance cannot say interface_type: the instance gets no EFA",
            "launch it from an aws_launch_template with network_interfaces",
        ));
    }
}

/// The layout's blocks, with groups and subnet of a block of the document.
fn corrected(layout: &Layout, like: &Value) -> String {
    let entries: Vec<Value> = layout
        .interfaces
        .iter()
        .map(|interface| {
            let mut entry = serde_json::json!({
                "network_card_index": interface.network_card_index,
                "device_index": interface.device_index,
                "interface_type": interface.interface_type,
                "delete_on_termination": true,
            });
            for key in ["security_groups", "subnet_id"] {
                if let Some(value) = like.get(key) {
                    entry[key] = value.clone();
                }
            }
            if let Some(public) = interface.associate_public_ip_address {
                entry["associate_public_ip_address"] = public.into();
            }
            entry
        })
        .collect();
    json_text(&entries)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::catalog::Catalog;

    #[test]
    fn each_broken_configuration_has_its_one_finding() {
        let one =
            json!({"device_index": 0, "interface_type": "efa", "security_groups": ["${x.id}"]});
        let cases = [
            (
                "one block of 32",
                json!({"instance_type": "p5.48xlarge", "network_interfaces": one}),
                "interfaces.efa_left_out",
            ),
            (
                "none",
                json!({"instance_type": "p5.48xlarge"}),
                "interfaces.no_efa",
            ),
            (
                "wrong device",
                json!({"instance_type": "hpc6id.32xlarge", "network_interfaces": [one, {"network_card_index": 1, "device_index": 1, "interface_type": "efa"}]}),
                "layout.device_index_out_of_range",
            ),
            (
                "groups beside",
                json!({"instance_type": "c7i.48xlarge", "vpc_security_group_ids": ["sg-1"], "network_interfaces": [one]}),
                "terraform.beside_interfaces",
            ),
        ];
        for (name, template, id) in cases {
            for body in [template.clone(), json!([template])] {
                let document = json!({"resource": [{"aws_launch_template": {"efa": body}}]});
                let report =
                    crate::handoff::check(&document.to_string(), Catalog::bundled()).unwrap();
                let ids: Vec<&str> = report.findings.iter().map(|f| f.id.as_str()).collect();
                assert_eq!(ids, [id], "{name}: {report}");
            }
        }
        let document =
            json!({"resource": {"aws_instance": {"n": {"instance_type": "p5.48xlarge"}}}});
        let report = crate::handoff::check(&document.to_string(), Catalog::bundled()).unwrap();
        assert_eq!(report.findings[0].id, "terraform.instance_without_efa");
        assert_eq!(report.findings[0].path, "resource.aws_instance.n");
    }
}

use serde_json::json;

use crate::catalog::Catalog;

#[test]
fn each_broken_configuration_has_its_one_finding() {
    let one = json!({"device_index": 0, "interface_type": "efa", "security_groups": ["${x.id}"]});
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
            "groups with interfaces",
            json!({"instance_type": "c7i.48xlarge", "vpc_security_group_ids": ["sg-1"], "network_interfaces": [one]}),
            "terraform.groups_or_subnet_with_interfaces",
        ),
    ];
    for (name, template, id) in cases {
        for body in [template.clone(), json!([template])] {
            let document = json!({"resource": [{"aws_launch_template": {"efa": body}}]});
            let report = crate::handoff::check(&document.to_string(), Catalog::bundled()).unwrap();
            let ids: Vec<&str> = report.findings.iter().map(|f| f.id.as_str()).collect();
            assert_eq!(ids, [id], "{name}: {report}");
        }
    }
    let document = json!({"resource": {"aws_instance": {"n": {"instance_type": "p5.48xlarge"}}}});
    let report = crate::handoff::check(&document.to_string(), Catalog::bundled()).unwrap();
    assert_eq!(report.findings[0].id, "terraform.instance_without_efa");
    assert_eq!(report.findings[0].path, "resource.aws_instance.n");
}

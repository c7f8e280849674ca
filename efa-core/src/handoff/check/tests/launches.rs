//! Documents of every kind that people have, right and wrong.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Case, Clean, Errors, NotRead, Warnings, ids, report};

#[rustfmt::skip]
const CASES: &[Case] = &[
    ("auto-mode-by-family.yaml", Clean, &[]),
    ("auto-mode-card-of-another-type.yaml", Errors, &["layout.unknown_network_card"]),
    ("cluster-api-one-efa-of-four.yaml", Warnings, &["interfaces.efa_left_out"]),
    ("cluster-api-pool-without-efa-types.yaml", Errors, &["interfaces.type_without_efa"]),
    ("cluster-api-managed-pool.yaml", NotRead, &[]),
    ("jobset.yaml", Clean, &[]),
    ("jobset-beyond-type.yaml", Errors, &["kubernetes.efa_count_beyond_type"]),
    ("argo-pod-spec-patch.yaml", NotRead, &[]),
    ("argo-manifest-in-a-step.yaml", NotRead, &[]),
    ("argo-steps-with-parameter.yaml", Warnings, &["kubernetes.huge_pages_missing"]),
    ("leader-worker-set-beyond-type.yaml", Errors, &["kubernetes.efa_count_beyond_type"]),
    ("dynamo.yaml", Clean, &[]),
    ("dra-beyond-type.yaml", Errors, &["kubernetes.efa_count_beyond_type"]),
    ("dra-of-none.yaml", Errors, &["kubernetes.efa_count"]),
    ("hyperpod.json", NotRead, &[]),
    ("terraform-dynamic-range.tf.json", Clean, &[]),
    ("terraform-dynamic-one-card-too-many.tf.json", Errors, &["layout.unknown_network_card"]),
    ("terraform-dynamic-elsewhere.tf.json", NotRead, &[]),
    ("terraform-plan-with-modules.json", Clean, &[]),
    ("terraform-plan-block-in-group.json", Errors, &["launch.block_with_placement_group"]),
    ("cdk.json", Clean, &[]),
    ("cdk-all-outbound.json", Errors, &["cloudformation.no_self_egress"]),
    ("cdk-mixed-instances.json", Errors, &["interfaces.type_without_efa"]),
    ("pcs-node-group.json", Errors, &["layout.unknown_network_card"]),
    ("batch-optimal.json", NotRead, &[]),
    ("describe-instances.json", Clean, &[]),
    ("describe-instances-one-efa.json", Warnings, &["interfaces.efa_left_out"]),
    ("describe-instances-terminated.json", Clean, &[]),
    ("describe-launch-template-versions.json", Clean, &[]),
    ("describe-launch-template-versions-wrong-device.json", Errors, &["layout.device_index_out_of_range"]),
    ("crossplane.yaml", Clean, &[]),
    ("crossplane-block-in-group.yaml", Errors, &["launch.block_with_placement_group"]),
    ("ack.yaml", Clean, &[]),
    ("ack-two-subnets.yaml", Errors, &["interfaces.several_subnets"]),
    ("mpi-job.yaml", Clean, &[]),
    ("device-plugin.yaml", Clean, &[]),
    ("kuberay-beyond-type.yaml", Errors, &["kubernetes.efa_count_beyond_type"]),
    ("kueue.yaml", NotRead, &[]),
    ("eksctl-capacity-block.yaml", Clean, &[]),
    ("eksctl-without-efa-type.yaml", Errors, &["interfaces.type_without_efa"]),
    ("eksctl-one-name-twice.yaml", Errors, &["launch.duplicate_name"]),
    ("eksctl-type-to-fill-in.yaml", NotRead, &[]),
    ("parallel-cluster.yaml", NotRead, &[]),
    ("parallel-cluster-block-in-group.yaml", Errors, &["launch.block_with_placement_group"]),
    ("parallel-cluster-without-efa-type.yaml", Errors, &["interfaces.type_without_efa"]),
    ("parallel-cluster-batch.yaml", NotRead, &[]),
    ("karpenter-v1beta1.yaml", NotRead, &[]),
    ("karpenter-capacity-block.yaml", Clean, &[]),
    ("karpenter-beyond-type.yaml", Errors, &["kubernetes.efa_count_beyond_type"]),
    ("cloudformation-groups-by-range.yaml", Errors, &["cloudformation.no_self_ingress"]),
    ("terraform-instance-with-interface.tf.json", Errors, &["launch.no_self_egress"]),
    ("terraform-awscc.tf.json", NotRead, &[]),
    ("terraform-eks-module.tf.json", Clean, &[]),
    ("helm-release.yaml", NotRead, &[]),
    ("cron-job.yaml", Clean, &[]),
    ("pod-with-sidecar-beyond-type.yaml", Errors, &["kubernetes.efa_count_beyond_type"]),
    ("train-job-requests-differ.yaml", Errors, &["kubernetes.requests_differ_from_limits"]),
    ("volcano-wrong-name.yaml", Errors, &["kubernetes.efa_resource_name"]),
    ("ray-two-of-four.yaml", Warnings, &["interfaces.efa_left_out"]),
    ("cloudformation-block-in-group-if.json", Errors, &["cloudformation.block_with_placement_group"]),
    ("cloudformation-for-each.json", NotRead, &[]),
    ("cloudformation-hyperpod.json", NotRead, &[]),
    ("terraform-type-to-give.tf.json", NotRead, &[]),
    ("terraform-type-by-default.tf.json", Clean, &[]),
    ("terraform-for-each.tf.json", NotRead, &[]),
    ("karpenter-efa-only-first.yaml", Errors, &["karpenter.primary_not_interface"]),
    ("dra-class.yaml", NotRead, &[]),
    ("dra-claim-elsewhere.yaml", NotRead, &[]),
    ("eksctl-one-type-without-efa.yaml", Errors, &["interfaces.type_without_efa"]),
    ("eksctl-every-subnet.yaml", Errors, &["eksctl.several_zones"]),
];

#[test]
fn each_launch_gets_what_it_deserves() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/launches");
    let mut wrong = Vec::new();
    for (name, status, expected) in CASES {
        let report = report(&std::fs::read_to_string(directory.join(name)).unwrap());
        let found = expected.iter().all(|id| ids(&report).contains(id));
        if report.status() != *status || !found {
            wrong.push(format!("{name}: not {status:?} {expected:?}: {report}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let files = std::fs::read_dir(directory).unwrap();
    let files = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let files: BTreeSet<String> = files.filter(|name| name != "README.md").collect();
    let listed: BTreeSet<String> = CASES.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(files, listed);
}

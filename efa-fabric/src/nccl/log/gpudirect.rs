//! Which instance types have GPUDirect RDMA. RDMA read in the EFA device is another thing: c7i has
//! that one, and no GPU.

use efa_core::InstanceType;

/// Families of which every size has it: aws/aws-ofi-nccl src/platform-aws.cpp (`gdr_required`), and
/// the EC2 User Guide's table of accelerated instances, both as of 2026-08.
const WITH: [&str; 13] = [
    "p4d",
    "p4de",
    "p5",
    "p5e",
    "p5en",
    "p6-b200",
    "p6-b300",
    "p6e-gb200",
    "trn1",
    "trn1n",
    "trn2",
    "trn2u",
    "trn3",
];
/// Families with GPUs of which no size has it, from the same.
const WITHOUT: [&str; 8] = ["p3dn", "g4dn", "g5", "g6", "g6e", "gr6", "g6f", "gr6f"];
/// Sizes of a family that has both.
const G7E_WITH: [&str; 3] = ["g7e.12xlarge", "g7e.24xlarge", "g7e.48xlarge"];

/// Whether a type of the catalog has GPUDirect RDMA; `None` where the table does not state it.
pub(super) fn has_gpudirect_rdma(instance_type: &InstanceType) -> Option<bool> {
    let name = instance_type.name.as_str();
    // One GPU of eight on a node of its own: the plugin demands nothing there.
    if name == "p5.4xlarge" {
        return None;
    }
    let family = instance_type.family();
    if WITH.contains(&family) || G7E_WITH.contains(&name) {
        return Some(true);
    }
    if WITHOUT.contains(&family) || name == "g7e.8xlarge" {
        return Some(false);
    }
    let has_none = instance_type.gpus.is_empty() && instance_type.neuron_devices.is_empty();
    has_none.then_some(false)
}

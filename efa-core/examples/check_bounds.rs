//! How long `handoff::check` takes for large texts of every kind, and how much memory.
//!
//! `cargo run --release -p efa-core --no-default-features --example check_bounds` makes a text of
//! 10 MB of each kind and prints a Markdown table. A number is another size in MB, and further words
//! choose kinds by their names.

use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant};

use efa_core::Catalog;
use efa_core::handoff::check;

/// A kind of text: its name, what stands around the parts, and the part of a number.
struct Kind {
    name: &'static str,
    around: [&'static str; 3],
    part: fn(usize) -> String,
}

const KINDS: &[Kind] = &[
    Kind {
        name: "NodePools and pods, each with its own taint (YAML)",
        around: ["", "---\n", ""],
        part: |at| format!("{}---\n{}", pool(at, true), pod(at, at)),
    },
    Kind {
        name: "NodePools and pods that name their pool (YAML)",
        around: ["", "---\n", ""],
        part: |at| {
            let selector = format!("  nodeSelector: {{karpenter.sh/nodepool: efa-{at}}}\n");
            format!("{}---\n{}{selector}", pool(at, false), pod(at, 0))
        },
    },
    Kind {
        name: "NodePools, node classes and pods alike (YAML)",
        around: ["", "---\n", ""],
        part: |at| {
            format!(
                "{}---\n{}---\n{}",
                node_class(at),
                pool(at, false),
                pod(at, 0)
            )
        },
    },
    Kind {
        name: "List of EFA pods (JSON)",
        around: [
            "{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [",
            ",\n",
            "]}",
        ],
        part: |at| {
            let limits = "{\"vpc.amazonaws.com/efa\": 32, \"nvidia.com/gpu\": 8}";
            format!(
                "{{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {{\"name\": \"p{at}\"}}, \
                 \"spec\": {{\"containers\": [{{\"name\": \"c\", \"image\": \"x\", \"resources\": \
                 {{\"limits\": {limits}, \"requests\": {limits}}}}}]}}}}"
            )
        },
    },
    Kind {
        name: "pods with claims (YAML)",
        around: ["", "---\n", ""],
        part: |at| {
            format!(
                "apiVersion: resource.k8s.io/v1\nkind: ResourceClaimTemplate\nmetadata: {{name: \
                 efa-{at}}}\nspec:\n  spec:\n    devices:\n      requests:\n      - name: efa\n        \
                 exactly: {{deviceClassName: efa.networking.k8s.aws, count: 64}}\n---\napiVersion: \
                 v1\nkind: Pod\nmetadata: {{name: p{at}}}\nspec:\n  nodeSelector: \
                 {{node.kubernetes.io/instance-type: p5.48xlarge}}\n  containers:\n  - name: c\n  \
                 resourceClaims:\n  - {{name: efa, resourceClaimTemplateName: efa-{at}}}\n"
            )
        },
    },
    Kind {
        name: "launch templates, groups, node groups (CloudFormation JSON)",
        around: ["{\"Resources\": {", ",\n", "}}"],
        part: cloudformation,
    },
    Kind {
        name: "launch templates and instances with conditions and allowed types (CloudFormation JSON)",
        around: [CONDITIONS, ",\n", "}}"],
        part: |at| {
            format!(
                "\"C{at}\": {{\"Type\": \"AWS::EC2::LaunchTemplate\", \"Properties\": \
                 {{\"LaunchTemplateData\": {{\"InstanceType\": {{\"Ref\": \"Type\"}}, \
                 \"NetworkInterfaces\": {{\"Fn::If\": [\"C{}\", [{{\"DeviceIndex\": 0, \
                 \"InterfaceType\": \"efa\"}}], []]}}}}}}}}",
                at % 8
            )
        },
    },
    Kind {
        name: "launch templates and groups (CloudFormation YAML)",
        around: ["Resources:\n", "", ""],
        part: |at| {
            format!(
                "  T{at}:\n    Type: AWS::EC2::LaunchTemplate\n    Properties:\n      \
                 LaunchTemplateData:\n        InstanceType: p5.48xlarge\n        \
                 NetworkInterfaces:\n        - {{DeviceIndex: 0, InterfaceType: efa, Groups: [!Ref \
                 G{at}]}}\n  G{at}:\n    Type: AWS::EC2::SecurityGroup\n    Properties:\n      \
                 GroupDescription: efa\n"
            )
        },
    },
    Kind {
        name: "launch templates, groups, node groups (Terraform JSON)",
        around: ["{\"resource\": [", ",\n", "]}"],
        part: |at| {
            format!(
                "{{\"aws_launch_template\": {{\"t{at}\": {{\"instance_type\": \"p5.48xlarge\", \
                 \"network_interfaces\": [{{\"device_index\": 0, \"interface_type\": \"efa\", \
                 \"security_groups\": [\"${{aws_security_group.g{at}.id}}\"]}}]}}}}, \
                 \"aws_security_group\": {{\"g{at}\": {{\"name\": \"g{at}\"}}}}, \
                 \"aws_eks_node_group\": {{\"n{at}\": {{\"subnet_ids\": [\"a\", \"b\"], \
                 \"launch_template\": [{{\"id\": \"${{aws_launch_template.t{at}.id}}\"}}]}}}}}}"
            )
        },
    },
    Kind {
        name: "locals and dynamic blocks (Terraform JSON)",
        around: ["{\"resource\": [{}], \"locals\": [{}", "", "]}"],
        part: |at| format!(", {{\"n{at}\": [0, 1], \"m{at}\": \"${{local.n{at}}}\"}}"),
    },
    Kind {
        name: "describe-launch-template-versions (JSON)",
        around: ["{\"LaunchTemplateVersions\": [", ",\n", "]}"],
        part: |at| {
            format!(
                "{{\"VersionNumber\": {at}, \"LaunchTemplateData\": {{\"InstanceType\": \
                 \"p5.48xlarge\", \"NetworkInterfaces\": [{{\"DeviceIndex\": 0, \"InterfaceType\": \
                 \"efa\"}}]}}}}"
            )
        },
    },
    Kind {
        name: "launch templates, one per document (YAML)",
        around: ["", "---\n", ""],
        part: |at| {
            format!(
                "LaunchTemplateName: t{at}\nLaunchTemplateData:\n  InstanceType: p5.48xlarge\n  \
                 NetworkInterfaces:\n  - {{DeviceIndex: 0, InterfaceType: efa}}\n"
            )
        },
    },
    Kind {
        name: "describe-instances (JSON)",
        around: ["{\"Reservations\": [", ",\n", "]}"],
        part: |at| {
            format!(
                "{{\"Instances\": [{{\"InstanceId\": \"i-{at}\", \"InstanceType\": \"p5.48xlarge\", \
                 \"NetworkInterfaces\": [{{\"InterfaceType\": \"efa\", \"SubnetId\": \"subnet-1\", \
                 \"Attachment\": {{\"DeviceIndex\": 0, \"NetworkCardIndex\": 0}}}}]}}]}}"
            )
        },
    },
    Kind {
        name: "node types (Ray)",
        around: [
            "cluster_name: x\nprovider: {type: aws, region: us-east-1}\nhead_node_type: \
             t0\navailable_node_types:\n",
            "",
            "",
        ],
        part: |at| {
            format!(
                "  t{at}:\n    resources: {{}}\n    node_config:\n      InstanceType: \
                 p5.48xlarge\n      NetworkInterfaces:\n      - {{DeviceIndex: 0, InterfaceType: \
                 efa, Groups: [sg-1], SubnetId: subnet-1}}\n"
            )
        },
    },
    Kind {
        name: "node groups (eksctl)",
        around: [
            "apiVersion: eksctl.io/v1alpha5\nkind: ClusterConfig\nmetadata: {name: x, region: \
             us-east-1}\nmanagedNodeGroups:\n",
            "",
            "",
        ],
        part: |at| {
            format!(
                "- {{name: g{at}, instanceType: p5.48xlarge, efaEnabled: true, subnets: [a]}}\n"
            )
        },
    },
    Kind {
        name: "documents of an unknown kind (YAML)",
        around: ["", "---\n", ""],
        part: |at| {
            format!("apiVersion: x/v1\nkind: Y\nmetadata: {{name: y{at}}}\nspec: {{a: 1}}\n")
        },
    },
];

const CONDITIONS: &str = "{\"Parameters\": {\"Type\": {\"AllowedValues\": [\"p4d.24xlarge\", \
    \"p5.48xlarge\", \"p5e.48xlarge\", \"p5en.48xlarge\", \"p6-b200.48xlarge\"]}, \"Open\": {}}, \
    \"Conditions\": {\"C0\": {\"Fn::Equals\": [{\"Ref\": \"Open\"}, \"0\"]}, \"C1\": {\"Fn::Equals\": \
    [{\"Ref\": \"Open\"}, \"1\"]}, \"C2\": {\"Fn::Equals\": [{\"Ref\": \"Open\"}, \"2\"]}, \"C3\": \
    {\"Fn::Equals\": [{\"Ref\": \"Open\"}, \"3\"]}, \"C4\": {\"Fn::Equals\": [{\"Ref\": \"Open\"}, \
    \"4\"]}, \"C5\": {\"Fn::Equals\": [{\"Ref\": \"Open\"}, \"5\"]}, \"C6\": {\"Fn::Equals\": \
    [{\"Ref\": \"Open\"}, \"6\"]}, \"C7\": {\"Fn::Equals\": [{\"Ref\": \"Open\"}, \"7\"]}}, \
    \"Resources\": {";

fn pool(at: usize, tainted: bool) -> String {
    let taints = if tainted {
        format!("      taints:\n      - {{key: own-{at}, effect: NoSchedule}}\n")
    } else {
        String::new()
    };
    format!(
        "apiVersion: karpenter.sh/v1\nkind: NodePool\nmetadata: {{name: efa-{at}}}\nspec:\n  \
         template:\n    spec:\n      nodeClassRef: {{group: karpenter.k8s.aws, kind: EC2NodeClass, \
         name: efa-{at}}}\n      requirements:\n      - {{key: node.kubernetes.io/instance-type, \
         operator: In, values: [p5.48xlarge]}}\n      - {{key: topology.kubernetes.io/zone, \
         operator: In, values: [us-east-1a]}}\n{taints}"
    )
}

fn pod(at: usize, tolerated: usize) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: p{at}}}\nspec:\n  tolerations:\n  - {{key: \
         own-{tolerated}, operator: Exists}}\n  containers:\n  - name: c\n    resources:\n      \
         limits: {{vpc.amazonaws.com/efa: 32}}\n"
    )
}

fn node_class(at: usize) -> String {
    format!(
        "apiVersion: karpenter.k8s.aws/v1\nkind: EC2NodeClass\nmetadata: {{name: \
         efa-{at}}}\nspec:\n  role: r\n  amiSelectorTerms: [{{alias: al2023@v20260801}}]\n  \
         subnetSelectorTerms: [{{id: subnet-1}}]\n  securityGroupSelectorTerms: [{{id: sg-1}}]\n"
    )
}

fn cloudformation(at: usize) -> String {
    let group = format!("{{\"Ref\": \"G{at}\"}}");
    let template = format!("{{\"Ref\": \"T{at}\"}}");
    format!(
        "\"T{at}\": {{\"Type\": \"AWS::EC2::LaunchTemplate\", \"Properties\": \
         {{\"LaunchTemplateName\": \"t{at}\", \"LaunchTemplateData\": {{\"InstanceType\": \
         \"p5.48xlarge\", \"NetworkInterfaces\": [{{\"DeviceIndex\": 0, \"InterfaceType\": \"efa\", \
         \"Groups\": [{group}]}}]}}}}}},\n\"G{at}\": {{\"Type\": \"AWS::EC2::SecurityGroup\", \
         \"Properties\": {{\"GroupDescription\": \"efa\"}}}},\n\"R{at}\": {{\"Type\": \
         \"AWS::EC2::SecurityGroupIngress\", \"Properties\": {{\"IpProtocol\": \"-1\", \"GroupId\": \
         {group}, \"SourceSecurityGroupId\": {group}}}}},\n\"I{at}\": {{\"Type\": \
         \"AWS::EC2::Instance\", \"Properties\": {{\"LaunchTemplate\": {{\"LaunchTemplateId\": \
         {template}, \"Version\": \"1\"}}}}}},\n\"N{at}\": {{\"Type\": \"AWS::EKS::Nodegroup\", \
         \"Properties\": {{\"Subnets\": [\"a\"], \"LaunchTemplate\": {{\"Name\": \"t{at}\"}}}}}}"
    )
}

fn text(kind: &Kind, bytes: usize) -> String {
    let [open, between, close] = kind.around;
    let mut text = open.to_owned();
    let mut at = 0;
    while text.len() < bytes {
        if at > 0 {
            text += between;
        }
        text += &(kind.part)(at);
        at += 1;
    }
    text + close
}

/// The most memory that the process has had since the last call, in MiB; Linux reports it.
fn peak() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    // 5 resets it: proc(5).
    fs::write("/proc/self/clear_refs", "5").ok()?;
    Some(kib >> 10)
}

/// How long this thread has had a processor; Linux reports it.
fn processor() -> Option<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds = text.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let size = arguments.iter().find_map(|word| word.parse::<f64>().ok());
    let words: Vec<&String> = arguments
        .iter()
        .filter(|word| word.parse::<f64>().is_err())
        .collect();
    let bytes = (size.unwrap_or(10.0) * 1e6) as usize;
    println!("| text | MB | seconds | MiB at most | found | unread |\n|---|---|---|---|---|---|");
    for kind in KINDS {
        if !words.is_empty() && !words.iter().any(|word| kind.name.contains(word.as_str())) {
            continue;
        }
        let text = text(kind, bytes);
        peak();
        let (start, at_work) = (Instant::now(), processor());
        let report = check(&text, Catalog::bundled());
        // On a shared machine the processor's time shows more.
        let at_work = processor().zip(at_work).map(|(end, start)| end - start);
        let seconds = at_work.unwrap_or_else(|| start.elapsed()).as_secs_f64();
        let mut row = format!(
            "| {} | {:.1} | {seconds:.2} |",
            kind.name,
            text.len() as f64 / 1e6
        );
        let peak = peak().map_or_else(|| "?".to_owned(), |mib| mib.to_string());
        let _ = match report {
            Ok(report) => write!(
                row,
                " {peak} | {} | {} |",
                report.findings.len(),
                report.unread.len()
            ),
            Err(error) => write!(row, " {peak} | {} | |", error.code().as_str()),
        };
        println!("{row}");
    }
}

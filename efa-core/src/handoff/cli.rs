//! The AWS CLI's commands that end in what `apply` makes, as a script for bash.

use std::fmt::Write as _;

use serde_json::Value;

use super::document::{Node, mapping, node};
use super::launch_template::{tag_list, tag_planner};
use super::provenance;
use crate::ec2::{Direction, RunInstances, Tags};
use crate::launch::UserData;
use crate::plan::Plan;
use crate::plan::instance_role::{POLICY_NAME, TRUST_POLICY, inline_policy, ssm_policy_arn};
use crate::shell::quote;
use crate::spec::SecurityGroupChoice;

/// Stands for the security group's id until the script knows it: characters that JSON does not escape
/// and nobody types.
const GROUP: &str = "\u{7f}group\u{7f}";

impl Plan {
    /// Returns a bash script of AWS CLI commands that makes what [`apply`](crate::Client::apply)
    /// makes: the groups and the role that do not exist, then one launch, checked by a dry run
    /// first. It goes to the plan's first subnet only, and is not to be run twice; the cluster
    /// carries the same tags, so that `verify` and `destroy` know it.
    #[must_use]
    pub fn to_cli(&self) -> String {
        let mut script = Script::new(self);
        script.security_group();
        script.placement_group();
        script.instance_profile();
        script.launch();
        if self.wants_elastic_ips() {
            script.elastic_ips();
        }
        script.text
    }
}

struct Script<'a> {
    plan: &'a Plan,
    text: String,
}

impl<'a> Script<'a> {
    fn new(plan: &'a Plan) -> Self {
        let mut text = "#!/usr/bin/env bash\n".to_owned();
        for line in provenance::header(plan, plan.layout()) {
            let _ = writeln!(text, "# {line}");
        }
        let _ = writeln!(
            text,
            "# Run it once. Afterwards efa_sdk's verify('{0}') and destroy('{0}') know the cluster.\n\
             set -euo pipefail\n\
             export AWS_PAGER='' AWS_REGION={1} AWS_DEFAULT_REGION={1}",
            plan.name(),
            quoted(plan.region())
        );
        Self { plan, text }
    }

    fn comment(&mut self, text: &str) {
        let _ = writeln!(self.text, "\n# {text}");
    }

    /// One command, its words quoted, a word to a line from the third on.
    fn command(&mut self, words: &[&str]) {
        self.line(&command(words));
    }

    fn line(&mut self, line: &str) {
        self.text += line;
        self.text += "\n";
    }

    fn security_group(&mut self) {
        let planned = self.plan.security_group();
        match &planned.group_id {
            Some(id) => {
                self.comment("The security group that exists.");
                self.line(&format!("group={}", quoted(id)));
            }
            None => {
                self.comment("A security group that lets nothing in but its own traffic.");
                let request = self.plan.create_security_group_request();
                let made = command(&[
                    "ec2",
                    "create-security-group",
                    "--group-name",
                    &request.group_name,
                    "--description",
                    &request.description,
                    "--vpc-id",
                    &request.vpc_id,
                    "--tag-specifications",
                    &specification("security-group", &request.tags),
                    "--query",
                    "GroupId",
                    "--output",
                    "text",
                ]);
                self.line(&format!("group=$({made})"));
            }
        }
        if matches!(self.plan.spec().security_group, SecurityGroupChoice::Use(_)) {
            return;
        }
        if !planned.missing_self_rules.is_empty() {
            self.comment(
                "EFA is not IP: 0.0.0.0/0 does not cover it, both self-referencing rules do.",
            );
        }
        for direction in &planned.missing_self_rules {
            self.authorize(
                *direction,
                &format!(r#"[{{"IpProtocol":"-1","UserIdGroupPairs":[{{"GroupId":"{GROUP}"}}]}}]"#),
            );
        }
        for cidr in &planned.missing_ssh_cidrs {
            let ranges = if cidr.contains(':') {
                format!(r#""Ipv6Ranges":[{{"CidrIpv6":"{cidr}"}}]"#)
            } else {
                format!(r#""IpRanges":[{{"CidrIp":"{cidr}"}}]"#)
            };
            self.authorize(
                Direction::Ingress,
                &format!(r#"[{{"IpProtocol":"tcp","FromPort":22,"ToPort":22,{ranges}}}]"#),
            );
        }
    }

    fn authorize(&mut self, direction: Direction, permissions: &str) {
        let verb = format!("authorize-security-group-{}", direction.as_str());
        self.command(&[
            "ec2",
            &verb,
            "--group-id",
            GROUP,
            "--ip-permissions",
            permissions,
        ]);
    }

    fn placement_group(&mut self) {
        let Some(group) = self.plan.placement_group().filter(|g| !g.exists) else {
            return;
        };
        self.comment("The cluster placement group.");
        let tags = specification("placement-group", &self.plan.shared_tags());
        self.command(&[
            "ec2",
            "create-placement-group",
            "--group-name",
            &group.group_name,
            "--strategy",
            "cluster",
            "--tag-specifications",
            &tags,
        ]);
    }

    fn instance_profile(&mut self) {
        let Some(profile) = self.plan.instance_profile().filter(|p| !p.exists) else {
            return;
        };
        let Some(role) = &profile.role else { return };
        self.comment("The role of the instances, and the instance profile that carries it.");
        let name = profile.name.as_str();
        let (tags, partition) = (iam_tags(&self.plan.shared_tags()), self.plan.partition());
        let boundary = role.permissions_boundary.as_deref();
        let mut create = vec![
            "iam",
            "create-role",
            "--role-name",
            name,
            "--assume-role-policy-document",
            TRUST_POLICY,
        ];
        create.extend(
            boundary
                .into_iter()
                .flat_map(|arn| ["--permissions-boundary", arn]),
        );
        create.extend(["--tags", &tags]);
        self.command(&create);
        self.command(&[
            "iam",
            "attach-role-policy",
            "--role-name",
            name,
            "--policy-arn",
            &ssm_policy_arn(partition),
        ]);
        if let Some(policy) = inline_policy(role, partition, self.plan.bootstrap_statement()) {
            self.command(&[
                "iam",
                "put-role-policy",
                "--role-name",
                name,
                "--policy-name",
                POLICY_NAME,
                "--policy-document",
                &policy,
            ]);
        }
        self.command(&[
            "iam",
            "create-instance-profile",
            "--instance-profile-name",
            name,
            "--tags",
            &tags,
        ]);
        self.command(&[
            "iam",
            "add-role-to-instance-profile",
            "--instance-profile-name",
            name,
            "--role-name",
            name,
        ]);
    }

    fn launch(&mut self) {
        let parts = self.plan.parts();
        if parts == 1 {
            self.comment("One launch for all instances: all of them or, below MinCount, none.");
            return self.launch_part(0);
        }
        self.comment("One launch for each reservation, all of its instances or none.");
        for part in 0..parts {
            self.launch_part(part);
            self.line("launched=\"${launched:-} $instances\"");
        }
        self.line("instances=$launched");
    }

    fn launch_part(&mut self, part: usize) {
        let mut request = run_instances(self.plan, part);
        let is_text = |data: &UserData| data.as_text().is_some();
        let packed = request.data.user_data.take_if(|data| !is_text(data));
        self.line(&format!("request={}", quoted(&json(&node(&request)))));
        match packed {
            None => self.line(LAUNCH),
            Some(user_data) => {
                self.line(&format!("packed={}", user_data.to_base64()));
                self.line(UNPACK);
                let with = r#""$request" --user-data "fileb://$user_data""#;
                self.line(&LAUNCH.replace(r#""$request""#, with));
            }
        }
    }

    fn elastic_ips(&mut self) {
        self.comment("An Elastic IP for the primary interface of each instance.");
        let tags = quoted(&specification("elastic-ip", &self.plan.shared_tags()));
        self.line(&format!("addresses={tags}"));
        self.line(ADDRESSES);
    }
}

/// EC2 checks the request before it is sent; a new instance profile takes it some seconds to see.
const LAUNCH: &str = r#"for attempt in $(seq 1 30); do
    answer=$(aws ec2 run-instances --cli-input-json "$request" --dry-run 2>&1) && break
    case $answer in
        *DryRunOperation*) break ;;
        *'Invalid IAM Instance Profile'*) sleep 2 ;;
        *) echo "$answer" >&2; exit 1 ;;
    esac
done
instances=$(aws ec2 run-instances --cli-input-json "$request" --query 'Instances[].InstanceId' --output text)
aws ec2 wait instance-running --instance-ids $instances
echo "$instances""#;

/// The AWS CLI's JSON has no bytes: compressed user data goes through a file.
const UNPACK: &str = r#"user_data=$(mktemp)
trap 'rm -f "$user_data"' EXIT
base64 --decode <<<"$packed" >"$user_data""#;

const ADDRESSES: &str = r#"for instance in $instances; do
    interface=$(aws ec2 describe-instances --instance-ids "$instance" --output text \
        --query 'Reservations[].Instances[].NetworkInterfaces[?Attachment.DeviceIndex==`0` && Attachment.NetworkCardIndex==`0`].NetworkInterfaceId')
    address=$(aws ec2 allocate-address --domain vpc --tag-specifications "$addresses" --query AllocationId --output text)
    aws ec2 associate-address --allocation-id "$address" --network-interface-id "$interface"
done"#;

/// The RunInstances request that `apply` sends, with a token and a tag that state where it is from.
/// The AWS CLI encodes the user data itself.
fn run_instances(plan: &Plan, part: usize) -> RunInstances {
    let mut launch = plan.launch(GROUP, &plan.subnet().subnet_id);
    launch.part = part;
    if plan.parts() > 1 {
        launch.count = plan.count_of(part);
        launch.minimum_count = launch.count;
    }
    let mut request = plan.run_instances_request(&launch);
    request.client_token = format!("efa-sdk-{}-cli", plan.fingerprint());
    if part > 0 {
        request.client_token += &format!("-{part}");
    }
    tag_planner(plan, &mut request.data);
    request
}

/// One line of JSON, which every shell takes as one word in quotes.
fn json(data: &Node) -> String {
    // Plain data with string keys.
    serde_json::to_string(data).unwrap_or_default()
}

/// `--tag-specifications` of one resource.
fn specification(resource: &str, tags: &Tags) -> String {
    json(&Node::Sequence(vec![
        mapping! { "ResourceType" => resource, "Tags" => tag_list(tags) },
    ]))
}

fn iam_tags(tags: &Tags) -> String {
    let tags: Vec<Value> = tags
        .iter()
        .map(|(key, value)| serde_json::json!({ "Key": key, "Value": value }))
        .collect();
    Value::Array(tags).to_string()
}

/// A command of the AWS CLI, options on lines of their own.
fn command(words: &[&str]) -> String {
    let mut text = "aws".to_owned();
    for (at, word) in words.iter().enumerate() {
        let is_option = word.starts_with("--");
        text += if is_option && at > 1 {
            " \\\n    "
        } else {
            " "
        };
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:=".contains(&b);
        if word.bytes().all(plain) && !word.is_empty() {
            text += word;
        } else {
            text += &quoted(word);
        }
    }
    text
}

/// A word in quotes, with the shell's `$group` where the id belongs.
fn quoted(word: &str) -> String {
    let word = quote(word).unwrap_or_default();
    let word = word.replace(GROUP, r#"'"$group"'"#);
    word.replace(r#"''"$group"''"#, r#""$group""#)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::fixtures::{plan, prepared_plan, seen};
    use crate::spec::{ClusterSpec, InstanceProfileChoice, InstanceRole};

    /// The arguments of each `aws` that the script runs, with a stand-in of it that answers.
    fn run(script: &str) -> Vec<Vec<String>> {
        let fake = r#"aws() {
            printf '%s\0' "$@" >&3; printf '\001' >&3
            case "$2" in create-security-group) echo sg-9 ;; run-instances) echo i-1 i-2 ;; esac
        }
        export -f aws
        "#;
        let script = format!("{fake}{script}");
        let output = Command::new("bash")
            .args(["-c", &format!("exec 3>&1 1>/dev/null\n{script}")])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8(output.stdout).unwrap();
        text.split_terminator('\u{1}')
            .map(|words| words.split_terminator('\0').map(str::to_owned).collect())
            .collect()
    }

    fn verbs(calls: &[Vec<String>]) -> Vec<&str> {
        calls.iter().map(|words| words[1].as_str()).collect()
    }

    #[test]
    fn a_fresh_account_gets_everything() {
        let mut spec =
            ClusterSpec::new("train", "p5.48xlarge", 2, "subnet-00000001", "ami-00000001");
        let boundary = "arn:aws:iam::123456789012:policy/at-most";
        spec.instance_profile = InstanceProfileChoice::Make(InstanceRole {
            permissions_boundary: Some(boundary.to_owned()),
            ..InstanceRole::default()
        });
        spec.ssh_cidrs = vec!["203.0.113.7/32".to_owned()];
        spec.user_data = Some("#!/bin/sh\necho 'up'".to_owned());
        spec.tags
            .insert("who".to_owned(), "it's $HOME `x` \"y\" \\".to_owned());
        let plan = crate::fixtures::decide_plan(&spec, seen(&spec)).unwrap();
        let calls = run(&plan.to_cli());
        assert_eq!(
            verbs(&calls),
            [
                "create-security-group",
                "authorize-security-group-ingress",
                "authorize-security-group-egress",
                "authorize-security-group-ingress",
                "create-placement-group",
                "create-role",
                "attach-role-policy",
                "create-instance-profile",
                "add-role-to-instance-profile",
                "run-instances",
                "run-instances",
                "wait",
            ]
        );
        assert!(
            calls[5]
                .windows(2)
                .any(|w| w == ["--permissions-boundary", boundary])
        );
        let request: Value = serde_json::from_str(&calls[10][3]).unwrap();
        let interfaces = request["NetworkInterfaces"].as_array().unwrap();
        assert_eq!(
            crate::handoff::interfaces::read_interfaces(interfaces).unwrap(),
            plan.layout().interfaces
        );
        assert!(interfaces.iter().all(|i| i["Groups"][0] == "sg-9"));
        let tags = request["TagSpecifications"][0]["Tags"].as_array().unwrap();
        assert!(
            tags.iter()
                .any(|tag| tag["Value"] == "it's $HOME `x` \"y\" \\"),
            "{tags:?}"
        );
        assert_eq!(request["UserData"], "#!/bin/sh\necho 'up'");
        assert_eq!(calls[9][4], "--dry-run");
        assert_eq!(calls[1][3], "sg-9");
    }

    #[test]
    fn what_exists_is_used() {
        let spec = ClusterSpec::new(
            "train",
            "c7i.48xlarge",
            2,
            "subnet-00000001",
            "ami-00000001",
        );
        let calls = run(&prepared_plan(&spec).to_cli());
        assert_eq!(verbs(&calls), ["run-instances", "run-instances", "wait"]);
        let request: Value = serde_json::from_str(&calls[1][3]).unwrap();
        assert_eq!(request["NetworkInterfaces"][0]["Groups"][0], "sg-1");
        assert_eq!(
            (&request["MinCount"], &request["MaxCount"]),
            (&2.into(), &2.into())
        );
        assert_eq!(plan("c7i.48xlarge").to_cli(), plan("c7i.48xlarge").to_cli());
    }
}

//! Texts that are no document: source code, templates of other tools, the name of a file.

use serde_json::Value;

use crate::error::{Code, Error};

/// How to get a text that can be read, for source that is recognised.
struct Source {
    what: &'static str,
    cure: &'static str,
}

const HCL: Source = Source {
    what: "Terraform's own language (HCL)",
    cure: "give JSON: terraform plan -out=plan && terraform show -json plan, or hcl2json FILE",
};
const CDK: Source = Source {
    what: "a program, such as a CDK application",
    cure: "give what it makes: cdk synth, or pulumi preview --json",
};
const HELM: Source = Source {
    what: "a Helm template",
    cure: "give the rendered manifests: helm template CHART",
};
const SHELL: Source = Source {
    what: "a shell script",
    cure: "give the JSON that it passes, such as --cli-input-json or --launch-template-data",
};
const PATH: Source = Source {
    what: "the name of a file",
    cure: "give the text in it: check(pathlib.Path(name).read_text()), or \
           python -m efa_sdk.handoff NAME",
};

/// The error for a text that is source code, a template, or a file name; `None` where it is none
/// that is known.
pub(crate) fn unread_source(text: &str) -> Option<Error> {
    let source = if is_path(text) {
        PATH
    } else if is_helm_template(text) {
        HELM
    } else if text.lines().any(is_hcl) {
        HCL
    } else if text.starts_with("#!") || text.lines().any(is_shell) {
        SHELL
    } else if text.lines().any(is_program) {
        CDK
    } else {
        return None;
    };
    Some(
        Error::new(
            Code::HandoffUnreadable,
            format!("the text is {}, which is not read here", source.what),
        )
        .with_cure(source.cure)
        .with_context("field", "document"),
    )
}

/// Whether a text has actions of Helm (or Go) templates outside quoted values.
fn is_helm_template(text: &str) -> bool {
    text.lines().any(|line| {
        let line = line.trim_start();
        line.starts_with("{{")
            && ["{{-", "{{ ", "{{/", "{{i", "{{e", "{{r", "{{w"]
                .iter()
                .any(|start| line.starts_with(start))
    }) || text.contains("{{ .Values")
        || text.contains("{{- ")
        || text.contains("{{.Values")
}

fn is_path(text: &str) -> bool {
    const ENDINGS: &[&str] = &[
        ".yaml",
        ".yml",
        ".json",
        ".tf",
        ".template",
        ".hcl",
        ".ts",
        ".py",
        ".sh",
        ".txt",
    ];
    let text = text.trim();
    let one_line = !text.contains(['\n', '{', '[']) && text.len() < 4096 && !text.contains(": ");
    one_line
        && (ENDINGS.iter().any(|ending| text.ends_with(ending))
            || text.starts_with(['/', '~'])
            || text.starts_with("./")
            || text.starts_with("../"))
}

/// A block of HCL opens: `resource "a" "b" {`, `locals {`.
fn is_hcl(line: &str) -> bool {
    let Some(head) = line.trim_end().strip_suffix('{') else {
        return false;
    };
    let mut words = head.split_whitespace();
    let block = words.next().unwrap_or_default();
    let blocks = [
        "resource",
        "module",
        "data",
        "variable",
        "provider",
        "terraform",
        "locals",
        "output",
    ];
    let rest: Vec<&str> = words.collect();
    blocks.contains(&block)
        && rest
            .iter()
            .all(|word| word.starts_with('"') && word.ends_with('"'))
}

fn is_shell(line: &str) -> bool {
    let line = line.trim_start();
    ["aws ec2 ", "aws eks ", "eksctl ", "kubectl ", "export "]
        .iter()
        .any(|command| line.starts_with(command))
}

fn is_program(line: &str) -> bool {
    let line = line.trim_start();
    let starts = [
        "import ",
        "from ",
        "const ",
        "let ",
        "export class",
        "class ",
        "def ",
        "package ",
        "function ",
        "public class",
        "using ",
        "//",
    ];
    starts.iter().any(|start| line.starts_with(start))
}

/// The error for a document that reads as YAML or JSON and is of a format that is not read here.
pub(crate) fn unread_format(document: &Value) -> Option<(&'static str, &'static str)> {
    let has = |key: &str| document.get(key).is_some();
    if has("InstanceGroups") || has("InstanceGroupName") || has("ResourceConfig") {
        return Some((
            "a request to SageMaker",
            "SageMaker makes the interfaces itself: run python -m efa_sdk.doctor on the nodes",
        ));
    }
    if has("services") && document["services"].is_object() {
        return Some((
            "a Compose file",
            "containers take what their host has: run python -m efa_sdk.doctor in them",
        ));
    }
    if has("Outputs") && has("lastModified") {
        return Some(("CDK's metadata", "give the template: cdk synth"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_is_recognised_and_the_cure_says_how_to_get_a_document() {
        for (text, cure) in [
            (
                "resource \"aws_launch_template\" \"efa\" {\n  a = 1\n}\n",
                "terraform show -json",
            ),
            (
                "module \"eks\" {\n  source = \"x\"\n}\n",
                "terraform show -json",
            ),
            ("locals {\n  n = 3\n}\n", "terraform show -json"),
            (
                "import * as ec2 from 'aws-cdk-lib/aws-ec2';\nnew ec2.CfnLaunchTemplate(this, {});",
                "cdk synth",
            ),
            (
                "from aws_cdk import Stack\nclass X(Stack):\n    pass\n",
                "cdk synth",
            ),
            ("{{- if .Values.efa }}\na: 1\n{{- end }}\n", "helm template"),
            (
                "a:\n  {{ toYaml .Values.x | nindent 2 }}\nb: [",
                "helm template",
            ),
            (
                "#!/bin/bash\naws ec2 run-instances --x {",
                "--cli-input-json",
            ),
            ("deploy/efa.yaml", "python -m efa_sdk.handoff"),
            ("/tmp/template.json", "python -m efa_sdk.handoff"),
            ("main.tf\n", "python -m efa_sdk.handoff"),
        ] {
            let error = unread_source(text).unwrap();
            assert_eq!(error.code(), Code::HandoffUnreadable, "{text}");
            assert!(error.to_string().contains(cure), "{text}: {error}");
        }
        for text in [
            "a: 1\n",
            "{\"a\": [",
            "a: /tmp/x.yaml\n",
            "resource: {a: 1}\n",
        ] {
            assert!(unread_source(text).is_none(), "{text}");
        }
    }
}

//! What makes a worker's software ready for EFA.

use base64::Engine as _;
use serde_json::Value;

use super::findings::finding;
use super::parts::NodeType;
use crate::handoff::check::document::{Checked, Findings};

const SITE: &str = "efa-installer.amazonaws.com";

/// Where commands stand, and their text.
struct Commands {
    path: String,
    text: String,
}

pub(super) fn check_commands(
    document: &Checked<'_>,
    node_type: &NodeType<'_>,
    found: &mut Findings,
) {
    check_container(document, node_type, found);
    let lists = commands(document, node_type);
    let user_data = user_data(node_type);
    let installs = |text: &str| text.contains("efa_installer.sh") || text.contains(SITE);
    let shown = lists.iter().any(|list| installs(&list.text));
    match &user_data {
        _ if shown => {}
        Some(text) if installs(text) => {}
        None if node_type.config.get("LaunchTemplate").is_some() => {}
        // A placeholder, or in a form that is not read here.
        Some(text) if !text.starts_with("#!") && !text.starts_with("#cloud-config") => {
            found.out_of_sight("whether user data installs EFA: log in and run the doctor");
        }
        _ => {
            found.push(finding(
                "ray.no_efa_installer",
                format!("{}.worker_setup_commands", node_type.path),
                "no command and no user data installs EFA",
                "install it there, unless the image has it: python -m efa_sdk.doctor tells",
            ));
        }
    }
    for list in &lists {
        check_download(list, found);
    }
}

/// The commands that Ray runs on nodes of this type: its own, or else everyone's.
fn commands(document: &Checked<'_>, node_type: &NodeType<'_>) -> Vec<Commands> {
    let cluster = document.document;
    let everyone = |key: &str| {
        let list = cluster.get(key)?.as_array()?;
        Some(Commands {
            path: document.path(key),
            text: joined(list),
        })
    };
    let own = |key: &str| {
        let list = node_type.value.get(key)?.as_array()?;
        Some(Commands {
            path: format!("{}.{key}", node_type.path),
            text: joined(list),
        })
    };
    let first = own("initialization_commands").or_else(|| everyone("initialization_commands"));
    let mut lists = Vec::from_iter(first);
    if node_type.is_head {
        lists.extend(everyone("setup_commands"));
        lists.extend(everyone("head_setup_commands"));
    } else if let Some(own) = own("worker_setup_commands") {
        lists.push(own);
    } else {
        lists.extend(everyone("setup_commands"));
        lists.extend(everyone("worker_setup_commands"));
    }
    lists
}

fn joined(list: &[Value]) -> String {
    let texts: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
    texts.join("\n")
}

/// As it is written, or decoded.
fn user_data(node_type: &NodeType<'_>) -> Option<String> {
    let text = node_type.text("UserData")?;
    let packed: String = text.split_whitespace().collect();
    let decoded = base64::engine::general_purpose::STANDARD
        .decode(packed)
        .ok();
    let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    Some(decoded.unwrap_or_else(|| text.to_owned()))
}

fn check_download(list: &Commands, found: &mut Findings) {
    let text = &list.text;
    let mut after = text.split(SITE).skip(1).map(|rest| {
        let mut letters = rest.chars();
        letters.next() == Some('/') && letters.next().is_some_and(char::is_alphanumeric)
    });
    let (fetches, named) = (text.contains(SITE), after.all(|named| named));
    // Several types may run one list.
    let known = |id: &str, found: &Findings| {
        found
            .findings
            .iter()
            .any(|f| f.id == id && f.path == list.path)
    };
    // Our own script has the site in a variable, and names files later.
    if !named && !text.contains("base_url=") && !known("ray.installer_url", found) {
        let cure = "name the release: a fixed one can be verified";
        let corrected = format!("curl -O https://{SITE}/aws-efa-installer-<version>.tar.gz\n");
        let message = format!("https://{SITE} alone is no file to download");
        let finding = finding("ray.installer_url", list.path.clone(), message, cure);
        found.push(finding.corrected(corrected));
    }
    let verifies = ["sha256sum", "gpg", "--check-signatures"];
    let verifies = verifies.iter().any(|word| text.contains(word));
    if fetches && !verifies && !known("ray.unverified_download", found) {
        found.push(finding(
            "ray.unverified_download",
            list.path.clone(),
            "the EFA installer runs as root without a look at its checksum or signature",
            "verify it as AWS's page efa-verify says, or take the worker_setup_commands of \
             Plan.to_ray_yaml",
        ));
    }
}

/// In a container EFA needs its devices, whatever the node has.
fn check_container(document: &Checked<'_>, node_type: &NodeType<'_>, found: &mut Findings) {
    let places = [
        (document.document, document.prefix.clone()),
        (node_type.value, format!("{}.", node_type.path)),
    ];
    let docker = |key: &str| {
        let of =
            |(place, _): &(&Value, String)| place.get("docker").and_then(|d| d.get(key)).cloned();
        places.iter().filter_map(of).collect::<Vec<_>>()
    };
    if docker("image").is_empty() && docker("worker_image").is_empty() {
        return;
    }
    let options = [docker("run_options"), docker("worker_run_options")].concat();
    let options = Value::from(options).to_string();
    if !options.contains("/dev/infiniband") && !options.contains("--privileged") {
        let path = document.path("docker.run_options");
        let message = "the container has no EFA devices: fi_getinfo answers -61";
        let cure = "add these run_options";
        let corrected =
            "- --device=/dev/infiniband\n- --ulimit=memlock=-1:-1\n- --cap-add=IPC_LOCK\n";
        found.push(finding("ray.docker_without_devices", path, message, cure).corrected(corrected));
    }
}

//! What makes a worker's software ready for EFA.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;

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
    installs: bool,
    is_checked: Cell<bool>,
}

impl Commands {
    fn read(path: String, list: &Value) -> Option<Rc<Self>> {
        let text = joined(list.as_array()?);
        Some(Rc::new(Self {
            installs: installs(&text),
            path,
            text,
            is_checked: Cell::new(false),
        }))
    }
}

/// What a cluster states for all of its node types; several may run one list.
pub(super) struct Everyone {
    lists: HashMap<&'static str, Rc<Commands>>,
    container: Container,
}

impl Everyone {
    pub(super) fn read(document: &Checked<'_>) -> Self {
        let keys = [
            "initialization_commands",
            "setup_commands",
            "head_setup_commands",
            "worker_setup_commands",
        ];
        let cluster = document.document;
        let list = |key: &'static str| {
            let list = Commands::read(document.path(key), cluster.get(key)?)?;
            Some((key, list))
        };
        Self {
            lists: keys.into_iter().filter_map(list).collect(),
            container: Container::read(cluster),
        }
    }
}

fn installs(text: &str) -> bool {
    text.contains("efa_installer.sh") || text.contains(SITE)
}

pub(super) fn check_commands(
    document: &Checked<'_>,
    everyone: &Everyone,
    node_type: &NodeType<'_>,
    found: &mut Findings,
) {
    check_container(document, everyone, node_type, found);
    let lists = commands(everyone, node_type);
    let user_data = user_data(node_type);
    match &user_data {
        _ if lists.iter().any(|list| list.installs) => {}
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
                "install it there, unless the image has it, which python -m efa_sdk.doctor shows",
            ));
        }
    }
    for list in lists.iter().filter(|list| !list.is_checked.replace(true)) {
        check_download(list, found);
    }
}

/// The commands that Ray runs on nodes of this type: its own, or else everyone's.
fn commands(everyone: &Everyone, node_type: &NodeType<'_>) -> Vec<Rc<Commands>> {
    let everyones = |key: &str| everyone.lists.get(key).cloned();
    let own = |key: &str| {
        let list = node_type.value.get(key)?;
        Commands::read(format!("{}.{key}", node_type.path), list)
    };
    let first = own("initialization_commands").or_else(|| everyones("initialization_commands"));
    let mut lists = Vec::from_iter(first);
    if node_type.is_head {
        lists.extend(everyones("setup_commands"));
        lists.extend(everyones("head_setup_commands"));
    } else if let Some(own) = own("worker_setup_commands") {
        lists.push(own);
    } else {
        lists.extend(everyones("setup_commands"));
        lists.extend(everyones("worker_setup_commands"));
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
    // Our own script has the site in a variable, and names files later.
    if !named && !text.contains("base_url=") {
        let cure = "name the release: a fixed one can be verified";
        let corrected = format!("curl -O https://{SITE}/aws-efa-installer-<version>.tar.gz\n");
        let message = format!("https://{SITE} alone is not a file to download");
        let finding = finding("ray.installer_url", list.path.clone(), message, cure);
        found.push(finding.corrected(corrected));
    }
    let verifies = ["sha256sum", "gpg", "--check-signatures"];
    let verifies = verifies.iter().any(|word| text.contains(word));
    if fetches && !verifies {
        found.push(finding(
            "ray.unverified_download",
            list.path.clone(),
            "the EFA installer runs as root and neither its checksum nor its signature is verified",
            "verify it as described on AWS's page efa-verify, or take the worker_setup_commands of \
             Plan.to_ray_yaml",
        ));
    }
}

/// What a `docker` section states.
#[derive(Clone, Copy)]
struct Container {
    has_image: bool,
    has_devices: bool,
}

impl Container {
    fn read(place: &Value) -> Self {
        let docker = place.get("docker");
        let part = |key: &&str| docker.and_then(|docker| docker.get(*key));
        let options = ["run_options", "worker_run_options"];
        let mut options = options.iter().filter_map(part).map(Value::to_string);
        let gives = |options: String| {
            options.contains("/dev/infiniband") || options.contains("--privileged")
        };
        Self {
            has_image: ["image", "worker_image"]
                .iter()
                .any(|key| part(key).is_some()),
            has_devices: options.any(gives),
        }
    }
}

/// In a container EFA needs its devices, whatever the node has.
fn check_container(
    document: &Checked<'_>,
    everyone: &Everyone,
    node_type: &NodeType<'_>,
    found: &mut Findings,
) {
    let both = [everyone.container, Container::read(node_type.value)];
    let any = |of: fn(&Container) -> bool| both.iter().any(of);
    if any(|container| container.has_image) && !any(|container| container.has_devices) {
        let path = document.path("docker.run_options");
        let message = "the container has no EFA devices: fi_getinfo answers -61";
        let cure = "add these run_options";
        let corrected =
            "- --device=/dev/infiniband\n- --ulimit=memlock=-1:-1\n- --cap-add=IPC_LOCK\n";
        found.push(finding("ray.docker_without_devices", path, message, cure).corrected(corrected));
    }
}

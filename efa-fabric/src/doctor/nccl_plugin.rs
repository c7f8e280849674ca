//! Which network plugin NCCL would load: by its variables and by where the loader looks.
//!
//! The rules are NCCL's (src/plugin/plugin_open.cc and src/plugin/net.cc, 2.30) and the plugin's
//! (aws-ofi-nccl src/nccl_ofi_interface_nvidia.cpp): a name is tried as it stands, then as
//! `libnccl-net-NAME.so`; without NCCL_NET_PLUGIN it is `libnccl-net.so`.

use super::finding::{Check, Finding, Status};
use super::scene::Scene;
use crate::node::NcclPlugin;

const PLUGIN: &str = "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/efa-start-nccl.html";
const NCCL_ENV: &str =
    "https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/env.html#nccl-net-plugin";
const DEFAULT_PLUGIN: &str = "libnccl-net.so";
/// What NCCL takes as the name of a network that it has itself.
const OTHER_NETWORKS: [&str; 2] = ["socket", "ib"];
/// The names by which aws-ofi-nccl lets NCCL_NET call it. Up to 1.12 it had the first only.
const OWN_NAMES: [&str; 3] = ["aws libfabric", "libfabric", "ofi"];
/// The first that is called `Libfabric`.
const NEW_NAME_SINCE: (u32, u32) = (1, 13);

/// What an entry of NCCL_NET_PLUGIN leads to.
enum Led<'a> {
    /// To aws-ofi-nccl.
    Ours(&'a NcclPlugin),
    /// To another plugin.
    Other(&'a NcclPlugin),
    /// To a plugin that could not be read.
    Unread(&'a NcclPlugin),
    /// To nothing.
    Nowhere,
}

/// `nccl.plugin`: without the plugin NCCL is silent about using sockets.
pub(crate) fn nccl_plugin(scene: &Scene<'_>) -> Finding {
    let check = Check::NcclPlugin;
    if !scene.has_efa() || scene.node.gpus.is_empty() {
        return Finding::skipped(check, "no EFA device or no GPU that NCCL would use");
    }
    if !scene.node.seen.libraries {
        return Finding::not_recorded(check, "directories of shared libraries");
    }
    if scene.environment.is_none() {
        return Finding::not_recorded(
            check,
            "the environment, which decides what plugin NCCL loads",
        );
    }
    if let Some(finding) = network(scene) {
        return finding;
    }
    match setting(scene, "NCCL_NET_PLUGIN") {
        None => by_default(scene),
        Some((source, value)) => by_name(scene, &source, &value),
    }
}

/// A variable of NCCL and where it is from: the environment, or NCCL's file of settings.
fn setting(scene: &Scene<'_>, name: &str) -> Option<(String, String)> {
    if let Some(value) = scene.variable(name) {
        return Some((format!("environment {name}"), value.to_owned()));
    }
    let value = scene.node.software.nccl_settings.get(name)?;
    Some((format!("/etc/nccl.conf {name}"), value.clone()))
}

/// What is wrong with NCCL_NET, which names the only network that NCCL may take.
fn network(scene: &Scene<'_>) -> Option<Finding> {
    let (source, value) = setting(scene, "NCCL_NET").filter(|(_, value)| !value.is_empty())?;
    let name = value.to_ascii_lowercase();
    let warn = |title: String| {
        Finding::new(Check::NcclPlugin, Status::Warning, title)
            .evidence(&source, format!("'{value}'"))
            .cure("unset NCCL_NET: NCCL takes the plugin where it loads")
            .reference(NCCL_ENV)
    };
    if OTHER_NETWORKS.contains(&name.as_str()) {
        return Some(
            warn(format!("NCCL_NET={value} keeps NCCL off EFA"))
                .cause("NCCL then uses its own network of this name and no plugin"),
        );
    }
    if !OWN_NAMES.contains(&name.as_str()) {
        return Some(
            warn(format!("NCCL_NET={value} names no network of EFA's plugin")).cause(
                "aws-ofi-nccl answers to Libfabric, AWS Libfabric and OFI; NCCL fails to start \
                 where no plugin has the name",
            ),
        );
    }
    let older = (scene.node.software.nccl_plugins.iter())
        .filter_map(|plugin| two_numbers(plugin.version.as_deref()?))
        .find(|version| *version < NEW_NAME_SINCE);
    match older {
        Some(_) if name != OWN_NAMES[0] => Some(
            warn(format!(
                "NCCL_NET={value} is not the name of the installed plugin"
            ))
            .cause("aws-ofi-nccl up to 1.12 answers to 'AWS Libfabric' only"),
        ),
        _ => None,
    }
}

/// NCCL_NET_PLUGIN is not set: NCCL opens `libnccl-net.so`.
fn by_default(scene: &Scene<'_>) -> Finding {
    match lookup(scene, DEFAULT_PLUGIN) {
        Led::Ours(plugin) => loads(plugin),
        Led::Unread(plugin) => unread(plugin),
        Led::Other(plugin) => other(plugin)
            .cure("set NCCL_NET_PLUGIN=ofi, or put the directory of aws-ofi-nccl first in LD_LIBRARY_PATH"),
        Led::Nowhere => match ours(scene) {
            Some(plugin) => out_of_sight(scene, plugin, DEFAULT_PLUGIN),
            None => not_installed(),
        },
    }
}

/// NCCL_NET_PLUGIN is set: a list of names, the first that loads and starts is taken.
fn by_name(scene: &Scene<'_>, source: &str, value: &str) -> Finding {
    let evidence = |finding: Finding| {
        finding
            .evidence(source, format!("'{value}'"))
            .reference(NCCL_ENV)
    };
    let names: Vec<&str> = value.split(',').filter(|name| !name.is_empty()).collect();
    if names.is_empty() || value.eq_ignore_ascii_case("none") {
        return evidence(
            Finding::new(
                Check::NcclPlugin,
                Status::Warning,
                format!("NCCL_NET_PLUGIN={value} keeps NCCL from loading any plugin"),
            )
            .cause("NCCL then has its own networks only, and uses TCP sockets")
            .cure("unset NCCL_NET_PLUGIN"),
        );
    }
    let mut before = None;
    for name in &names {
        if name.eq_ignore_ascii_case("STATIC_PLUGIN") {
            return evidence(Finding::new(
                Check::NcclPlugin,
                Status::Unknown,
                "whether a plugin is linked into the program is not known",
            ));
        }
        match led(scene, name) {
            Led::Ours(plugin) if before.is_none() => return evidence(loads(plugin)),
            Led::Unread(plugin) => return evidence(unread(plugin)),
            // One that does not start leaves its place to the next, which files do not show.
            Led::Ours(plugin) => {
                return evidence(loads_if_others_fail(plugin));
            }
            Led::Other(plugin) => before = before.or(Some(plugin)),
            Led::Nowhere => {}
        }
    }
    if let Some(plugin) = before {
        return evidence(other(plugin).cure("unset NCCL_NET_PLUGIN, or set it to ofi"));
    }
    let finding = Finding::new(
        Check::NcclPlugin,
        Status::Warning,
        format!("NCCL_NET_PLUGIN={value} leads to no plugin"),
    )
    .cause(if value.contains('/') {
        "the file does not exist: NCCL continues without a plugin and uses TCP sockets".to_owned()
    } else {
        format!(
            "the loader finds neither {value} nor libnccl-net-{value}.so: NCCL continues without \
             a plugin and uses TCP sockets. Base images of NVIDIA set the variable to plugins of \
             their own"
        )
    });
    evidence(match ours(scene) {
        Some(plugin) => finding
            .evidence(&plugin.path, "there")
            .cure("unset NCCL_NET_PLUGIN, or set it to the path of aws-ofi-nccl's file"),
        None => finding
            .cure("unset NCCL_NET_PLUGIN, and run the EFA installer, which brings aws-ofi-nccl"),
    })
}

/// What NCCL opens for one entry of NCCL_NET_PLUGIN.
fn led<'a>(scene: &Scene<'a>, name: &str) -> Led<'a> {
    if name.contains('/') {
        return led_to(
            scene
                .node
                .software
                .nccl_plugins
                .iter()
                .find(|plugin| plugin.paths.iter().any(|path| path == name)),
        );
    }
    match lookup(scene, name) {
        Led::Nowhere if !(name.starts_with("lib") && name.ends_with(".so")) => {
            lookup(scene, &format!("libnccl-net-{name}.so"))
        }
        found => found,
    }
}

/// The file of this name that the loader finds first.
fn lookup<'a>(scene: &Scene<'a>, file: &str) -> Led<'a> {
    let plugins = &scene.node.software.nccl_plugins;
    let named: Vec<String> = scene
        .variable("LD_LIBRARY_PATH")
        .unwrap_or_default()
        .split(':')
        .map(|entry| entry.trim_end_matches('/').to_owned())
        .collect();
    let linked = scene.node.software.linker_directories.iter();
    let linked = linked.map(|entry| entry.directory.trim_end_matches('/').to_owned());
    for directory in named.into_iter().chain(linked) {
        let path = format!("{directory}/{file}");
        let found = plugins.iter().find(|plugin| plugin.paths.contains(&path));
        if found.is_some() {
            return led_to(found);
        }
    }
    let is_standard = |path: &str| {
        path.rsplit_once('/').is_some_and(|(directory, name)| {
            name == file
                && ["/lib", "/usr/lib", "/usr/local/lib"]
                    .iter()
                    .any(|base| directory.starts_with(base))
        })
    };
    led_to(
        plugins
            .iter()
            .find(|plugin| plugin.paths.iter().any(|path| is_standard(path))),
    )
}

fn led_to(plugin: Option<&NcclPlugin>) -> Led<'_> {
    match plugin {
        None => Led::Nowhere,
        Some(plugin) => match plugin.is_for_libfabric {
            Some(true) => Led::Ours(plugin),
            Some(false) => Led::Other(plugin),
            None => Led::Unread(plugin),
        },
    }
}

fn ours<'a>(scene: &Scene<'a>) -> Option<&'a NcclPlugin> {
    let mut plugins = scene.node.software.nccl_plugins.iter();
    plugins.find(|plugin| plugin.is_for_libfabric != Some(false))
}

fn called(plugin: &NcclPlugin) -> String {
    match &plugin.version {
        Some(version) => format!("aws-ofi-nccl {version}"),
        None => "aws-ofi-nccl".to_owned(),
    }
}

fn loads(plugin: &NcclPlugin) -> Finding {
    Finding::ok(
        Check::NcclPlugin,
        format!("NCCL would load {} at {}", called(plugin), plugin.path),
    )
}

fn loads_if_others_fail(plugin: &NcclPlugin) -> Finding {
    Finding::new(
        Check::NcclPlugin,
        Status::Warning,
        format!(
            "NCCL tries another plugin before {} at {}",
            called(plugin),
            plugin.path
        ),
    )
    .cause("it takes the first of NCCL_NET_PLUGIN that starts")
    .cure("unset NCCL_NET_PLUGIN, or name aws-ofi-nccl first")
}

fn unread(plugin: &NcclPlugin) -> Finding {
    Finding::new(
        Check::NcclPlugin,
        Status::Unknown,
        format!("what NCCL would load cannot be read: {}", plugin.path),
    )
    .evidence(&plugin.path, "not readable")
}

fn other(plugin: &NcclPlugin) -> Finding {
    Finding::new(
        Check::NcclPlugin,
        Status::Warning,
        format!("NCCL would load another plugin: {}", plugin.path),
    )
    .evidence(&plugin.path, "it is not aws-ofi-nccl")
    .cause("a plugin that does not know EFA takes its place: NCCL uses TCP sockets")
    .reference(PLUGIN)
}

fn not_installed() -> Finding {
    Finding::new(
        Check::NcclPlugin,
        Status::Warning,
        "NCCL's libfabric plugin is not installed",
    )
    .evidence("libnccl-net*.so", "not in the usual directories")
    .cause("without aws-ofi-nccl NCCL uses TCP sockets, and reports that only in its log")
    .cure("run the EFA installer, which brings it, or put it into the image")
    .reference(PLUGIN)
}

/// The plugin is installed where the loader does not look, or under a name that NCCL does not
/// open by itself.
fn out_of_sight(scene: &Scene<'_>, plugin: &NcclPlugin, file: &str) -> Finding {
    let finding = Finding::new(
        Check::NcclPlugin,
        Status::Warning,
        format!(
            "the loader finds no {file}, but {} is installed",
            called(plugin)
        ),
    )
    .evidence(&plugin.path, "there")
    .evidence(
        "environment LD_LIBRARY_PATH",
        scene.variable("LD_LIBRARY_PATH").unwrap_or("not set"),
    )
    .evidence("/etc/ld.so.conf.d", "no file names its directory")
    .cause("NCCL opens the plugin by name, finds nothing and uses TCP sockets")
    .reference(PLUGIN);
    let has_name = |path: &&String| path.ends_with(&format!("/{file}"));
    match plugin.paths.iter().find(has_name) {
        None => finding.cure(format!("set NCCL_NET_PLUGIN={}", plugin.path)),
        Some(path) => finding.cure(format!(
            "put {} into LD_LIBRARY_PATH of every worker (with Ray in runtime_env), or into a file \
             in /etc/ld.so.conf.d and run ldconfig",
            path.rsplit_once('/')
                .map_or("its directory", |(directory, _)| directory)
        )),
    }
}

fn two_numbers(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split(['.', '-']).map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

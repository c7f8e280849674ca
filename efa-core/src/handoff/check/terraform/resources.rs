//! The resources of a configuration, a plan or a state, dynamic blocks in place.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::expression::Scope;
use super::syntax::{Named, blocks, named};
use crate::handoff::check::document::Checked;
use crate::handoff::check::launch::block;

/// One resource.
pub(super) struct Resource {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) path: String,
    pub(super) body: Value,
    /// Parts of it that are computed, and not known here.
    pub(super) unread: Vec<String>,
}

/// The resources of a document.
pub(super) struct Resources {
    all: Vec<Resource>,
    /// Positions by kind and name.
    by_name: HashMap<(String, String), usize>,
    /// Positions of what launches from the launch template at a position.
    users: HashMap<usize, Vec<usize>>,
}

impl Resources {
    pub(super) fn read(document: &Checked<'_>, scope: &Scope) -> Self {
        let value = document.document;
        let mut all = Vec::new();
        for kind in named(value.get("resource")) {
            for resource in named(Some(kind.body)) {
                let path = format!("resource.{}.{}", kind.name, resource.name);
                all.push(read(
                    kind.name,
                    resource.name,
                    document.path(&path),
                    resource.body,
                    scope,
                ));
            }
        }
        let planned = value.get("planned_values").or_else(|| value.get("values"));
        if let Some(root) = planned.and_then(|values| values.get("root_module")) {
            modules(document, root, scope, 16, &mut all);
        }
        let by_name = all.iter().enumerate();
        let by_name = by_name
            .map(|(at, resource)| ((resource.kind.clone(), resource.name.clone()), at))
            .collect();
        let mut resources = Self {
            all,
            by_name,
            users: HashMap::new(),
        };
        resources.users = resources.find_users();
        resources
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Resource> {
        self.all.iter()
    }

    pub(super) fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Resource> {
        self.all
            .iter()
            .filter(move |resource| resource.kind == kind)
    }

    /// The resource of a kind that an expression such as `${aws_security_group.efa.id}` names.
    pub(super) fn referred(&self, value: &Value, kind: &str) -> Option<&Resource> {
        self.position(value, kind).map(|at| &self.all[at])
    }

    fn position(&self, value: &Value, kind: &str) -> Option<usize> {
        let text = value.as_str()?;
        let inner = text.strip_prefix("${").and_then(|t| t.strip_suffix('}'));
        let rest = inner?.trim().strip_prefix(kind)?.strip_prefix('.')?;
        let name = rest.split(['.', '[', ' ']).next()?;
        self.by_name
            .get(&(kind.to_owned(), name.to_owned()))
            .copied()
    }

    /// What launches from a template.
    pub(super) fn users(&self, template: &Resource) -> impl Iterator<Item = &Resource> {
        let key = (template.kind.clone(), template.name.clone());
        let at = self.by_name.get(&key);
        let users = at.and_then(|at| self.users.get(at));
        users.into_iter().flatten().map(|at| &self.all[*at])
    }

    fn find_users(&self) -> HashMap<usize, Vec<usize>> {
        const TEMPLATE: &str = "aws_launch_template";
        let mut found: HashMap<usize, Vec<usize>> = HashMap::new();
        let by_attribute: HashMap<&str, usize> = self
            .all
            .iter()
            .enumerate()
            .filter(|(_, resource)| resource.kind == TEMPLATE)
            .flat_map(|(at, resource)| {
                let values = ["id", "name"].into_iter();
                values.filter_map(move |key| Some((resource.body.get(key)?.as_str()?, at)))
            })
            .collect();
        for (at, resource) in self.all.iter().enumerate() {
            let body = &resource.body;
            let mixed = body.get("mixed_instances_policy").map(block);
            let mixed = mixed.and_then(|m| m.get("launch_template")).map(block);
            let chosen = [
                body.get("launch_template"),
                body.get("compute_resources")
                    .map(block)
                    .and_then(|c| c.get("launch_template")),
                mixed.and_then(|m| m.get("launch_template_specification")),
            ];
            for chosen in chosen.into_iter().flatten().map(block) {
                let ids = ["id", "name", "launch_template_id", "launch_template_name"];
                let made = ids.iter().filter_map(|key| chosen.get(key)).find_map(|id| {
                    self.position(id, TEMPLATE)
                        .or_else(|| by_attribute.get(id.as_str()?).copied())
                });
                if let Some(made) = made {
                    found.entry(made).or_default().push(at);
                }
            }
        }
        found
    }

    /// The arguments of an `aws_instance` in EC2's words, with the interfaces that it attaches.
    pub(super) fn as_launched(&self, body: &Value) -> Value {
        let mut data = Map::new();
        for key in [
            "instance_type",
            "metadata_options",
            "instance_market_options",
            "capacity_reservation_specification",
        ] {
            if let Some(value) = body.get(key).filter(|value| !value.is_null()) {
                data.insert(key.to_owned(), value.clone());
            }
        }
        let volumes = ["root_block_device", "ebs_block_device"].into_iter();
        let volumes = volumes.filter_map(|key| body.get(key)).flat_map(blocks);
        let volumes: Vec<Value> = volumes.map(|ebs| json!({"ebs": ebs})).collect();
        if !volumes.is_empty() {
            data.insert("block_device_mappings".to_owned(), volumes.into());
        }
        let listed = ["network_interface", "primary_network_interface"].into_iter();
        let listed = listed.filter_map(|key| body.get(key)).flat_map(blocks);
        let listed: Vec<Value> = listed
            .filter(|entry| entry.is_object())
            .map(|entry| {
                let mut merged = entry.clone();
                let id = entry.get("network_interface_id");
                let made = id.and_then(|id| self.referred(id, "aws_network_interface"));
                for key in ["interface_type", "subnet_id"] {
                    if let Some(value) = made.and_then(|made| made.body.get(key)) {
                        merged[key] = value.clone();
                    }
                }
                // The primary one is where the primary one is.
                if merged.get("device_index").is_none() {
                    merged["device_index"] = json!(0);
                }
                merged
            })
            .collect();
        if !listed.is_empty() {
            data.insert("network_interfaces".to_owned(), listed.into());
        }
        Value::Object(data)
    }
}

/// The resources of a module of a plan or a state, and of those in it.
fn modules(
    document: &Checked<'_>,
    module: &Value,
    scope: &Scope,
    depth: usize,
    all: &mut Vec<Resource>,
) {
    let list = |key: &str| {
        module
            .get(key)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    };
    for resource in list("resources") {
        let text = |key: &str| {
            resource
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        if text("mode") == "data" {
            continue;
        }
        let body = resource.get("values").unwrap_or(&Value::Null);
        let path = document.path(text("address"));
        all.push(read(
            text("type"),
            text("name"),
            path,
            &without_null(body),
            scope,
        ));
    }
    for child in list("child_modules") {
        match depth.checked_sub(1) {
            Some(deeper) => modules(document, child, scope, deeper, all),
            // A kind that is not read.
            None => {
                let address = child.get("address").and_then(Value::as_str);
                let address = address.unwrap_or("module").to_owned();
                all.push(read("module", &address, address.clone(), child, scope));
            }
        }
    }
}

/// A plan has every argument; those without a value are null, empty or an empty list.
fn without_null(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let given = map.iter().filter(|(_, value)| {
                !value.is_null() && **value != json!([]) && **value != json!("")
            });
            Value::Object(given.map(|(k, v)| (k.clone(), without_null(v))).collect())
        }
        Value::Array(list) => list.iter().map(without_null).collect(),
        other => other.clone(),
    }
}

fn read(kind: &str, name: &str, path: String, body: &Value, scope: &Scope) -> Resource {
    let mut unread = Vec::new();
    let body = expanded(body, scope, &mut unread, 8);
    Resource {
        kind: kind.to_owned(),
        name: name.to_owned(),
        path,
        body,
        unread,
    }
}

/// A body with its expressions and dynamic blocks in place, where they are known.
fn expanded(body: &Value, scope: &Scope, unread: &mut Vec<String>, depth: usize) -> Value {
    let Value::Object(map) = body else {
        return scope.resolved(body);
    };
    let mut expanded_map = Map::new();
    for (key, value) in map {
        if key != "dynamic" {
            expanded_map.insert(key.clone(), scope.resolved(value));
        }
    }
    let is_block = |value: &Value| match value {
        Value::Array(list) => list.iter().all(Value::is_object),
        other => other.is_object(),
    };
    if map.get("dynamic").is_some_and(|dynamic| !is_block(dynamic)) {
        unread.push("its dynamic blocks: they are no mapping".to_owned());
    }
    for dynamic in map
        .get("dynamic")
        .map(|d| named(Some(d)))
        .unwrap_or_default()
    {
        let Some(deeper) = depth.checked_sub(1) else {
            unread.push(format!(
                "its dynamic block {}: nested too deep",
                dynamic.name
            ));
            continue;
        };
        let Some(blocks) = dynamic_blocks(&dynamic, scope, unread, deeper) else {
            unread.push(format!(
                "its dynamic block {}: for_each is computed elsewhere; check terraform show -json \
                 of a plan",
                dynamic.name
            ));
            continue;
        };
        let list = expanded_map
            .entry(dynamic.name.to_owned())
            .or_insert_with(|| json!([]));
        if !list.is_array() {
            *list = json!([list.take()]);
        }
        if let Some(list) = list.as_array_mut() {
            list.extend(blocks);
        }
    }
    Value::Object(expanded_map)
}

/// One block for each entry of `for_each`.
fn dynamic_blocks(
    dynamic: &Named<'_>,
    scope: &Scope,
    unread: &mut Vec<String>,
    depth: usize,
) -> Option<Vec<Value>> {
    let entries = match scope.resolved(dynamic.body.get("for_each")?) {
        Value::Array(list) => list
            .into_iter()
            .enumerate()
            .map(|(at, value)| (json!(at), value))
            .collect::<Vec<_>>(),
        Value::Object(map) => map
            .into_iter()
            .map(|(key, value)| (json!(key), value))
            .collect(),
        _ => return None,
    };
    let iterator = dynamic.body.get("iterator").and_then(Value::as_str);
    let iterator = iterator.unwrap_or(dynamic.name);
    let content = block(dynamic.body.get("content")?);
    let block = |(key, value): (Value, Value)| {
        let mut inner = scope.clone();
        inner.set(&format!("{iterator}.key"), key);
        inner.set(&format!("{iterator}.value"), value);
        expanded(content, &inner, unread, depth)
    };
    Some(entries.into_iter().map(block).collect())
}

/// `network_card_index` as `NetworkCardIndex`.
pub(super) fn pascal_case(name: &str) -> String {
    let words = name.split('_').map(|word| {
        let mut word = word.to_owned();
        if let Some(first) = word.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        word
    });
    words.collect()
}

//! Ordered values, and YAML with comments above keys.

use serde::Serialize;

/// A value whose mappings keep the order in which they were written.
pub(crate) type Node = yaml_serde::Value;

/// A mapping with its keys in the order written; a value that is `None` is left out.
macro_rules! mapping {
    ($($key:expr => $value:expr),* $(,)?) => {{
        #[allow(unused_mut)]
        let mut map = yaml_serde::Mapping::new();
        $($crate::handoff::document::put(&mut map, $key, $value);)*
        yaml_serde::Value::Mapping(map)
    }};
}
pub(crate) use mapping;

pub(crate) fn put(map: &mut yaml_serde::Mapping, key: &str, value: impl Into<Node>) {
    map.insert(key.into(), value.into());
}

/// Any plain data as a value, in the order of its fields.
pub(crate) fn node(data: &impl Serialize) -> Node {
    // Plain data with string keys: nothing that YAML cannot hold.
    yaml_serde::to_value(data).unwrap_or(Node::Null)
}

/// JSON with two spaces of indentation and a line end.
pub(crate) fn json_text(data: &impl Serialize) -> String {
    // As in `node`.
    let text = serde_json::to_string_pretty(data).unwrap_or_default();
    text + "\n"
}

/// One YAML document, with comments above keys.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    value: Node,
    comments: Vec<(String, String)>,
}

impl Document {
    pub(crate) fn new(value: Node) -> Self {
        Self {
            value,
            comments: Vec::new(),
        }
    }

    /// A comment above the key at the end of this path of keys and list positions, with `.`
    /// between: not above the first key of a list's entry. `path` must exist; keys with a dot in
    /// them cannot be named.
    pub(crate) fn comment(mut self, path: &str, text: &str) -> Self {
        self.comments.push((path.to_owned(), text.to_owned()));
        self
    }

    fn text(&self) -> String {
        let mut value = self.value.clone();
        let mark = self.free_mark();
        for (number, (path, _)) in self.comments.iter().enumerate() {
            let put = put_before(&mut value, path, &format!("{mark}{number}"));
            debug_assert!(put, "no {path} to comment");
        }
        let mut hidden = Vec::new();
        hide_ambiguous(&mut value, &mark, &mut hidden);
        let mut plain = yaml(&value);
        for (name, text) in hidden {
            plain = plain.replace(&name, &format!("\"{text}\""));
        }
        let mut text = String::new();
        for line in plain.lines() {
            let indent = &line[..line.len() - line.trim_start().len()];
            let number = line.trim_start().strip_prefix(&mark);
            let number = number.and_then(|rest| rest.strip_suffix(": null")?.parse::<usize>().ok());
            match number.and_then(|number| self.comments.get(number)) {
                Some((_, comment)) => {
                    for part in comment.lines() {
                        text += &format!("{indent}# {part}\n");
                    }
                }
                None => {
                    text += line;
                    text += "\n";
                }
            }
        }
        text
    }

    /// A key for comments that stands nowhere in the value.
    fn free_mark(&self) -> String {
        let plain = yaml(&self.value);
        let mut mark = "comment-".to_owned();
        while plain.contains(&mark) {
            mark += "-";
        }
        mark
    }
}

/// Puts names in place of the strings that YAML 1.1 takes for a date, a number or a Boolean, and
/// YAML 1.2 does not: many readers know the former only (PyYAML, for one), and the writer does not
/// quote for them.
fn hide_ambiguous(value: &mut Node, mark: &str, hidden: &mut Vec<(String, String)>) {
    match value {
        Node::String(text) if is_ambiguous(text) => {
            let name = format!("{mark}text-{}-", hidden.len());
            hidden.push((name.clone(), std::mem::replace(text, name)));
        }
        Node::Sequence(list) => {
            for item in list {
                hide_ambiguous(item, mark, hidden);
            }
        }
        Node::Mapping(map) => {
            for (mut key, mut item) in std::mem::take(map) {
                hide_ambiguous(&mut key, mark, hidden);
                hide_ambiguous(&mut item, mark, hidden);
                map.insert(key, item);
            }
        }
        _ => {}
    }
}

/// Such as `2026-12-31`, `12:30`, `1_000` and `no`; a few more are harmless.
fn is_ambiguous(text: &str) -> bool {
    // Words for a Boolean, and the keys that mean a merge and a value.
    let special = ["y", "n", "yes", "no", "on", "off", "<<", "="];
    if special.iter().any(|word| text.eq_ignore_ascii_case(word)) {
        return true;
    }
    let number = |c: char| c.is_ascii_hexdigit() || "_:.+-xobTtZz ".contains(c);
    text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
        && text.chars().all(number)
        && text.contains([':', '_', '-'])
        // A number in YAML 1.2 too, which the writer quotes itself.
        && text.parse::<f64>().is_err()
}

fn yaml(value: &Node) -> String {
    // As in `node`.
    yaml_serde::to_string(value).unwrap_or_default()
}

/// Puts an empty entry of this name before the key at the end of the path; false without one.
fn put_before(value: &mut Node, path: &str, name: &str) -> bool {
    let (parent, key) = path.rsplit_once('.').unwrap_or(("", path));
    let Some(map) = at(value, parent).and_then(Node::as_mapping_mut) else {
        return false;
    };
    if !map.contains_key(key) {
        return false;
    }
    for (found, value) in std::mem::take(map) {
        if found.as_str() == Some(key) {
            map.insert(name.into(), Node::Null);
        }
        map.insert(found, value);
    }
    true
}

/// Replaces what is at a path of keys, where there is something; `*` stands for every entry of a
/// list.
pub(crate) fn set(data: &mut Node, path: &[&str], value: &Node) {
    match path {
        [] => *data = value.clone(),
        ["*", rest @ ..] => {
            for entry in data.as_sequence_mut().into_iter().flatten() {
                set(entry, rest, value);
            }
        }
        [key, rest @ ..] => {
            if let Some(list) = data.as_sequence_mut() {
                let index = key.parse().ok().and_then(|at: usize| list.get_mut(at));
                if let Some(found) = index {
                    set(found, rest, value);
                }
            } else if let Some(found) = data.as_mapping_mut().and_then(|map| map.get_mut(*key)) {
                set(found, rest, value);
            }
        }
    }
}

/// The value at a path with `.` between; the whole at an empty one.
fn at<'a>(value: &'a mut Node, path: &str) -> Option<&'a mut Node> {
    path.split('.')
        .filter(|part| !part.is_empty())
        .try_fold(value, |value, part| match value {
            Node::Sequence(list) => list.get_mut(part.parse::<usize>().ok()?),
            Node::Mapping(map) => map.get_mut(part),
            _ => None,
        })
}

/// YAML text: the header as comments, then the documents.
pub(crate) fn yaml_text(header: &[String], documents: &[Document]) -> String {
    let mut text: String = header.iter().map(|line| format!("# {line}\n")).collect();
    for (number, document) in documents.iter().enumerate() {
        if number > 0 {
            text += "---\n";
        }
        text += &document.text();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_yaml_1_1_takes_for_something_else_is_quoted() {
        for text in [
            "2026-12-31",
            "12:30",
            "1_000",
            "2026-12-31 12:00:00",
            "No",
            "y",
            "=",
            "<<",
            "On",
        ] {
            let document = Document::new(mapping! { "a" => vec![mapping! { "b" => text }] });
            assert_eq!(document.text(), format!("a:\n- b: \"{text}\"\n"));
            let document = Document::new(mapping! { "a" => mapping! { text => "b" } });
            assert_eq!(document.text(), format!("a:\n  \"{text}\": b\n"));
        }
        for text in [
            "x",
            "2.60.0",
            "0:0=interface",
            "10.0.0.0/16",
            "sg-1",
            "-",
            "",
        ] {
            let written = Document::new(mapping! { "b" => text }).text();
            let read: Node = yaml_serde::from_str(&written).unwrap();
            assert_eq!(read["b"].as_str(), Some(text), "{written}");
        }
        assert_eq!(Document::new(mapping! { "b" => "-7" }).text(), "b: '-7'\n");
    }

    #[test]
    fn comments_stand_above_their_keys_and_change_no_value() {
        let value = mapping! {
            "name" => "x",
            "list" => vec![mapping! { "a" => 1, "b" => mapping! { "c" => "comment-0: null\n# no" } }],
        };
        let document = Document::new(value.clone())
            .comment("name", "one\ntwo")
            .comment("list.0.b", "three")
            .comment("list.0.b.c", "four");
        let text = yaml_text(&["top".to_owned()], &[document.clone(), document]);
        assert!(text.starts_with("# top\n# one\n# two\nname: x\nlist:\n- a: 1\n  # three\n  b:\n    # four\n    c: |-\n"), "{text}");
        for part in text.split("---\n") {
            let read: Node = yaml_serde::from_str(part).unwrap();
            assert_eq!(read, value);
        }
    }
}

//! The environment of a process as files have it: `/proc/PID/environ`, or what `env` prints.

use std::collections::BTreeMap;

use super::root::NodeRoot;

/// Most of an environment that is read, in bytes: Linux allows a quarter of the stack, 2 MiB.
const MAX_ENVIRONMENT: u64 = 4 << 20;

impl NodeRoot {
    /// Returns the environment that a recorded tree has in `/proc/self/environ`. `None` where there
    /// is no such file or it is empty, as archives of procfs have it: then none was recorded.
    #[must_use]
    pub fn recorded_environment(&self) -> Option<BTreeMap<String, String>> {
        let content = self.bytes("/proc/self/environ", MAX_ENVIRONMENT)?;
        let environment = parse_environment(&content);
        (!environment.is_empty()).then_some(environment)
    }
}

/// Variables of a process, of `/proc/PID/environ` (each ends with a zero byte) or of lines, such
/// as `env`, `export -p` and `printenv` print them. A line that is no assignment belongs to the
/// value before it. What is not UTF-8 is kept as well as it can be.
///
/// ```
/// let variables = efa_fabric::node::parse_environment(b"FI_PROVIDER=efa\0PATH=/bin\0");
/// assert_eq!(variables["FI_PROVIDER"], "efa");
/// let variables = efa_fabric::node::parse_environment(b"export FI_PROVIDER=\"efa\"\n");
/// assert_eq!(variables["FI_PROVIDER"], "efa");
/// ```
#[must_use]
pub fn parse_environment(content: &[u8]) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(content);
    if text.contains('\0') {
        return text
            .split('\0')
            .filter_map(|entry| entry.split_once('='))
            .filter(|(name, _)| !name.is_empty())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
    }
    let mut variables = BTreeMap::new();
    let mut last: Option<String> = None;
    for line in text.lines() {
        match assignment(line) {
            Some((name, value)) => {
                variables.insert(name.to_owned(), value);
                last = Some(name.to_owned());
            }
            None => {
                let value = last.as_ref().and_then(|name| variables.get_mut(name));
                if let Some(value) = value {
                    value.push('\n');
                    value.push_str(line);
                }
            }
        }
    }
    variables
}

/// Name and value of `NAME=value`, `export NAME="value"` and `declare -x NAME="value"`.
fn assignment(line: &str) -> Option<(&str, String)> {
    let exported = ["export ", "declare -x "]
        .iter()
        .find_map(|word| line.trim_start().strip_prefix(word));
    let (name, value) = exported.unwrap_or(line).split_once('=')?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty()
        || name.starts_with(|c: char| c.is_ascii_digit())
        || !name.chars().all(is_name)
    {
        return None;
    }
    let value = match exported {
        Some(_) => unquoted(value),
        None => value.trim_end_matches('\r').to_owned(),
    };
    Some((name, value))
}

/// A value as the shell would take it, with one pair of quotes or none.
fn unquoted(value: &str) -> String {
    let value = value.trim();
    let inner = ['"', '\''].into_iter().find_map(|quote| {
        value
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote))
    });
    match inner {
        Some(inner) => inner.replace("\\\"", "\"").replace("\\\\", "\\"),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_usual_form_is_read() {
        for text in [
            &b"FI_PROVIDER=efa\0A=1\n2\0EMPTY=\0"[..],
            b"FI_PROVIDER=efa\nA=1\n2\nEMPTY=\n",
            b"FI_PROVIDER=efa\r\nA=1\n2\nEMPTY=",
            b"export FI_PROVIDER='efa'\nA=1\n2\nexport EMPTY=\"\"\n",
            b"declare -x FI_PROVIDER=\"efa\"\nA=1\n2\ndeclare -x EMPTY=\"\"\n",
        ] {
            let found = parse_environment(text);
            assert_eq!(found["FI_PROVIDER"], "efa", "{text:?}");
            assert_eq!(found["A"], "1\n2", "{text:?}");
            assert_eq!(found["EMPTY"], "", "{text:?}");
            assert_eq!(found.len(), 3, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_environment_has_no_variables() {
        for text in [
            &b""[..],
            b"\n",
            b"no assignment",
            b"=x\0",
            b"1A=2\n",
            b"a b=c\n",
        ] {
            assert!(parse_environment(text).is_empty(), "{text:?}");
        }
        let odd = parse_environment(b"A=\xff\0");
        assert_eq!(odd.len(), 1);
    }
}

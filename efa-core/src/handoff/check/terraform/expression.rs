//! The few expressions of Terraform whose value does not depend on anything but the text.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::{Value, json};

use super::syntax::{blocks, named};
use crate::error::Result;
use crate::handoff::check::document::size;
use crate::handoff::check::unknown::is_unknown;
use crate::handoff::read::too_large;

/// How deep expressions and names may nest.
const DEPTH: usize = 16;

/// The longest list that `range` makes.
const RANGE: u64 = 256;

/// How much more than its own size a text may expand to, in bytes.
const EXPANSION: usize = 8 << 20;

/// The values of names: variables with a default, locals, and those of a dynamic block.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    names: Rc<BTreeMap<String, Value>>,
    /// Those of the dynamic blocks around.
    inner: BTreeMap<String, Value>,
    /// How many bytes the values may still have together.
    left: Rc<Cell<usize>>,
    limit: usize,
}

impl Scope {
    /// Variables with their defaults, and locals.
    pub(super) fn read(document: &Value) -> Self {
        let mut names = BTreeMap::new();
        for variable in named(document.get("variable")) {
            if let Some(default) = variable.body.get("default") {
                names.insert(format!("var.{}", variable.name), default.clone());
            }
        }
        let locals = document.get("locals").map(blocks).unwrap_or_default();
        for local in locals.into_iter().filter_map(Value::as_object).flatten() {
            names.insert(format!("local.{}", local.0), local.1.clone());
        }
        let limit = size(document).saturating_mul(4).saturating_add(EXPANSION);
        Self {
            names: Rc::new(names),
            inner: BTreeMap::new(),
            left: Rc::new(Cell::new(limit)),
            limit,
        }
    }

    /// Gives a name of a dynamic block its value.
    pub(super) fn set(&mut self, name: &str, value: Value) {
        self.inner.insert(name.to_owned(), value);
    }

    /// # Errors
    /// `handoff.too_large` where the values expanded to much more than the text.
    pub(super) fn finish(&self) -> Result<()> {
        match self.left.get() {
            0 => Err(too_large(
                "expressions that expand to more than the text".to_owned(),
                self.limit,
            )),
            _ => Ok(()),
        }
    }

    /// Takes what a value adds; false once it is too much.
    fn take(&self, bytes: usize) -> bool {
        let left = self.left.get().saturating_sub(bytes);
        self.left.set(left);
        left > 0
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.inner.get(name).or_else(|| self.names.get(name))
    }

    /// The value with every expression in place whose value is known.
    pub(super) fn resolved(&self, value: &Value) -> Value {
        self.value(value, DEPTH)
    }

    fn value(&self, value: &Value, depth: usize) -> Value {
        // What is left out here is never seen: `finish` fails.
        if !self.take(4) {
            return Value::Null;
        }
        let Some(deeper) = depth.checked_sub(1) else {
            return if self.take(size(value)) {
                value.clone()
            } else {
                Value::Null
            };
        };
        match value {
            Value::String(text) => self.text(text, deeper).unwrap_or_else(|| {
                self.take(text.len());
                value.clone()
            }),
            Value::Array(list) => list.iter().map(|entry| self.value(entry, deeper)).collect(),
            Value::Object(map) => {
                let entries = map.iter();
                let entries = entries.map(|(key, entry)| (key.clone(), self.value(entry, deeper)));
                Value::Object(entries.collect())
            }
            other => other.clone(),
        }
    }

    /// The value of a text that is one expression, `${…}`.
    fn text(&self, text: &str, depth: usize) -> Option<Value> {
        let inner = text.strip_prefix("${")?.strip_suffix('}')?;
        if inner.contains("${") || inner.len() > 512 {
            return None;
        }
        let tokens = tokens(inner)?;
        let mut parser = Parser {
            scope: self,
            tokens: &tokens,
            at: 0,
            depth,
        };
        let value = parser.ternary()?;
        (parser.at == tokens.len()).then_some(value)
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Number(i64),
    Text(String),
    Name(String),
    Sign(&'static str),
}

fn tokens(text: &str) -> Option<Vec<Token>> {
    const SIGNS: &[&str] = &[
        "==", "!=", "<=", ">=", "&&", "||", "?", ":", "(", ")", "[", "]", ",", "<", ">", "+", "-",
        "*", "/", "%", "!",
    ];
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if first.is_ascii_digit() {
            let length = rest
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(rest.len());
            found.push(Token::Number(rest[..length].parse().ok()?));
            length
        } else if first == '"' {
            let end = rest[1..].find('"')? + 1;
            let inner = &rest[1..end];
            if inner.contains(['\\', '$']) {
                return None;
            }
            found.push(Token::Text(inner.to_owned()));
            end + 1
        } else if first.is_ascii_alphabetic() || first == '_' {
            let part = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
            let length = rest.find(|c: char| !part(c)).unwrap_or(rest.len());
            found.push(Token::Name(rest[..length].to_owned()));
            length
        } else {
            let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign))?;
            found.push(Token::Sign(sign));
            sign.len()
        };
        rest = rest[length..].trim_start();
    }
    Some(found)
}

struct Parser<'a> {
    scope: &'a Scope,
    tokens: &'a [Token],
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn eat(&mut self, sign: &str) -> bool {
        let found = matches!(self.tokens.get(self.at), Some(Token::Sign(s)) if *s == sign);
        self.at += usize::from(found);
        found
    }

    fn ternary(&mut self) -> Option<Value> {
        self.depth = self.depth.checked_sub(1)?;
        let condition = self.binary(0)?;
        if self.eat("?") {
            let yes = self.ternary()?;
            if !self.eat(":") {
                return None;
            }
            let no = self.ternary()?;
            self.depth += 1;
            return Some(if condition.as_bool()? { yes } else { no });
        }
        self.depth += 1;
        Some(condition)
    }

    /// Operators by how weakly they bind.
    fn binary(&mut self, level: usize) -> Option<Value> {
        const LEVELS: &[&[&str]] = &[
            &["||"],
            &["&&"],
            &["==", "!="],
            &["<=", ">=", "<", ">"],
            &["+", "-"],
            &["*", "/", "%"],
        ];
        let Some(signs) = LEVELS.get(level) else {
            return self.primary();
        };
        let mut left = self.binary(level + 1)?;
        while let Some(sign) = signs.iter().find(|sign| self.eat(sign)) {
            let right = self.binary(level + 1)?;
            left = applied(sign, &left, &right)?;
        }
        Some(left)
    }

    fn primary(&mut self) -> Option<Value> {
        let token = self.tokens.get(self.at)?.clone();
        self.at += 1;
        match token {
            Token::Number(number) => Some(json!(number)),
            Token::Text(text) => Some(json!(text)),
            Token::Sign("!") => Some(json!(!self.primary()?.as_bool()?)),
            Token::Sign("-") => Some(json!(self.primary()?.as_i64()?.checked_neg()?)),
            Token::Sign("(") => {
                let value = self.ternary()?;
                self.eat(")").then_some(value)
            }
            Token::Sign("[") => Some(Value::Array(self.list("]")?)),
            Token::Name(name) if self.eat("(") => {
                let arguments = self.list(")")?;
                function(&name, &arguments)
            }
            Token::Name(name) => {
                let mut value = self.name(&name)?;
                while self.eat("[") {
                    let at = self.ternary()?;
                    value = match at {
                        Value::String(key) => value.get(key)?.clone(),
                        at => value.get(usize::try_from(at.as_u64()?).ok()?)?.clone(),
                    };
                    if !self.eat("]") {
                        return None;
                    }
                }
                Some(value)
            }
            Token::Sign(_) => None,
        }
    }

    fn list(&mut self, end: &str) -> Option<Vec<Value>> {
        let mut list = Vec::new();
        while !self.eat(end) {
            list.push(self.ternary()?);
            if !self.eat(",") {
                return self.eat(end).then_some(list);
            }
        }
        Some(list)
    }

    fn name(&self, name: &str) -> Option<Value> {
        match name {
            "true" => return Some(json!(true)),
            "false" => return Some(json!(false)),
            "null" => return Some(Value::Null),
            _ => {}
        }
        // The longest name that is known; what follows are keys in it.
        let mut known = name;
        let mut value = loop {
            if let Some(value) = self.scope.get(known) {
                break Cow::Borrowed(value);
            }
            known = known.rsplit_once('.')?.0;
        };
        // Only what is asked for is looked at: the rest may be large.
        let keys = name[known.len()..].split('.').filter(|key| !key.is_empty());
        for key in keys {
            if value.is_string() {
                value = Cow::Owned(self.scope.value(&value, self.depth));
            }
            value = match value {
                Cow::Borrowed(value) => Cow::Borrowed(value.get(key)?),
                Cow::Owned(value) => Cow::Owned(value.get(key)?.clone()),
            };
        }
        let value = self.scope.value(&value, self.depth);
        (!is_unknown(&value)).then_some(value)
    }
}

fn applied(sign: &str, left: &Value, right: &Value) -> Option<Value> {
    let numbers = || Some((left.as_i64()?, right.as_i64()?));
    Some(match sign {
        "==" => json!(left == right),
        "!=" => json!(left != right),
        "||" => json!(left.as_bool()? || right.as_bool()?),
        "&&" => json!(left.as_bool()? && right.as_bool()?),
        _ => {
            let (left, right) = numbers()?;
            match sign {
                "<" => json!(left < right),
                ">" => json!(left > right),
                "<=" => json!(left <= right),
                ">=" => json!(left >= right),
                "+" => json!(left.checked_add(right)?),
                "-" => json!(left.checked_sub(right)?),
                "*" => json!(left.checked_mul(right)?),
                "/" => json!(left.checked_div(right)?),
                _ => json!(left.checked_rem(right)?),
            }
        }
    })
}

fn function(name: &str, arguments: &[Value]) -> Option<Value> {
    match (name, arguments) {
        ("range", [end]) => range(0, end.as_u64()?),
        ("range", [start, end]) => range(start.as_u64()?, end.as_u64()?),
        ("toset" | "tolist" | "tonumber" | "tostring", [value]) => Some(value.clone()),
        ("length", [Value::Array(list)]) => Some(json!(list.len())),
        ("concat", lists) => {
            let lists: Option<Vec<&Vec<Value>>> = lists.iter().map(Value::as_array).collect();
            Some(lists?.into_iter().flatten().cloned().collect())
        }
        ("min", [a, b]) => Some(json!(a.as_i64()?.min(b.as_i64()?))),
        ("max", [a, b]) => Some(json!(a.as_i64()?.max(b.as_i64()?))),
        _ => None,
    }
}

fn range(start: u64, end: u64) -> Option<Value> {
    (end.checked_sub(start)? <= RANGE).then(|| (start..end).map(Value::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_computed_and_nothing_else() {
        let document = json!({
            "variable": {"cards": [{"default": 32}], "open": [{}]},
            "locals": [{"all": "${range(var.cards)}", "map": {"a": 7}}],
        });
        let mut scope = Scope::read(&document);
        scope.set("i.value", json!(3));
        for (text, value) in [
            ("${i.value == 0 ? 0 : 1}", json!(1)),
            ("${length(local.all)}", json!(32)),
            ("${var.cards - 1}", json!(31)),
            ("${local.map.a}", json!(7)),
            ("${[1, 2, 3][1]}", Value::Null),
            ("${range(2, 4)}", json!([2, 3])),
            ("${(i.value + 1) * 2 % 5 == 3 && !false}", json!(true)),
            (
                "${i.value % 4 == 0 ? \"efa\" : \"efa-only\"}",
                json!("efa-only"),
            ),
        ] {
            let resolved = scope.resolved(&json!(text));
            if value.is_null() {
                assert_eq!(resolved, json!(text));
            } else {
                assert_eq!(resolved, value, "{text}");
            }
        }
        for text in [
            "${var.open}",
            "${aws_x.y.id}",
            "a ${1}",
            "${range(100000)}",
            "${1 +}",
            "plain",
            "${((((((((((((((((((1))))))))))))))))))}",
        ] {
            assert_eq!(scope.resolved(&json!(text)), json!(text));
        }
    }

    #[test]
    fn names_that_name_each_other_end() {
        let document = json!({"locals": {"a": "${local.b}", "b": "${local.a}"}});
        let value = Scope::read(&document).resolved(&json!("${local.a}"));
        assert_eq!(value, json!("${local.a}"));
    }

    #[test]
    fn a_small_text_stays_cheap() {
        // Each local is a hundred times the one before.
        let mut locals = serde_json::Map::new();
        locals.insert("l0".to_owned(), json!(["x"]));
        for level in 1..8 {
            let last = format!("${{local.l{}}}", level - 1);
            locals.insert(format!("l{level}"), json!(vec![last; 100]));
        }
        // A large one, of which each expression wants one entry, or all.
        let big: serde_json::Map<String, Value> = (0..1000)
            .map(|at| (format!("k{at}"), json!("x".repeat(1000))))
            .collect();
        locals.insert("big".to_owned(), json!(big));
        let scope = Scope::read(&json!({ "locals": [locals] }));
        let entries = vec![json!("${local.big.k1}"); 1000];
        scope.resolved(&Value::Array(entries));
        scope.finish().unwrap();
        for text in ["${local.l7}", "${length(local.big)}"] {
            let scope = scope.clone();
            scope.resolved(&Value::Array(vec![json!(text); 100]));
            let error = scope.finish().unwrap_err();
            assert_eq!(error.code(), crate::error::Code::HandoffTooLarge, "{text}");
        }
    }
}

//! XML as EC2 writes it: elements and text. Attributes are skipped; an element has children or text.

use std::borrow::Cow;
use std::str::FromStr;

/// Elements deeper than this are no answer of EC2's.
const DEEPEST: usize = 64;

/// All elements of a text, in its order.
#[derive(Debug)]
pub(super) struct Document<'t> {
    nodes: Vec<Node<'t>>,
}

#[derive(Debug)]
struct Node<'t> {
    name: &'t str,
    /// As it is written; empty where there are children.
    text: &'t str,
    /// The number of the first node that is not within this one.
    end: usize,
}

impl<'t> Document<'t> {
    /// `None` for what is not one whole element, for markup that EC2 does not use, such as a document
    /// type, and for text outside of elements that have no children.
    pub(super) fn parse(text: &'t str) -> Option<Self> {
        let mut nodes: Vec<Node<'t>> = Vec::with_capacity(text.len() / 32);
        let mut open: Vec<usize> = Vec::new();
        let mut rest = text;
        while let Some(tag) = rest.find('<') {
            let (before, markup) = (&rest[..tag], &rest[tag + 1..]);
            if let Some(end_tag) = markup.strip_prefix('/') {
                let at = open.pop()?;
                let end = nodes.len();
                let node = nodes.get_mut(at)?;
                rest = after_name(end_tag, node.name)?;
                node.end = end;
                if at + 1 == end {
                    node.text = before;
                } else if !is_blank(before) {
                    return None;
                }
                continue;
            }
            if !is_blank(before) {
                return None;
            }
            if let Some(instruction) = markup.strip_prefix('?') {
                rest = instruction.split_once("?>")?.1;
                continue;
            }
            let tag = Tag::parse(markup)?;
            // A second element beside the first; a comment, a document type, text kept as it is.
            let is_second = open.is_empty() && !nodes.is_empty();
            if is_second || tag.name.is_empty() || tag.name.starts_with('!') {
                return None;
            }
            let at = nodes.len();
            nodes.push(Node {
                name: tag.name,
                text: "",
                end: at + 1,
            });
            if !tag.is_empty {
                open.push(at);
            }
            if open.len() > DEEPEST {
                return None;
            }
            rest = tag.after;
        }
        let is_whole = open.is_empty() && !nodes.is_empty() && is_blank(rest);
        is_whole.then_some(Self { nodes })
    }

    pub(super) fn root(&self) -> Element<'_> {
        Element {
            nodes: &self.nodes,
            at: 0,
        }
    }
}

fn is_blank(text: &str) -> bool {
    text.is_empty() || text.trim().is_empty()
}

/// What is after an end tag of this name, whose `</` is not in the text.
fn after_name<'t>(end_tag: &'t str, name: &str) -> Option<&'t str> {
    // Nearly all have no prefix and no space.
    let after = end_tag.strip_prefix(name);
    if let Some(after) = after.and_then(|after| after.strip_prefix('>')) {
        return Some(after);
    }
    let (written, after) = end_tag.split_once('>')?;
    (local(written.trim_end()) == name).then_some(after)
}

/// A name without its prefix.
fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, name)| name)
}

/// A start tag, or that of an empty element.
struct Tag<'t> {
    /// Without its prefix.
    name: &'t str,
    is_empty: bool,
    /// What is behind its `>`.
    after: &'t str,
}

impl<'t> Tag<'t> {
    /// From behind its `<`.
    fn parse(markup: &'t str) -> Option<Self> {
        let ends = |byte: u8| matches!(byte, b'>' | b'/' | b':' | b' ' | b'\t' | b'\r' | b'\n');
        let length = markup.bytes().position(ends)?;
        if markup.as_bytes()[length] == b'>' {
            return Some(Self {
                name: &markup[..length],
                is_empty: false,
                after: &markup[length + 1..],
            });
        }
        // The value of an attribute may hold a `>` too.
        let mut quote = None;
        let end = markup.bytes().position(|byte| match quote {
            None if byte == b'>' => true,
            None => {
                quote = matches!(byte, b'"' | b'\'').then_some(byte);
                false
            }
            Some(open) => {
                quote = (open != byte).then_some(open);
                false
            }
        })?;
        let tag = &markup[..end];
        let inner = tag.strip_suffix('/');
        let name = inner.unwrap_or(tag).split_ascii_whitespace().next()?;
        Some(Self {
            // The first blank would be in front of a name.
            name: if length == 0 { "" } else { local(name) },
            is_empty: inner.is_some(),
            after: &markup[end + 1..],
        })
    }
}

/// An element of a [`Document`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Element<'d> {
    nodes: &'d [Node<'d>],
    at: usize,
}

impl<'d> Element<'d> {
    pub(super) fn name(self) -> &'d str {
        self.nodes[self.at].name
    }

    /// Its text, with entities replaced.
    pub(super) fn text(self) -> Cow<'d, str> {
        unescape(self.nodes[self.at].text)
    }

    fn children(self) -> impl Iterator<Item = Self> {
        let end = self.nodes[self.at].end;
        let mut next = self.at + 1;
        std::iter::from_fn(move || {
            let child = Self {
                nodes: self.nodes,
                at: (next < end).then_some(next)?,
            };
            next = self.nodes[next].end;
            Some(child)
        })
    }

    /// The first child of this name.
    pub(super) fn child(self, name: &str) -> Option<Self> {
        self.children().find(|child| child.name() == name)
    }

    /// The items of the child of this name; none where there is no such child.
    pub(super) fn items(self, name: &str) -> impl Iterator<Item = Self> {
        let set = self.child(name).into_iter();
        set.flat_map(Self::children)
            .filter(|child| child.name() == "item")
    }

    /// The text of the child of this name.
    pub(super) fn string(self, name: &str) -> Option<String> {
        self.child(name).map(|child| child.text().into_owned())
    }

    /// The same, where it says something: EC2 answers "none" with an empty string in places.
    pub(super) fn non_empty(self, name: &str) -> Option<String> {
        self.string(name).filter(|text| !text.is_empty())
    }

    /// The number or truth value of the child of this name; `None` also where it is no such value.
    pub(super) fn value<T: FromStr>(self, name: &str) -> Option<T> {
        self.child(name)?.text().trim().parse().ok()
    }
}

/// The text with its entities replaced; what is none stays as it is.
fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        plain.push_str(&rest[..at]);
        let entity = rest[at + 1..].split_once(';');
        let known = entity.and_then(|(name, after)| Some((character(name)?, after)));
        match known {
            Some((character, after)) => {
                plain.push(character);
                rest = after;
            }
            None => {
                plain.push('&');
                rest = &rest[at + 1..];
            }
        }
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

fn character(entity: &str) -> Option<char> {
    match entity {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = entity.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_prefixes_and_attributes_are_read() {
        let text = "<?xml version='1.0'?>\n<e:R xmlns:e='a>b' b=\"c>'d\">\n <e:n e:x=\"1\"> 7 </e:n >\
                    <empty/><empty2 x='y'/><t>&lt;&#65;&#x42;&quot;&apos;&amp;amp; &no; &</t>\
                    <s><item>1</item><other>2</other><item>3</item></s><n>8</n></e:R>\n";
        let document = Document::parse(text).unwrap();
        let root = document.root();
        assert_eq!(root.name(), "R");
        assert_eq!(root.value::<u32>("n"), Some(7));
        assert_eq!(root.value::<bool>("n"), None);
        assert_eq!(root.string("empty").as_deref(), Some(""));
        assert_eq!(root.non_empty("empty2"), None);
        assert_eq!(root.string("t").as_deref(), Some("<AB\"'&amp; &no; &"));
        let items: Vec<_> = root.items("s").map(|item| item.text()).collect();
        assert_eq!(items, ["1", "3"]);
        assert_eq!(root.items("nothing").count(), 0);
        assert!(root.child("nothing").is_none());
    }

    #[test]
    fn what_is_not_one_whole_element_is_none() {
        for text in [
            "",
            " ",
            "text",
            "<a>",
            "<a",
            "</a>",
            "<a></b>",
            "<a></a><b></b>",
            "<a/><b/>",
            "<a/>x",
            "x<a/>",
            "<a><b>1</b>2</a>",
            "<a>1<b/></a>",
            "<!DOCTYPE a><a/>",
            "<a><!-- b --></a>",
            "<a><![CDATA[b]]></a>",
            "<>",
            "<a b='>",
            "< a/>x",
        ] {
            assert!(Document::parse(text).is_none(), "{text}");
        }
        let deep = |depth: usize| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
        assert!(Document::parse(&deep(DEEPEST)).is_some());
        assert!(Document::parse(&deep(DEEPEST + 1)).is_none());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[<>/a&;#x?! '\"=é-]{0,40}") {
            if let Some(document) = Document::parse(&text) {
                let _ = document.root().string("a");
            }
        }

        #[test]
        fn a_written_text_is_read_again(text in "\\PC*") {
            let written = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            let document = format!("<a><b>{written}</b></a>");
            let document = Document::parse(&document).unwrap();
            prop_assert_eq!(document.root().string("b"), Some(text));
        }
    }
}

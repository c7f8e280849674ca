//! Elements of an answer by name, as EC2 writes them: with children or with text.

use std::str::FromStr;

/// All elements of a text.
pub(super) struct Document<'t>(roxmltree::Document<'t>);

impl<'t> Document<'t> {
    /// `None` for what is not one whole element, and for a document type, which EC2 does not use.
    pub(super) fn parse(text: &'t str) -> Option<Self> {
        roxmltree::Document::parse(text).ok().map(Self)
    }

    pub(super) fn root(&self) -> Element<'_> {
        Element(self.0.root_element())
    }
}

/// An element of a [`Document`].
#[derive(Clone, Copy)]
pub(super) struct Element<'d>(roxmltree::Node<'d, 'd>);

impl<'d> Element<'d> {
    /// Without a prefix.
    pub(super) fn name(self) -> &'d str {
        self.0.tag_name().name()
    }

    /// Its text; empty where it has none.
    pub(super) fn text(self) -> &'d str {
        self.0.text().unwrap_or_default()
    }

    fn children(self) -> impl Iterator<Item = Self> {
        self.0
            .children()
            .filter(roxmltree::Node::is_element)
            .map(Self)
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
        self.child(name).map(|child| child.text().to_owned())
    }

    /// The same, where it reports something: EC2 answers "none" with an empty string in places.
    pub(super) fn non_empty(self, name: &str) -> Option<String> {
        self.string(name).filter(|text| !text.is_empty())
    }

    /// The number or truth value of the child of this name; `None` also where it is no such value.
    pub(super) fn value<T: FromStr>(self, name: &str) -> Option<T> {
        self.child(name)?.text().trim().parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_prefixes_and_attributes_are_read() {
        let text = "<?xml version='1.0'?>\n<e:R xmlns:e='a' b=\"c>'d\">\n <e:n e:x=\"1\"> 7 </e:n >\
                    <empty/><empty2 x='y'/><t>&lt;&#65;&#x42;&quot;&apos;&amp;amp;</t>\
                    <s><item>1</item><other>2</other><item>3</item></s><n>8</n></e:R>\n";
        let document = Document::parse(text).unwrap();
        let root = document.root();
        assert_eq!(root.name(), "R");
        assert_eq!(root.value::<u32>("n"), Some(7));
        assert_eq!(root.value::<bool>("n"), None);
        assert_eq!(root.string("empty").as_deref(), Some(""));
        assert_eq!(root.non_empty("empty2"), None);
        assert_eq!(root.string("t").as_deref(), Some("<AB\"'&amp;"));
        let items: Vec<_> = root.items("s").map(Element::text).collect();
        assert_eq!(items, ["1", "3"]);
        assert_eq!(root.items("nothing").count(), 0);
        assert!(root.child("nothing").is_none());
    }

    #[test]
    fn what_is_not_one_whole_element_is_none() {
        for text in [
            "",
            "text",
            "<a>",
            "<a></b>",
            "<a/><b/>",
            "<a/>x",
            "x<a/>",
            "<!DOCTYPE a><a/>",
            "<a>&no;</a>",
        ] {
            assert!(Document::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn no_depth_overflows() {
        let depth = 100_000;
        let deep = format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
        assert_eq!(Document::parse(&deep).unwrap().root().children().count(), 1);
    }
}

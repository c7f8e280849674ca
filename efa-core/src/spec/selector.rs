//! How a specification names a VPC, a subnet or a security group: by id, by tag, or by name.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ec2::Filter;
use crate::error::{Error, Result};
use crate::text::named_by_arn;
use crate::types::ResourceKind;

/// Names a resource that exists: `subnet-0123456789abcdef0`, `karpenter.sh/discovery=prod`, or
/// `RayVPC`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Selector {
    /// EC2's id.
    Id(String),
    /// A tag with this key and value.
    Tag(String, String),
    /// The `Name` tag; of a security group, its group name.
    Name(String),
}

/// The kinds of resource that a [`Selector`] can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Selectable {
    /// The specification's field.
    pub(crate) field: &'static str,
    pub(crate) of: ResourceKind,
    id_filter: &'static str,
    name_filter: &'static str,
}

pub(crate) const VPC: Selectable = Selectable {
    field: "vpc",
    of: ResourceKind::Vpc,
    id_filter: "vpc-id",
    name_filter: "tag:Name",
};
pub(crate) const SUBNET: Selectable = Selectable {
    field: "subnet",
    of: ResourceKind::Subnet,
    id_filter: "subnet-id",
    name_filter: "tag:Name",
};
pub(crate) const SECURITY_GROUP: Selectable = Selectable {
    field: "security_group",
    of: ResourceKind::SecurityGroup,
    id_filter: "group-id",
    name_filter: "group-name",
};
pub(crate) const FURTHER_SECURITY_GROUPS: Selectable = Selectable {
    field: "further_security_groups",
    ..SECURITY_GROUP
};
pub(crate) const ENA_SECURITY_GROUPS: Selectable = Selectable {
    field: "ena_security_groups",
    ..SECURITY_GROUP
};

impl Selector {
    /// Reads an id, `key=value`, or a name of a VPC.
    ///
    /// # Errors
    /// `plan.invalid_spec` for an empty text or one with EC2's wildcards.
    pub fn vpc(text: &str) -> Result<Self> {
        Self::parse(VPC, text)
    }

    /// Reads an id, `key=value`, or a name of a subnet.
    ///
    /// # Errors
    /// As [`Selector::vpc`].
    pub fn subnet(text: &str) -> Result<Self> {
        Self::parse(SUBNET, text)
    }

    /// Reads an id, `key=value`, or a name of a security group.
    ///
    /// # Errors
    /// As [`Selector::vpc`].
    pub fn security_group(text: &str) -> Result<Self> {
        Self::parse(SECURITY_GROUP, text)
    }

    fn parse(kind: Selectable, text: &str) -> Result<Self> {
        let selector = match text.split_once('=') {
            _ if kind.of.is_id(text) => Self::Id(text.to_owned()),
            Some((key, value)) => Self::Tag(key.to_owned(), value.to_owned()),
            None => Self::Name(text.to_owned()),
        };
        selector.check(kind)?;
        Ok(selector)
    }

    pub(crate) fn check(&self, kind: Selectable) -> Result<()> {
        // What goes into a filter must not be a pattern there.
        let literal = |text: &str| !text.is_empty() && !text.contains(['*', '?', '\\']);
        let well_formed = match self {
            Self::Id(id) => kind.of.is_id(id),
            Self::Tag(key, value) => literal(key) && literal(value),
            Self::Name(name) => literal(name) && named_by_arn(name).is_none(),
        };
        if well_formed {
            return Ok(());
        }
        let cure = match named_by_arn(&self.to_string()) {
            Some(id) => format!("give {id}, which the ARN ends with"),
            None => "give one of these, without the wildcards * and ?; what is not an id is a name"
                .to_owned(),
        };
        Err(Error::invalid_spec(
            kind.field,
            self,
            format_args!(
                "an id ({} and 8 or 17 hexadecimal digits), a tag (key=value) or a name",
                kind.of.id_prefix()
            ),
            &cure,
        ))
    }

    pub(crate) fn filter(&self, kind: Selectable) -> Filter {
        match self {
            Self::Id(id) => Filter::new(kind.id_filter, id),
            Self::Tag(key, value) => Filter::tag(key, value),
            Self::Name(name) => Filter::new(kind.name_filter, name),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(text) | Self::Name(text) => f.write_str(text),
            Self::Tag(key, value) => write!(f, "{key}={value}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_tags_and_names_are_distinguished() {
        assert_eq!(
            Selector::subnet("subnet-0a1b2c3d").unwrap(),
            Selector::Id("subnet-0a1b2c3d".into())
        );
        // Existing `Name` tags that begin as an id does.
        for name in ["subnet-private-1a", "subnet-1"] {
            assert_eq!(Selector::subnet(name).unwrap(), Selector::Name(name.into()));
        }
        for name in ["vpc-prod", "vpc-prod-main"] {
            assert_eq!(Selector::vpc(name).unwrap(), Selector::Name(name.into()));
        }
        assert_eq!(
            Selector::subnet("karpenter.sh/discovery=prod").unwrap(),
            Selector::Tag("karpenter.sh/discovery".into(), "prod".into())
        );
        let name = Selector::security_group("ray sg").unwrap();
        assert_eq!(name.filter(SECURITY_GROUP).name, "group-name");
        for bad in ["", "subnet-*", "a*", "Name=", "=x", "Name=a?"] {
            assert!(Selector::subnet(bad).is_err(), "{bad}");
        }
        let arn = "arn:aws:ec2:us-east-1:123456789012:subnet/subnet-0a1b2c3d";
        let cure = Selector::subnet(arn).unwrap_err();
        assert!(cure.cure().unwrap().starts_with("give subnet-0a1b2c3d,"));
        // An id that is given as one is one.
        for bad in [
            "subnet-private-1a",
            "subnet-1",
            "subnet-0A1B2C3D",
            "vpc-0a1b2c3d",
            "",
        ] {
            assert!(Selector::Id(bad.into()).check(SUBNET).is_err(), "{bad}");
        }
    }
}

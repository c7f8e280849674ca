//! What is an id of an EC2 resource, and what is a name.

/// The kinds of EC2 resource that are named by id or by name.
///
/// ```
/// use efa_core::types::ResourceKind;
///
/// assert!(ResourceKind::Subnet.is_id("subnet-0123456789abcdef0"));
/// assert!(ResourceKind::Vpc.is_id("vpc-0a1b2c3d"));
/// assert!(!ResourceKind::Subnet.is_id("subnet-private-1a"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResourceKind {
    /// `vpc-…`
    Vpc,
    /// `subnet-…`
    Subnet,
    /// `sg-…`
    SecurityGroup,
    /// `ami-…`
    Image,
    /// `eni-…`
    NetworkInterface,
    /// `cr-…`, a Capacity Block's reservation too.
    CapacityReservation,
    /// `pg-…`
    PlacementGroup,
    /// `rtb-…`
    RouteTable,
    /// `lt-…`
    LaunchTemplate,
}

impl ResourceKind {
    /// Returns how ids of the kind begin.
    #[must_use]
    pub const fn id_prefix(self) -> &'static str {
        match self {
            Self::Vpc => "vpc-",
            Self::Subnet => "subnet-",
            Self::SecurityGroup => "sg-",
            Self::Image => "ami-",
            Self::NetworkInterface => "eni-",
            Self::CapacityReservation => "cr-",
            Self::PlacementGroup => "pg-",
            Self::RouteTable => "rtb-",
            Self::LaunchTemplate => "lt-",
        }
    }

    /// Returns whether the text is an id: the prefix, then 8 or 17 hexadecimal digits in lower
    /// case. Everything else is a name, also where it begins as an id does. Origin: "Resource IDs"
    /// of the Amazon EC2 user guide (17 characters since 2018, 8 before).
    #[must_use]
    pub fn is_id(self, text: &str) -> bool {
        text.strip_prefix(self.id_prefix()).is_some_and(|digits| {
            matches!(digits.len(), 8 | 17)
                && digits
                    .bytes()
                    .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_8_or_17_digits() {
        for (text, is_id) in [
            ("subnet-0a1b2c3d", true),
            ("subnet-0123456789abcdef0", true),
            ("subnet-private-1a", false),
            ("subnet-deadbeef-", false),
            ("subnet-0123", false),
            ("subnet-0a1b2c3d4", false),
            ("subnet-0A1B2C3D", false),
            ("subnet-0a1b2c3g", false),
            ("subnet-0123456789abcdef01", false),
            ("subnet-", false),
            ("vpc-0a1b2c3d", false),
            ("", false),
        ] {
            assert_eq!(ResourceKind::Subnet.is_id(text), is_id, "{text}");
        }
        for name in ["vpc-prod", "vpc-prod-main"] {
            assert!(!ResourceKind::Vpc.is_id(name), "{name}");
        }
    }
}

//! What a name of an instance type can stand for.

use super::instance_type::InstanceType;

/// The knowledge of a [`Catalog`](super::Catalog) about a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lookup<'a> {
    /// A type with EFA.
    Efa(&'a InstanceType),
    /// EC2 lists the type and reports that it has no EFA.
    NoEfa,
    /// The data does not have it, and it may be newer: nothing is known about its EFA.
    Unknown,
    /// No name that EC2 would give: its form, its letters, or a size that no type has.
    Misspelt,
}

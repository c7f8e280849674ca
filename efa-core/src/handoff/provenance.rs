//! Which planner, profile and catalog a document is from.

use crate::catalog::Catalog;
use crate::layout::Layout;
use crate::plan::Plan;

/// Key of the tag that carries [`tag_value`] in documents without comments.
pub(crate) const TAG: &str = "efa-sdk:planner";

/// Version, profile and date of the catalog's rules, as the value of a tag: at most 256
/// characters of the set that every AWS service takes.
pub(crate) fn tag_value(plan: &Plan) -> String {
    format!(
        "efa-sdk {} profile {} catalog {}",
        env!("CARGO_PKG_VERSION"),
        profile(plan),
        catalog_date()
    )
}

/// The lines, without comment signs, that stand on top of a document with these interfaces.
pub(crate) fn header(plan: &Plan, layout: &Layout) -> Vec<String> {
    vec![
        format!(
            "Written by efa-sdk {} from plan {} of cluster '{}' in {}.",
            env!("CARGO_PKG_VERSION"),
            plan.fingerprint(),
            plan.name(),
            plan.region()
        ),
        format!(
            "{layout}. Catalog of {}, {}.",
            catalog_date(),
            match plan.instance_type().origin {
                crate::catalog::Origin::Live => "the type as reported by DescribeInstanceTypes",
                _ => "the type as in the catalog",
            }
        ),
    ]
}

/// The profile's name, or `user-supplied`.
fn profile(plan: &Plan) -> &'static str {
    plan.layout()
        .profile
        .map_or("user-supplied", |profile| profile.as_str())
}

fn catalog_date() -> &'static str {
    let date = Catalog::bundled().source().date.as_deref();
    date.unwrap_or("unknown date")
}

//! EFA by Dynamic Resource Allocation: claims, and templates of claims.

use std::collections::HashMap;

use serde_json::Value;

use super::kinds::{self, Kind};
use super::quantity;
use super::values::{list, text};
use crate::handoff::check::document::{Checked, Findings};

/// The word by which a device class is about EFA (`efa.networking.k8s.aws` in EKS's documentation).
const EFA: &str = "efa";

/// How many EFAs the claims of a text ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wanted {
    Count(u64),
    /// All of a node, or a number that stands elsewhere.
    Unknown,
}

/// Claims and templates by kind and name, with the EFAs that each asks for.
#[derive(Debug, Default)]
pub(super) struct Claims(HashMap<(bool, String), Wanted>);

impl Claims {
    pub(super) fn of<'a>(documents: impl Iterator<Item = &'a Value>) -> Self {
        let claims = documents.filter(|document| kinds::of(document) == Kind::Claim);
        let mut found = HashMap::new();
        for claim in claims {
            let template = text(claim, "/kind") == Some("ResourceClaimTemplate");
            let name = text(claim, "/metadata/name");
            let (Some(name), Some(wanted)) = (name, wanted(claim)) else {
                continue;
            };
            // Of several under one name, which is a finding, the order does not choose.
            let most = found.entry((template, name.to_owned())).or_insert(wanted);
            *most = wanted.max(*most);
        }
        Self(found)
    }

    /// What a pod's claims ask for together; `None` without EFA.
    pub(super) fn of_pod(&self, pod: &Value) -> Option<Wanted> {
        let mut sum = None;
        for claim in list(pod, "/resourceClaims") {
            let key = match text(claim, "/resourceClaimTemplateName") {
                Some(name) => (true, name.to_owned()),
                None => (
                    false,
                    text(claim, "/resourceClaimName")
                        .unwrap_or_default()
                        .to_owned(),
                ),
            };
            sum = match (sum, self.0.get(&key).copied()) {
                (sum, None) => sum,
                (None, more) => more,
                (Some(Wanted::Count(a)), Some(Wanted::Count(b))) => {
                    Some(Wanted::Count(a.saturating_add(b)))
                }
                _ => Some(Wanted::Unknown),
            };
        }
        sum
    }
}

/// The EFAs that a claim asks for; `None` where it is about something else.
fn wanted(claim: &Value) -> Option<Wanted> {
    let mut sum = None;
    for at in ["/spec/spec/devices/requests", "/spec/devices/requests"] {
        for request in list(claim, at) {
            let exactly = request.get("exactly").unwrap_or(request);
            let class = text(exactly, "/deviceClassName").unwrap_or_default();
            if !class
                .to_ascii_lowercase()
                .split(['.', '-'])
                .any(|word| word == EFA)
            {
                continue;
            }
            let count = match exactly.get("count") {
                _ if text(exactly, "/allocationMode") == Some("All") => None,
                None => Some(1),
                Some(count) => quantity::count(count),
            };
            sum = match (sum, count) {
                (None, Some(count)) => Some(Wanted::Count(count)),
                (Some(Wanted::Count(sum)), Some(count)) => {
                    Some(Wanted::Count(count.saturating_add(sum)))
                }
                _ => Some(Wanted::Unknown),
            };
        }
    }
    sum
}

/// A claim alone says how many devices; whether a node has them is checked with the pods.
pub(super) fn check_claim(document: &Checked<'_>, found: &mut Findings) {
    let path = document.prefix.trim_end_matches('.');
    let name = text(document.document, "/metadata/name").unwrap_or(path);
    let alternatives = ["/spec/spec/devices/requests", "/spec/devices/requests"]
        .iter()
        .flat_map(|at| list(document.document, at))
        .any(|request| request.get("firstAvailable").is_some());
    if alternatives {
        let reason = "its firstAvailable, alternatives of which the scheduler chooses";
        found.unread("claim", name, path, reason);
    }
}

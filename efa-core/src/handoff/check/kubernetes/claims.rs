//! EFA by Dynamic Resource Allocation: claims, and templates of claims.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::findings::efa_count;
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
    /// All of a node, or a number that is defined elsewhere.
    Unknown,
}

/// Claims and templates by kind and name.
#[derive(Debug, Default)]
pub(super) struct Claims<'a> {
    known: HashSet<(bool, &'a str)>,
    /// The EFAs that each asks for.
    wanted: HashMap<(bool, &'a str), Wanted>,
}

impl<'a> Claims<'a> {
    pub(super) fn read(documents: impl Iterator<Item = &'a Value>) -> Self {
        let mut claims = Self::default();
        for claim in documents.filter(|document| kinds::kind_of(document) == Kind::Claim) {
            let template = text(claim, "/kind") == Some("ResourceClaimTemplate");
            let Some(name) = text(claim, "/metadata/name") else {
                continue;
            };
            claims.known.insert((template, name));
            if let Some(wanted) = wanted(claim) {
                // Of several under one name, which is a finding, the order does not choose.
                let most = claims.wanted.entry((template, name)).or_insert(wanted);
                *most = wanted.max(*most);
            }
        }
        claims
    }

    /// The claims of a pod that the text does not have: nothing states what they ask for.
    pub(super) fn elsewhere<'p>(&self, pod: &'p Value) -> Vec<&'p str> {
        let claims = list(pod, "/resourceClaims").iter().map(key);
        let elsewhere = claims.filter(|key| !self.known.contains(key));
        elsewhere.map(|(_, name)| name).collect()
    }

    /// What a pod's claims ask for together; `None` without EFA.
    pub(super) fn of_pod(&self, pod: &Value) -> Option<Wanted> {
        let mut sum = None;
        for claim in list(pod, "/resourceClaims") {
            sum = match (sum, self.wanted.get(&key(claim)).copied()) {
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

/// The claim of a pod: whether it is a template, and its name.
fn key(claim: &Value) -> (bool, &str) {
    match text(claim, "/resourceClaimTemplateName") {
        Some(name) => (true, name),
        None => (false, text(claim, "/resourceClaimName").unwrap_or_default()),
    }
}

/// The EFAs that a claim asks for; `None` where it is about something else.
fn wanted(claim: &Value) -> Option<Wanted> {
    let mut sum = None;
    for at in ["/spec/spec/devices/requests", "/spec/devices/requests"] {
        for request in list(claim, at) {
            let exactly = request.get("exactly").unwrap_or(request);
            if !is_efa(exactly) {
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

/// Whether a request is for a device of a class about EFA.
fn is_efa(request: &Value) -> bool {
    let class = text(request, "/deviceClassName").unwrap_or_default();
    let class = class.to_ascii_lowercase();
    class.split(['.', '-']).any(|word| word == EFA)
}

/// A claim alone states how many devices; whether a node has them is checked with the pods.
pub(super) fn check_claim(document: &Checked<'_>, found: &mut Findings) {
    let path = document.prefix.trim_end_matches('.');
    let name = text(document.document, "/metadata/name").unwrap_or(path);
    let alternatives = ["/spec/spec/devices/requests", "/spec/devices/requests"]
        .iter()
        .flat_map(|at| list(document.document, at))
        .any(|request| request.get("firstAvailable").is_some());
    for at in ["/spec/spec/devices/requests", "/spec/devices/requests"] {
        for (number, request) in list(document.document, at).iter().enumerate() {
            let exactly = request.get("exactly").unwrap_or(request);
            let Some(count) = exactly.get("count").filter(|_| is_efa(exactly)) else {
                continue;
            };
            let at = at[1..].replace('/', ".");
            let path = document.path(&format!("{at}.{number}.count"));
            // A claim asks for one device at least.
            if quantity::is_no_count(count) || quantity::count(count) == Some(0) {
                found.push(efa_count(path, count));
            } else if quantity::is_of_unknown_form(count) {
                found.unread("count", &count.to_string(), &path, "it is not a number");
            }
        }
    }
    if alternatives {
        let reason = "its firstAvailable, alternatives of which the scheduler chooses";
        found.unread("claim", name, path, reason);
    }
}

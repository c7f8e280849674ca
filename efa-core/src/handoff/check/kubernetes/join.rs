//! Which documents of a text belong together, found out once for the text.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use serde_json::Value;

use super::claims::Claims;
use super::kinds::{self, Kind};
use super::pod::{Pod, pods};
use super::requirements::Requirements;
use super::values::{interfaces_of, list, text};
use crate::catalog::names::{is_without_efa, names_without_efa};
use crate::catalog::{Catalog, InstanceType};
use crate::handoff::check::document::Checked;
use crate::handoff::interfaces::read_interfaces;

/// How many pairs of a NodePool and a kind of pod are compared.
const PAIRS: usize = 400_000;

/// A NodePool, and what is known of it.
pub(super) struct Pool<'a> {
    pub(super) value: &'a Value,
    /// The node class of the text that it names.
    pub(super) class: Option<&'a Value>,
    says_efa: bool,
    admitted: OnceCell<Vec<&'a InstanceType>>,
}

impl<'a> Pool<'a> {
    /// The EFA types that its requirements admit.
    pub(super) fn admitted(&self, catalog: &'a Catalog) -> &[&'a InstanceType] {
        self.admitted.get_or_init(|| {
            let requirements = Requirements::of(self.value);
            let admit = |t: &&InstanceType| requirements.admit(t);
            match requirements.named() {
                Some(names) => {
                    let named = names.iter().filter_map(|name| catalog.get(name));
                    let mut seen = BTreeSet::new();
                    named
                        .filter(admit)
                        .filter(|t| seen.insert(&t.name))
                        .collect()
                }
                None => catalog.iter().filter(admit).collect(),
            }
        })
    }

    /// How many EFAs a node of the pool has at most; `None` where its types are unknown.
    fn efas_per_node(&self, catalog: &'a Catalog) -> Option<u64> {
        if let Some(listed) = self.class.and_then(listed_efas) {
            return Some(listed);
        }
        let types = self.admitted(catalog).iter();
        types.map(|t| t.maximum_efa_interfaces).max().map(u64::from)
    }
}

/// What the NodePools of a text say about pods with the same selectors and tolerations.
#[derive(Default)]
pub(super) struct Outcome {
    /// Pools that the selectors leave, by position.
    pub(super) selected: Vec<usize>,
    /// Of those the ones whose taints are tolerated.
    pub(super) tolerated: Vec<usize>,
    /// How many EFAs a node has at most.
    pub(super) efas: Option<u64>,
    /// Whether Karpenter makes the nodes of all when they are needed.
    pub(super) all_dynamic: bool,
    /// Whether there were too many pairs to compare.
    pub(super) too_many: bool,
}

/// The manifests of a text.
pub(super) struct Found<'a> {
    pub(super) pools: Vec<Pool<'a>>,
    pub(super) claims: Claims,
    pub(super) has_huge_pages_overlay: bool,
}

/// The manifests of a text, and what follows from all of them.
pub(crate) struct Manifests<'a> {
    pub(super) found: Found<'a>,
    catalog: Option<&'a Catalog>,
    pools_by_place: HashMap<*const Value, usize>,
    pools_by_name: HashMap<&'a str, Vec<usize>>,
    pools_by_class: HashMap<(&'static str, &'a str), Vec<usize>>,
    outcomes: RefCell<HashMap<String, Rc<Outcome>>>,
    pairs: Cell<usize>,
    without_efa: OnceCell<Vec<&'static str>>,
    /// The pools meant for EFA, by position.
    for_efa: BTreeSet<usize>,
}

impl<'a> Manifests<'a> {
    pub(crate) fn new(documents: &[Checked<'a>]) -> Self {
        let values: Vec<&'a Value> = documents.iter().map(|document| document.document).collect();
        let classes: HashMap<(&str, &str), &'a Value> = values
            .iter()
            .filter_map(|value| Some((class_key(value)?, *value)))
            .collect();
        let mut pools: Vec<Pool<'a>> = Vec::new();
        let mut pools_by_place: HashMap<*const Value, usize> = HashMap::new();
        let mut pools_by_name: HashMap<&str, Vec<usize>> = HashMap::new();
        let mut pools_by_class: HashMap<(&str, &str), Vec<usize>> = HashMap::new();
        for value in values
            .iter()
            .filter(|value| kinds::of(value) == Kind::NodePool)
        {
            let key = reference(value);
            let class = key.and_then(|key| classes.get(&key).copied());
            let at = pools.len();
            pools_by_place.insert(std::ptr::from_ref::<Value>(value), at);
            if let Some(name) = text(value, "/metadata/name") {
                pools_by_name.entry(name).or_default().push(at);
            }
            if let Some(key) = key {
                pools_by_class.entry(key).or_default().push(at);
            }
            pools.push(Pool {
                value,
                class,
                says_efa: says_efa(value, class),
                admitted: OnceCell::new(),
            });
        }
        let has_huge_pages_overlay = values.iter().any(|value| gives_huge_pages(value));
        let mut manifests = Self {
            catalog: documents.first().map(|document| document.catalog),
            found: Found {
                pools,
                claims: Claims::of(values.iter().copied()),
                has_huge_pages_overlay,
            },
            pools_by_place,
            pools_by_name,
            pools_by_class,
            outcomes: RefCell::default(),
            pairs: Cell::new(PAIRS),
            without_efa: OnceCell::new(),
            for_efa: BTreeSet::new(),
        };
        manifests.for_efa = manifests.pools_for_efa(&values);
        manifests
    }

    /// Pools that say EFA: in their names, or their class lists some. Where none of the text does,
    /// those on which a pod that requests EFA could run.
    fn pools_for_efa(&self, values: &[&Value]) -> BTreeSet<usize> {
        let pools = self.found.pools.iter().enumerate();
        let says: BTreeSet<usize> = pools
            .filter(|(_, pool)| pool.says_efa)
            .map(|(at, _)| at)
            .collect();
        if !says.is_empty() || self.found.pools.is_empty() {
            return says;
        }
        let mut could = BTreeSet::new();
        for value in values {
            for pod in pods(value) {
                if pod.efas().any() || self.found.claims.of_pod(pod.spec).is_some() {
                    could.extend(self.outcome(&pod).tolerated.iter().copied());
                }
            }
        }
        could
    }

    /// The pool at a document's place.
    pub(super) fn pool(&self, value: &Value) -> Option<(usize, &Pool<'a>)> {
        let at = self.pools_by_place.get(&std::ptr::from_ref(value))?;
        Some((*at, &self.found.pools[*at]))
    }

    /// The pools that name a node class.
    pub(super) fn pools_of(&self, class: &Value) -> Vec<(usize, &Pool<'a>)> {
        let pools = class_key(class).and_then(|key| self.pools_by_class.get(&key));
        let pools = pools.into_iter().flatten();
        pools.map(|at| (*at, &self.found.pools[*at])).collect()
    }

    /// The types without EFA that the catalog does not have.
    pub(super) fn without_efa(&self) -> &[&'static str] {
        self.without_efa.get_or_init(|| {
            let has = |name: &&str| self.catalog.is_some_and(|catalog| catalog.contains(name));
            names_without_efa().filter(|name| !has(name)).collect()
        })
    }

    /// Whether a pool is meant for EFA.
    pub(super) fn is_for_efa(&self, at: usize) -> bool {
        self.for_efa.contains(&at)
    }

    /// What the pools say about a pod; pods alike are compared once.
    pub(super) fn outcome(&self, pod: &Pod<'_>) -> Rc<Outcome> {
        let signature = signature(pod.spec);
        if let Some(known) = self.outcomes.borrow().get(&signature) {
            return Rc::clone(known);
        }
        let outcome = Rc::new(self.compare(pod.spec));
        let mut outcomes = self.outcomes.borrow_mut();
        outcomes.insert(signature, Rc::clone(&outcome));
        outcome
    }

    fn compare(&self, pod: &Value) -> Outcome {
        let named = selected(pod, "karpenter.sh/nodepool");
        let candidates: Vec<usize> = match named {
            Some(name) => self.pools_by_name.get(name).cloned().unwrap_or_default(),
            None => (0..self.found.pools.len()).collect(),
        };
        let Some(left) = self.pairs.get().checked_sub(candidates.len()) else {
            return Outcome {
                too_many: true,
                ..Outcome::default()
            };
        };
        self.pairs.set(left);
        let types = instance_types(pod);
        let selected: Vec<usize> = candidates
            .into_iter()
            .filter(|at| {
                let requirements = Requirements::of(self.found.pools[*at].value);
                let admitted = |name: &String| requirements.admit_name(name);
                types
                    .as_ref()
                    .is_none_or(|types| types.iter().any(admitted))
            })
            .collect();
        let tolerated = selected.iter().copied();
        let tolerated =
            tolerated.filter(|at| intolerable(self.found.pools[*at].value, pod).is_none());
        let of_pools = selected.iter().filter_map(|at| {
            let catalog = self.catalog?;
            self.found.pools[*at].efas_per_node(catalog)
        });
        let dynamic = |at: &usize| {
            let pool = self.found.pools[*at].value;
            pool.pointer("/spec/replicas").is_none()
        };
        let of_types = types.as_deref().zip(self.catalog);
        Outcome {
            efas: of_pools
                .max()
                .or_else(|| of_types.and_then(|(types, catalog)| efas_of(types, catalog))),
            tolerated: tolerated.collect(),
            all_dynamic: selected.iter().all(dynamic),
            selected,
            too_many: false,
        }
    }
}

/// The most EFAs that one of the types has; `None` where one is unknown.
fn efas_of(types: &[String], catalog: &Catalog) -> Option<u64> {
    let counts: Option<Vec<u64>> = types
        .iter()
        .map(|name| match catalog.get(name) {
            Some(t) => Some(u64::from(t.maximum_efa_interfaces)),
            None => is_without_efa(name).then_some(0),
        })
        .collect();
    counts?.into_iter().max()
}

/// The kind and name of a node class.
fn class_key(value: &Value) -> Option<(&'static str, &str)> {
    let kind = match kinds::of(value) {
        Kind::Ec2NodeClass => "EC2NodeClass",
        Kind::AutoModeNodeClass => "NodeClass",
        _ => return None,
    };
    Some((kind, text(value, "/metadata/name")?))
}

/// The kind and name of the node class that a NodePool names.
fn reference(pool: &Value) -> Option<(&'static str, &str)> {
    const AT: &str = "/spec/template/spec/nodeClassRef";
    let name = text(pool, &format!("{AT}/name"))?;
    let auto = text(pool, &format!("{AT}/group")) == Some("eks.amazonaws.com");
    Some((if auto { "NodeClass" } else { "EC2NodeClass" }, name))
}

/// How many EFAs a node class lists; `None` where it lists no interfaces.
pub(super) fn listed_efas(node_class: &Value) -> Option<u64> {
    let interfaces = read_interfaces(interfaces_of(node_class)?).ok()?;
    let efas = interfaces.iter().filter(|i| i.interface_type.is_efa());
    Some(efas.count() as u64)
}

/// Whether a NodeOverlay gives nodes huge pages.
fn gives_huge_pages(value: &Value) -> bool {
    kinds::of(value) == Kind::NodeOverlay
        && value
            .pointer("/spec/capacity")
            .is_some_and(|capacity| capacity.get("hugepages-2Mi").is_some())
}

fn says_efa(pool: &Value, class: Option<&Value>) -> bool {
    let named = [
        "/metadata/name",
        "/spec/template/metadata/labels",
        "/spec/template/spec/taints",
        "/spec/template/spec/nodeClassRef/name",
    ];
    named.iter().any(|at| says_word(pool.pointer(at)))
        || class.and_then(listed_efas).is_some_and(|efas| efas > 0)
}

/// Whether a value has "efa" in it, as a word: "default" has it within.
pub(super) fn says_word(value: Option<&Value>) -> bool {
    let text = value.map(Value::to_string).unwrap_or_default();
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric());
    words.any(|word| word.eq_ignore_ascii_case("efa"))
}

fn selected<'a>(pod: &'a Value, label: &str) -> Option<&'a str> {
    pod.get("nodeSelector")?.get(label)?.as_str()
}

/// The instance types that a pod's node selector and required node affinity name; `None` where they
/// leave others.
pub(super) fn instance_types(pod: &Value) -> Option<Vec<String>> {
    const LABELS: [&str; 2] = [
        "node.kubernetes.io/instance-type",
        "beta.kubernetes.io/instance-type",
    ];
    let plain = |name: &str| name.strip_prefix("ml.").unwrap_or(name).to_owned();
    if let Some(name) = LABELS.iter().find_map(|label| selected(pod, label)) {
        let known = !crate::handoff::check::launch::is_unknown_text(name);
        return known.then(|| vec![plain(name)]);
    }
    let required = "/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution";
    let terms = list(pod, &format!("{required}/nodeSelectorTerms"));
    let of_term = |term: &Value| -> Option<Vec<String>> {
        let mut expressions = list(term, "/matchExpressions").iter();
        let named = expressions.find(|expression| {
            let key = text(expression, "/key").unwrap_or_default();
            LABELS.contains(&key) && text(expression, "/operator") == Some("In")
        })?;
        let values = list(named, "/values").iter().filter_map(Value::as_str);
        Some(values.map(plain).collect())
    };
    // Any of the terms is enough.
    let types: Option<Vec<Vec<String>>> = terms.iter().map(of_term).collect();
    let types = types?.concat();
    (!types.is_empty()).then_some(types)
}

/// What decides on which nodes a pod may run.
fn signature(pod: &Value) -> String {
    let part = |at: &str| pod.pointer(at).map(Value::to_string).unwrap_or_default();
    ["/nodeSelector", "/affinity/nodeAffinity", "/tolerations"]
        .map(part)
        .join("\n")
}

/// A taint of a NodePool that keeps a pod away.
pub(super) fn intolerable<'a>(pool: &'a Value, pod: &Value) -> Option<&'a Value> {
    let tolerations = list(pod, "/tolerations");
    let mut taints = list(pool, "/spec/template/spec/taints").iter();
    taints.find(|taint| {
        let effect = text(taint, "/effect");
        effect != Some("PreferNoSchedule") && !tolerations.iter().any(|t| tolerates(t, taint))
    })
}

fn tolerates(toleration: &Value, taint: &Value) -> bool {
    let of = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let exists = of(toleration, "operator").as_deref() == Some("Exists");
    let key = of(toleration, "key");
    let key_fits = (exists && key.is_none()) || key == of(taint, "key");
    let value = |v| of(v, "value").unwrap_or_default();
    let effect = of(toleration, "effect");
    key_fits
        && (exists || value(toleration) == value(taint))
        && (effect.is_none() || effect == of(taint, "effect"))
}

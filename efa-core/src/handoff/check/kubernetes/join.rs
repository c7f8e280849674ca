//! Which documents of a text belong together, found out once for the text.

use std::cell::{Cell, OnceCell, RefCell};
use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use serde_json::Value;

use super::claims::Claims;
use super::kinds::{self, Kind};
use super::pod::{Pod, pods};
use super::requirements::Requirements;
use super::values::{interfaces_of, list, text};
use crate::catalog::names::names_without_efa;
use crate::catalog::{Catalog, InstanceType, Lookup};
use crate::handoff::check::document::Checked;
use crate::handoff::interfaces::read_interfaces;

/// How much work the comparing of NodePools and pods may be: that many values of requirements and
/// taints are looked at.
const COMPARISONS: usize = 4_000_000;

/// A NodePool, and what is known of it.
pub(super) struct Pool<'a> {
    pub(super) value: &'a Value,
    /// The node class of the text that it names.
    pub(super) class: Option<&'a Value>,
    says_efa: bool,
    /// How many EFAs the class lists.
    listed: Option<u64>,
    /// What its requirements admit; pools with the same ones share it.
    types: Rc<AdmittedTypes<'a>>,
    /// The pools with the same taints, by number.
    taints: usize,
}

/// What the requirements of NodePools admit.
pub(super) struct AdmittedTypes<'a> {
    /// A pool that has them.
    pool: &'a Value,
    efa: OnceCell<Vec<&'a InstanceType>>,
    without: OnceCell<Vec<&'static str>>,
}

impl<'a> Pool<'a> {
    /// The EFA types that its requirements admit.
    pub(super) fn admitted(&self, catalog: &'a Catalog) -> &[&'a InstanceType] {
        self.types.efa.get_or_init(|| {
            let requirements = Requirements::of(self.types.pool);
            let admit = |t: &&InstanceType| requirements.admit(t);
            match requirements.named() {
                Some(names) => {
                    let named = names.iter().filter_map(|name| catalog.get(name));
                    let mut seen = BTreeSet::new();
                    named
                        .filter(|t| seen.insert(&t.name))
                        .filter(admit)
                        .collect()
                }
                None => catalog.iter().filter(admit).collect(),
            }
        })
    }

    /// Whether its class lists EFA interfaces.
    pub(super) fn lists_efa(&self) -> bool {
        self.listed.is_some_and(|efas| efas > 0)
    }

    /// How many EFAs a node of the pool has at most; `None` where its types are unknown.
    fn efas_per_node(&self, catalog: &'a Catalog) -> Option<u64> {
        if let Some(listed) = self.listed {
            return Some(listed);
        }
        let types = self.admitted(catalog).iter();
        types.map(|t| t.maximum_efa_interfaces).max().map(u64::from)
    }
}

/// The pools that selectors leave.
#[derive(Default)]
pub(super) struct Selection {
    /// The position of the pool whose name is first.
    pub(super) first: Option<usize>,
    /// Pools by their taints.
    by_taints: HashMap<usize, Vec<usize>>,
    /// How many EFAs a node has at most.
    pub(super) efas: Option<u64>,
    /// Whether Karpenter makes the nodes of all when they are needed.
    pub(super) all_dynamic: bool,
}

/// What the NodePools of a text mean for a pod.
pub(super) struct Outcome {
    pub(super) selection: Rc<Selection>,
    /// The taints, by number, that the pod tolerates.
    tolerated: Rc<Vec<usize>>,
}

impl Outcome {
    /// Whether the pod tolerates the taints of one of the pools.
    pub(super) fn is_tolerated(&self) -> bool {
        let pools = &self.selection.by_taints;
        self.tolerated
            .iter()
            .any(|taints| pools.contains_key(taints))
    }
}

/// The manifests of a text.
pub(super) struct Found<'a> {
    pub(super) pools: Vec<Pool<'a>>,
    pub(super) claims: Claims<'a>,
    pub(super) has_huge_pages_overlay: bool,
}

/// The manifests of a text, and what follows from all of them.
pub(crate) struct Manifests<'a> {
    pub(super) found: Found<'a>,
    catalog: Option<&'a Catalog>,
    taints: Taints<'a>,
    pools_by_place: HashMap<*const Value, usize>,
    pools_by_name: HashMap<&'a str, Vec<usize>>,
    pools_by_class: HashMap<(&'static str, &'a str), Vec<usize>>,
    selections: RefCell<HashMap<String, Rc<Selection>>>,
    tolerated: RefCell<HashMap<String, Rc<Vec<usize>>>>,
    /// How much may still be compared.
    left: Cell<usize>,
    without_efa: OnceCell<BTreeSet<&'static str>>,
    /// The pools meant for EFA, by position.
    for_efa: BTreeSet<usize>,
}

impl<'a> Manifests<'a> {
    pub(crate) fn new(documents: &[Checked<'a>]) -> Self {
        let values: Vec<&'a Value> = documents.iter().map(|document| document.document).collect();
        let classes = classes(&values);
        let mut manifests = Self {
            catalog: documents.first().map(|document| document.catalog),
            found: Found {
                pools: Vec::new(),
                claims: Claims::read(values.iter().copied()),
                has_huge_pages_overlay: values.iter().any(|value| gives_huge_pages(value)),
            },
            taints: Taints::default(),
            pools_by_place: HashMap::new(),
            pools_by_name: HashMap::new(),
            pools_by_class: HashMap::new(),
            selections: RefCell::default(),
            tolerated: RefCell::default(),
            left: Cell::new(COMPARISONS),
            without_efa: OnceCell::new(),
            for_efa: BTreeSet::new(),
        };
        let mut types: HashMap<String, Rc<AdmittedTypes<'a>>> = HashMap::new();
        for value in values
            .iter()
            .filter(|value| kinds::kind_of(value) == Kind::NodePool)
        {
            let class = reference(value).and_then(|key| classes.get(&key).copied());
            let requirements = value.pointer("/spec/template/spec/requirements");
            let types = types
                .entry(requirements.map(Value::to_string).unwrap_or_default())
                .or_insert_with(|| {
                    Rc::new(AdmittedTypes {
                        pool: value,
                        efa: OnceCell::new(),
                        without: OnceCell::new(),
                    })
                });
            manifests.add_pool(value, class, Rc::clone(types));
        }
        manifests.for_efa = manifests.pools_for_efa(&values);
        manifests
    }

    fn add_pool(
        &mut self,
        value: &'a Value,
        class: Option<(&'a Value, Option<u64>)>,
        types: Rc<AdmittedTypes<'a>>,
    ) {
        let at = self.found.pools.len();
        self.pools_by_place.insert(std::ptr::from_ref(value), at);
        if let Some(name) = text(value, "/metadata/name") {
            self.pools_by_name.entry(name).or_default().push(at);
        }
        if let Some(key) = reference(value) {
            self.pools_by_class.entry(key).or_default().push(at);
        }
        let listed = class.and_then(|(_, listed)| listed);
        let pool = Pool {
            value,
            class: class.map(|(class, _)| class),
            says_efa: says_efa(value) || listed.is_some_and(|efas| efas > 0),
            listed,
            types,
            taints: self.taints.add(value),
        };
        self.found.pools.push(pool);
    }

    /// Pools for EFA: by their names, or their class lists some. Where none of the text does,
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
        let mut seen = HashSet::new();
        for value in values {
            for pod in pods(value) {
                if !pod.efas().any() && self.found.claims.of_pod(pod.spec).is_none() {
                    continue;
                }
                let Some(outcome) = self.outcome(&pod) else {
                    continue;
                };
                for taints in outcome.tolerated.iter() {
                    let pools = outcome.selection.by_taints.get(taints);
                    let Some(pools) = pools else { continue };
                    if seen.insert((Rc::as_ptr(&outcome.selection), *taints)) {
                        could.extend(pools.iter().copied());
                    }
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

    /// Some types without EFA that a pool admits and the catalog does not have.
    pub(super) fn admitted_without_efa<'p>(&self, pool: &'p Pool<'a>) -> &'p [&'static str] {
        let without = self.without_efa.get_or_init(|| {
            let has = |name: &&str| self.catalog.is_some_and(|catalog| catalog.contains(name));
            names_without_efa().filter(|name| !has(name)).collect()
        });
        let types = &pool.types;
        types
            .without
            .get_or_init(|| Requirements::of(types.pool).admitted_without_efa(without))
    }

    /// Whether a pool is meant for EFA.
    pub(super) fn is_for_efa(&self, at: usize) -> bool {
        self.for_efa.contains(&at)
    }

    /// What the pools report about a pod; `None` where there is too much to compare.
    pub(super) fn outcome(&self, pod: &Pod<'_>) -> Option<Outcome> {
        Some(Outcome {
            selection: self.selection(pod.spec)?,
            tolerated: self.tolerated(pod.spec)?,
        })
    }

    /// How much has been compared.
    #[cfg(test)]
    pub(super) fn compared(&self) -> usize {
        COMPARISONS - self.left.get()
    }

    fn take(&self, comparisons: usize) -> Option<()> {
        let left = self.left.get().checked_sub(comparisons)?;
        self.left.set(left);
        Some(())
    }

    /// The pools that a pod's selectors leave; those with the same ones are compared once.
    fn selection(&self, pod: &Value) -> Option<Rc<Selection>> {
        let named = selected(pod, "karpenter.sh/nodepool");
        let types = instance_types(pod);
        let key = format!("{named:?} {types:?}");
        if let Some(known) = self.selections.borrow().get(&key) {
            return Some(Rc::clone(known));
        }
        let selection = Rc::new(self.select(named, types)?);
        let mut selections = self.selections.borrow_mut();
        selections.insert(key, Rc::clone(&selection));
        Some(selection)
    }

    fn select(&self, named: Option<&str>, types: Option<Vec<String>>) -> Option<Selection> {
        let candidates: Vec<usize> = match named {
            Some(name) => self.pools_by_name.get(name).cloned().unwrap_or_default(),
            None => (0..self.found.pools.len()).collect(),
        };
        self.take(candidates.len())?;
        let mut selection = Selection {
            all_dynamic: true,
            ..Selection::default()
        };
        let mut known: HashMap<*const AdmittedTypes<'_>, bool> = HashMap::new();
        for at in candidates {
            let pool = &self.found.pools[at];
            if let Some(types) = &types {
                let requirements = Requirements::of(pool.types.pool);
                let admits = match known.get(&Rc::as_ptr(&pool.types)) {
                    Some(admits) => *admits,
                    None => {
                        self.take(types.len() * requirements.size())?;
                        let admits = types.iter().any(|name| requirements.admit_name(name));
                        known.insert(Rc::as_ptr(&pool.types), admits);
                        admits
                    }
                };
                if !admits {
                    continue;
                }
            }
            if selection
                .first
                .is_none_or(|first| self.is_before(at, first))
            {
                selection.first = Some(at);
            }
            selection.by_taints.entry(pool.taints).or_default().push(at);
            selection.all_dynamic &= pool.value.pointer("/spec/replicas").is_none();
            let efas = self.catalog.and_then(|catalog| pool.efas_per_node(catalog));
            selection.efas = selection.efas.max(efas);
        }
        let of_types = types.as_deref().zip(self.catalog);
        let of_types = || of_types.and_then(|(types, catalog)| efas_of(types, catalog));
        selection.efas = selection.efas.or_else(of_types);
        Some(selection)
    }

    /// By name, or else by content: the order of documents means nothing.
    fn is_before(&self, one: usize, other: usize) -> bool {
        let value = |at: usize| self.found.pools[at].value;
        let name = |at: usize| text(value(at), "/metadata/name");
        let content = |at: usize| value(at).to_string();
        let by_name = name(one).cmp(&name(other));
        by_name.then_with(|| content(one).cmp(&content(other))) == Ordering::Less
    }

    /// The taints that a pod tolerates; those with the same tolerations are compared once.
    fn tolerated(&self, pod: &Value) -> Option<Rc<Vec<usize>>> {
        let key = pod.get("tolerations").map(Value::to_string);
        let key = key.unwrap_or_default();
        if let Some(known) = self.tolerated.borrow().get(&key) {
            return Some(Rc::clone(known));
        }
        let tolerations = list(pod, "/tolerations");
        let candidates = self.taints.candidates(tolerations);
        self.take(candidates.len() * (1 + tolerations.len()))?;
        let tolerates = |at: &usize| intolerable(self.taints.of_pools[*at], pod).is_none();
        let tolerated = Rc::new(candidates.into_iter().filter(tolerates).collect());
        let mut known = self.tolerated.borrow_mut();
        known.insert(key, Rc::clone(&tolerated));
        Some(tolerated)
    }
}

/// The different taints of NodePools, each found by the first that keeps pods away.
#[derive(Default)]
struct Taints<'a> {
    /// A pool with each.
    of_pools: Vec<&'a Value>,
    by_text: HashMap<String, usize>,
    /// Those that keep no pod away.
    harmless: Vec<usize>,
    by_key: HashMap<&'a str, Vec<usize>>,
    by_key_and_value: HashMap<(&'a str, &'a str), Vec<usize>>,
}

impl<'a> Taints<'a> {
    /// The number of a pool's taints.
    fn add(&mut self, pool: &'a Value) -> usize {
        let taints = pool.pointer("/spec/template/spec/taints");
        let key = taints.map(Value::to_string).unwrap_or_default();
        let next = self.of_pools.len();
        if let Some(known) = self.by_text.get(&key) {
            return *known;
        }
        self.by_text.insert(key, next);
        self.of_pools.push(pool);
        match intolerable(pool, &Value::Null) {
            None => self.harmless.push(next),
            Some(taint) => {
                let part = |at: &str| text(taint, at).unwrap_or_default();
                let (key, value) = (part("/key"), part("/value"));
                self.by_key.entry(key).or_default().push(next);
                let with_value = self.by_key_and_value.entry((key, value));
                with_value.or_default().push(next);
            }
        }
        next
    }

    /// Those that tolerations may tolerate.
    fn candidates(&self, tolerations: &[Value]) -> Vec<usize> {
        let mut found: BTreeSet<usize> = self.harmless.iter().copied().collect();
        for toleration in tolerations {
            let part = |at: &str| text(toleration, at).unwrap_or_default();
            let exists = part("/operator") == "Exists";
            let (key, value) = (part("/key"), part("/value"));
            if exists && key.is_empty() {
                return (0..self.of_pools.len()).collect();
            }
            let taints = if exists {
                self.by_key.get(key)
            } else {
                self.by_key_and_value.get(&(key, value))
            };
            found.extend(taints.into_iter().flatten());
        }
        found.into_iter().collect()
    }
}

/// The most EFAs that one of the types has; `None` where one is unknown.
fn efas_of(types: &[String], catalog: &Catalog) -> Option<u64> {
    let counts: Option<Vec<u64>> = types
        .iter()
        .map(|name| match catalog.look_up(name) {
            Lookup::Efa(t) => Some(u64::from(t.maximum_efa_interfaces)),
            Lookup::NoEfa => Some(0),
            _ => None,
        })
        .collect();
    counts?.into_iter().max()
}

/// Node classes by kind and name, with the EFAs that each lists. Of several under one name, which is
/// a finding, the order of documents does not choose.
fn classes<'a>(values: &[&'a Value]) -> HashMap<(&'static str, &'a str), (&'a Value, Option<u64>)> {
    let mut classes: HashMap<_, (&'a Value, Option<u64>)> = HashMap::new();
    for value in values {
        let Some(key) = class_key(value) else {
            continue;
        };
        let is_before = |known: &Value| {
            let (content, known) = (value.to_string(), known.to_string());
            content < known
        };
        if classes.get(&key).is_none_or(|(known, _)| is_before(known)) {
            classes.insert(key, (value, listed_efas(value)));
        }
    }
    classes
}

/// The kind and name of a node class.
fn class_key(value: &Value) -> Option<(&'static str, &str)> {
    let kind = match kinds::kind_of(value) {
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
fn listed_efas(node_class: &Value) -> Option<u64> {
    let interfaces = read_interfaces(interfaces_of(node_class)?).ok()?;
    let efas = interfaces.iter().filter(|i| i.interface_type.is_efa());
    Some(efas.count() as u64)
}

/// Whether a NodeOverlay gives nodes huge pages.
fn gives_huge_pages(value: &Value) -> bool {
    kinds::kind_of(value) == Kind::NodeOverlay
        && value
            .pointer("/spec/capacity")
            .is_some_and(|capacity| capacity.get("hugepages-2Mi").is_some())
}

fn says_efa(pool: &Value) -> bool {
    let named = [
        "/metadata/name",
        "/spec/template/metadata/labels",
        "/spec/template/spec/taints",
        "/spec/template/spec/nodeClassRef/name",
    ];
    named.iter().any(|at| says_word(pool.pointer(at)))
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
        let known = !crate::handoff::check::unknown::is_unknown_text(name);
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

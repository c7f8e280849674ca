//! What was seen of a cluster, and which node of a survey is which instance.

use efa_core::cluster::Cluster;
use efa_core::verify;
use serde::{Deserialize, Serialize};

use crate::survey_run;

/// A part of an acceptance: what it saw, or why it did not run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Part<T> {
    /// It ran.
    Seen(T),
    /// It did not.
    NotSeen {
        /// The reason, in one line.
        why: String,
    },
}

impl<T> Part<T> {
    /// Returns what it saw, if it ran.
    #[must_use]
    pub const fn seen(&self) -> Option<&T> {
        match self {
            Self::Seen(value) => Some(value),
            Self::NotSeen { .. } => None,
        }
    }
}

/// An instance of the cluster, as EC2 shows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Instance {
    /// `i-…`
    pub instance_id: String,
    /// Its primary private address.
    pub private_ip_address: Option<String>,
    /// EFA interfaces that are attached to it; that they are those of the plan is for
    /// `verify` to state.
    pub efa_interfaces: usize,
}

impl Instance {
    /// Creates an instance with this many EFA interfaces.
    #[must_use]
    pub fn new(
        instance_id: impl Into<String>,
        private_ip_address: Option<String>,
        efa_interfaces: usize,
    ) -> Self {
        Self {
            instance_id: instance_id.into(),
            private_ip_address,
            efa_interfaces,
        }
    }
}

/// All that a cluster is judged by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Evidence {
    /// Name of the cluster.
    pub cluster: String,
    /// Its instances, by launch index.
    pub instances: Vec<Instance>,
    /// The cluster compared with its plan.
    pub ec2: Part<verify::Report>,
    /// The survey of its nodes, which carries what the doctor reports of each.
    pub survey: Part<survey_run::Report>,
}

impl Evidence {
    /// Creates the evidence of what was seen of a cluster.
    #[must_use]
    pub fn new(
        cluster: &Cluster,
        ec2: Part<verify::Report>,
        survey: Part<survey_run::Report>,
    ) -> Self {
        let instance = |instance: &efa_core::ec2::Instance| {
            let interfaces = instance.interfaces.iter();
            Instance {
                instance_id: instance.instance_id.clone(),
                private_ip_address: instance.address().map(str::to_owned),
                efa_interfaces: interfaces.filter(|i| i.interface_type.is_efa()).count(),
            }
        };
        Self {
            cluster: cluster.name.clone(),
            instances: cluster.instances.iter().map(instance).collect(),
            ec2,
            survey,
        }
    }

    /// For each node of the survey, the number of its instance; `None` of nodes that are none of
    /// the cluster's, or do not report it. What a node reports of itself counts more than its address.
    pub(super) fn instances_of(&self, survey: &survey_run::Report) -> Vec<Option<usize>> {
        let with_id = |id: &str| self.instances.iter().position(|i| i.instance_id == id);
        let with_address = |address: &str| {
            let is_it = |i: &Instance| i.private_ip_address.as_deref() == Some(address);
            self.instances.iter().position(is_it)
        };
        let place = |node: &survey_run::Node| {
            let own = node.inspected_instance_id();
            match own.or_else(|| node.instance_id.clone()) {
                Some(id) => with_id(&id),
                None => node.address.as_deref().and_then(with_address),
            }
        };
        survey.nodes.iter().map(place).collect()
    }

    /// The survey with instance ids for names where they are known.
    pub(super) fn named(&self, survey: &survey_run::Report) -> survey_run::Report {
        let places = self.instances_of(survey);
        let mut named = survey.clone();
        for (number, place) in places.iter().enumerate() {
            let Some(instance) = place else { continue };
            let id = &self.instances[*instance].instance_id;
            let is_lone = places.iter().filter(|other| *other == place).count() == 1;
            named.nodes[number].name = match is_lone {
                true => id.clone(),
                false => format!("{id}/{number}"),
            };
        }
        named
    }
}
